"""What models that are trained against each other have in common."""
