"""Attention as similarity times magnitude: the scaled dot product, implicit kernels, and what each is made of."""
