"""What the user will accept: limits on a candidate, and what to make small."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Minimize = Literal["latency", "size", "memory", "energy"]


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits that a candidate must keep, all at once.

    Attributes:
        max_drop: largest loss of fidelity, as a share (0.01 = 1 %); None takes the task's default.
        max_latency_ms: milliseconds per call (p50; of a cascade the mean).
        max_size_bytes: bytes of the file.
        max_memory_bytes: peak growth of the process.
        min_throughput: calls per second (1000 / p50, or the mean).
        minimize: what to make small among the candidates that keep every limit.
        seconds: time for the whole search; None for no limit.
    """

    max_drop: float | None = None
    max_latency_ms: float | None = None
    max_size_bytes: int | None = None
    max_memory_bytes: int | None = None
    min_throughput: float | None = None
    minimize: Minimize = "latency"
    seconds: float | None = None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)
