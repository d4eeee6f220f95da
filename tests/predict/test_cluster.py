"""``predict --cluster`` on two nodes of this machine, of which one loses a worker and the other one dies."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

import sanderling as sd
from sanderling.errors import UsageError
from sanderling.predict.packed import Unpacked, pack
from sanderling.predict.parts import Parts
from sanderling.predict.remote import in_blocks
from tests.models import token_encoder
from tests.pipeline.nets import disc, red_or_not, weighed_sum

ROOT = Path(__file__).parents[2]
COUNT = 96
TASK = {"task": "classify:mean=0,std=255", "engine": "litert"}
ENVIRONMENT = {
    **os.environ, "PYTHONPATH": f"{ROOT / 'src'}", "RAY_DISABLE_IMPORT_WARNING": "1",
    # Whether Ray asks for a token by itself depends on whether this user has had one.
    "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": uuid.uuid4().hex,
    # A node that is gone is missed after 3 s instead of 15.
    "RAY_health_check_initial_delay_ms": "1000", "RAY_health_check_period_ms": "1000",
    "RAY_health_check_failure_threshold": "3", "RAY_health_check_timeout_ms": "3000",
}  # fmt: skip


def members(session: int) -> list[tuple[int, str]]:
    """Returns: number and command of each process of a session."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError, IndexError):
                if int((entry / "stat").read_text().rpartition(") ")[2].split()[3]) == session:
                    line = (entry / "cmdline").read_bytes().decode("utf-8", "replace")
                    found.append((int(entry.name), line))
    return found


class Node:
    """A Ray node of this machine, in a session of its own."""

    def __init__(self, *arguments: str) -> None:
        command = [
            str(Path(sys.executable).with_name("ray")), "start", "--num-cpus=1", "--disable-usage-stats",
            "--object-store-memory=100000000", "--node-ip-address=127.0.0.1", *arguments,
        ]  # fmt: skip
        nowhere = subprocess.DEVNULL
        with subprocess.Popen(
            command, start_new_session=True, stdout=nowhere, stderr=nowhere, env=ENVIRONMENT
        ) as starting:
            self.session = starting.pid
            starting.wait(120)

    def worker(self) -> int | None:
        """Returns: a process that answers, None where there is none yet."""
        return next((number for number, line in members(self.session) if "_Doing" in line), None)

    def kill(self) -> None:
        """Ends all of its processes at once."""
        for number, _ in members(self.session):
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def nodes() -> Iterator[tuple[str, list[Node]]]:
    """Two nodes of one processor each, and their cluster's address."""
    pytest.importorskip("ray", reason="the extra cluster is not installed")
    if not Path("/proc/self/stat").exists():
        pytest.skip("there is no /proc to find Ray's processes in")
    folder, port = tempfile.mkdtemp(prefix="ray"), free_port()  # short: Ray puts sockets there
    address = f"127.0.0.1:{port}"
    made: list[Node] = []
    try:
        made.append(
            Node("--head", f"--port={port}", f"--temp-dir={folder}", "--include-dashboard=false",
                 f"--ray-client-server-port={free_port()}")
        )  # fmt: skip
        made.append(Node(f"--address={address}"))
        yield address, made
    finally:
        for node in made:
            node.kill()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.timeout(400)
def test_a_worker_and_a_node_die_and_nothing_is_lost_or_repeated(
    tmp_path: Path, nodes: tuple[str, list[Node]]
) -> None:
    address, (first, second) = nodes
    pictures, model, out = tmp_path / "pictures", red_or_not(tmp_path), tmp_path / "out.parquet"
    pictures.mkdir()
    for number in range(COUNT):
        ground = disc((1500, 1100), (10, 10, 900, 900)) if number % 3 else Image.new("RGB", (1500, 1100))
        ground.save(pictures / f"{number:03}.jpg")
    (pictures / "077.jpg").write_bytes(b"no picture")
    command = [
        sys.executable, "-m", "sanderling", "predict", str(model), str(pictures), "-o", str(out), "--json",
        "--task", TASK["task"], "--engine", "litert", "--cluster", address,
    ]  # fmt: skip
    process = subprocess.Popen(
        command, env=ENVIRONMENT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    parts, killed = Parts(out), []
    until = time.monotonic() + 250
    while process.poll() is None and len(killed) < 2:
        assert time.monotonic() < until
        done = len(parts.done()) if parts.folder.is_dir() else 0
        if done >= 1 and not killed and (worker := first.worker()) is not None:
            os.kill(worker, signal.SIGKILL)
            killed.append(done)
        elif killed and done > killed[0]:
            second.kill()
            killed.append(done)
        time.sleep(0.01)
    stdout, stderr = process.communicate(timeout=250)
    assert process.returncode == 0, stderr
    assert len(killed) == 2, "it was too fast to be disturbed"
    said = json.loads(stdout)
    assert (said["samples"], said["failed"], said["plan"]) == (COUNT, 1, "2 workers on 2 nodes")
    here = sd.predict(model, pictures, tmp_path / "here.parquet", **TASK)
    found, expected = pq.read_table(out), pq.read_table(here.output)
    names = [name for name in found.column_names if "score" not in name]
    assert found.select(names).equals(expected.select(names))
    scores = [np.array(table.column("score").to_pylist(), float) for table in (found, expected)]
    np.testing.assert_allclose(*scores, rtol=1e-5)  # other threads add in another order
    assert not parts.folder.exists()


def listing(given: object, model: Path) -> object:
    from sanderling.predict.listing import list_samples
    from sanderling.verbs.answering import make_pipeline

    pipeline = make_pipeline(model, engine="litert")
    found = list_samples(given, pipeline.asked_for, pipeline.machine.model)
    pipeline.close()
    return found, pipeline.asked_for


def test_what_is_sent_is_what_was_there(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    disc().save(pictures / "a.png")
    (pictures / "b.png").write_bytes(b"no picture")
    (pictures / "c.png").symlink_to("/dev/zero")
    found, ports = listing(pictures, red_or_not(tmp_path))
    sent = Unpacked(pack(found, 0, 2), ports)
    assert [sent.name(index) for index in sent.indices] == ["a.png", "b.png", "c.png"]
    (image,) = sent.open(0).values()
    assert np.array_equal(np.asarray(image), np.asarray(disc()))
    for index, words in ((1, "cannot read the image"), (2, "is no regular file")):
        with pytest.raises(sd.SampleError, match=words):
            sent.open(index)
    arrays = {"a": np.float32([[1, 2, 3]] * 4), "b": np.arange(12, dtype=np.float32).reshape(4, 3)}
    found, ports = listing(arrays, weighed_sum(tmp_path))
    sent = Unpacked(pack(found, 1, 3), ports)
    assert list(sent.indices) == [1, 2, 3]
    np.testing.assert_array_equal(sent.open(2)["b"], [[6, 7, 8]])
    found, ports = listing(["a gull", "the sea"], token_encoder(tmp_path))
    assert set(Unpacked(pack(found, 1, 1), ports).open(1).values()) == {"the sea"}


def test_blocks_hold_every_missing_sample_once(tmp_path: Path) -> None:
    found, _ = listing({"a": np.ones((500, 3)), "b": np.ones((500, 3))}, weighed_sum(tmp_path))
    blocks = in_blocks(found, [(0, 0), (3, 200), (210, 499)], workers=2)
    indices = [index for first, last in blocks for index in range(first, last + 1)]
    assert indices == [0, *range(3, 201), *range(210, 500)]
    assert max(last + 1 - first for first, last in blocks) <= 64
    assert len(blocks) >= 8


def test_what_is_not_sent(tmp_path: Path) -> None:
    (tmp_path / "f.py").write_text("def f(outputs, given):\n    return 'x'\n")
    model = weighed_sum(tmp_path)
    arrays = {"a": np.ones((2, 3)), "b": np.ones((2, 3))}
    with pytest.raises(UsageError, match="a function of your own is not sent to other machines"):
        sd.predict(
            model, arrays, tmp_path / "o.parquet", engine="litert", cluster="127.0.0.1:1",
            task=f"{tmp_path / 'f.py'}:f",
        )  # fmt: skip
    with pytest.raises(UsageError, match="ray start --address"):
        sd.predict(
            model, arrays, tmp_path / "p.parquet", engine="litert", cluster="ray://127.0.0.1:1", task="other"
        )
