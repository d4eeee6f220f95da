"""The GPU engine: lower → fuse → pool → memory → program (pure data) → execute.

``compile.compile_graph`` goes the whole way; every step in between is data that can be printed.
"""

from sanderling.engines.webgpu.entry import WebGPU

ENGINE = WebGPU()
