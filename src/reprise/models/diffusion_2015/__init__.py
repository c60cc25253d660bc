"""Deep unsupervised learning using nonequilibrium thermodynamics (Sohl-Dickstein et al. 2015, arXiv 1503.03585)."""
