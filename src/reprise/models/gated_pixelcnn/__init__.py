"""Conditional Image Generation with PixelCNN Decoders (van den Oord et al., arXiv 1606.05328)."""
