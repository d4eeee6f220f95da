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
PROGRAM = """
import sys, numpy as np, ray
from ray import serve
import tritonclient.http as triton
import sanderling as sd
from sanderling.cluster.serving import on_ray

model, folder, port = sys.argv[1], sys.argv[2], int(sys.argv[3])
ray.init("local", num_cpus=2, include_dashboard=False, _temp_dir=folder, log_to_driver=False,
         object_store_memory=100_000_000, logging_level="error")
try:
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    app = on_ray(lambda: sd.serve_app({"m": model}, engine="litert", batch=8, replicas=1), cpus=0.1)
    serve.run(app)
    rng = np.random.default_rng(0)
    client = triton.InferenceServerClient(f"127.0.0.1:{port}", concurrency=8)
    with sd.Session(model, "litert") as session, client as c:
        assert c.is_server_ready() and c.is_model_ready("m")
        asked = [rng.standard_normal((1, 16)).astype(np.float32) for _ in range(24)]
        waiting = []
        for x in asked:
            tensor = triton.InferInput("x", [1, 16], "FP32").set_data_from_numpy(x)
            waiting.append(c.async_infer("m", [tensor]))
        for x, each in zip(asked, waiting, strict=True):
            np.testing.assert_allclose(each.get_result().as_numpy("y"), session(x), rtol=0, atol=1e-6)
        try:
            c.infer("other", [tensor])
        except triton.InferenceServerException as error:
            print(error.status(), error.message())
    print("24 answers are right")
finally:
    serve.shutdown()
    ray.shutdown()
"""


@pytest.mark.timeout(120)
def test_the_application_answers_on_ray_serve(dense: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    quiet = {
        "RAY_USAGE_STATS_ENABLED": "0",
        "PYTHONPATH": str(ROOT / "src"),
    }
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as folder:  # sockets' paths must be short
        process = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", PROGRAM, str(dense), folder, str(port)],
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
