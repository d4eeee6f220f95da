"""Trains float graphs in PyTorch: the original teaches, the user's unlabelled samples are the lesson."""
