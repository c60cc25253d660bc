"""WaveNet: a generative model for raw audio (van den Oord et al. 2016, arXiv 1609.03499)."""
