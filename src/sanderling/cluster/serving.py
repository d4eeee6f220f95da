"""An ASGI application on Ray Serve: replicas on as many machines as a cluster has."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from sanderling.errors import MissingExtra

if TYPE_CHECKING:
    from ray.serve import Application

_WAITING = 256  # requests that a replica is given at a time: more than it puts together


def on_ray(
    build: Callable[[], Any],
    *,
    replicas: int = 1,
    cpus: float = 1.0,
    waiting: int = _WAITING,
    name: str = "sanderling",
) -> Application:
    """Makes a deployment, which ``ray.serve.run`` deploys.

    Args:
        build: makes the application, in the replica: ``lambda: sd.serve_app("model.tflite")``. What it
            names has to be there on every machine.
        replicas: how many.
        cpus: processors that Ray sets aside for each.
        waiting: requests that a replica has at a time; the rest wait in Ray's own line.
        name: of the deployment.

    Raises:
        MissingExtra: Ray Serve is not installed.
    """
    try:
        from ray import serve
    except ImportError:
        raise MissingExtra("serving on Ray", "cluster") from None

    def built() -> Any:  # Ray calls plain functions only
        return build()

    deployment = serve.deployment(
        name=name, num_replicas=replicas, max_ongoing_requests=waiting, ray_actor_options={"num_cpus": cpus}
    )
    application: Application = deployment(serve.ingress(built)()).bind()
    return application
