"""From what people write to a device."""

from __future__ import annotations

from sanderling.devices.device import Device
from sanderling.devices.local import LOCAL
from sanderling.errors import UsageError


def find_device(text: str | None) -> Device:
    """Looks a device up.

    Args:
        text: ``local`` (or None), ``ssh://user@host``, ``adb:SERIAL``.

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
    if kind == "adb":
        from sanderling.devices.adb import Adb

        return Adb(text or "")
    raise UsageError(f"there is no device {text!r}", hint="write local, ssh://user@host or adb:SERIAL")
