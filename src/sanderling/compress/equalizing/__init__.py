"""Scales of channels that move from one operator to the next."""
