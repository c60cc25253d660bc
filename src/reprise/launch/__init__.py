"""Sweeps: points that are command lines, the places where they run, and what is kept of them."""
