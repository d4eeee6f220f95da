"""What an app is told of a model: values of pixels, and what outputs mean."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from sanderling.deploy.plan import plan_of, unreadable, value_table
from sanderling.deploy.plan_task import meaning_of
from sanderling.graph.types import DType, Quant, TensorType
from sanderling.samples.inputs import Input
from sanderling.tasks.input_kind import kind_of
from sanderling.tasks.inputs.image import ImageInput
from sanderling.tasks.spec import TaskSpec
from tests.models import Net


def quant(scale: float, zero: int) -> Quant:
    return Quant(np.array([scale], np.float32), np.array([zero], np.int64))


def port(dtype: DType, quantized: Quant | None = None, shape: tuple[int, ...] = (1, 8, 8, 3)) -> Input:
    return Input("image", shape, shape, dtype, quantized, True)


@pytest.mark.parametrize(
    "spec, settings",
    [
        (port(DType.FLOAT32), ImageInput((127.5,), (127.5,))),
        (port(DType.FLOAT32), ImageInput((123.7, 116.3, 103.5), (58.4, 57.1, 57.4))),
        (port(DType.UINT8), ImageInput()),
        (port(DType.INT8), ImageInput()),
        (port(DType.INT8, quant(0.0078, -1)), ImageInput((127.5,), (127.5,))),
        (port(DType.UINT8, quant(1 / 128, 128)), ImageInput((127.5,), (127.5,))),
        (port(DType.INT16, quant(3e-5, 0)), ImageInput((0.0,), (255.0,))),
        (port(DType.FLOAT32, shape=(1, 3, 8, 8)), ImageInput((0.0,), (255.0,))),
    ],
    ids=lambda value: type(value).__name__,
)
def test_looking_a_pixel_up_is_feeding_it(spec: Input, settings: ImageInput) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    table = value_table(spec, settings)
    assert table.shape == (3, 256)
    found = np.stack([table[c][pixels[:, :, c]] for c in range(3)], axis=2)
    fed = kind_of(settings).feed(Image.fromarray(pixels), settings, spec, "x").array[0]
    np.testing.assert_array_equal(found, fed if spec.shape[3] == 3 else np.moveaxis(fed, 0, 2))


def test_labels_fit_the_classes() -> None:
    spec = TaskSpec("classify", labels=("cat\nwith\ttabs", "dog"))
    found = meaning_of(spec, [np.zeros((1, 3))], ["x"], (1, 1))
    assert found.labels == ("background", "cat with tabs", "dog")
    assert meaning_of(TaskSpec("classify"), [np.zeros((1, 1))], ["x"], (1, 1)).labels == ("no", "yes")


def test_what_answers_decide_by_looking_is_decided() -> None:
    spec = TaskSpec("landmarks", options={"per_point": 3, "third": "score"})
    told = meaning_of(spec, [np.zeros((1, 1, 17, 3))], ["x"], (192, 192)).record.fields
    assert (told["yFirst"], told["confidence"], told["presence"]) == (True, 2, -1)
    face = meaning_of(
        TaskSpec("landmarks", options={"per_point": 3, "third": "depth"}),
        [np.zeros((1, 1404)), np.zeros((1, 1))], ["x", "y"], (192, 192),
    ).record.fields  # fmt: skip
    assert (face["yFirst"], face["confidence"], face["presence"], face["thing"]) == (False, -1, 1, "face")


def test_an_unknown_task_is_shown_as_numbers() -> None:
    found = meaning_of(TaskSpec("depth"), [np.zeros((1, 8, 8))], ["x"], (8, 8))
    assert found.record.name == "Numbers"
    assert found.notes == ("the app shows the outputs of task 'depth' as numbers",)


def test_several_inputs_are_only_tested() -> None:
    net = Net((1, 8, 8, 3)).conv(4)
    model = net.model()
    spec = TaskSpec(inputs=(kind_of(ImageInput()).settings(), ImageInput()))
    (name,) = model.input_names()
    feed = {name: np.zeros((1, 8, 8, 3), np.float32)}
    output = {model.output_names()[0]: np.zeros((1, 8, 8, 4), np.float32)}
    plan = plan_of(model, spec, "model", [feed], [output], dict.fromkeys(output, 0.001), ["a"])
    assert plan.record.fields["picture"] is None
    assert (
        plan.why
        == "the model takes several pictures at once, which the app has no way to give: it tests the model"
    )


def test_numbers_that_an_app_cannot_read_are_named() -> None:
    model = Net((1, 8)).dense(4).model()
    graph = model.main
    assert unreadable(model) == ""
    tensors = list(graph.tensors)
    tensors[0] = replace(tensors[0], type=TensorType((1, 8), DType.FLOAT64))
    other = replace(model, graphs=(replace(graph, tensors=tuple(tensors)),))
    assert unreadable(other) == "input 'x' is of type float64, which LiteRT's apps cannot read"
