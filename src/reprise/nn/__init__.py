"""Blocks used by more than one model, and signal processing shared by data, models and metrics."""
