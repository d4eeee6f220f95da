"""iOS: a Swift package with the model, and a project for Xcode: LiteRT on Metal and on the CPU."""

from sanderling.deploy.ios.build import build, check, refuse
from sanderling.deploy.target import Target

TARGET = Target(
    "ios",
    "a project for Xcode and a Swift package, with an app that tests itself",
    refuse,
    build,
    check,
    {
        "bundle-id": "the app's id, com.example.NAME unless given",
        "tflite-c": "a folder with TFLite's C library and its headers, to try the C++ program here",
    },
)
