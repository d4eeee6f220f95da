"""Made-up results of searches, for testing the report. No figure in here was measured."""

from __future__ import annotations

import io
import math
import random
from dataclasses import replace
from typing import Any

from PIL import Image, ImageDraw

from sanderling.compress.recipe import Recipe, Step
from sanderling.measure.results import Fidelity, Latency
from sanderling.report.data import (
    Answer,
    Baseline,
    DeviceInfo,
    Example,
    How,
    ModelInfo,
    ReportData,
    Rung,
    SamplesInfo,
    Sensitivity,
)
from sanderling.report.lost_accuracy import Culprit, LostAccuracy, Remedy
from sanderling.search.budget import Budget
from sanderling.search.trial import Trial

FLOAT_MS, FLOAT_BYTES, TWO_THREADS = 7.5, 13_986_000, 1.81
HOSTILE = "<script>alert('x')</script>\"&'\x1b[31m\u202ekcatta/[bold]{{7*7}}"

# name, technique, settings, rung, engine, threads, size, speed-up, drop, status, reason
ROWS: list[tuple[str, str, dict[str, Any], str, str, int, float, float, float, str, str]] = [
    ("float original", "", {}, "baseline", "litert", 1, 1.0, 1.0, 0.0, "ok", ""),
    ("float original, 2 threads", "", {}, "threads", "litert", 2, 1.0, 1.81, 0.0, "ok", ""),
    ("float16 weights", "float16", {}, "float16", "litert", 1, 0.502, 0.99, 0.0, "ok",
     "no faster than float here: XNNPACK computes fp16 weights in float32"),
    ("dynamic int8", "dynamic_int8", {}, "dynamic", "litert", 1, 0.271, 0.4, 0.0083, "ok",
     "slower than float: depthwise convolutions have no fast kernel for dynamic int8"),
    ("dynamic int8, CONV_2D and FULLY_CONNECTED", "dynamic_int8",
     {"operators": ["CONV_2D", "FULLY_CONNECTED"]}, "dynamic", "litert", 1, 0.29, 1.42, 0.0063, "ok", ""),
    ("static int8 (min-max)", "static_int8", {"calibration": "minmax"}, "static", "litert", 1, 0.284, 2.24,
     0.0317, "rejected", "drop is 3.17 % instead of at most 1 %"),
    ("static int8 (percentile 99.99)", "static_int8", {"calibration": "percentile", "percentile": 99.99},
     "static", "litert", 1, 0.284, 2.22, 0.0167, "rejected", "drop is 1.67 % instead of at most 1 %"),
    ("static int8 (MSE)", "static_int8", {"calibration": "mse"}, "static", "litert", 1, 0.284, 2.23, 0.0483,
     "rejected", "drop is 4.83 % instead of at most 1 %"),
    ("static int8, 3 operators float", "static_int8", {"calibration": "percentile", "percentile": 99.99,
     "keep_float": ["MobilenetV2/Conv/Relu6", "MobilenetV2/expanded_conv/depthwise/Relu6",
                    "MobilenetV2/Logits/output"]}, "mixed", "litert", 1, 0.296, 2.11, 0.0083, "ok", ""),
    ("static int8, 3 operators float, 2 threads", "static_int8", {"calibration": "percentile",
     "percentile": 99.99, "keep_float": ["MobilenetV2/Conv/Relu6",
     "MobilenetV2/expanded_conv/depthwise/Relu6", "MobilenetV2/Logits/output"]}, "threads", "litert", 2,
     0.296, 3.94, 0.0083, "ok", ""),
    ("static int8, 8 operators float", "static_int8", {"calibration": "percentile", "percentile": 99.99,
     "keep_float": [f"MobilenetV2/expanded_conv_{i}/project/add" for i in range(8)]}, "mixed", "litert", 1,
     0.35, 1.71, 0.0042, "ok", ""),
    ("static int8 on OpenVINO", "static_int8", {"calibration": "percentile"}, "engines", "openvino", 1, 0.284,
     1.87, 0.0208, "rejected", "drop is 2.08 % instead of at most 1 %"),
    ("bfloat16 on OpenVINO", "", {}, "engines", "openvino", 1, 1.0, 1.39, 0.0125, "undecided",
     "needs 140 more samples: the drop is between 0.3 % and 3.6 %"),
    ("static int16 activations", "static_int16", {}, "static", "litert", 1, 0.285, 0.031, 0.0021, "ok",
     "slower than float: there is no fast kernel for int16 activations"),
    ("weight-only int4", "weight_only_int4", {"block": 32}, "int4", "litert", 1, 0.15, 0.28, 0.627,
     "rejected", "drop is 62.7 % instead of at most 1 %"),
    ("conv int4, distilled", "static_int4", {"distill_steps": 260}, "distill", "litert", 1, 0.16, 0.81, 0.171,
     "rejected", "drop is 17.1 % instead of at most 1 %"),
    ("static int8 on WebGPU", "static_int8", {}, "engines", "webgpu", 1, 0.284, math.nan, math.nan, "failed",
     "no adapter: no Vulkan driver was found"),
    ("hessian int8", "gptq", {}, "static", "litert", 1, 0.0, math.nan, math.nan, "failed",
     "the quantizer has no rule for CONV_2D with this algorithm"),
]  # fmt: skip


def latency(base: float, speedup: float, rng: random.Random, threads: int = 1) -> Latency:
    """The table's speed-ups are against one thread; a latency's is against the original on as many."""
    p50, same = base / speedup, base / TWO_THREADS if threads == 2 else base
    ratio = same / p50
    interval = (ratio * 0.982, ratio * 1.019)
    load_ms, runs = rng.uniform(2, 40), rng.randint(80, 900)
    found = Latency(p50, p50 * rng.uniform(1.05, 1.3), runs, ratio, interval, same, load_ms)
    return replace(found, reference_p50=base) if threads == 2 else found


def fidelity(drop: float, samples: int = 240) -> Fidelity:
    half = 1.96 * math.sqrt(max(drop * (1 - drop), 0.0) / samples) + 0.5 / samples
    outputs = (
        {"name": "Softmax", "rmse": 0.01, "relative_rmse": 0.03, "sqnr_db": 31.0, "cross_entropy": 0.02},
    )
    return Fidelity(
        "1 - top-1 agreement",
        1 - drop,
        drop,
        (max(0.0, drop - half), min(1.0, drop + half)),
        samples,
        "",
        outputs,
        (0.0, 0.25, 1.0),
    )


def trial(number: int, row: tuple[Any, ...], rng: random.Random, base_ms: float = FLOAT_MS) -> Trial:
    name, technique, settings, rung, engine, threads, size, speed, drop, status, reason = row
    steps = (Step(technique, settings),) if technique else ()
    ran = not math.isnan(speed)
    return Trial(
        id=f"{number:04x}",
        name=name,
        model="mobilenet_v2_224",
        recipe=Recipe(name, steps),
        engine=engine,
        threads=threads,
        rung=rung,
        size_bytes=round(size * FLOAT_BYTES),
        latency=latency(base_ms, speed, rng, threads) if ran else None,
        peak_memory_bytes=round(rng.uniform(9e6, 31e6)) if ran else None,
        fidelity=fidelity(drop) if ran else None,
        status=status,
        reason=reason,
        file=f"candidates/{number:04x}.tflite" if size else "",
        seconds=rng.uniform(1, 30),
    )


def picture(seed: int, edge: int = 160) -> bytes:
    """A drawing: a sky, a sea, a sun and a bird or two."""
    rng = random.Random(seed)
    image = Image.new("RGB", (edge, edge), (150 + seed * 9 % 90, 190, 220))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, edge * 0.6, edge, edge), fill=(200, 175 + seed % 40, 130))
    draw.rectangle((0, edge * 0.5, edge, edge * 0.64), fill=(40, 110, 130 + seed * 5 % 60))
    sun = rng.randint(10, edge - 40)
    draw.ellipse((sun, 14, sun + 26, 40), fill=(255, 220, 140))
    for _ in range(3):
        x, y = rng.randint(10, edge - 30), rng.randint(int(edge * 0.66), edge - 20)
        draw.ellipse((x, y, x + 18, y + 9), fill=(70, 60, 60))
    buffer = io.BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


def example(index: int, *, thumbnail: bool = True) -> Example:
    bad = max(0, 90 - 15 * index) / 100
    rows = [("sandpiper", "dunlin", "oystercatcher"), ("dunlin", "sandpiper", "turnstone")]
    other = rows[1] if index < 2 else rows[0]
    reference: Answer = {
        "text": "\n".join(f"{n}  {p}" for n, p in zip(rows[0], ("81.2 %", "9.4 %", "2.1 %"), strict=True)),
        "picture": None,
    }
    candidate: Answer = {
        "text": "\n".join(f"{n}  {p}" for n, p in zip(other, ("52 %", "31.5 %", "4.8 %"), strict=True)),
        "picture": None,
    }
    if bad == 0:
        candidate = reference
    return Example(f"shore_{index:03d}.jpg", bad, reference, candidate, picture(index) if thumbnail else None)


def sensitivity(count: int = 22) -> tuple[Sensitivity, ...]:
    rng = random.Random(5)
    rows = []
    for index in range(count):
        drop = 0.031 * math.exp(-index / 3.1) if index < count - 2 else 0.0
        kind = rng.choice(["CONV_2D", "DEPTHWISE_CONV_2D", "ADD"])
        rows.append(
            Sensitivity(
                f"MobilenetV2/expanded_conv_{index}/{kind.lower()}/Relu6",
                kind,
                drop,
                rng.uniform(0.002, 0.11),
                rng.uniform(0.01, 0.4),
                keep_float=index < 3,
                note="kept float: most of the drop for little time" if index == 0 else "",
            )
        )
    return tuple(rows)


def lost() -> LostAccuracy:
    """Why plain int8 loses accuracy: trial 5 of ``typical``."""
    first = Culprit(
        "MobilenetV2/Conv/Relu6", "CONV_2D", 0.62, 0.081, "outlier channel",
        "channel 4 of 32 is 19 times as wide as the median one", "equalize", 0.004,
    )  # fmt: skip
    second = Culprit("MobilenetV2/Logits/output", "FULLY_CONNECTED", 0.21, 0.047, "", "", "float", 0.0)
    remedies = (
        Remedy("calibration", "0006", "static int8 (percentile 99.99)", 0.0317, 0.0167, 3.35, 3.38),
        Remedy("float", "0008", "static int8, 3 operators float", 0.0317, 0.0083, 3.35, None),
    )
    return LostAccuracy(
        "t05", (first, second), remedies, "90 of 96 changes were measured before the time was up"
    )


def typical() -> ReportData:
    """A search over a MobileNetV2-like model with a winner."""
    rng = random.Random(11)
    trials = tuple(trial(n, row, rng) for n, row in enumerate(ROWS))
    by_name = {t.name: t.id for t in trials}
    front = (
        "static int8, 3 operators float, 2 threads",
        "static int8, 8 operators float",
        "float16 weights",
        "float original, 2 threads",
    )
    return ReportData(
        model=ModelInfo(
            "mobilenet_v2_224",
            "mobilenet_v2_224.tflite",
            "9f86d081884c7d65" * 4,
            3_487_816,
            300_774_272,
            {"CONV_2D": 36, "DEPTHWISE_CONV_2D": 17, "ADD": 10, "MEAN": 1, "SOFTMAX": 1},
        ),
        device=DeviceInfo(
            "this machine", "Made-up CPU 3000 (AVX-512 VNNI)", 2, "Linux 6.1", {"memory": "8 GB"}
        ),
        samples=SamplesInfo(
            "600 images in photos/",
            600,
            150,
            240,
            210,
            "classify",
            "one output of 1001 values that add up to 1",
            "1 - top-1 agreement",
            notes=("no normalisation given: assumed −1..1, as the model's metadata says",),
        ),
        budget=Budget(max_drop=0.01, max_latency_ms=5.0, seconds=600),
        baseline=Baseline(
            FLOAT_BYTES,
            Latency(FLOAT_MS, 8.1, 400, 1.0, (0.99, 1.01), FLOAT_MS, 21.0),
            peak_memory_bytes=27_300_000,
        ),
        trials=trials,
        pareto=tuple(by_name[name] for name in front),
        best=by_name["static int8, 3 operators float, 2 threads"],
        confirm=fidelity(0.00952, 210),
        sensitivity=sensitivity(),
        lost_accuracy=lost(),
        examples=tuple(example(i) for i in range(8)),
        how=How(
            {"sanderling": "0.1.0", "ai-edge-litert": "2.3.0", "numpy": "2.3.4", "Python": "3.11.2"},
            (1, 2),
            0.021,
            (
                "Every candidate was timed in a process of its own, in turns with the float original, after "
                "warm-up, until the 95 % interval of the speed-up was under ±3 %.",
                "Peak memory is the growth of a fresh process that loads and runs the candidate alone.",
                "The winner was confirmed once on samples that took no part in choosing it.",
            ),
            ("The machine was busy: its one-minute load was 1.8 on 2 cores.",),
        ),
        rungs=(
            Rung("float16", 1),
            Rung("dynamic", 2),
            Rung("static", 5),
            Rung("mixed", 2),
            Rung("threads", 2),
            Rung("engines", 3),
            Rung("distill", 1),
            Rung("prune", 0, "no engine on this machine runs sparse weights faster"),
        ),
        seconds=582.0,
    )


def no_winner() -> ReportData:
    data = typical()
    trials = tuple(
        t if t.status != "ok" else replace(t, status="rejected", reason="size is above 3 MB")
        for t in data.trials
    )
    return replace(
        data,
        trials=trials,
        best=None,
        pareto=(),
        confirm=None,
        budget=Budget(max_drop=0.001, max_latency_ms=2.0, max_size_bytes=3_000_000),
    )


def all_failed() -> ReportData:
    data = typical()
    trials = tuple(
        replace(
            t,
            status="failed",
            reason="the worker was killed: out of memory",
            latency=None,
            fidelity=None,
            peak_memory_bytes=None,
        )
        for t in data.trials[:4]
    )
    return replace(data, trials=trials, best=None, pareto=(), confirm=None, sensitivity=(), examples=())


def one_trial() -> ReportData:
    data = typical()
    only = data.trials[8]
    return replace(
        data,
        trials=(only,),
        best=only.id,
        pareto=(only.id,),
        rungs=(),
        how=How(),
        examples=data.examples[:1],
        sensitivity=data.sensitivity[:1],
    )


def float_wins() -> ReportData:
    data = typical()
    keep = tuple(t for t in data.trials if t.speedup is not None and t.speedup < 1.05)
    return replace(data, trials=keep, best=keep[0].id, pareto=(keep[0].id,), confirm=fidelity(0.0, 210))


def nothing() -> ReportData:
    return replace(all_failed(), trials=(), rungs=(), how=How())


def hostile() -> ReportData:
    """Every text that may come from a model, a file name or an engine is an attack."""
    data = typical()
    trials = tuple(
        replace(
            t,
            name=HOSTILE,
            reason=HOSTILE * 40,
            recipe=Recipe(HOSTILE, (Step(HOSTILE, {HOSTILE: HOSTILE}),)),
            rung=HOSTILE,
            engine=HOSTILE,
            model=HOSTILE,
            file=HOSTILE,
        )
        for t in data.trials
    )
    answer: Answer = {"text": HOSTILE, "picture": b"no picture"}
    return replace(
        data,
        trials=trials,
        verdict="",
        model=ModelInfo(HOSTILE, HOSTILE, HOSTILE, 1, 1, {HOSTILE: 2}, {HOSTILE: HOSTILE}),
        device=DeviceInfo(HOSTILE, HOSTILE, 1, HOSTILE, {HOSTILE: HOSTILE}),
        samples=SamplesInfo(HOSTILE, 6, 2, 2, 2, HOSTILE, HOSTILE, HOSTILE, notes=(HOSTILE,)),
        confirm=replace(data.confirm or fidelity(0.0), metric=HOSTILE),
        sensitivity=tuple(
            replace(s, operator=HOSTILE * 5, kind=HOSTILE, note=HOSTILE) for s in data.sensitivity
        ),
        lost_accuracy=LostAccuracy(
            HOSTILE,
            (Culprit(HOSTILE * 5, HOSTILE, 1.0, math.inf, HOSTILE, HOSTILE, HOSTILE, math.inf),),
            (Remedy(HOSTILE, HOSTILE, HOSTILE, math.inf, 0.0, None, None),),
            HOSTILE,
        ),
        examples=(Example(HOSTILE, math.nan, answer, answer, b"<svg onload=alert(1)>"),),
        how=How({HOSTILE: HOSTILE}, (1,), math.inf, (HOSTILE,), (HOSTILE,)),
        rungs=(Rung(HOSTILE, 1, HOSTILE),),
    )


def scaled(factor: float) -> ReportData:
    """The typical search with every time multiplied: 0.02 ms or 12 s a call."""
    data = typical()

    def slow(value: Latency | None) -> Latency | None:
        return value and replace(
            value,
            p50=value.p50 * factor,
            p90=value.p90 * factor,
            baseline_p50=value.baseline_p50 * factor,
            **({"reference_p50": value.reference_p50 * factor} if value.reference_p50 > 0 else {}),
        )

    return replace(
        data,
        trials=tuple(replace(t, latency=slow(t.latency)) for t in data.trials),
        baseline=replace(data.baseline, latency=slow(data.baseline.latency)),
        budget=Budget(max_drop=0.01, max_latency_ms=5 * factor),
    )


def same_answers() -> ReportData:
    """Every drop is exactly 0."""
    data = typical()
    trials = tuple(
        replace(t, fidelity=t.fidelity and fidelity(0.0), status="ok", reason="") for t in data.trials[:14]
    )
    return replace(
        data,
        trials=trials,
        confirm=fidelity(0.0, 210),
        examples=tuple(example(i, thumbnail=False) for i in range(6, 9)),
        sensitivity=(),
    )


CASES = {
    "typical": typical,
    "no_winner": no_winner,
    "all_failed": all_failed,
    "one_trial": one_trial,
    "float_wins": float_wins,
    "nothing": nothing,
    "hostile": hostile,
    "tiny_times": lambda: scaled(0.02 / FLOAT_MS),
    "huge_times": lambda: scaled(12_000 / FLOAT_MS),
    "same_answers": same_answers,
}
