"""Spectral mixture kernels and approximate inference for them (Jung et al. 2020; Wilson & Adams 2013)."""
