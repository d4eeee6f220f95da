"""The clients of ``serving.py``: a process of their own, a greenlet and a connection for each.

python benchmarks/serving_clients.py HOST:PORT FOLDER closed|open --seconds=S --clients=N [--rate=R]
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import gevent
import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

TOLERANCE = 1e-5  # of an output's largest value


class Clients:
    """Counts, and what is asked."""

    def __init__(self, url: str, folder: Path, seconds: float) -> None:
        self.url, self.seconds = url, seconds
        with np.load(folder / "inputs.npz") as file:
            self.inputs = {name: file[name] for name in file.files}
        with np.load(folder / "outputs.npz") as file:
            self.outputs = {name: file[name] for name in file.files}
        self.count = len(next(iter(self.inputs.values())))
        self.asked = [self._asked(each) for each in range(self.count)]
        self.latencies: list[float] = []
        self.sent = self.wrong = self.failed = self.identical = 0

    def _asked(self, number: int) -> list[Any]:
        found = []
        for name, values in self.inputs.items():
            one = triton.InferInput(name, list(values[number].shape), np_to_triton_dtype(values.dtype))
            found.append(one.set_data_from_numpy(values[number]))
        return found

    def ask(self, client: Any, since: float) -> None:
        number = self.sent % self.count
        self.sent += 1
        try:
            answer = client.infer("m", self.asked[number])
        except (InferenceServerException, OSError):
            self.failed += 1
            return
        self.latencies.append(time.perf_counter() - since)
        same = True
        for name, values in self.outputs.items():
            got, want = answer.as_numpy(name), values[number]
            if not np.array_equal(got, want):
                same = False
                scale = float(np.max(np.abs(want.astype(np.float64)), initial=1e-9))
                if got.shape != want.shape or not np.max(np.abs(got - want)) <= TOLERANCE * scale:
                    self.wrong += 1
        self.identical += same

    def closed(self, begin: float) -> None:
        with triton.InferenceServerClient(self.url) as client:
            while time.perf_counter() - begin < self.seconds:
                self.ask(client, time.perf_counter())

    def open(self, begin: float, rate: float, seed: int) -> None:
        rng = np.random.default_rng(seed)
        due = begin
        with triton.InferenceServerClient(self.url) as client:
            while True:
                due += float(rng.exponential(1 / rate))
                if due - begin > self.seconds:
                    return
                gevent.sleep(max(0.0, due - time.perf_counter()))
                self.ask(client, due)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("folder", type=Path)
    parser.add_argument("mode", choices=("closed", "open"))
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--rate", type=float, default=0.0)
    given = parser.parse_args()
    clients = Clients(given.url, given.folder, given.seconds)
    begin = time.perf_counter()
    if given.mode == "closed":
        work = [gevent.spawn(clients.closed, begin) for _ in range(given.clients)]
    else:
        each = given.rate / given.clients
        work = [gevent.spawn(clients.open, begin, each, seed) for seed in range(given.clients)]
    gevent.joinall(work, raise_error=True)
    took = time.perf_counter() - begin
    late = np.array(clients.latencies or [float("nan")]) * 1e3
    told = {
        "sent": clients.sent, "wrong": clients.wrong, "failed": clients.failed,
        "identical": clients.identical, "rate": given.rate, "per_second": len(clients.latencies) / took,
        "latency_ms": {
            "p50": float(np.percentile(late, 50)), "p90": float(np.percentile(late, 90)),
            "p99": float(np.percentile(late, 99)), "max": float(late.max()),
        },
    }  # fmt: skip
    print(json.dumps(told))


if __name__ == "__main__":
    main()
