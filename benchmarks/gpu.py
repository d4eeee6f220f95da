"""Checks and times the GPU engine beside other GPU runtimes on the same adapter, round by round.

    python benchmarks/gpu.py MODEL.tflite… [--onnx FOLDER] [--peers ours,litert_gpu,…] [--rounds 8]

Every (model, runtime) pair is a process of its own that is started alone (cold: process start to first
answer), checked against LiteRT's builtin CPU kernels on the same input, and then called in turn with the
others: A B C A B C. A runtime that crashes or hangs loses its row and nothing else.

The ONNX files can be made by tf2onnx, MobileNetV2 by make_mobilenet_v2.py beside this file:

    python -m tf2onnx.convert --tflite MODEL.tflite --output FOLDER/MODEL.onnx

Runtimes: ours (float32), ours_auto (precision "auto"), litert_gpu (ai-edge-litert's accelerator, float32),
litert_gpu_f16 (its default), ort_webgpu (onnxruntime-webgpu, from --onnx FOLDER/NAME.onnx), litert_cpu. torch
cannot read these files; on CUDA it gives the ceilings: copy bandwidth and matrix rate. Other environments:
--python litert_gpu=/path/python.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import select
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

PEERS = ("ours", "ours_auto", "litert_gpu", "litert_gpu_f16", "ort_webgpu", "litert_cpu")
BOUND = {"litert_gpu_f16": 5e-2, "ours_auto": 5e-2}


def inputs_for(model: str) -> list[Any]:
    """Returns: one array per input of the model, the same in every process."""
    import numpy as np
    from ai_edge_litert.interpreter import Interpreter

    rng = np.random.default_rng(0)
    arrays = []
    for detail in Interpreter(model).get_input_details():
        shape, dtype = tuple(int(n) for n in detail["shape"]), detail["dtype"]
        if np.issubdtype(dtype, np.floating):
            arrays.append(rng.random(shape, np.float32).astype(dtype))
        else:
            arrays.append(rng.integers(0, 100, shape).astype(dtype))
    return arrays


def ours(model: str, _onnx: str, precision: str = "float32") -> Callable[[list[Any]], list[Any]]:
    import sanderling as sd

    session = sd.Session(model, engine="webgpu", precision=precision)
    names = [port.name for port in session.inputs]
    outputs = [port.name for port in session.outputs]

    def call(arrays: list[Any]) -> list[Any]:
        answer = session(dict(zip(names, arrays, strict=True)))
        return [answer[name] for name in outputs] if isinstance(answer, dict) else [answer]

    return call


def litert_gpu(model: str, _onnx: str, f32: bool = True) -> Callable[[list[Any]], list[Any]]:
    import numpy as np
    from ai_edge_litert.compiled_model import CompiledModel
    from ai_edge_litert.hardware_accelerator import HardwareAccelerator
    from ai_edge_litert.interpreter import Interpreter
    from ai_edge_litert.options import GpuOptions, Options

    options = Options(hardware_accelerators=HardwareAccelerator.GPU, gpu_options=GpuOptions(enforce_f32=f32))
    compiled = CompiledModel.from_file(model, options=options)
    if not compiled.is_fully_accelerated():
        raise RuntimeError("falls back to the CPU")
    fed, read = compiled.create_input_buffers(0), compiled.create_output_buffers(0)
    details = Interpreter(model).get_output_details()

    def call(arrays: list[Any]) -> list[Any]:
        for buffer, array in zip(fed, arrays, strict=True):
            buffer.write(array)
        compiled.run_by_index(0, fed, read)
        return [
            buffer.read(math.prod(int(n) for n in detail["shape"]), np.float32).reshape(detail["shape"])
            for buffer, detail in zip(read, details, strict=True)
        ]

    return call


def ort_webgpu(_model: str, onnx: str) -> Callable[[list[Any]], list[Any]]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(onnx, options, providers=["WebGpuExecutionProvider"])
    names = [port.name for port in session.get_inputs()]
    return lambda arrays: session.run(None, dict(zip(names, arrays, strict=True)))


def litert_cpu(model: str, _onnx: str, threads: int = 0) -> Callable[[list[Any]], list[Any]]:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    kinds = {"experimental_op_resolver_type": OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES}
    interpreter = Interpreter(model, **({"num_threads": threads} if threads else kinds))
    try:
        interpreter.allocate_tensors()
    except RuntimeError:  # a custom operator that only XNNPACK has
        interpreter = Interpreter(model)
        interpreter.allocate_tensors()
    fed = [detail["index"] for detail in interpreter.get_input_details()]
    read = [detail["index"] for detail in interpreter.get_output_details()]

    def call(arrays: list[Any]) -> list[Any]:
        for index, array in zip(fed, arrays, strict=True):
            interpreter.set_tensor(index, array)
        interpreter.invoke()
        return [interpreter.get_tensor(index) for index in read]

    return call


def worker(peer: str, model: str, onnx: str) -> None:
    """Answers one JSON line per line asked for: {"first": …, "error": …}, then {"ms": …}."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a native library prints must not reach the protocol

    def say(**row: Any) -> None:
        print(json.dumps(row), file=answers, flush=True)

    start = float(os.environ["STARTED"])
    try:
        arrays = inputs_for(model)
        call = {
            "ours": lambda: ours(model, onnx),
            "ours_auto": lambda: ours(model, onnx, "auto"),
            "litert_gpu": lambda: litert_gpu(model, onnx),
            "litert_gpu_f16": lambda: litert_gpu(model, onnx, f32=False),
            "ort_webgpu": lambda: ort_webgpu(model, onnx),
            "litert_cpu": lambda: litert_cpu(model, onnx, threads=os.cpu_count() or 1),
        }[peer]()
        first = call(arrays)
        cold = time.time() - start
        say(first_s=cold, error=worst(litert_cpu(model, onnx)(arrays), first))
    except Exception as error:  # noqa: BLE001 - any failure of a peer is its row
        say(failed=f"{type(error).__name__}: {str(error)[:160]}")
        return
    for line in sys.stdin:
        times = []
        for _ in range(int(line)):
            begin = time.perf_counter()
            call(arrays)
            times.append(1e3 * (time.perf_counter() - begin))
        say(ms=times)


def worst(wanted: list[Any], got: list[Any]) -> float:
    """Returns: the largest error of any output, as a share of its scale; outputs are matched by shape."""
    import numpy as np

    left, result = list(got), 0.0
    for array in wanted:
        scale = float(np.abs(array).max()) or 1.0
        fits = [other for other in left if np.size(other) == array.size]
        if not fits:
            return math.inf
        errors = [
            float(np.abs(np.reshape(other, array.shape).astype(float) - array).max()) / scale
            for other in fits
        ]
        best = int(np.argmin(errors))
        left = [other for other in left if other is not fits[best]]
        result = max(result, errors[best] if math.isfinite(errors[best]) else math.inf)
    return result


class Runner:
    """One process of one runtime, with a time limit on every answer."""

    def __init__(self, peer: str, model: Path, onnx: Path, python: str) -> None:
        self.peer = peer
        self.ms: list[float] = []
        command = [python, __file__, "--worker", peer, str(model), str(onnx)]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
            env={**os.environ, "STARTED": str(time.time())},
        )  # fmt: skip
        self.row = self.answer(300)

    def answer(self, limit_s: float) -> dict[str, Any]:
        assert self.process.stdout
        if select.select([self.process.stdout], [], [], limit_s)[0]:
            line = self.process.stdout.readline()
            if line:
                return dict(json.loads(line))
            return {"failed": f"the process ended with {self.process.wait()}"}
        self.process.kill()
        return {"failed": f"no answer in {limit_s:.0f} s"}

    def call(self, times: int) -> None:
        if "failed" in self.row:
            return
        assert self.process.stdin
        self.process.stdin.write(f"{times}\n")
        self.process.stdin.flush()
        got = self.answer(300)
        if "failed" in got:
            self.row["failed"] = got["failed"]
        else:
            self.ms += got["ms"]

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def measure(model: Path, given: argparse.Namespace) -> dict[str, Any]:
    """Returns: one model's row per runtime."""
    pythons = dict(pair.split("=", 1) for pair in given.python)
    onnx = (given.onnx or model.parent) / f"{model.stem}.onnx"
    peers = [p for p in given.peers.split(",") if p != "ort_webgpu" or onnx.exists()]
    runners = [Runner(p, model, onnx, pythons.get(p, sys.executable)) for p in peers]
    once = {}
    for runner in runners:  # a first call says how many fit into a turn
        runner.call(2)
        once[runner.peer] = max(min(runner.ms[-1:] or [1.0]), 0.05)
    for runner in runners:
        runner.ms = []
    for _ in range(given.rounds):
        for runner in runners:
            runner.call(max(1, min(50, int(200 / once[runner.peer]))))
    rows = {}
    for runner in runners:
        row = dict(runner.row)
        if runner.ms:
            row["p50_ms"] = median(runner.ms)
            row["runs"] = len(runner.ms)
        rows[runner.peer] = row
        runner.close()
    return rows


def adapter() -> dict[str, Any]:
    """Returns: what our engine runs on."""
    code = (
        "import json; from sanderling.engines.webgpu import ENGINE; v = ENGINE.available();"
        "print(json.dumps({'available': bool(v), 'reason': v.reason, 'version': ENGINE.version()}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1])) if done.stdout else {"error": done.stderr[-300:]}


CEILINGS = """
import json, torch
if not torch.cuda.is_available():
    raise SystemExit(1)
def rate(call, work, runs=20):
    call(); torch.cuda.synchronize()
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    start.record()
    for _ in range(runs):
        call()
    end.record(); torch.cuda.synchronize()
    return work * runs / (1e-3 * start.elapsed_time(end))
a = torch.rand(1 << 28, device="cuda"); b = torch.empty_like(a)
found = {"device": torch.cuda.get_device_name()}
found["copy_gb_s"] = rate(lambda: b.copy_(a), 2 * 4 * a.numel()) / 1e9
for name, kind in (("f32", torch.float32), ("f16", torch.float16)):
    x = torch.rand(8192, 8192, device="cuda", dtype=kind)
    found[f"matrix_{name}_tflop_s"] = rate(lambda: x @ x, 2 * 8192**3, 5) / 1e12
print(json.dumps(found))
"""


def ceilings() -> dict[str, Any]:
    """Returns: what the GPU can do by torch's measure; {} without torch or CUDA."""
    done = subprocess.run([sys.executable, "-c", CEILINGS], capture_output=True, text=True)
    return dict(json.loads(done.stdout)) if done.returncode == 0 else {}


def show(results: dict[str, dict[str, Any]]) -> None:
    """Prints the table and the geometric mean over the better GPU peer."""
    print(f"{'model':34} {'runtime':15} {'ms':>9} {'first s':>8} {'error':>9}")
    ratios, firsts = [], []
    for model, rows in results.items():
        for peer, row in rows.items():
            if "failed" in row:
                print(f"{model:34.34} {peer:15} {row['failed'][:60]}")
                continue
            flag = "" if row["error"] <= BOUND.get(peer, 1e-3) else "  WRONG"
            print(
                f"{model:34.34} {peer:15} {row.get('p50_ms', math.nan):9.3f} {row['first_s']:8.2f}"
                f" {row['error']:9.1e}{flag}"
            )
        right = {p: r for p, r in rows.items() if "p50_ms" in r and r["error"] <= BOUND.get(p, 1e-3)}
        peers = [right[p]["p50_ms"] for p in ("litert_gpu", "ort_webgpu") if p in right]
        if "ours" in right and peers:
            ratios.append(min(peers) / right["ours"]["p50_ms"])
            print(f"{model:34.34} {'better peer ÷ ours':>25} {ratios[-1]:.2f}×")
        if "ours" in right and "litert_gpu" in right:
            firsts.append(right["litert_gpu"]["first_s"] / right["ours"]["first_s"])
    if ratios:
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        print(f"\ngeometric mean over the better peer, {len(ratios)} models: {mean:.2f}×")
    if firsts:
        mean = math.exp(sum(map(math.log, firsts)) / len(firsts))
        print(f"cold start, LiteRT's accelerator ÷ ours, {len(firsts)} models: {mean:.2f}×")


def main() -> None:
    """Runs the comparison."""
    if sys.argv[1:2] == ["--worker"]:
        worker(*sys.argv[2:5])
        return
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="+", type=Path)
    parser.add_argument("--onnx", type=Path)
    parser.add_argument("--peers", default=",".join(PEERS))
    parser.add_argument("--python", action="append", default=[], metavar="PEER=PYTHON")
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = {**adapter(), **ceilings()}
    print(json.dumps(found), flush=True)
    results = {}
    for model in given.models:
        results[model.stem] = measure(model, given)
        print(json.dumps({model.stem: results[model.stem]}), flush=True)
        if given.json:
            given.json.write_text(json.dumps({"adapter": found, "models": results}, indent=1))
    show(results)


if __name__ == "__main__":
    main()
