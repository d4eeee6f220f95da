"""Serves what runs in a browser to the machines around."""
