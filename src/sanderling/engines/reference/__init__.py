"""NumPy on the CPU: slow, but any tensor can be seen or replaced on the way, and integers follow TFLite."""

from sanderling.engines.reference.engine import Reference

ENGINE = Reference()
