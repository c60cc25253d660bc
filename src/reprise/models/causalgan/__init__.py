"""CausalGAN (Kocaoglu et al., arXiv 1709.02023): images of labels that can be intervened on."""
