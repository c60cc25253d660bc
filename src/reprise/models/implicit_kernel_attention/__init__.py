"""Implicit Kernel Attention (Song et al. 2021)."""
