"""The published figures of SpliceBERT's embeddings, measured anew: its sites, and the rows of the table."""
