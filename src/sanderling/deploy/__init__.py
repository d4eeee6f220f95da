"""Folders that run a model somewhere else, with nothing of ours installed.

One folder here per target, each with a ``TARGET`` in its ``__init__``: the folder is the registry.
"""
