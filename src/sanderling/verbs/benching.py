"""``bench``: the meter opened, models raced, the machine described."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sanderling.errors import UsageError
from sanderling.verbs.reading import reading_of

if TYPE_CHECKING:
    from sanderling.measure.bench_rows import BenchResult
    from sanderling.measure.suite import Suite

Tell = Callable[[str, int, int], None]


def bench(
    models: str | Path | Sequence[str | Path],
    samples: Any = None,
    *,
    engines: Sequence[str] = ("litert",),
    threads: Sequence[int] = (1,),
    seconds: float = 5.0,
    sustained: float | None = None,
    power_meter: str | None = None,
    device: str = "local",
    tell: Tell | None = None,
    **reading: Any,
) -> BenchResult:
    """Times models side by side, interleaved, in an isolated process.

    Beside latency: cold load, first call, throughput, memory, how far the answers are from LiteRT's, and
    energy where something measures it.

    Args:
        models: ``.tflite`` files or zoo models; the first, on the first engine and thread count, is what the
            others are compared with.
        samples: inputs to time them on, or the name of a zoo model; None: noise, in each model's own shape.
        engines: engines and their variants: ``litert``, ``openvino:bf16``, or ``all``.
        threads: thread counts, for engines where that is a choice.
        seconds: time for all comparisons of latency together.
        sustained: seconds for which each runs continuously at the end, one after the other, to see how its
            speed changes while the processor gets hot; None: not at all.
        power_meter: a program that prints watts, a number a line, while it runs; None: what is found.
        device: where they run: ``local``, ``ssh://user@host`` or ``adb:SERIAL`` (docs/guide/devices.md).
        tell: is called with what is being done, and how many of about how many seconds are over.
        reading: how samples are read: ``mean``, ``std``, ``scale``, ``preprocess``, ``sample_rate``,
            ``front_end``, ``hop``, ``tokenizer``, ``limit``.

    Raises:
        SanderlingError: nothing could be run, or an argument is wrong.
    """
    from sanderling.verbs.find import as_list, find_model, find_samples

    named = as_list(models, distinct=False)
    found, how = find_samples(samples, reading_of(**reading), "")
    return _side_by_side(
        [find_model(each) for each in named], found, how.options(), engines=engines, threads=threads,
        seconds=seconds, sustained=sustained, power_meter=power_meter, device=device, tell=tell,
    )  # fmt: skip


def _side_by_side(
    models: Sequence[Path],
    samples: Any,
    reading: Mapping[str, Any],
    *,
    engines: Sequence[str],
    threads: Sequence[int],
    seconds: float,
    sustained: float | None,
    power_meter: str | None,
    device: str,
    tell: Tell | None,
) -> BenchResult:
    """Times models that were found; see ``bench``."""
    from sanderling.devices.find import find_device
    from sanderling.measure.bench import Wanted, bench
    from sanderling.measure.energy.meter import open_meter
    from sanderling.measure.machine import elsewhere, machine
    from sanderling.measure.plan import silent

    place = find_device(device)
    if power_meter is not None and not place.local:
        raise UsageError("measures this machine, and models run on another", where="power_meter")
    with ExitStack() as stack:
        stack.callback(place.close)
        facts = None if place.local else place.facts()
        meter, why = open_meter(power_meter) if facts is None else (None, "only this machine's is measured")
        if meter is not None:
            stack.enter_context(meter)
        result = bench(
            models, engines=engines, threads=threads, seconds=seconds, samples=samples, reading=reading,
            wanted=Wanted(sustained=sustained), meter=meter, no_meter=why, tell=tell or silent, device=place,
        )  # fmt: skip
    if facts is not None:
        notes = (*result.notes, *facts.notes)
        return replace(result, machine=elsewhere(place.name, facts), notes=notes)
    return replace(result, machine=machine({row.engine for row in result.rows}))


def bench_all(
    source: str | Path,
    output: str | Path = "bench",
    *,
    engines: Sequence[str] = ("all",),
    threads: Sequence[int] = (1,),
    seconds: float = 4.0,
    tell: Tell | None = None,
) -> Suite:
    """Times many models on many engines, and writes a page like a paper's table, ``bench.html``.

    What was measured is kept in ``output`` model by model: the same call goes on where it was interrupted.

    Args:
        source: ``zoo`` for the zoo's models that are here, or a folder of ``.tflite`` files.
        output: for ``bench.html``, ``bench.md`` and ``bench.json``.
        engines, threads: as for ``bench``.
        seconds: for timing one model on all engines.
        tell: is called with what is being done, and how many of about how many seconds are over.

    Raises:
        SanderlingError: there are no models, or the folder cannot be written to.
    """
    from sanderling.measure.plan import silent
    from sanderling.measure.suite import run_suite
    from sanderling.report.write_bench import write_suite

    folder = Path(output)
    suite = run_suite(
        _all_models(source), folder, engines=engines, threads=threads, seconds=seconds, tell=tell or silent
    )
    write_suite(suite, folder)
    return suite


def _all_models(source: str | Path) -> dict[str, Path]:
    """Returns: name → file of all models that are meant."""
    from sanderling import zoo
    from sanderling.files import expanded
    from sanderling.verbs.find import find_zoo_model

    folder = expanded(source)
    if str(source) == "zoo" and not folder.is_dir():
        return {name: find_zoo_model(name) for name in zoo.names() if zoo.cached(name) is not None}
    if not folder.is_dir():
        raise UsageError("there is no such folder", where=str(source), hint="give zoo, or a folder of models")
    found = sorted(folder.rglob("*.tflite"))
    if not found:
        raise UsageError("holds no .tflite file", where=str(source))
    names = [str(path.relative_to(folder).with_suffix("")) for path in found]
    return dict(zip(names, found, strict=True))
