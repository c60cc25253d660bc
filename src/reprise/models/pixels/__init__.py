"""The Lightning module of every autoregressive image model: training, likelihood, sampling, completion."""
