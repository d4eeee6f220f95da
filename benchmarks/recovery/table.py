"""The results as a page: the best of each tool, side by side, and all that was tried below."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.recovery.entry import OWN, SCHEMA
from benchmarks.recovery.peers import PEERS
from benchmarks.recovery.subjects import SUBJECTS, Subject

START, END = "<!-- results -->", "<!-- end of results -->"
TITLES = {"litert-quantizer": "litert-quantizer", "nncf": "NNCF + OpenVINO", "onnxruntime": "ONNX Runtime"}
NOT_TRIED = "–"
Result = dict[str, Any]


def render(page: str, results: Path) -> str:
    """Returns: the page with its table made anew.

    Raises:
        ValueError: the page has no markers.
    """
    head, found, rest = page.partition(START)
    _, ended, tail = rest.partition(END)
    if not found or not ended:
        raise ValueError(f"the page has no {START} … {END}")
    lines = [START, "", *_lines(_read(results)), "", END]
    return head + "\n".join(lines) + tail


def _read(results: Path) -> list[Result]:
    found = [json.loads(path.read_text()) for path in sorted(results.glob("*/*.json"))]
    return [result for result in found if result["schema"] == SCHEMA]


def merged(results: Iterable[Result]) -> list[Result]:
    """Returns: a result for every way, of several seeds the one in the middle by its drop.

    A way that failed for any seed failed.
    """
    ways: dict[tuple[str, str, str], list[Result]] = defaultdict(list)
    for result in results:
        ways[result["subject"], result["tool"], result["variant"]].append(result)
    return [_middle(seeds) for seeds in ways.values()]


def _middle(seeds: Sequence[Result]) -> Result:
    failed = [each for each in seeds if each["status"] != "ok"]
    if failed:
        return failed[0]
    ordered = sorted(seeds, key=_drop)
    chosen = ordered[(len(ordered) - 1) // 2]
    speed = median(each["speedup"] for each in seeds)
    return chosen | {"speedup": speed, "seeds": len(seeds)}


def _drop(result: Result) -> float:
    """Returns: the drop; better than float counts as none."""
    return max(0.0, float(result["figures"]["drop"]))


def _error(result: Result) -> float:
    """Returns: how often or far it differs from float, which chance does not hide as it hides lost points."""
    figures = result["figures"]
    return 1 - float(figures["agreement"]) if "agreement" in figures else _drop(result)


def best(results: Sequence[Result], allowed: float) -> Result | None:
    """Returns: the fastest within the allowed drop, else the one of the smallest drop; None: none ran.

    Of those that are equally fast within their intervals, the one of the smallest drop.
    """
    ran = [result for result in results if result["status"] == "ok"]
    within = [result for result in ran if _drop(result) <= allowed]
    if within:
        fastest = max(within, key=lambda result: float(result["speedup"]))
        near = [r for r in within if r["speedup_ci95"][1] >= fastest["speedup"]]
        return min(near, key=_error)
    return min(ran, key=_drop, default=None)


def is_ahead(own: Sequence[Result], theirs: Sequence[Result], allowed: float) -> bool | None:
    """Says whether one of ours has no larger drop than the best of theirs, and is no slower.

    Returns: None where there is nothing to compare. Two intervals of the speed-up that overlap count as
        equally fast, two drops within the allowed one as equal.
    """
    rival = best(theirs, allowed)
    ran = [result for result in own if result["status"] == "ok"]
    if rival is None:
        return True if ran else None
    if not ran:
        return None
    limit = max(_drop(rival), allowed if _drop(rival) <= allowed else 0.0)
    return any(_drop(each) <= limit and each["speedup_ci95"][1] >= rival["speedup_ci95"][0] for each in ran)


def _lines(results: Sequence[Result]) -> list[str]:
    if not results:
        return ["Nothing was measured yet."]
    ways = merged(results)
    tools = [peer.name for peer in PEERS]
    head = ["model (drop)", *(TITLES[tool] for tool in tools), "Sanderling", "at or ahead"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    counted = []
    for subject in SUBJECTS:
        here = [result for result in ways if result["subject"] == subject.name]
        if not here:
            continue
        by_tool = {t: [r for r in here if r["tool"] == t] for t in (*tools, OWN)}
        theirs = [result for tool in tools for result in by_tool[tool]]
        ahead = is_ahead(by_tool[OWN], theirs, subject.allowed)
        cells = [_best_cell(subject, by_tool[tool]) for tool in (*tools, OWN)]
        usable = any(r["status"] == "ok" and _drop(r) <= subject.allowed for r in (*theirs, *by_tool[OWN]))
        counted.append((ahead, usable))
        verdict = NOT_TRIED if ahead is None else "yes" if ahead else "no"
        verdict += "" if usable else ", but all are over"
        lines.append(f"| {subject.name} ({subject.judge.drop}) | {' | '.join(cells)} | {verdict} |")
    lines += [
        "",
        f"At or ahead of the best stock tool: {counted.count((True, True))} of {len(counted)} models; and "
        f"{counted.count((True, False))} where nothing is within the allowed drop.",
        "",
    ]
    return [*lines, *_all(ways), *_where(results)]


def _best_cell(subject: Subject, results: Sequence[Result]) -> str:
    found = best(results, subject.allowed)
    if found is None:
        return f"failed: {_text(results[0]['reason'])}" if results else NOT_TRIED
    mark = "" if _drop(found) <= subject.allowed else "over: "
    return f"{mark}{_figures(found)}<br>{_text(found['variant'])}"


def _figures(result: Result) -> str:
    figures, share = result["figures"], result["float_size_bytes"] / result["size_bytes"]
    agreement = f" (agrees {100 * figures['agreement']:.1f} %)" if "agreement" in figures else ""
    return f"{100 * figures['drop']:.2f} %{agreement}, {result['speedup']:.2f}×, {share:.1f}× smaller"


def _all(ways: Sequence[Result]) -> list[str]:
    head = "| tool | way | drop % | agreement % | speed-up (95 %) | ms | size | made in s |"
    lines = ["## All that was tried", ""]
    for subject in SUBJECTS:
        here = [result for result in ways if result["subject"] == subject.name]
        if not here:
            continue
        lines += [f"### {subject.name}", "", f"{_text(here[0]['samples'])}. Drop: {subject.judge.drop}.", ""]
        lines += [head, f"|{'---|' * 8}", *(_row(result) for result in here), ""]
    return lines


def _row(result: Result) -> str:
    start = f"| {result['tool']} | {_text(result['variant'])} |"
    if result["status"] != "ok":
        return f"{start} failed: {_text(result['reason'])} | | | | | |"
    figures, (low, high) = result["figures"], result["speedup_ci95"]
    error = figures.get("drop_standard_error")
    drop = f"{100 * figures['drop']:.2f}" + (f" ± {100 * error:.2f}" if error is not None else "")
    agreement = f"{100 * figures['agreement']:.1f}" if "agreement" in figures else ""
    speed = f"{result['speedup']:.2f} [{low:.2f}, {high:.2f}]"
    cells = [
        drop, agreement, speed, f"{result['latency_ms']:.3f}", _kilobytes(result["size_bytes"]),
        f"{result['made_seconds']:.0f}",
    ]  # fmt: skip
    return f"{start} {' | '.join(cells)} |"


def _kilobytes(size: int) -> str:
    return f"{size / 1e6:.2f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"


def _where(results: Sequence[Result]) -> list[str]:
    machines = sorted({f"{r['machine']['cpu']}, {r['machine']['date']}" for r in results})
    return [f"Measured on {_text('; '.join(machines))}; one thread, by turns with the float model in LiteRT."]


def _text(text: str) -> str:
    """Returns: the text so that Markdown shows it as it is."""
    for character in "\\|*_`<[":
        text = text.replace(character, "\\" + character)
    return text.replace("\n", " ")
