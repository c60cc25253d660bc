"""Pixel Recurrent Neural Networks (van den Oord et al., arXiv 1601.06759)."""
