"""One training loop for every stage, its batches, checkpoints and measurements."""
