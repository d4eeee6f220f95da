"""The Open Inference Protocol as an ASGI application.

Source: https://github.com/kserve/open-inference-protocol (HTTP/REST), and Triton's extensions: binary tensor
data, classification, model configuration, statistics, repository index.
"""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sanderling.errors import MissingExtra, SanderlingError
from sanderling.serve.inference.body import Gone, Held, Room, inflated, read_body
from sanderling.serve.inference.guard import App, Incoming, Receive, Scope, Send, header, refuse
from sanderling.serve.inference.metrics import UNKNOWN, Metrics
from sanderling.serve.inference.refusal import Refusal, shown
from sanderling.serve.inference.request import read
from sanderling.serve.inference.response import VERSION, write
from sanderling.serve.inference.served import Served

_log = logging.getLogger("sanderling")
_EXTENSIONS = ["binary_tensor_data", "classification", "model_configuration", "statistics"]
_ROOM = 4  # times the largest request may be held at a time
_APART = 256 << 10  # bytes: compressing more than these is another thread's work
GONE = "sanderling.gone"  # in a request's scope: whether its connection has ended, where that can be told


@dataclass(frozen=True, slots=True)
class Limits:
    """What a request may take.

    Attributes:
        request: bytes.
        reading: seconds for it to come; who sends fast enough is given more.
        timeout: seconds for its answer.
    """

    request: int = 64 << 20
    reading: float = 10.0
    timeout: float = 30.0


class Inference:
    """What the server does.

    Args:
        models: by name.
        metrics: counts.
        limits: of a request.

    Attributes:
        draining: it takes no new work soon, and says so to who asks.
    """

    def __init__(self, models: Mapping[str, Served], metrics: Metrics, limits: Limits) -> None:
        self._models, self._metrics, self._limits = models, metrics, limits
        self._room = Room(max(_ROOM * limits.request, 1 << 20))
        self.draining = False

    def served(self, name: str, version: str | None) -> Served:
        """Returns: a model.

        Raises:
            Refusal: there is none of this name and version.
        """
        found = self._models.get(name)
        if found is None or version not in (None, VERSION):
            what = f"there is no model {shown(name)}" + (f" of version {shown(version)}" if version else "")
            raise Refusal(404, what)
        return found

    async def infer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers an inference request."""
        begin = time.perf_counter()
        held, incoming = Held(self._room, self._limits.request), Incoming(receive)
        name = UNKNOWN
        try:
            where = scope["path_params"]
            served = self.served(where["name"], where.get("version"))
            name = served.name
            head, body = await self._answer(served, scope, incoming, held)
        except Gone:
            self._metrics.answered(name, 499)  # as others count it: nobody is there to be told
        except (Refusal, SanderlingError) as error:
            refusal = error if isinstance(error, Refusal) else Refusal(500, error.what)
            self._metrics.answered(name, refusal.status)
            held.release()
            await refuse(refusal, incoming, send)
        else:
            self._metrics.answered(name, 200)
            served.watcher.took(time.perf_counter() - begin)
            await send({"type": "http.response.start", "status": 200, "headers": head})
            await send({"type": "http.response.body", "body": body, "more_body": False})
        finally:
            held.release()

    async def _answer(
        self, served: Served, scope: Scope, receive: Receive, held: Held
    ) -> tuple[list[tuple[bytes, bytes]], bytes]:
        body = await read_body(receive, header(scope, b"content-length"), held, self._limits.reading)
        encoding = (header(scope, b"content-encoding") or "").strip().lower()
        body = await inflated(body, encoding, held)
        asked = read(body, header(scope, b"inference-header-content-length"), served.inputs, served.outputs)
        timeout = min(asked.timeout or self._limits.timeout, self._limits.timeout)
        outputs = await served.answer(asked.inputs, timeout, scope.get(GONE, _never))
        answer, head_length = write(served.name, asked, outputs, served.outputs)
        head = [(b"content-type", b"application/octet-stream" if head_length else b"application/json")]
        if head_length:
            head.append((b"inference-header-content-length", str(head_length).encode()))
        wanted = _encoding(header(scope, b"accept-encoding"))
        if wanted:
            head.append((b"content-encoding", wanted.encode()))
            answer = await _compressed(answer, wanted)
        head.append((b"content-length", str(len(answer)).encode()))
        return head, answer

    def about(self) -> dict[str, Any]:
        """Returns: what the protocol tells of a server."""
        from sanderling.engines.webgpu.versions import version_of

        return {"name": "sanderling", "version": version_of("sanderling"), "extensions": _EXTENSIONS}

    def index(self) -> list[dict[str, str]]:
        """Returns: all models, as Triton lists them."""
        return [{"name": name, "version": VERSION, "state": "READY", "reason": ""} for name in self._models]

    def statistics(self, names: list[str]) -> dict[str, Any]:
        """Returns: counts of these models, in Triton's words."""
        return {"model_stats": [_statistics(self._models[name]) for name in names]}

    @property
    def names(self) -> list[str]:
        """The models' names."""
        return list(self._models)


def _never() -> bool:
    return False


def _statistics(served: Served) -> dict[str, Any]:
    seen = served.watcher
    busy = {"count": seen.groups_done, "ns": round(seen.seconds * 1e9)}
    return {
        "name": served.name,
        "version": VERSION,
        "inference_count": seen.rows,
        "execution_count": seen.groups_done,
        "inference_stats": {"compute_infer": busy},
    }


def _encoding(accepted: str | None) -> str:
    """Returns: how an answer may be compressed, "" where that was not asked for."""
    for each in (accepted or "").lower().split(","):
        name, _, quality = each.strip().partition(";")
        if name.strip() in ("gzip", "deflate") and quality.replace(" ", "") not in ("q=0", "q=0.0"):
            return name.strip()
    return ""


async def _compressed(body: bytes, encoding: str) -> bytes:
    window = zlib.MAX_WBITS + (16 if encoding == "gzip" else 0)

    def work() -> bytes:
        one = zlib.compressobj(1, zlib.DEFLATED, window)
        return one.compress(body) + one.flush()

    return await asyncio.to_thread(work) if len(body) > _APART else work()


Document = Callable[[Scope], tuple[int, Any]]


def make_app(inference: Inference, metrics: Metrics, lifespan: Any = None) -> App:
    """Returns: the application.

    Args:
        inference, metrics: what it does, and counts.
        lifespan: Starlette's: what is to happen at its end.

    Raises:
        MissingExtra: Starlette is not installed.
    """
    try:
        from starlette.routing import Route, Router
    except ImportError:
        raise MissingExtra("serving models", "serve") from None

    routes = []
    for method, path, document in _documents(inference):
        routes.append(Route(path, _Told(method, document, metrics)))
    for version in ("", "/versions/{version}"):
        path = f"/v2/models/{{name}}{version}/infer"
        routes.append(Route(path, _Only("POST", inference.infer)))
    routes.append(Route("/metrics", _Only("GET", _Text(metrics))))
    return Router(routes, default=_nothing, redirect_slashes=False, lifespan=lifespan)


def _documents(inference: Inference) -> list[tuple[str, str, Document]]:
    """Returns: method, path, and what is told there."""

    def ready(_: Scope) -> tuple[int, Any]:
        return (503, {"error": "the server is stopping"}) if inference.draining else (200, {"ready": True})

    def of_model(tell: Callable[[Served], Any]) -> Document:
        def told(scope: Scope) -> tuple[int, Any]:
            where = scope["path_params"]
            return 200, tell(inference.served(where["name"], where.get("version")))

        return told

    def model_ready(scope: Scope) -> tuple[int, Any]:
        where = scope["path_params"]
        inference.served(where["name"], where.get("version"))
        return ready(scope)

    found: list[tuple[str, str, Document]] = [
        ("GET", "/v2", lambda _: (200, inference.about())),
        ("GET", "/v2/", lambda _: (200, inference.about())),
        ("GET", "/v2/health/live", lambda _: (200, {"live": True})),
        ("GET", "/v2/health/ready", ready),
        ("GET", "/v2/models/stats", lambda _: (200, inference.statistics(inference.names))),
        ("POST", "/v2/repository/index", lambda _: (200, inference.index())),
    ]
    for version in ("", "/versions/{version}"):
        model = f"/v2/models/{{name}}{version}"
        found += [
            ("GET", model, of_model(Served.metadata)),
            ("GET", f"{model}/ready", model_ready),
            ("GET", f"{model}/config", of_model(Served.config)),
            ("GET", f"{model}/stats", of_model(lambda served: inference.statistics([served.name]))),
        ]
    return found


class _Only:
    """An endpoint for one method."""

    def __init__(self, method: str, app: App) -> None:
        self._method, self._app = method, app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != self._method:
            told = f"{shown(scope['method'])} is not for this address, expected {self._method}"
            await refuse(Refusal(405, told, {"Allow": self._method}), Incoming(receive), send)
            return
        try:
            await self._app(scope, receive, send)
        except asyncio.CancelledError:
            raise
        except Exception:  # noqa: BLE001 - a fault of ours must not be a silent connection
            _log.exception("a request failed")
            await refuse(Refusal(500, "the server failed; its log tells more"), Incoming(receive), send)


class _Told(_Only):
    """An endpoint that tells a JSON document."""

    def __init__(self, method: str, document: Document, metrics: Metrics) -> None:
        super().__init__(method, self._tell)
        self._document = document

    async def _tell(self, scope: Scope, receive: Receive, send: Send) -> None:
        import json

        try:
            status, found = self._document(scope)
        except Refusal as refusal:
            await refuse(refusal, Incoming(receive), send)
            return
        await _send(send, status, json.dumps(found).encode(), "application/json")


class _Text:
    """Prometheus's page."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, kind = self._metrics.text()
        await _send(send, 200, body, kind)


async def _send(send: Send, status: int, body: bytes, kind: str) -> None:
    head = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": head})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        await refuse(Refusal(404, f"there is nothing at {shown(scope['path'])}"), Incoming(receive), send)
