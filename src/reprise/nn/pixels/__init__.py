"""Parts of autoregressive image models: masks, likelihoods, the network's contract, cached sampling."""
