"""``sanderling convert``: another framework's model as ``.tflite``, or a model as ONNX, and the proof."""

from __future__ import annotations

from typing import Annotated

import typer

from sanderling.cli import options

Source = Annotated[
    str,
    options.model_argument(
        "SOURCE", "A .onnx, .keras, .h5 or .pt2 file, a SavedModel folder; for ONNX a .tflite or a zoo model."
    ),
]
Output = Annotated[
    str,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="The .tflite to write, or the .onnx.",
        show_default=False,
    ),
]  # fmt: skip
Shape = Annotated[
    list[str] | None,
    typer.Option(
        "--shape",
        metavar="[NAME=]SIZES",
        help="Sizes that SOURCE leaves open: 1,224,224,3, or NAME=1,128 for one of several inputs. "
        "May be repeated.",
        show_default=False,
    ),
]
Layout = Annotated[
    str,
    typer.Option(
        "--layout", metavar="NAME", help="keep, or nhwc: images with channels last, without transposes.",
        autocompletion=options.choices("keep", "nhwc"),
    ),
]  # fmt: skip
Function = Annotated[
    str,
    typer.Option("--function", metavar="NAME", help="Which of several entry points.", show_default=False),
]
Tolerance = Annotated[
    str | None,
    typer.Option(
        "--tolerance",
        metavar="SHARE",
        help="Largest error, of an output's scale. Default: 0.01%, of integer models an RMS of 3%.",
        show_default=False,
    ),
]


@options.reads_samples
def convert(
    source: Source,
    output: Output,
    samples: options.Samples = None,
    shape: Shape = None,
    layout: Layout = "keep",
    function: Function = "",
    tolerance: Tolerance = None,
    how: options.How = options.UNREAD,
    json: options.Json = False,
) -> None:
    """Convert a model to .tflite, or to ONNX, and compare it with its source, number by number.

    Exits with 1, names the worst output and writes nothing when they do not match.
    """
    from sanderling import verbs
    from sanderling.cli import units
    from sanderling.cli.failure import exit_with, option_names
    from sanderling.cli.output import print_json
    from sanderling.cli.steps import Steps

    with Steps(hidden=json) as steps, option_names():
        done = verbs.convert(
            source,
            output,
            samples=samples,
            shape=_shapes(shape or []),
            layout=layout,
            function=function,
            tolerance=None if tolerance is None else units.share(tolerance, "--tolerance"),
            strict=False,
            tell=steps,
            **how,
        )
    if json:
        print_json(done.to_json())
    else:
        from sanderling.cli.show_convert import show

        show(done)
    if not done.ok:
        exit_with(1)


def _shapes(given: list[str]) -> dict[str, tuple[int, ...]]:
    """Reads ``1,224,224,3`` and ``mask=1,128``."""
    from sanderling.cli import units

    shapes: dict[str, tuple[int, ...]] = {}
    for text in given:
        name, equals, sizes = text.rpartition("=")
        shapes[name if equals else ""] = units.sizes(sizes, "--shape")
    return shapes
