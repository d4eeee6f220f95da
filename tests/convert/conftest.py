"""Keras runs on JAX in these tests, as it does in the converter."""

from __future__ import annotations

import os

os.environ.setdefault("KERAS_BACKEND", "jax")
