"""The files of a page's folder that may be served: whatever is asked for, nothing else."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote_to_bytes

from sanderling.errors import UsageError

PAGE, BUNDLE = "index.html", "bundle.json"
_MOST_BUNDLE = 16 << 20
_HINT = "make one with: sanderling deploy MODEL --to web -o DIR"
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".md": "text/plain; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".webp": "image/webp",
    ".svg": "image/svg+xml",
    ".wav": "audio/wav",
}


def check_folder(folder: Path) -> None:
    """Makes sure that a folder is a bundle for the web.

    Raises:
        UsageError: there is none, it holds no page, or it is a bundle for something else.
    """
    if not folder.is_dir():
        raise UsageError("there is no such folder", where=str(folder), hint=_HINT)
    if not (folder / PAGE).is_file():
        target = _target(folder)
        what = f"is a bundle for {target!r}, which has no page" if target else f"holds no {PAGE}"
        raise UsageError(what, where=str(folder), hint=_HINT)


def _target(folder: Path) -> str:
    try:
        with (folder / BUNDLE).open("rb") as stream:
            found = json.loads(stream.read(_MOST_BUNDLE))
    except (OSError, ValueError, RecursionError):
        return ""
    return str(found.get("target", ""))[:40] if isinstance(found, dict) else ""


def opened(folder: Path, path: str) -> tuple[BinaryIO, int, str] | None:
    """Opens what was asked for.

    Args:
        folder: what may be served.
        path: of a URL, with its escapes, without a leading slash; "" is the page.

    Returns: the file, its size and its type; None where there is no such file, it lies elsewhere, is hidden,
        or is no plain file.
    """
    try:
        name = unquote_to_bytes(path).decode("utf-8")
    except UnicodeDecodeError:
        return None
    parts = name.split("/") if name else [PAGE]
    if any(not part or part.startswith(".") or any(c in part for c in "\\:\0") for part in parts):
        return None
    try:
        home = folder.resolve(strict=True)
        real = home.joinpath(*parts).resolve(strict=True)  # where links lead
        if not real.is_relative_to(home):
            return None
        descriptor = os.open(real, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except (OSError, ValueError, RuntimeError):
        return None
    told = os.fstat(descriptor)
    if not stat.S_ISREG(told.st_mode):
        os.close(descriptor)
        return None
    kind = _TYPES.get(real.suffix.lower(), "application/octet-stream")
    return os.fdopen(descriptor, "rb"), told.st_size, kind
