"""The synthetic study of CausalGAN (Kocaoglu et al. 2018): generators wired like a graph, on three variables."""
