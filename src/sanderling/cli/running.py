"""Runs a model over all that was given, prints the answers and writes the drawings."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.text import Text

from sanderling.cli.failure import exit_with, option_names, tell
from sanderling.cli.output import print_json, print_notes, stderr, stdout
from sanderling.errors import UsageError
from sanderling.files import expanded
from sanderling.report.format import format_ms, plain

if TYPE_CHECKING:
    from sanderling.pipeline.answered import Answered
    from sanderling.pipeline.item import Source
    from sanderling.pipeline.pipeline import Pipeline
    from sanderling.pipeline.video import VideoWriter


class Running:
    """One call of ``sanderling run``.

    Args:
        model, inputs: as typed.
        output: a file or a folder for drawings, None for none.
        as_json: print one JSON document.
        explain: draw what the answers rest on.
        timed: tell times.
        settings: of ``verbs.answering.make_pipeline``.
    """

    def __init__(
        self, model: str, inputs: list[str], *, output: str | None, as_json: bool, explain: bool, timed: bool,
        settings: Mapping[str, Any],
    ) -> None:  # fmt: skip
        self._model, self._inputs, self._settings = model, inputs, settings
        self._output = None if output is None else expanded(output)
        self._json, self._explain, self._timed = as_json, explain, timed
        self._notes: list[str] = []
        self._answers: list[dict[str, Any]] = []
        self._failed = 0
        self._done = 0
        self._spent = [0.0, 0.0]  # ms: model, rest
        self._written: set[Path] = set()
        self._given: list[Path] = []  # files and folders, which no drawing may replace
        self._bar: Any = None
        self._videos, self._began = False, 0.0

    def run(self) -> None:
        """Answers everything; exits with 1 when something could not be read."""
        from sanderling.verbs.answering import make_pipeline

        with option_names():
            pipeline = make_pipeline(
                self._model,
                explain=self._explain,
                tell=self._tell,
                progress=self._explaining,
                **self._settings,
            )
        try:
            sources = pipeline.sources(self._inputs)
            self._videos = all(source.fps is not None for source in sources)
            self._began = time.perf_counter()
            many = len(sources) > 1 or sources[0].count != 1
            self._check_output(sources, many)
            with self._progress(sources, many):
                for source in sources:
                    self._source(pipeline, source, many)
        finally:
            pipeline.close()
        self._end(pipeline, many)

    def _source(self, pipeline: Pipeline, source: Source, many: bool) -> None:
        from sanderling.pipeline.video import VideoWriter

        with ExitStack() as stack:
            video = None
            if source.fps is not None and self._output is not None:
                video = stack.enter_context(VideoWriter(self._video_file(source), source.fps))
            last = time.perf_counter()
            for answered in pipeline.run([source]):
                self._take(answered, many)
                now = time.perf_counter()
                last, fps = now, 1 / max(now - last, 1e-6)
                if video is not None:
                    _frame(video, answered, fps)
                elif self._output is not None and answered.answer is not None:
                    self._write(answered)

    def _take(self, answered: Answered, many: bool) -> None:
        self._done += 1
        self._spent[0] += answered.model_ms
        self._spent[1] += answered.rest_ms
        if answered.error is not None:
            self._failed += 1
            tell(answered.error, as_json=False)
        if self._json:
            self._answers.append(answered.to_json())
        elif answered.answer is not None:
            self._print(answered, many)
        if self._bar is not None:
            self._bar.advance()

    def _print(self, answered: Answered, many: bool) -> None:
        console = stdout()
        assert answered.answer is not None
        lines = [plain(line) for line in answered.answer.lines]
        if not many:
            console.print("\n".join(lines), soft_wrap=True)
            return
        name = Text(plain(answered.short or answered.name), "bold")
        if len(lines) == 1:
            console.print(Text.assemble(name, "  ", lines[0]), soft_wrap=True)
        else:
            console.print(name, soft_wrap=True)
            console.print("\n".join(f"  {line}" for line in lines), soft_wrap=True)

    def _check_output(self, sources: list[Source], many: bool) -> None:
        out = self._output
        if out is None:
            return
        self._given = [Path(each.name).resolve() for each in sources if Path(each.name).exists()]
        if out.resolve() in self._given and not out.is_dir():
            raise UsageError(
                f"{out} is an input, which the answer would replace",
                where="--output",
                hint="choose another name",
            )
        video = [source for source in sources if source.fps is not None]
        if out.suffix and not out.is_dir() and many and not (len(video) == len(sources) == 1):
            raise UsageError(
                f"there are several answers, and {out} is one file", where="--output", hint="give a folder"
            )
        folder = out.parent if out.suffix and not out.is_dir() else out
        folder.mkdir(parents=True, exist_ok=True)

    def _video_file(self, source: Source) -> Path:
        assert self._output is not None
        if self._output.suffix and not self._output.is_dir():
            return self._output
        return self._output / f"{Path(source.name).stem.replace(' ', '-')}.mp4"

    def _write(self, answered: Answered) -> None:
        out = self._output
        assert out is not None
        if out.suffix and not out.is_dir():
            answered.save(out)
            return
        short = Path(answered.short or "answer")
        drawable = answered.answer is not None and answered.answer.draw is not None
        suffix = ".png" if drawable else ".npz" if answered.answer and answered.answer.arrays else ".json"
        target = out / short.with_suffix(suffix)
        number = 2
        while target in self._written or self._is_given(target):
            # a.jpg and a.png of one folder, files of the same name, or an input itself
            target = out / short.with_name(f"{short.stem}-{number}{suffix}")
            number += 1
        self._written.add(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        answered.save(target)

    def _is_given(self, target: Path) -> bool:
        return target.exists() and any(target.resolve().is_relative_to(each) for each in self._given)

    def _tell(self, note: str) -> None:
        self._notes.append(note)
        if not self._json:
            print_notes([note])

    def _progress(self, sources: list[Source], many: bool) -> Any:
        from sanderling.cli.steps import Steps

        counts = [source.count for source in sources]
        total = sum(count for count in counts if count) if None not in counts else None
        self._bar = Steps(total, hidden=self._json or not (many or self._explain))
        return self._bar

    def _explaining(self, done: int, total: int) -> None:
        if self._bar is not None:
            self._bar.within(done, total)

    def _end(self, pipeline: Pipeline, many: bool) -> None:
        if self._json:
            print_json({
                "model": str(self._model), "engine": pipeline.machine.engine,
                "task": replace(pipeline.spec, labels=()).to_json(),
                "notes": self._notes, "answers": self._answers,
            })  # fmt: skip
        elif (self._timed or many) and self._done > self._failed:
            good = self._done - self._failed
            words = (
                f"{good} answered by {pipeline.machine.engine}: {format_ms(self._spent[0] / good)} model and "
            )
            words += f"{format_ms(self._spent[1] / good)} all the rest each"
            if self._videos:
                words += f", {self._done / (time.perf_counter() - self._began):.0f} fps"
            stderr().print(Text(words, "dim"), soft_wrap=True)
        if self._failed:
            exit_with(1)


def _frame(video: VideoWriter, answered: Answered, fps: float) -> None:
    from sanderling.tasks.drawing.legend import caption

    if answered.answer is None:
        return  # told already
    drawn = answered.drawn()
    if drawn is None:
        raise UsageError(
            "there is nothing to draw these answers on", where="--output", hint="leave -o out, or take --json"
        )
    video.write(caption(drawn, f"{fps:.0f} fps"))
