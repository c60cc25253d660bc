"""Regression learned by full-batch steps."""
