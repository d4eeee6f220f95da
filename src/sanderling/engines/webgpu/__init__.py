"""The GPU engine, from a graph to an answer.

``graphs/`` prepares a graph, ``compiler/`` makes a program of it (pure data, as is every step in between),
``pieces/`` says what runs where and why, ``driver/`` is the WebGPU library, its adapters and devices. Here is
what puts them together (``engine``, ``runner``, ``execute``, ``auto``) and what is found out by running:
``trust`` and ``judge``, ``precision``, ``tune``, ``profile``, and what is kept of it on disk.
"""

from sanderling.engines.webgpu.entry import WebGPU

ENGINE = WebGPU()
