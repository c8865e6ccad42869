"""Measures of embeddings and predictions, and tests of their differences; arrays in, numbers out."""
