"""``sanderling serve-page``: a page for a phone in the same network."""

from __future__ import annotations

from typing import Annotated

import typer

from sanderling.cli import options

Folder = Annotated[str, typer.Argument(metavar="DIR", help="What deploy --to web made.", show_default=False)]
Lan = Annotated[bool, typer.Option("--lan", help="Serve the network that this machine is in.")]
Address = Annotated[
    str,
    typer.Option(
        "--address", metavar="IP", show_default=False, help="This machine's address there, if it has several."
    ),
]
Port = Annotated[int, typer.Option("--port", metavar="N", min=0, max=65535, help="0: any that is free.")]


def serve_page(
    folder: Folder, lan: Lan = False, address: Address = "", port: Port = 8443, json: options.Json = False
) -> None:
    """Serve a web bundle over HTTPS, to this machine or (--lan) to a phone in the same network.

    Browsers offer WebGPU and cameras to pages from secure contexts only. Whoever has the address with its
    token, which the QR code holds, can open the page. Ctrl-C ends it.
    """
    from sanderling.cli.output import print_json
    from sanderling.cli.show_page import show, show_request
    from sanderling.files import expanded
    from sanderling.serve.page import page_server, qr_rows

    server, fingerprint = page_server(
        expanded(folder), lan=lan, address=address, port=port, tell=None if json else show_request
    )
    with server:
        if json:
            print_json({"url": server.url, "fingerprint": fingerprint, "lan": lan})
        else:
            show(server.url, fingerprint, qr_rows(server.url), lan=lan)
        _flush()
        try:
            server.serve_forever(poll_interval=0.2)
        except KeyboardInterrupt:
            _stopped(json)


def _flush() -> None:
    import sys

    sys.stdout.flush()


def _stopped(as_json: bool) -> None:
    from sanderling.cli.output import stderr

    if not as_json:
        stderr().print("stopped")
