"""Implicit Kernel Attention: what holds without training."""
