"""Serves models over HTTP with the Open Inference Protocol (KServe v2)."""
