"""``sd.serve`` and ``sd.serve_app``: models over HTTP."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sanderling.errors import UsageError

if TYPE_CHECKING:
    from sanderling.serve.inference.application import Application, Settings

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
Models = str | Path | Sequence[str | Path] | Mapping[str, str | Path]
Tell = Callable[[str], None]


def serve_app(
    models: Models,
    *,
    engine: str = "auto",
    threads: int | None = None,
    replicas: int | None = None,
    batch: int | str = "auto",
    batch_delay: float | None = None,
    queue: int = 256,
    max_request: int = 64 << 20,
    read_timeout: float = 10.0,
    timeout: float = 30.0,
    token: str = "",
    home: bool = False,
    tell: Tell | None = None,
) -> Application:
    """Loads models as an ASGI application that speaks the Open Inference Protocol.

    Args:
        models: a ``.tflite`` file, a ``best.json``, what another framework wrote, or a zoo model; several,
            or a mapping from the names that callers use.
        engine: see ``Session``.
        threads: of each replica; None has them measured.
        replicas: how often each model is loaded; None has it measured.
        batch: the most rows of one call; ``"auto"`` has it measured, ``"off"`` answers one by one.
        batch_delay: seconds that a request may be held for others, and that a call of several rows may take;
            None for 5 ms or the time of four calls, whichever is longer.
        queue: rows that may wait for each model; more are refused.
        max_request: bytes of a request, also after decompression.
        read_timeout: seconds for a request to come; who sends fast enough is given more.
        timeout: seconds for an answer.
        token: that every request must show as ``Authorization: Bearer``; "" for none.
        home: without a token, take only requests that name this machine as localhost.
        tell: is called with a sentence before what takes seconds.

    Raises:
        SanderlingError: a model cannot be loaded, or keeps a state.
        UsageError: an argument is wrong.
        MissingExtra: the extra ``serve`` is not installed.
    """
    from sanderling.serve.inference.app import Limits
    from sanderling.serve.inference.application import Settings
    from sanderling.serve.inference.deciding import Wish

    for name, value in (
        ("threads", threads), ("replicas", replicas), ("queue", queue), ("max_request", max_request),
    ):  # fmt: skip
        if value is not None and value < 1:
            raise UsageError(f"got {value}, expected at least 1", where=name)
    wish = Wish(_batch(batch), batch_delay, replicas, threads)
    settings = Settings(wish, Limits(max_request, read_timeout, timeout), queue, token, home)
    return _loaded(_named(models), settings, engine, threads, tell)


def _batch(given: int | str) -> int | None:
    if given in ("auto", "off"):
        return None if given == "auto" else 1
    text = str(given)
    if isinstance(given, bool) or not text.isdigit() or not 1 <= int(text) <= 4096:
        raise UsageError(f"got {given!r}, expected auto, off or a number of rows up to 4096", where="batch")
    return int(text)


def _named(models: Models) -> dict[str, str | Path]:
    if isinstance(models, Mapping):
        return dict(models)
    listed = [models] if isinstance(models, str | Path) else list(models)
    if not listed:
        raise UsageError("no model was given", hint="give at least one .tflite file")
    found: dict[str, str | Path] = {}
    for model in listed:
        name = Path(model).stem
        if name in found:
            raise UsageError(f"{name!r} would be the name of two models", where="--name", hint="name each")
        found[name] = model
    return found


def _loaded(
    models: Mapping[str, str | Path], settings: Settings, engine: str, threads: int | None, tell: Tell | None
) -> Application:
    from sanderling.runtime.session import Session
    from sanderling.serve.inference.application import Application
    from sanderling.verbs.answering import model_file

    with ExitStack() as stack:
        sessions = {}
        for name, model in models.items():
            sessions[name] = Session(model_file(model), engine, threads, tell=tell)
            stack.callback(sessions[name].close)
        app = Application(sessions, settings)
        stack.pop_all()
        return app


def _token(given: str | None, *, home: bool) -> str:
    """Returns: the token to ask for. An empty one, as of a variable that is not set, counts as none given."""
    if not given:
        return "" if home else secrets.token_urlsafe(24)
    if not given.isascii() or not given.isprintable() or " " in given:
        raise UsageError("holds what a header cannot", where="--token", hint="use letters and digits")
    return "" if given == "none" else given


def serve(
    models: Models,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    token: str | None = None,
    tls: bool = False,
    drain: float = 30.0,
    read_timeout: float = 10.0,
    started: Callable[[dict[str, Any]], None] = lambda told: None,
    **settings: Any,
) -> bool:
    """Serves models over HTTP with the Open Inference Protocol, until SIGTERM or SIGINT (Ctrl-C).

    Args:
        models: see ``serve_app``.
        host: an address of this machine; by default only its own programs are served.
        port: 0 for any that is free.
        token: that every request must show; None makes one where others than this machine are served, and
            "none" goes without.
        tls: HTTPS, with a certificate made now.
        drain: seconds in which, at the end, what was taken is answered.
        read_timeout: see ``serve_app``.
        started: called once requests are taken, with ``url``, ``token``, ``fingerprint`` and ``models``.
        settings: further ones of ``serve_app``.

    Returns: whether everything that was taken was answered.

    Raises:
        SanderlingError: see ``serve_app``.
        UsageError: the address or port cannot be had.
    """
    from sanderling.serve.inference.listening import open_socket
    from sanderling.serve.inference.listening import serve as run

    home = host in LOOPBACK
    shown = _token(token, home=home)
    with open_socket(host, port) as bound:
        certificate = None
        if tls:
            from sanderling.serve.certificate import make_certificate

            certificate = make_certificate(["localhost", "127.0.0.1", "::1"] if home else [host])
        app = serve_app(models, token=shown, home=home, read_timeout=read_timeout, **settings)
        number = bound.getsockname()[1]
        name = f"[{host}]" if ":" in host else host
        told = {
            "url": f"{'https' if tls else 'http'}://{name}:{number}",
            "token": shown or None,
            "fingerprint": certificate.fingerprint if certificate is not None else None,
            "models": app.to_json(),
        }
        return run(
            app, bound, reading=read_timeout, drain=drain, certificate=certificate,
            started=lambda: started(told),
        )  # fmt: skip
