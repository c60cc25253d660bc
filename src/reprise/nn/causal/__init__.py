"""Causal graphs over binary labels, their exact laws, and what is asked of them."""
