"""From models to an application that any ASGI server runs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sanderling.errors import UsageError
from sanderling.runtime.session import Session
from sanderling.serve.inference.app import Inference, Limits, make_app
from sanderling.serve.inference.deciding import Wish
from sanderling.serve.inference.guard import App, Guard, Receive, Scope, Send
from sanderling.serve.inference.metrics import Metrics
from sanderling.serve.inference.served import Served

QUEUE = 256


@dataclass(frozen=True, slots=True)
class Settings:
    """How models are served.

    Attributes:
        wish: replicas and batches.
        limits: of a request.
        queue: rows that may wait for each model.
        token: that requests must show; "" for none.
        home: without a token, take only requests to this machine by its own name.
    """

    wish: Wish = field(default_factory=Wish)
    limits: Limits = field(default_factory=Limits)
    queue: int = QUEUE
    token: str = ""
    home: bool = False


class Application:
    """Models behind the Open Inference Protocol: an ASGI application.

    Args:
        sessions: name → session; each is closed with the application.
        settings: how.

    Attributes:
        served: the models.

    Raises:
        RunError: a model keeps a state.
        MissingExtra: the extra ``serve`` is not installed.
    """

    def __init__(self, sessions: Mapping[str, Session], settings: Settings) -> None:
        metrics = Metrics()
        self.served: list[Served] = []
        with ExitStack() as stack:
            stack.callback(self.close)
            for name, session in sessions.items():
                stack.callback(session.close)
                self.served.append(
                    Served(check_name(name), session, settings.wish, settings.queue, metrics.watch(name))
                )
            self._inference = Inference({each.name: each for each in self.served}, metrics, settings.limits)
            inner = make_app(self._inference, metrics, self._lifespan)
            self._app: App = Guard(inner, settings.token, home=settings.home)
            stack.pop_all()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, as ASGI wants it."""
        await self._app(scope, receive, send)

    @asynccontextmanager
    async def _lifespan(self, _: Any) -> AsyncIterator[None]:
        yield
        await self.drained()
        self.close()

    def drain(self) -> None:
        """Says from now on that it is not ready. What comes is still answered."""
        self._inference.draining = True

    async def drained(self) -> None:
        """Waits until everything that was asked is answered."""
        self.drain()
        for each in self.served:
            await each.line.empty()

    def close(self) -> None:
        """Frees the models."""
        for each in self.served:
            each.close()

    def to_json(self) -> list[dict[str, Any]]:
        """Returns: how each model is served."""
        return [each.to_json() for each in self.served]


def check_name(name: str) -> str:
    """Returns: a model's name, if it can stand in an address.

    Raises:
        UsageError: it cannot.
    """
    if not name or len(name) > 200 or any(c in "/?#%\\" or not c.isprintable() for c in name):
        raise UsageError(f"{name!r} cannot stand in an address", where="--name", hint="give another name")
    return name


def named(models: Sequence[str], names: Sequence[str]) -> list[str]:
    """Returns: a name for each model: those given, else from its file.

    Raises:
        UsageError: there are more or fewer names than models, or one twice.
    """
    if names and len(names) != len(models):
        raise UsageError(
            f"got {len(names)} names for {len(models)} models", where="--name", hint="give one for each"
        )
    found = [*(names or models)]
    twice = next((name for at, name in enumerate(found) if name in found[:at]), None)
    if twice is not None:
        raise UsageError(f"{twice!r} is the name of two models", where="--name", hint="give a name for each")
    return found
