"""Which adapters there are, which one is taken, and what happens where there is none."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from tests.models import classifier, save
from tests.webgpu.conftest import LAVAPIPE, SWIFTSHADER, missing

LIST = "from sanderling.runtime.doctor import examine_gpus; import json, dataclasses\n" \
    "gpus, why = examine_gpus()\n" \
    "print(json.dumps([[dataclasses.asdict(g) for g in gpus], why]))"  # fmt: skip
RUN = """
import json, sys, warnings
import numpy as np
import sanderling as sd
from sanderling.errors import SanderlingError
wanted = json.loads(sys.argv[2])
try:
    with sd.Session(sys.argv[1], **wanted) as session:
        y = session(np.linspace(0, 1, 144, dtype=np.float32).reshape(1, 12, 12, 1))
        runner = session._runner
        name = runner.device.adapter.name if hasattr(runner, "device") else ""
        print(json.dumps([session.engine, session.reason, name, y.tolist()]))
except SanderlingError as error:
    print(json.dumps(["error", str(error)]))
"""


def run(code: str, *arguments: str, **environment: str) -> list[object]:
    """Runs in a process of its own: drivers are looked for once in each."""
    kept = {k: v for k, v in os.environ.items() if k not in ("VK_DRIVER_FILES", "SANDERLING_DEVICE")}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *arguments],
        env={**kept, **environment}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert not done.stderr, done.stderr
    return list(json.loads(done.stdout.splitlines()[-1]))


def command(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the command line in a process of its own."""
    kept = {k: v for k, v in os.environ.items() if k not in ("VK_DRIVER_FILES", "SANDERLING_DEVICE")}
    return subprocess.run(
        [sys.executable, "-m", "sanderling", *arguments],
        env={**kept, **environment}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip


@pytest.fixture(scope="module")
def both() -> str:
    """The drivers of two software adapters."""
    for file in (SWIFTSHADER, LAVAPIPE):
        if not file.exists():
            missing(f"{file} is not there, two adapters are needed")
    return f"{LAVAPIPE}:{SWIFTSHADER}"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(save(classifier(), tmp_path_factory.mktemp("model") / "m.tflite"))


def test_two_adapters_are_listed_and_either_is_chosen(both: str, path: str) -> None:
    gpus, why = run(LIST, VK_DRIVER_FILES=both)
    assert isinstance(gpus, list)
    assert why == ""
    names = [gpu["name"] for gpu in gpus]
    assert sorted(name.split()[0] for name in names) == ["SwiftShader", "llvmpipe"]
    assert {(gpu["kind"], gpu["backend"]) for gpu in gpus} == {("CPU", "Vulkan")}
    assert [gpu["chosen"] for gpu in gpus] == [True, False]
    assert {gpu["name"].split()[0]: gpu["f16"] for gpu in gpus}["SwiftShader"] is False
    assert all(min(gpu["limits"].values()) > 0 for gpu in gpus)

    answers = []
    for number, name in enumerate(names):
        wanted: list[tuple[object, str]] = [(number, ""), (name.split()[0], ""), (None, name[:8])]
        for device, told in wanted if number else wanted[:1]:  # the second one in every way
            answer = run(
                RUN, path, json.dumps({"engine": "webgpu", "device": device}),
                VK_DRIVER_FILES=both, SANDERLING_DEVICE=told,
            )  # fmt: skip
            assert (answer[0], answer[2]) == ("webgpu", name)
            answers.append(answer[3])
    np.testing.assert_allclose(answers, [answers[0]] * len(answers), rtol=0, atol=1e-5)


def test_the_doctor_lists_two_adapters(both: str) -> None:
    done = command("doctor", VK_DRIVER_FILES=both, SANDERLING_DEVICE="llvmpipe", COLUMNS="200")
    assert done.returncode == 0, done.stderr
    lines = [line for line in done.stdout.splitlines() if line.startswith("gpu ")]
    assert [line[:6] for line in lines] == ["gpu 0 ", "gpu 1 "]
    assert {"(in use)" in line for line in lines if "llvmpipe" in line} == {True}
    assert {"(in use)" in line for line in lines if "SwiftShader" in line} == {False}


def test_an_adapter_that_is_not_there(both: str, path: str) -> None:
    told = run(RUN, path, json.dumps({"engine": "webgpu", "device": "Voodoo"}), VK_DRIVER_FILES=both)
    assert told[0] == "error"
    assert str(told[1]).startswith("there is no GPU adapter 'Voodoo'; choose one of: 0: ")
    gpus, why = run(LIST, VK_DRIVER_FILES=both, SANDERLING_DEVICE="7")
    assert isinstance(gpus, list)
    assert len(gpus) == 2
    assert "there is no GPU adapter '7'" in str(why)


def test_no_driver_is_a_clear_sentence_and_auto_answers_from_the_cpu(path: str) -> None:
    nothing = {"VK_DRIVER_FILES": "/nowhere/icd.json"}
    gpus, why = run(LIST, **nothing)
    assert gpus == []
    assert "there is no Vulkan, Metal or D3D12 adapter; install a Vulkan driver" in str(why)
    told = run(RUN, path, json.dumps({"engine": "webgpu"}), **nothing)
    assert told[0] == "error"
    assert "engine webgpu cannot be used: there is no Vulkan, Metal or D3D12 adapter" in str(told[1])
    for device in ("", "0"):
        answer = run(RUN, path, json.dumps({"engine": "auto"}), SANDERLING_DEVICE=device, **nothing)
        assert answer[0] == "litert"
        assert str(answer[1]).startswith("the CPU runs it: ")


def test_no_driver_on_the_command_line(path: str) -> None:
    """One sentence each; the doctor finds nothing wrong with a machine that has no GPU."""
    nothing = {"VK_DRIVER_FILES": "/nowhere/icd.json", "COLUMNS": "300"}
    cause = "there is no Vulkan, Metal or D3D12 adapter; install a Vulkan driver (on Debian: apt-get install"
    doctor = command("doctor", **nothing)
    assert (doctor.returncode, doctor.stderr) == (0, "")
    assert f"engine webgpu: {cause}" in doctor.stdout
    assert f"gpu: {cause}" in doctor.stdout
    profile = command("profile", path, **nothing)
    assert (profile.returncode, profile.stdout) == (2, "")
    assert profile.stderr.startswith(f"error: engine webgpu cannot be used here: {cause}")
    assert profile.stderr.count("\n") == 1
    told = json.loads(command("profile", path, "--json", **nothing).stdout)
    assert cause in told["error"]["what"]


def test_opengl_is_looked_for_only_when_asked(both: str) -> None:
    gpus, _ = run(LIST, VK_DRIVER_FILES=both)
    assert isinstance(gpus, list)
    assert "OpenGL" not in {gpu["backend"] for gpu in gpus}
