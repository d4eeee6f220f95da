"""LiteRT's own GPU accelerator, which takes a whole model or nothing."""

from sanderling.engines.litert_gpu.engine import LiteRTGPU

ENGINE = LiteRTGPU()
