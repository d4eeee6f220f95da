"""LiteRT on the CPU: the reference that every other engine is compared with."""

from sanderling.engines.litert.engine import LiteRT

ENGINE = LiteRT()
