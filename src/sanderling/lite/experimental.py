"""The names of ``tf.lite.experimental``."""

from sanderling.lite.delegates import load_delegate
from sanderling.lite.op_resolver import OpResolverType

__all__ = ["OpResolverType", "load_delegate"]
