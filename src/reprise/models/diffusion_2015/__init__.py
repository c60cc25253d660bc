"""Deep Unsupervised Learning using Nonequilibrium Thermodynamics (Sohl-Dickstein et al. 2015)."""
