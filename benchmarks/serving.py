"""How many requests a second does ``sanderling serve`` answer, how late, and are all of them right?

    python benchmarks/serving.py [--seconds 60] [--clients 64] [--json OUT]

Three servers in turns: a wide dense network, whose single call is spent on reading weights, with batches and
without; MiniLM (128 tokens) or another model, of which a single call fills the processor, with and without.
All clients, ``tritonclient``'s with a connection each, are in one process beside the server's, on the same
cores. *Capacity*: every client asks again as soon as it is answered. *Open loop*: arrivals are drawn
(exponential gaps) at 70 % of the capacity, and latency is counted from when a request was to be sent, not
from when a client was free to. Every answer is compared with what a session gives for the same input.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
CLIENTS = Path(__file__).with_name("serving_clients.py")
RESULTS, GUIDE = ROOT / "benchmarks/results/serving.json", ROOT / "docs/guide/serve.md"
BEGIN, END = "<!-- written by benchmarks/serving.py -->\n", "<!-- until here -->\n"
ASKED = {"wrong": 0, "p99_over_bound": 3.0, "batching": 1.2, "load": 0.7}


def dense(path: Path, width: int = 2048, layers: int = 3) -> None:
    """Writes a network of dense layers: 50 MB of weights, each used once for a row."""
    import numpy as np

    from sanderling import tflite
    from sanderling.graph.graph import Graph, Model, Node, Tensor
    from sanderling.graph.types import DType, TensorType

    rng = np.random.default_rng(0)
    kind = TensorType((1, width), DType.FLOAT32)
    tensors, nodes = [Tensor("x", kind)], []
    for layer in range(layers):
        weights = (rng.standard_normal((width, width)) * (2 / width) ** 0.5).astype(np.float32)
        bias = np.zeros(width, np.float32)
        first = len(tensors)
        tensors += [
            Tensor(f"w{layer}", TensorType(weights.shape, DType.FLOAT32), weights),
            Tensor(f"b{layer}", TensorType(bias.shape, DType.FLOAT32), bias),
            Tensor(f"y{layer}", kind),
        ]
        before = 0 if layer == 0 else first - 1
        attrs = {"fused_activation_function": "RELU" if layer + 1 < layers else "NONE"}
        nodes.append(
            Node("FULLY_CONNECTED", (before, first, first + 1), (first + 2,), attrs, "FullyConnectedOptions")
        )
    graph = Graph(tuple(tensors), tuple(nodes), (0,), (len(tensors) - 1,), "main")
    tflite.write(Model((graph,)), path)


class Server:
    """A process that serves one model."""

    def __init__(self, model: str, *options: str) -> None:
        command = [sys.executable, "-m", "sanderling", "serve", model, "--name", "m", "--port", "0", "--json"]
        self._process = subprocess.Popen(
            [*command, *options], stdout=subprocess.PIPE, text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        )  # fmt: skip
        assert self._process.stdout is not None
        text = ""
        while True:
            line = self._process.stdout.readline()
            if not line:
                raise SystemExit(f"{model} is not served: {self._process.wait()}")
            text += line
            if line.rstrip() == "}":
                break
        self.told = json.loads(text)
        self.how: dict[str, Any] = self.told["models"][0]

    def clients(self, folder: Path, mode: str, **options: object) -> dict[str, Any]:
        """Returns: what the clients' process tells."""
        url = self.told["url"].removeprefix("http://")
        given = [f"--{name}={value}" for name, value in options.items()]
        done = subprocess.run(
            [sys.executable, str(CLIENTS), url, str(folder), mode, *given],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def memory_mb(self) -> float:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        return float(status.split("VmRSS:")[1].split()[0]) / 1024

    def close(self) -> int:
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(60)


def prepare(model: str, folder: Path, count: int = 128) -> None:
    """Writes inputs and a session's answers to them."""
    import numpy as np

    import sanderling as sd

    rng = np.random.default_rng(1)
    with sd.Session(model, "litert") as session:
        inputs: dict[str, list[Any]] = {port.name: [] for port in session.inputs}
        outputs: dict[str, list[Any]] = {port.name: [] for port in session.outputs}
        for _ in range(count):
            given = {}
            for port in session.inputs:
                dtype, shape = port.type.dtype.numpy, port.type.shape
                given[port.name] = (
                    rng.standard_normal(shape).astype(dtype)
                    if dtype.kind == "f"
                    else rng.integers(0, 2, shape).astype(dtype)
                )
            answer = session(given)
            for name, value in given.items():
                inputs[name].append(value)
            for name, value in answer.items():
                outputs[name].append(value)
    np.savez(folder / "inputs.npz", **{name: np.stack(each) for name, each in inputs.items()})
    np.savez(folder / "outputs.npz", **{name: np.stack(each) for name, each in outputs.items()})


def capacity(model: str, folder: Path, seconds: float, clients: int, forced: str) -> dict[str, Any]:
    """Returns: capacities with batches and one by one, by turns; and what the server itself decided."""
    servers = {
        "auto": Server(model, "--engine", "litert"),
        "off": Server(model, "--engine", "litert", "--batch", "off"),
    }
    if servers["auto"].how["batching"]["largest"] == 1:
        servers["forced"] = Server(model, "--engine", "litert", "--batch", forced, "--batch-delay", "50ms")
    rates: dict[str, list[float]] = {name: [] for name in servers}
    wrong = 0
    try:
        for _ in range(2):
            for name, server in servers.items():
                found = server.clients(folder, "closed", seconds=seconds, clients=clients)
                rates[name].append(found["per_second"])
                wrong += found["wrong"] + found["failed"]
        told = {name: server.how for name, server in servers.items()}
    finally:
        for server in servers.values():
            server.close()
    mean = {name: sum(each) / len(each) for name, each in rates.items()}
    with_batches = mean.get("forced", mean["auto"])
    return {
        "server": told["auto"],
        "per_second": mean,
        "wrong": wrong,
        "batching": with_batches / mean["off"],
        "decided": "batches" if told["auto"]["batching"]["largest"] > 1 else "one by one",
    }


def open_loop(model: str, folder: Path, rate: float, seconds: float, clients: int) -> dict[str, Any]:
    """Returns: latencies at a rate of arrivals."""
    server = Server(model, "--engine", "litert")
    try:
        server.clients(folder, "closed", seconds=2, clients=clients)
        before = server.memory_mb()
        found = server.clients(folder, "open", seconds=seconds, clients=clients, rate=rate)
        found["memory_mb"] = [before, server.memory_mb()]
        found["bound_ms"] = server.how["batching"]["delay_ms"]
        found["p99_over_bound"] = found["latency_ms"]["p99"] / found["bound_ms"]
    finally:
        found["exit"] = server.close()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="of the open loop")
    parser.add_argument("--closed", type=float, default=6.0, help="of each measurement of capacity")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--other", default="minilm", help="a model of which batches do not pay")
    parser.add_argument("--json", type=Path, default=RESULTS)
    given = parser.parse_args()
    sys.path.insert(0, str(ROOT / "src"))
    from sanderling.verbs.find import find_model

    with tempfile.TemporaryDirectory() as name:
        folders = [Path(name) / each for each in ("dense", "other")]
        for folder in folders:
            folder.mkdir()
        dense(folders[0] / "dense.tflite")
        models = [str(folders[0] / "dense.tflite"), str(find_model(given.other))]
        for model, folder in zip(models, folders, strict=True):
            prepare(model, folder)
        first = capacity(models[0], folders[0], given.closed, given.clients, "16")
        rate = ASKED["load"] * first["per_second"]["auto"]
        loop = open_loop(models[0], folders[0], rate, given.seconds, given.clients)
        second = capacity(models[1], folders[1], given.closed, given.clients, "8")
        rate = ASKED["load"] * second["per_second"]["auto"]
        second["open_loop"] = open_loop(models[1], folders[1], rate, given.seconds, given.clients)
    result = {
        "machine": {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count()},
        "clients": given.clients,
        "asked": ASKED,
        "weight_bound": first,
        "open_loop": loop,
        "other": {"model": given.other, **second},
    }
    given.json.parent.mkdir(parents=True, exist_ok=True)
    given.json.write_text(json.dumps(result, indent=1) + "\n")
    if given.json == RESULTS:
        tell(result)
    show(result)


def tell(result: dict[str, Any]) -> None:
    """Writes the table of the guide."""
    first, loop, other = result["weight_bound"], result["open_loop"], result["other"]
    off = other["per_second"]["off"]
    forced = other["per_second"].get("forced", other["per_second"]["auto"])
    rows = [
        ("requests a second, three dense layers of 2,048 (50 MB of weights): one by one, batches",
         f"{first['per_second']['off']:.0f}, {first['per_second']['auto']:.0f}",
         f"{first['batching']:.2f}× (asked: 1.2×)"),
        (f"the same, {other['model']}: one by one, batches by hand", f"{off:.0f}, {forced:.0f}",
         f"{other['batching']:.2f}×; the server chose {other['decided']}"),
        *_open_rows("dense layers", loop),
        *_open_rows(other["model"], other["open_loop"]),
    ]  # fmt: skip
    lines = ["| | | |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]
    where = f"{result['machine']['cores']} cores, {result['clients']} clients beside the server."
    text = GUIDE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    GUIDE.write_text(before + BEGIN + "\n".join(["", *lines, "", where, ""]) + END + after, encoding="utf-8")


def _open_rows(name: str, loop: dict[str, Any]) -> list[tuple[str, str, str]]:
    late = loop["latency_ms"]
    return [
        (
            f"open loop, {name}: {loop['sent']:,} requests at {loop['rate']:.0f}/s: wrong, failed",
            f"{loop['wrong']}, {loop['failed']}",
            f"{loop['identical']:,} equal bit for bit (asked: 0 wrong)",
        ),
        (
            f"latency, bound {loop['bound_ms']:.1f} ms: p50, p90, p99",
            f"{late['p50']:.1f}, {late['p90']:.1f}, {late['p99']:.1f} ms",
            f"p99 is {loop['p99_over_bound']:.2f}× the bound (asked: ≤ 3×)",
        ),
        ("memory before and after", ", ".join(f"{each:.0f} MB" for each in loop["memory_mb"]), ""),
    ]


def show(result: dict[str, Any]) -> None:
    first, loop, other = result["weight_bound"], result["open_loop"], result["other"]
    for name, found in (("dense", first), (other["model"], other)):
        rates = ", ".join(f"{how} {rate:.0f}/s" for how, rate in found["per_second"].items())
        print(f"{name}: {rates}; batching {found['batching']:.2f}×, the server chose {found['decided']}")
        print(f"  {found['server']['batching']['reason']}; wrong or failed: {found['wrong']}")
    for name, found in (("dense", loop), (other["model"], other["open_loop"])):
        for row in _open_rows(name, found):
            print("; ".join(row))


if __name__ == "__main__":
    main()
