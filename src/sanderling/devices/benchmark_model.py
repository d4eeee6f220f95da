"""LiteRT's ``benchmark_model`` on a phone: run, and what it prints read.

Source: options and output as in tensorflow/lite/tools/benchmark (``benchmark_tflite_model.cc``), and its
``Stat`` in tensorflow/core/util/stats_calculator.h. Older versions lack quantiles and ``--output_filepath``.
"""

from __future__ import annotations

import hashlib
import re
import shlex
import signal
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sanderling.devices.bridge import Bridge
from sanderling.errors import DeviceError, ModelError, RunError, WorkerError
from sanderling.graph.types import Array

MOST_SECONDS = 150.0  # its own limit for one invocation
_NUMBER = r"(-?[0-9.]+(?:e[+-]?[0-9]+)?)"
_COUNT = re.compile(r"\bcount=(\d+) (.*)")
_FIELD = re.compile(rf"\b([a-z0-9]+)={_NUMBER}")
_INIT = re.compile(rf"Inference timings in us: Init: {_NUMBER}, First inference: {_NUMBER}")
_MEMORY = re.compile(rf"(?:[Mm]emory footprint).*\(MB\): init={_NUMBER} overall={_NUMBER}")
_PLACE_OF_INPUTS, _PLACE_OF_OUTPUTS = "input", "output"


@dataclass(frozen=True, slots=True)
class Statistics:
    """What one invocation says of its timed calls.

    Attributes:
        count: calls.
        quantiles: share of calls → milliseconds, from 0 (the shortest) to 1 (the longest). The middle is
            the median, or the mean where the tool is too old to tell the median.
        load_ms: milliseconds until the model was ready.
        first_ms: milliseconds of the first call.
        memory_bytes: by how much the process grew; None where the tool does not tell.
    """

    count: int
    quantiles: Mapping[float, float] = field(hash=False)
    load_ms: float
    first_ms: float
    memory_bytes: int | None

    @property
    def median(self) -> float:
        """Milliseconds."""
        return self.quantiles[0.5]


def parse(text: str) -> Statistics:
    """Reads what the tool printed.

    Raises:
        RunError: it holds no statistics.
    """
    counts, init = _COUNT.findall(text), _INIT.search(text)
    if not counts or init is None:
        raise RunError("benchmark_model printed no statistics", hint="is it LiteRT's benchmark_model?")
    count, rest = counts[-1]  # the calls before were for warming up
    found = {name: float(value) / 1e3 for name, value in _FIELD.findall(rest)}
    middle = found.get("median", found.get("avg", found.get("curr")))  # curr alone: all took as long
    if middle is None or int(count) < 1:
        raise RunError("benchmark_model printed no statistics", hint="is it LiteRT's benchmark_model?")
    names = {0.0: "min", 0.05: "p5", 0.95: "p95", 1.0: "max"}
    quantiles = {share: found[name] for share, name in names.items() if name in found} | {0.5: middle}
    memory = _MEMORY.search(text)
    return Statistics(
        count=int(count),
        quantiles=dict(sorted(quantiles.items())),
        load_ms=float(init[1]) / 1e3,
        first_ms=float(init[2]) / 1e3,
        memory_bytes=round(float(memory[2]) * 2**20) if memory else None,
    )


@dataclass(frozen=True, slots=True)
class BenchmarkModel:
    """The tool on one phone.

    Attributes:
        bridge: reaches the phone.
        binary: its path there.
        folder: where files of this run go there.
    """

    bridge: Bridge
    binary: str
    folder: str

    def saves_answers(self) -> bool:
        """Returns: whether this version can be given inputs and writes the outputs to a file."""
        said = self.bridge.shell([self.binary, "--help"], doing="asking benchmark_model for its options").text
        return "--output_filepath" in said and "--input_layer_value_files" in said

    def place(self, file: Path) -> str:
        """Copies a model to the phone, unless it is there. Returns: its path there."""
        data = file.read_bytes()
        there = f"{self.folder}/{hashlib.sha256(data).hexdigest()[:32]}.tflite"
        quoted = shlex.quote(there)
        counting = f"wc -c < {quoted} 2>/dev/null || echo none"
        size = self.bridge.shell(counting, doing=f"looking for {file.name}")
        if size.text.strip() != str(len(data)):
            self.bridge.push(file, f"{there}.part")  # what breaks off in the middle is no model
            self.bridge.shell(["mv", f"{there}.part", there], doing=f"copying {file.name}")
        return there

    def remove(self, there: str) -> None:
        """Removes a model from the phone."""
        self.bridge.shell(["rm", "-f", there], doing="removing a model")

    def time(self, there: str, *, threads: int, runs: int, warm_up: int = 1) -> Statistics:
        """Runs a model on random inputs.

        Args:
            there: path of the model on the phone.
            runs, warm_up: calls that are timed, and calls before.

        Raises:
            ModelError: the phone's LiteRT refuses the model.
            WorkerError: it crashed.
            ConnectionLost: the phone is gone.
        """
        return parse(self._run(there, threads, runs, warm_up, [], "timing"))

    def answers(self, there: str, inputs: Sequence[Array], *, threads: int) -> bytes:
        """Runs a model once on given inputs. Returns: the bytes of all outputs, one after the other."""
        names = [f"{_PLACE_OF_INPUTS}{number}" for number in range(len(inputs))]
        for name, value in zip(names, inputs, strict=True):
            with tempfile.NamedTemporaryFile(prefix="sanderling-input-") as file:
                file.write(value.tobytes())
                file.flush()
                self.bridge.push(Path(file.name), f"{self.folder}/{name}")
        output = f"{self.folder}/{_PLACE_OF_OUTPUTS}"
        shapes = ":".join(",".join(map(str, value.shape)) for value in inputs)
        options = [
            f"--input_layer={','.join(names)}",
            f"--input_layer_shape={shapes}",
            f"--input_layer_value_files={','.join(f'{name}:{self.folder}/{name}' for name in names)}",
            f"--output_filepath={output}",
        ]
        self.bridge.shell(["rm", "-f", output], doing="running")  # an old answer is no answer
        self._run(there, threads, 1, 0, options, "running")
        return self.bridge.fetch(output)

    def _run(
        self, there: str, threads: int, runs: int, warm_up: int, options: Sequence[str], doing: str
    ) -> str:
        command = [
            self.binary, f"--graph={there}", f"--num_threads={threads}", f"--num_runs={runs}",
            f"--warmup_runs={warm_up}", "--min_secs=0", "--warmup_min_secs=0", f"--max_secs={MOST_SECONDS:g}",
            *options,
        ]  # fmt: skip
        ran = self.bridge.shell(command, doing=doing, seconds=2 * MOST_SECONDS)
        if ran.code == 0:
            return ran.text
        if ran.code in (126, 127):
            last = _words(ran.text)
            raise DeviceError(f"{self.binary} does not run there ({last})", where=self.bridge.name,
                              hint="is it built for this phone's processor?")  # fmt: skip
        if ran.code > 128:
            raise _crash(ran.code - 128, doing)
        raise ModelError(f"the phone's LiteRT does not run it ({_words(ran.text)})", where=Path(there).name)


def _crash(number: int, doing: str) -> WorkerError:
    try:
        name = signal.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    error = WorkerError(f"benchmark_model crashed ({name}) while {doing}")
    error.passing = name in ("SIGKILL", "SIGTERM", "SIGHUP")
    return error


def _words(text: str) -> str:
    """Returns: the line that says what is wrong: the first error, else the last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    wrong = [line for line in lines if line.startswith(("ERROR", "FATAL", "E ", "F "))]
    return (wrong[:1] or lines[-1:] or ["it said nothing"])[0][:200]
