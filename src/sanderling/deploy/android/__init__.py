"""Android: a project for Android Studio, in Kotlin with LiteRT, its GPU accelerator and the CPU."""

from sanderling.deploy.android.build import build, check, refuse
from sanderling.deploy.target import Target

TARGET = Target(
    "android",
    "a project for Android Studio, with an app that tests itself",
    refuse,
    build,
    check,
    {
        "package": "the app's id, com.example.NAME unless given",
        "kotlinc": "Kotlin's compiler, to try the app's own code here",
    },
)
