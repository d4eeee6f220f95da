"""From what people write to a device."""

from __future__ import annotations

from sanderling.devices.device import Device
from sanderling.devices.local import LOCAL
from sanderling.errors import UsageError


def find_device(text: str | None) -> Device:
    """Looks a device up.

    Args:
        text: ``local`` (or None), ``ssh://user@host``.

    Raises:
        UsageError: it is none of them.
        DeviceError: what reaches it is not installed here.
    """
    kind = (text or "local").partition(":")[0]
    if kind == "local":
        return LOCAL
    if kind == "ssh":
        from sanderling.devices.ssh import Ssh

        return Ssh(text or "")
    raise UsageError(f"there is no device {text!r}", hint="write local or ssh://user@host")
