"""Datasets as Lightning data modules: download, check, cache, split, load."""
