"""The same application on a real, local Ray Serve."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

pytest.importorskip("ray.serve", reason="Ray is not installed: nothing was tried on Ray Serve")
pytest.importorskip("tritonclient.http", reason="tritonclient is not installed")

ROOT = Path(__file__).parents[3]
EXAMPLE = str(ROOT / "examples" / "ray_serve.py")
# The example beside what asks it: Ray gets a folder and ports of its own, and ends with the process.
PROGRAM = """
import runpy, signal, sys, os, threading, time
import numpy as np, ray
from ray import serve
import tritonclient.http as triton
import sanderling as sd

example, model, folder, port = *sys.argv[1:4], int(sys.argv[4])


def ask():
    rng = np.random.default_rng(0)
    client = triton.InferenceServerClient(f"127.0.0.1:{port}", concurrency=8)
    with sd.Session(model, "litert") as session, client as c:
        while not ready(c):
            time.sleep(0.2)
        assert c.is_model_ready("dense")
        asked = [rng.standard_normal((1, 16)).astype(np.float32) for _ in range(24)]
        tensors = [triton.InferInput("x", [1, 16], "FP32").set_data_from_numpy(x) for x in asked]
        waiting = [c.async_infer("dense", [tensor]) for tensor in tensors]
        for x, each in zip(asked, waiting, strict=True):
            np.testing.assert_allclose(each.get_result().as_numpy("y"), session(x), rtol=0, atol=1e-6)
        try:
            c.infer("other", tensors[:1])
        except triton.InferenceServerException as error:
            print(error.status(), error.message())
    print("24 answers are right", flush=True)


def ready(client):
    try:
        return client.is_server_ready()
    except OSError:
        return False


def asking():
    try:
        ask()
    finally:
        os.kill(os.getpid(), signal.SIGINT)


signal.signal(signal.SIGINT, signal.default_int_handler)
ray.init("local", num_cpus=4, include_dashboard=False, _temp_dir=folder, log_to_driver=False,
         object_store_memory=100_000_000, logging_level="error")
try:
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    threading.Thread(target=asking, daemon=True).start()
    sys.argv = [example, model]
    try:
        runpy.run_path(example)
    except (KeyboardInterrupt, SystemExit):
        print("the example has ended")
finally:
    serve.shutdown()
    ray.shutdown()
"""


@pytest.mark.timeout(120)
def test_the_example_answers_on_ray_serve(dense: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    quiet = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "SANDERLING_ENGINES": "litert",
        "PYTHONPATH": str(ROOT / "src"),
    }
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as folder:  # sockets' paths must be short
        command = [sys.executable, "-W", "ignore", "-c", PROGRAM, EXAMPLE, str(dense), folder, str(port)]
        process = subprocess.Popen(
            command,
            env=os.environ | quiet, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,
        )  # fmt: skip
        try:
            said, errors = process.communicate(timeout=110)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert process.returncode == 0, errors[-3000:]
    assert {"404 there is no model 'other'", "24 answers are right"} <= {*said.splitlines()}
