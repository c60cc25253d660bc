"""PixelCNN++ (Salimans et al., arXiv 1701.05517)."""
