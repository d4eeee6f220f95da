"""Microcontrollers: C++ for TensorFlow Lite for Microcontrollers, without an operating system or a heap."""

from sanderling.deploy.microcontroller.build import build
from sanderling.deploy.microcontroller.check import check
from sanderling.deploy.microcontroller.refuse import plain, refuse
from sanderling.deploy.target import Target

TARGET = Target(
    "microcontroller",
    "C++ sources for TensorFlow Lite for Microcontrollers",
    refuse,
    build,
    check,
    {
        "look-up-tables": "yes: weights of few values become indices into tables, which TFLite Micro unpacks",
        "tflite-micro": "a folder with TFLite Micro's sources, to build and run the self-test here",
        "cmake": "further arguments of CMake where the self-test is built here",
    },
    "micro",
    plain=plain,
)
