"""WaveGrad: Estimating Gradients for Waveform Generation (Chen et al., arXiv 2009.00713, ICLR 2021)."""
