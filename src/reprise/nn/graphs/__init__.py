"""Sums, products and softmax over the edges of a graph."""
