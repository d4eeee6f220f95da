"""Training: the student comes nearer to its teacher, the same way every time, and goes on after a crash."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sanderling.errors import SampleError
from sanderling.graph.graph import Model
from sanderling.tflite import write
from tests.compress.made import feeds
from tests.models import Net as Made
from tests.models import run_litert

torch = pytest.importorskip("torch", reason="the extra 'train' is not installed")

from sanderling.training.aims import answers, bottlenecks  # noqa: E402
from sanderling.training.checkpoint import Checkpoint  # noqa: E402
from sanderling.training.lesson import Lesson, variation_of  # noqa: E402
from sanderling.training.net import Net  # noqa: E402
from sanderling.training.teach import Group, Schedule, Taught, Teaching  # noqa: E402


def network(seed: int = 0) -> Model:
    net = Made((1, 16, 16, 3), seed).conv(8).depthwise().pool().conv(12, activation="NONE")
    return net.reshape(1, 8 * 8 * 12).dense(5).softmax().model()


def damaged(model: Model, share: float = 0.3) -> Model:
    """Returns: the model with noise on its weights."""
    rng = np.random.default_rng(0)
    tensors = [
        replace(t, data=(t.data + share * t.data.std() * rng.standard_normal(t.shape)).astype(np.float32))
        if t.data is not None and t.dtype.is_float and t.type.size > 20
        else t
        for t in model.main.tensors
    ]
    return model.with_main(replace(model.main, tensors=tuple(tensors)))


def lesson(model: Model, count: int = 24) -> Lesson:
    inputs = [model.main.tensors[i] for i in model.main.inputs]
    return Lesson(torch, feeds(model, count), model.input_names(), inputs)


def teach(schedule: Schedule, checkpoint: Checkpoint | None = None, **more: Any) -> tuple[Model, Taught]:
    model = network()
    teacher, student = Net(torch, model.main), Net(torch, damaged(model).main)
    aims = answers(model.main, model.main)
    teaching = Teaching(
        torch,
        lambda x: student.answer(x, wanted={a.student for a in aims}),
        lambda x: teacher.answer(x, wanted={a.teacher for a in aims}),
        aims,
        [Group(list(student.weights.values()))],
        lesson(model),
        schedule,
        checkpoint=checkpoint,
        **more,
    )
    return model.with_main(student.written()), teaching.run()


def test_a_net_answers_as_litert_does_and_is_written_back(tmp_path: Path) -> None:
    model = network()
    write(model, tmp_path / "a.tflite")
    net = Net(torch, model.main)
    x = feeds(model, 3)
    wanted = np.concatenate([run_litert(tmp_path / "a.tflite", *f.values())[0] for f in x])
    together = torch.from_numpy(np.concatenate([next(iter(f.values())) for f in x]))
    got = net.answer([together])[model.main.outputs[0]].detach().numpy()
    np.testing.assert_allclose(got, wanted, atol=2e-6)
    with torch.no_grad():
        for value in net.weights.values():
            value.mul_(1.01)
    write(model.with_main(net.written()), tmp_path / "b.tflite")
    again = run_litert(tmp_path / "b.tflite", *x[0].values())[0]
    got = net.answer([together[:1]])[model.main.outputs[0]].detach().numpy()
    np.testing.assert_allclose(got, again, atol=2e-6)
    assert not np.allclose(again, wanted[:1], atol=1e-5)


def test_the_student_comes_nearer_the_same_way_every_time() -> None:
    first, second = (teach(Schedule(1, steps=60, rate=3e-3, seed=4))[1] for _ in range(2))
    assert first.after < 0.5 * first.before
    assert (first.before, first.after, first.steps) == (second.before, second.after, second.steps)
    other = teach(Schedule(1, steps=60, rate=3e-3, seed=5))[1]
    assert other.after != first.after


def test_time_bounds_it() -> None:
    begun = time.monotonic()
    taught = teach(Schedule(0.03))[1]
    assert time.monotonic() - begun < 20
    assert taught.steps >= 8


def test_training_that_gains_nothing_leaves_the_student_as_it_was() -> None:
    taught = teach(Schedule(1, steps=16, rate=10.0))[1]
    assert taught.after <= taught.before
    assert any("gained nothing" in note for note in taught.told())


_KILLED = """
import sys
from pathlib import Path
from tests.training.test_teach import Checkpoint, Schedule, teach
import sanderling.training.checkpoint as module
module._EVERY_SECONDS = 0.0
file = Path(sys.argv[1])
tell = lambda step, steps: print(step, flush=True)
print(teach(Schedule(1, steps=400, rate=1e-3), Checkpoint(file, "same"), after_step=tell)[1].steps)
"""


def test_a_killed_run_goes_on_from_where_it_was(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _KILLED, str(tmp_path / "kept.npz")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) >= 80:
            break
    process.send_signal(signal.SIGKILL)
    process.communicate()
    again = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert 33 < int(again[0]) < 100
    assert not list(tmp_path.iterdir())


def test_a_disk_that_is_full_costs_the_checkpoint_alone(tmp_path: Path) -> None:
    checkpoint = Checkpoint(tmp_path / "missing" / "kept.npz", "same")
    checkpoint._last = -1e9
    taught = teach(Schedule(1, steps=40, rate=1e-3), checkpoint)[1]
    assert taught.steps == 40
    assert any("checkpoints could not be written" in note for note in taught.told())


def test_a_damaged_checkpoint_is_not_taken_up(tmp_path: Path) -> None:
    (tmp_path / "kept.npz").write_bytes(b"PK\x03\x04 nothing")
    taught = teach(Schedule(1, steps=16), Checkpoint(tmp_path / "kept.npz", "same"))[1]
    assert taught.steps == 16
    assert any("began anew" in note for note in taught.told())


def test_samples_are_varied_within_their_range_and_never_those_held_out() -> None:
    model = network()
    batches = lesson(model)
    rng = np.random.default_rng(0)
    drawn = batches.batch(8, rng)[0]
    low, high = (float(f(batches._arrays[0])) for f in (torch.min, torch.max))
    assert low <= float(drawn.min()) <= float(drawn.max()) <= high
    held = torch.cat([b[0] for b in batches.held_out(2)])
    assert len(held) == 3
    exact = {tuple(np.round(h.flatten().numpy()[:6], 5)) for h in held}
    seen = Lesson(torch, feeds(model, 24), model.input_names(), [model.main.tensors[0]], vary=False)
    for _ in range(20):
        for image in seen.batch(8, rng)[0]:
            assert tuple(np.round(image.flatten().numpy()[:6], 5)) not in exact


def test_samples_that_teach_nothing_are_refused() -> None:
    model = network()
    inputs = [model.main.tensors[i] for i in model.main.inputs]
    (name,) = model.input_names()
    with pytest.raises(SampleError, match="too few to learn from"):
        Lesson(torch, feeds(model, 1), [name], inputs)
    bad = feeds(model, 3)
    bad[1][name][0, 0, 0, 0] = np.nan
    with pytest.raises(SampleError, match="sample 1 holds NaN"):
        Lesson(torch, bad, [name], inputs)


def test_what_is_no_image_is_not_varied(tmp_path: Path) -> None:
    tensor = network().main.tensors[0]
    assert variation_of(tensor) is not None
    flat = replace(tensor, type=replace(tensor.type, shape=(1, 128)))
    assert variation_of(flat) is None


def test_bottlenecks_are_where_everything_passes() -> None:
    net = Made((1, 8, 8, 3), 0).conv(4)
    branch = net.last
    net.conv(4, activation="NONE")
    inside = net.last
    attrs = {"fused_activation_function": "NONE", "pot_scale_int16": True}
    net.op("ADD", (1, 8, 8, 4), (branch,), "AddOptions", **attrs)
    graph = net.reshape(1, 256).dense(3).model().main
    found = bottlenecks(graph)
    assert branch in found
    assert inside not in found
    assert not set(found) & set(graph.outputs)
