"""A page in headless Chromium that runs saved programs, and the little server that it loads them from.

The page sees what a visitor's browser would: ``runner.js``, ``program.json`` and ``weights.bin`` over HTTP.
Arrays travel as bytes.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import sanderling.engines.webgpu
from sanderling.engines.webgpu.compiler.program import Program, save
from sanderling.engines.webgpu.driver.adapters import Adapter
from sanderling.graph.types import Array
from tests.webgpu.conftest import missing

CHROMIUM = Path("/usr/bin/chromium")
RUNNER = Path(sanderling.engines.webgpu.__file__).with_name("runner.js")
PAGE = b"<!doctype html><title>GPU</title>"
OFFER = """async () => {
  const adapter = await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" });
  if (!adapter) return null;
  const limits = {};
  for (const name in adapter.limits) limits[name] = adapter.limits[name];
  const { vendor, architecture, isFallbackAdapter } = adapter.info;
  return { limits, features: [...adapter.features], name: `${vendor} ${architecture}`, isFallbackAdapter };
}"""
# Every input twice, the second time before the first is answered. All arrays lie in one file, 8-aligned.
RUN = """async ({ folder, feeds }) => {
  const { Runner } = await import("/runner.js");
  const runner = await Runner.load(folder);
  const bytes = await (await fetch(`${folder}inputs`)).arrayBuffer();
  const parts = [];
  for (const ports of feeds) {
    const given = {};
    for (const [name, kind, start, length] of ports) given[name] = new globalThis[kind](bytes, start, length);
    const [first, second] = await Promise.all([runner.run(given), runner.run(given)]);
    for (const { name } of runner.program.outputs) parts.push(first[name], second[name]);
  }
  runner.close();
  await fetch(`${folder}answers`, { method: "POST", body: new Blob(parts) });
}"""
JS = """async (given) => {
  const { Runner, RunnerError } = await import("/runner.js");
  const { NAMES } = given;
  try { BODY } catch (error) {
    if (!(error instanceof RunnerError)) throw error;
    return [error.code, error.message];
  }
}"""
KINDS = {
    "float32": "Float32Array", "int32": "Int32Array", "int8": "Int8Array", "uint8": "Uint8Array",
    "int64": "BigInt64Array", "int16": "Int16Array", "float16": "Uint16Array", "bool": "Uint8Array",
}  # fmt: skip


class Site:
    """Serves files from memory on localhost, which browsers take for a secure context.

    Attributes:
        files: path → content.
        posted: path → what the page sent there.
        origin: the site's address.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {"/": PAGE, "/runner.js": RUNNER.read_bytes()}
        self.posted: dict[str, bytes] = {}
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                found = site.files.get(self.path)
                kind = "text/javascript" if self.path.endswith(".js") else "text/html"
                self._answer(404 if found is None else 200, found or b"", kind)

            def do_POST(self) -> None:
                site.posted[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
                self._answer(200, b"", "text/plain")

            def _answer(self, status: int, body: bytes, kind: str) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None: ...

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.origin = f"http://localhost:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Browser:
    """A page that has our runner.

    Attributes:
        page: Playwright's.
        site: what it is loaded from.
        adapter: the browser's own, told in the terms of ``device.Adapter``.
    """

    def __init__(self, page: Any, site: Site) -> None:
        self.page, self.site = page, site
        self.fresh()
        offer = page.evaluate(OFFER)
        if offer is None:
            missing("Chromium has no WebGPU adapter here")
        self.adapter = adapter_of(offer)

    def fresh(self) -> None:
        """Loads the page anew."""
        self.page.goto(f"{self.site.origin}/")

    def put(self, program: Program, folder: Path, name: str = "p") -> str:
        """Saves a program and serves the two files. Returns: the folder's path in the site."""
        save(program, folder)
        for file in ("program.json", "weights.bin"):
            self.site.files[f"/{name}/{file}"] = (folder / file).read_bytes()
        return f"/{name}/"

    def run(self, program: Program, folder: Path, feeds: Sequence[Sequence[Array]]) -> list[list[Array]]:
        """Returns: the answers to every input, the same each time it is given."""
        where = self.put(program, folder)
        raw, told = bytearray(), []
        for feed in feeds:
            ports = []
            for port, array in zip(program.inputs, feed, strict=True):
                ports.append((port.name, KINDS[port.dtype], len(raw), array.size))
                raw += array.tobytes() + bytes(-array.nbytes % 8)
            told.append(ports)
        self.site.files[f"{where}inputs"] = bytes(raw)
        self.page.evaluate(RUN, {"folder": where, "feeds": told})
        answer, start, found = self.site.posted.pop(f"{where}answers"), 0, []
        for _ in feeds:
            outputs = []
            for port in program.outputs:
                size = prod(port.shape)
                both = np.frombuffer(answer, port.numpy, 2 * size, start).reshape(2, *port.shape)
                np.testing.assert_array_equal(both[0], both[1])
                outputs.append(both[0])
                start += both.nbytes
            found.append(outputs)
        assert start == len(answer)
        return found

    def js(self, body: str, **given: object) -> Any:
        """Runs the body of an async function that has ``Runner``, ``RunnerError`` and what is given.

        Returns: its value; for a ``RunnerError`` that it throws, [code, message].
        """
        function = JS.replace("NAMES", ", ".join(given)).replace("BODY", body)
        return self.page.evaluate(function, given)


def adapter_of(offer: Mapping[str, Any]) -> Adapter:
    """Returns: what a browser offers, as ``wgpu`` would tell it."""
    limits = {re.sub("[A-Z]", lambda m: f"_{m[0].lower()}", n): int(v) for n, v in offer["limits"].items()}
    kind = "CPU" if offer["isFallbackAdapter"] else "Unknown"
    return Adapter(offer["name"], "browser", kind, "", frozenset(offer["features"]), limits, 0, None, None)


@contextmanager
def opened() -> Iterator[Browser]:
    """A browser of its own, for as long as the block."""
    playwright = pytest.importorskip("playwright.sync_api", reason="NO BROWSER TESTS: playwright is missing")
    if not CHROMIUM.exists():
        missing("there is no /usr/bin/chromium")
    site = Site()
    try:
        with playwright.sync_playwright() as tool:
            chromium = tool.chromium.launch(
                executable_path=str(CHROMIUM), args=["--no-sandbox", "--enable-unsafe-webgpu"]
            )
            page = chromium.new_page()
            page.set_default_timeout(120_000)
            yield Browser(page, site)
            chromium.close()
    finally:
        site.close()
