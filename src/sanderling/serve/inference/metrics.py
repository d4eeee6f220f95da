"""What a server counts, for Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sanderling.errors import MissingExtra

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128)
UNKNOWN = ""  # no model of the server


class _Observed(Protocol):
    def observe(self, amount: float) -> None: ...


class _Counted(Protocol):
    def inc(self, amount: float = 1) -> None: ...


class _Set(Protocol):
    def set(self, value: float) -> None: ...


class Metrics:
    """All counters of one server.

    Raises:
        MissingExtra: ``prometheus-client`` is not installed.
    """

    def __init__(self) -> None:
        try:
            from prometheus_client import (
                CollectorRegistry,
                Counter,
                Gauge,
                Histogram,
                ProcessCollector,
            )
        except ImportError:
            raise MissingExtra("serving models", "serve") from None
        self.registry: CollectorRegistry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        where, of = self.registry, ("model",)
        self._requests = Counter(
            "sanderling_requests", "Answers by HTTP status.", ("model", "code"), registry=where
        )
        self._latency = Histogram(
            "sanderling_request_duration_seconds",
            "From the head of a request to its answer.",
            of,
            buckets=_SECONDS,
            registry=where,
        )
        self._waiting = Gauge("sanderling_queue_rows", "Rows that wait for a replica.", of, registry=where)
        self._groups = Histogram(
            "sanderling_batch_rows", "Rows that a replica was handed at once.", of, buckets=_ROWS,
            registry=where,
        )  # fmt: skip
        self._model = Counter("sanderling_model_seconds", "Time that replicas were busy.", of, registry=where)
        self._rejected = Counter(
            "sanderling_rejected_requests",
            "Requests that were not answered, by the reason.",
            ("model", "reason"),
            registry=where,
        )

    def watch(self, model: str) -> ModelMetrics:
        """Returns: the counters of one model."""
        return ModelMetrics(
            self._latency.labels(model),
            self._waiting.labels(model),
            self._groups.labels(model),
            self._model.labels(model),
        )

    def answered(self, model: str, code: int) -> None:
        """Counts an answer to an inference request."""
        self._requests.labels(model, str(code)).inc()
        if code >= 400:
            self._rejected.labels(model, _REASONS.get(code, "failed" if code >= 500 else "malformed")).inc()

    def text(self) -> tuple[bytes, str]:
        """Returns: all of them in Prometheus's text format, and its media type."""
        from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

        return generate_latest(self.registry), CONTENT_TYPE_LATEST


_REASONS = {
    401: "unauthorized",
    403: "unauthorized",
    408: "slow",
    413: "too_large",
    503: "full",
    504: "timeout",
}


class ModelMetrics:
    """The counters of one model: what ``Line`` tells, and latencies."""

    def __init__(self, latency: _Observed, waiting: _Set, groups: _Observed, busy: _Counted) -> None:
        self._latency, self._waiting, self._groups, self._busy = latency, waiting, groups, busy
        self.rows = self.groups_done = 0
        self.seconds = 0.0

    def took(self, seconds: float) -> None:
        """Counts an answer's latency."""
        self._latency.observe(seconds)

    def grouped(self, rows: int, seconds: float) -> None:
        """Counts what a replica has done."""
        self._groups.observe(rows)
        self._busy.inc(seconds)
        self.rows += rows
        self.groups_done += 1
        self.seconds += seconds

    def waiting(self, rows: int) -> None:
        """Notes the line's length."""
        self._waiting.set(rows)
