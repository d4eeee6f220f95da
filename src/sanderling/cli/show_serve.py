"""What ``serve`` says."""

from __future__ import annotations

import sys
from typing import Any

from sanderling.cli.output import print_json, stderr, stdout


def tell(sentence: str) -> None:
    """Says what takes time, on stderr."""
    from rich.text import Text

    from sanderling.report.format import plain

    stderr().print(Text(plain(sentence)), soft_wrap=True)


def show_started(told: dict[str, Any], *, as_json: bool) -> None:
    """Says where the models are, and how each is served."""
    if as_json:
        print_json(told)
    else:
        from rich.text import Text

        from sanderling.report.format import plain

        for model in told["models"]:
            line = f"{told['url']}/v2/models/{model['name']}  {_how(model)}"
            stdout().print(Text(plain(line)), soft_wrap=True)
        if told["token"]:
            stdout().print(Text(f"Authorization: Bearer {plain(told['token'])}"), soft_wrap=True)
        if told["fingerprint"]:
            stdout().print(Text(f"certificate {told['fingerprint']}"), soft_wrap=True)
    sys.stdout.flush()


def _how(model: dict[str, Any]) -> str:
    from sanderling.runtime.parallel.plan import Plan

    batching = model["batching"]
    plan = Plan(model["replicas"], model["threads"])
    if batching["largest"] > 1:
        told = f"batches of up to {batching['largest']} within {batching['delay_ms']:.3g} ms"
    else:
        told = "one by one"
    return f"{model['engine']}, {plan}; {told}: {batching['reason']}"
