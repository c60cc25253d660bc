"""DDPM (Ho et al., arXiv 2006.11239): a U-Net that predicts the noise of an image."""
