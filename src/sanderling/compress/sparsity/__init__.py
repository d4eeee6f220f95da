"""Weights that are zero or have few values: which, and what becomes of the others."""
