"""The Causal Controller of CausalGAN (Kocaoglu et al. 2018): a sampler of labels that is wired like a causal graph."""
