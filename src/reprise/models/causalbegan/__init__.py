"""CausalBEGAN (Kocaoglu et al., arXiv 1709.02023): CausalGAN's label losses in a BEGAN, balanced by three margins."""
