"""Studies: measurements without training."""
