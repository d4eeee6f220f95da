"""Tiny wheels and the cards that describe what is in them."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from sanderling.zoo.card import Published, read_published

PACKAGE, VERSION = "sanderling-test-birds", "1.0"
STEM = "sanderling_test_birds-1.0"
# Tags that no machine that runs the tests has: the card's are asked for.
FILE = f"{STEM}-cp33-cp33m-win_arm64.whl"
MODEL = b"TFL3" + bytes(range(256)) * 40
TOKENS = b'{"version": "1.0"}'


def zipped(members: Mapping[str, bytes]) -> bytes:
    """Returns: a zip that holds the members."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return packed.getvalue()


def write_wheel(folder: Path, members: Mapping[str, bytes], file: str = FILE) -> Path:
    """Writes a wheel that pip takes."""
    info = f"{STEM}.dist-info"
    tags = "-".join(file.removesuffix(".whl").split("-")[2:])
    metadata = f"Metadata-Version: 2.1\nName: {PACKAGE}\nVersion: {VERSION}\n"
    wheel = f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: false\nTag: {tags}\n"
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file
    described = {
        f"{info}/METADATA": metadata.encode(),
        f"{info}/WHEEL": wheel.encode(),
        f"{info}/RECORD": b"",
    }
    path.write_bytes(zipped({**members, **described}))
    return path


def write_card(
    folder: Path, wheel: Path, name: str, path: str | list[str], content: bytes, **fields: object
) -> Published:
    """Writes the card of a model in a wheel and that of the wheel, and reads them again."""
    (folder / "packages").mkdir(parents=True, exist_ok=True)
    whole = wheel.read_bytes()
    package = {
        "name": PACKAGE, "version": VERSION, "file": wheel.name, "size_bytes": len(whole),
        "sha256": hashlib.sha256(whole).hexdigest(), "license": "MIT", "stated": "here",
    }  # fmt: skip
    (folder / "packages" / f"{PACKAGE}.json").write_text(json.dumps(package))
    card = {
        "name": name, "summary": "a bird", "subject": "birds", "input": "one", "output": "two",
        "task": {"task": "classify", "labels": ["sanderling", "other"]}, "input_shape": [1, 4],
        "package": PACKAGE, "path": path, "size_bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(), **fields,
    }  # fmt: skip
    (folder / f"{name}.json").write_text(json.dumps(card))
    return read_published(folder / f"{name}.json")


def bird(tmp_path: Path, *, name: str = "bird", content: bytes = MODEL) -> Published:
    """Makes a wheel with one model in ``tmp_path/wheels``. Returns: its card."""
    wheel = write_wheel(tmp_path / "wheels", {"birds/bird.tflite": content})
    return write_card(tmp_path / "cards", wheel, name, "birds/bird.tflite", content)


def with_hash(card: Published, model: str = "", package: str = "") -> Published:
    """Returns: the card with another hash of the model or of the package."""
    return replace(
        card,
        model=replace(card.model, sha256=model or card.model.sha256),
        package=replace(card.package, sha256=package or card.package.sha256),
    )
