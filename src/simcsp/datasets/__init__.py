"""Prepared sets: unlabelled corpus, labelled windows, readers of published formats, grouped splits."""
