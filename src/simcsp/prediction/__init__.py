"""From a fine-tuned classifier and a genome, sites, variants or windows to files that other tools read."""
