"""Writes an Android project: Kotlin code that is the same for every model, and what this one needs of it."""

from __future__ import annotations

import re
from importlib.resources import files as resources
from pathlib import Path

from sanderling import files
from sanderling.deploy.android.jvm import on_the_jvm
from sanderling.deploy.app import check_assets, crop_record, plans, refusal, write_assets
from sanderling.deploy.order import Order
from sanderling.deploy.target import Built, Check, Tell
from sanderling.deploy.text import render
from sanderling.errors import UsageError

_PACKAGE = "sanderling.deploy.android"
ASSETS = "app/src/main/assets"
_CODE = "app/src/main/kotlin/deployed"
_TESTS, _TEST = "app/src/androidTest/kotlin/deployed", "SelfTestOnDevice.kt"
_PROJECT = {
    "libs.versions.toml": "gradle/libs.versions.toml",
    "build.gradle.kts": "build.gradle.kts",
    "gradle.properties": "gradle.properties",
    "gradle-wrapper.properties": "gradle/wrapper/gradle-wrapper.properties",
    "gitignore": ".gitignore",
}
_RENDERED = {
    "settings.gradle.kts.j2": "settings.gradle.kts",
    "app.build.gradle.kts.j2": "app/build.gradle.kts",
    "AndroidManifest.xml.j2": "app/src/main/AndroidManifest.xml",
    "Plans.kt.j2": f"{_CODE}/Plans.kt",
}
_RESERVED = frozenset({  # words of Java and Kotlin, which no part of a package's name may be
    "abstract", "as", "assert", "boolean", "break", "byte", "case", "catch", "char", "class", "const",
    "continue", "default", "do", "double", "else", "enum", "extends", "false", "final", "finally",
    "float", "for", "fun", "goto", "if", "implements", "import", "in", "instanceof", "int", "interface",
    "is", "long", "native", "new", "null", "object", "package", "private", "protected", "public",
    "return", "short", "static", "strictfp", "super", "switch", "synchronized", "this", "throw",
    "throws", "transient", "true", "try", "typealias", "typeof", "val", "var", "void", "volatile",
    "when", "while",
})  # fmt: skip
_ID = re.compile(r"[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+")


def refuse(order: Order) -> str:
    """Returns: why the model cannot go there, "" when it can."""
    _package(order)
    return refusal(order)


def build(order: Order, folder: Path, tell: Tell) -> Built:
    """Writes the project. See ``Target.build``."""
    model, detector = plans(order)
    own = resources(_PACKAGE) / "files"
    copies = {own / "project" / source: target for source, target in _PROJECT.items()}
    for part in ("core", "app"):
        for each in (own / part).iterdir():
            test = each.name == _TEST
            copies[each] = f"{_TESTS if test else _CODE}/{each.name}"
    for source, target in copies.items():
        file = _at(folder, target)
        file.write_bytes(source.read_bytes())
    crop = crop_record(order.spec.crop) if detector is not None and order.spec.crop is not None else None
    for template, target in _RENDERED.items():
        text = render(
            _PACKAGE, template, order=order, app_id=_package(order), model=model.record, crop=crop,
            detector=None if detector is None else detector.record, why=model.why,
        )  # fmt: skip
        files.write_text(_at(folder, target), text)
    notes = write_assets(order, model, detector, folder / ASSETS)
    start = "open the folder in Android Studio and run 'app', or: gradle wrapper && ./gradlew installDebug"
    return Built(notes=(*notes, *([model.why] if model.why else [])), start=start)


def check(order: Order, folder: Path, tell: Tell) -> tuple[Check, ...]:
    """Tries the model and the app's arithmetic on this machine. See ``Target.check``."""
    return (
        check_assets(order, folder / ASSETS, tell),
        on_the_jvm(order, folder / ASSETS, folder / _CODE, tell),
        Check(
            "Android",
            reason="not built here, since the project needs Android's SDK, which is not on this machine",
        ),
    )


def _at(folder: Path, name: str) -> Path:
    """Returns: a file's place in a folder, with the folders above it made."""
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


def _package(order: Order) -> str:
    """Returns: the app's id.

    Raises:
        UsageError: the one that was given is none.
    """
    given = order.options.get("package", "")
    if not given:
        return f"com.example.{order.name}{'_model' if order.name in _RESERVED else ''}"
    if not _ID.fullmatch(given) or _RESERVED & set(given.split(".")):
        raise UsageError(
            f"{given!r} is no id of an app", where="--set package", hint="give one such as com.example.app"
        )
    return given
