"""What training has reached, on disk, so that a killed run goes on: plain arrays, nothing pickled."""

from __future__ import annotations

import hashlib
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

_EVERY_SECONDS = 20.0


class Checkpoint:
    """One file.

    Args:
        file: replaced as a whole each time.
        identity: text that says what is trained and how: a file of another identity is not taken up.
    """

    def __init__(self, file: Path, identity: str) -> None:
        self._file = file
        self._identity = hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()
        self._last = time.monotonic()
        self._notes: list[str] = []

    def load(self, torch: Any, parameters: Sequence[Any], optimizer: Any) -> int:
        """Takes up what an earlier run left.

        Returns: the steps taken so far; 0 where there is nothing to go on from.
        """
        if not self._file.exists():
            return 0
        try:
            with self._file.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in archive.files}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            self._notes.append("the checkpoint could not be read, so training began anew")
            return 0
        if str(arrays.get("identity")) != self._identity or not self._fits(arrays, parameters):
            return 0
        with torch.no_grad():
            for number, parameter in enumerate(parameters):
                parameter.copy_(torch.from_numpy(arrays[f"value_{number}"]))
                optimizer.state[parameter] = {
                    "step": torch.tensor(float(arrays["step"])),
                    "exp_avg": torch.from_numpy(arrays[f"first_{number}"]),
                    "exp_avg_sq": torch.from_numpy(arrays[f"second_{number}"]),
                }
        return int(arrays["step"])

    def _fits(self, arrays: dict[str, Any], parameters: Sequence[Any]) -> bool:
        return all(
            f"{kind}_{number}" in arrays and arrays[f"{kind}_{number}"].shape == tuple(parameter.shape)
            for number, parameter in enumerate(parameters)
            for kind in ("value", "first", "second")
        )

    def save(self, step: int, parameters: Sequence[Any], optimizer: Any) -> None:
        """Writes what is reached, unless that was done a moment ago. A full disk ends no training."""
        if time.monotonic() - self._last < _EVERY_SECONDS or self._notes:
            return
        arrays = {"identity": np.array(self._identity), "step": np.array(step)}
        for number, parameter in enumerate(parameters):
            state = optimizer.state[parameter]
            arrays[f"value_{number}"] = parameter.detach().numpy()
            arrays[f"first_{number}"] = state["exp_avg"].numpy()
            arrays[f"second_{number}"] = state["exp_avg_sq"].numpy()
        partial = self._file.with_suffix(".partial")
        try:
            with partial.open("wb") as stream:
                np.savez(stream, allow_pickle=False, **arrays)
            partial.replace(self._file)
        except OSError as error:
            partial.unlink(missing_ok=True)
            self._notes.append(
                f"checkpoints could not be written ({error.strerror or error}), so training went on without"
            )
        self._last = time.monotonic()

    def done(self) -> tuple[str, ...]:
        """Removes the file: training is over.

        Returns: what the user should know.
        """
        self._file.unlink(missing_ok=True)
        return tuple(self._notes)
