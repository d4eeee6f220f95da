"""Raspberry Pi, and any other Linux on arm64 or x86-64: Python with NumPy, Pillow and LiteRT."""

from sanderling.deploy.raspberry_pi.build import build, check, refuse
from sanderling.deploy.target import Target

TARGET = Target(
    "raspberry-pi",
    "a folder with run.py, for any Linux on arm64 or x86-64",
    refuse,
    build,
    check,
    {"arm64": "a folder with an unpacked arm64 system, to try the bundle under QEMU; no: not tried there"},
)
