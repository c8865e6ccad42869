"""DNA and its annotation: numpy only, coordinates 0-based half-open, strand explicit."""
