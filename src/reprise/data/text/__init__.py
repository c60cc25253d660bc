"""Texts: labelled sentences, and sentences with their translation."""
