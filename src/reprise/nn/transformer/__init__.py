"""Layers of Transformers whose attention is a choice."""
