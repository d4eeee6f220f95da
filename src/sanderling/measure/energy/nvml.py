"""NVML: what NVIDIA's GPUs say of their energy, through ``nvidia-ml-py``."""

from __future__ import annotations

from typing import Any, Self

from sanderling.errors import MeterError
from sanderling.measure.energy.meter import Meter


class Nvml:
    """All GPUs that count their energy.

    Args:
        library: ``pynvml``, initialised.
        devices: handles.
    """

    counts_cpu = False

    def __init__(self, library: Any, devices: list[Any]) -> None:
        self._library = library
        self._devices = devices
        self.name = "NVML: " + ", ".join(_text(library.nvmlDeviceGetName(device)) for device in devices)
        self._start = 0.0
        self._start = self.joules()

    def joules(self) -> float:
        """Returns: joules of all GPUs since it was made."""
        try:
            counts = map(self._library.nvmlDeviceGetTotalEnergyConsumption, self._devices)  # millijoules
            return float(sum(counts)) / 1e3 - self._start
        except self._library.NVMLError as error:
            raise MeterError(f"the GPU no longer tells its energy ({error})") from None

    def close(self) -> None:
        """Lets go of the library."""
        self._library.nvmlShutdown()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def find_nvml() -> Meter | str:
    """Looks for GPUs that count their energy (since Volta).

    Returns: the meter, or why there is none.
    """
    try:
        import pynvml
    except ImportError:
        return "NVML: nvidia-ml-py is not installed"
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError_LibraryNotFound:
        return "NVML: there is no NVIDIA driver"
    except pynvml.NVMLError as error:
        return f"NVML: {error}"
    devices = []
    for number in range(pynvml.nvmlDeviceGetCount()):
        device = pynvml.nvmlDeviceGetHandleByIndex(number)
        try:
            pynvml.nvmlDeviceGetTotalEnergyConsumption(device)
        except pynvml.NVMLError:
            continue
        devices.append(device)
    if not devices:
        pynvml.nvmlShutdown()
        return "NVML: no GPU here counts its energy"
    return Nvml(pynvml, devices)


def _text(name: str | bytes) -> str:
    return name.decode("utf-8", "replace") if isinstance(name, bytes) else name
