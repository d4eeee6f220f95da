"""Front ends: from sound to what a model listens to, as data."""

from sanderling.samples.features.described import FrontEnd, from_json, read_front_end, to_json
from sanderling.samples.features.mel import Mel
from sanderling.samples.features.micro import Gain, Micro, Noise
from sanderling.samples.features.spectral import Log, Normalize, Pcen, Spectral

__all__ = [
    "FrontEnd", "Gain", "Log", "Mel", "Micro", "Noise", "Normalize", "Pcen", "Spectral", "from_json",
    "read_front_end", "to_json",
]  # fmt: skip
