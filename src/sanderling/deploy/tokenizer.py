"""The tokenizer of a model that reads sentences, in its bundle."""

from __future__ import annotations

import shutil
from pathlib import Path

from sanderling.deploy.bundle import TOKENIZER
from sanderling.deploy.order import Order
from sanderling.errors import SampleError
from sanderling.samples.tokens import find_tokenizer
from sanderling.tasks.input_kind import kind_of


def copy_tokenizer(order: Order, folder: Path) -> tuple[str, ...]:
    """Copies it where the model reads sentences. Returns: what the user must know of it."""
    if not any(kind_of(each).name == "text" for each in order.spec.inputs):
        return ()
    stated = next((t for each in order.spec.inputs if (t := getattr(each, "tokenizer", ""))), None)
    try:
        shutil.copyfile(find_tokenizer(order.model, stated), folder / TOKENIZER)
    except SampleError:
        return (
            f"The bundle holds no {TOKENIZER}: put the model's beside it to give sentences, else arrays.",
        )
    return ()
