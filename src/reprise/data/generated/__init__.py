"""Small data that are drawn from a distribution one can write down."""
