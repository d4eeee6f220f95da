"""Pictures of what was heard: the waveform with its spans, score curves, piano rolls and pitch contours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from sanderling.tasks.notes import Note, note_name
from sanderling.tasks.timeline import Span

if TYPE_CHECKING:
    from PIL import Image

Floats = npt.NDArray[Any]
_WIDTH, _MARGIN, _WAVE, _LEGEND, _CURVE, _AXIS = 1200, 56, 140, 16, 150, 26
_INK, _GRID, _PAPER, _WAVE_INK = (32, 36, 44), (222, 226, 232), (255, 255, 255), (120, 132, 150)
# Colours that stay apart for the colour-blind (Okabe and Ito).
COLOURS = (
    (0, 114, 178), (230, 159, 0), (0, 158, 115), (213, 94, 0), (204, 121, 167), (86, 180, 233), (90, 90, 90),
    (150, 120, 20), (120, 60, 160), (0, 70, 60),
)  # fmt: skip
_STEPS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300, 600)


class Strip:
    """Lanes below one another over one axis of time.

    Args:
        seconds: what the width stands for.
        heights: of the lanes, in pixels.
    """

    def __init__(self, seconds: float, heights: Sequence[int]) -> None:
        from PIL import Image, ImageDraw, ImageFont

        self.seconds = max(seconds, 1e-3)
        self.tops: list[int] = np.cumsum([8, *(h + 12 for h in heights)]).tolist()
        self.heights = list(heights)
        self.image: Image.Image = Image.new("RGB", (_WIDTH, self.tops[-1] + _AXIS), _PAPER)
        self.pen = ImageDraw.Draw(self.image)
        self.font = ImageFont.load_default(14)
        self._axis()

    def x(self, time: float) -> float:
        """Returns: where a time lies, in pixels."""
        return _MARGIN + (_WIDTH - _MARGIN - 12) * min(max(time / self.seconds, 0.0), 1.0)

    def y(self, lane: int, share: float) -> float:
        """Returns: where a share of a lane's height lies, from its bottom."""
        return float(self.tops[lane] + self.heights[lane] * (1 - min(max(share, 0.0), 1.0)))

    def _axis(self) -> None:
        step = next((s for s in _STEPS if self.seconds / s <= 12), self.seconds / 10)
        bottom = self.tops[-1] - 6
        for i in range(int(self.seconds / step + 1e-9) + 1):
            x = self.x(i * step)
            self.pen.line([(x, 4), (x, bottom)], fill=_GRID)
            self.pen.text((x, bottom + 4), f"{i * step:g} s", fill=_INK, font=self.font, anchor="mt")

    def caption(self, lane: int, share: float, text: str) -> None:
        """Writes at the left of a lane."""
        self.pen.text((_MARGIN - 6, self.y(lane, share)), text, fill=_INK, font=self.font, anchor="rm")

    def wave(self, lane: int, signal: Floats) -> None:
        """Draws least and greatest sample of every column of pixels."""
        columns = np.array_split(
            np.asarray(signal, np.float64), min(int(self.x(self.seconds) - _MARGIN), len(signal))
        )
        peak = max(float(np.abs(signal).max(initial=0.0)), 1e-9)
        for i, part in enumerate(columns):
            x = self.x(self.seconds * i / len(columns))
            low, high = (0.5 + 0.48 * v / peak for v in (part.min(), part.max()))
            top, bottom = self.y(lane, high), self.y(lane, low)
            self.pen.line([(x, top), (x, max(bottom, top + 1))], fill=_WAVE_INK)

    def curve(
        self, lane: int, times: Sequence[float], values: Sequence[float], colour: tuple[int, ...]
    ) -> None:
        """Draws values of 0..1."""
        points = [(self.x(t), self.y(lane, v)) for t, v in zip(times, values, strict=True)]
        if len(points) == 1:
            points = [(_MARGIN, points[0][1]), (self.x(self.seconds), points[0][1])]
        self.pen.line(points, fill=colour, width=2, joint="curve")

    def span(self, lane: int, span: Span, colour: tuple[int, ...]) -> None:
        """Shades a stretch of time and writes its label."""
        from PIL import Image

        left, right = round(self.x(span.start)), max(round(self.x(span.end)), round(self.x(span.start)) + 2)
        box = (left, self.tops[lane], right, self.tops[lane] + self.heights[lane])
        area = self.image.crop(box)
        self.image.paste(Image.blend(area, Image.new("RGB", area.size, colour), 0.28), box)
        self.pen.rectangle(box, outline=colour)
        self.pen.text((left + 4, box[1] + 3), span.label, fill=_INK, font=self.font)


def timeline_picture(
    signal: Floats,
    seconds: float,
    times: Sequence[float],
    scores: dict[str, Sequence[float]],
    spans: Sequence[Span],
    threshold: float | None = None,
) -> Image.Image:
    """Draws the waveform with spans, and score curves below.

    Args:
        signal: [samples].
        seconds: its length.
        times: of the scores, in seconds.
        scores: curve by label, 0..1.
        threshold: drawn as a line, None for none.
    """
    strip = Strip(seconds, [_WAVE, _LEGEND, _CURVE])
    colours = {label: COLOURS[i % len(COLOURS)] for i, label in enumerate(scores)}
    for span in spans:
        strip.span(0, span, colours.get(span.label, COLOURS[0]))
    strip.wave(0, signal)
    strip.caption(0, 0.5, "sound")
    for share, text in ((1.0, "100 %"), (0.5, "50 %"), (0.0, "0 %")):
        strip.caption(2, share, text)
        strip.pen.line([(_MARGIN, strip.y(2, share)), (strip.x(seconds), strip.y(2, share))], fill=_GRID)
    if threshold is not None:
        y = strip.y(2, threshold)
        for x in range(_MARGIN, _WIDTH - 12, 12):
            strip.pen.line([(x, y), (x + 5, y)], fill=_INK)
    for label, values in scores.items():
        strip.curve(2, times, values, colours[label])
    _legend(strip, colours)
    return strip.image


def _legend(strip: Strip, colours: Mapping[str, tuple[int, ...]]) -> None:
    x = float(_MARGIN + 8)
    for label, colour in colours.items():
        strip.pen.rectangle((x, strip.tops[1] + 2, x + 12, strip.tops[1] + 14), fill=colour)
        strip.pen.text((x + 17, strip.tops[1]), label, fill=_INK, font=strip.font)
        x += 34 + strip.font.getlength(label)


def notes_picture(signal: Floats, seconds: float, notes: Sequence[Note]) -> Image.Image:
    """Draws the waveform and a piano roll."""
    low = min((n.pitch for n in notes), default=60) - 2
    high = max((n.pitch for n in notes), default=72) + 2
    strip = Strip(seconds, [_WAVE, max(120, 9 * (high - low + 1))])
    strip.wave(0, signal)
    row = 1 / (high - low + 1)
    for pitch in range(low, high + 1):
        if pitch % 12 == 0 or (pitch % 12 in (4, 7) and high - low < 40):
            strip.caption(1, (pitch - low + 0.5) * row, note_name(pitch))
    for note in notes:
        top, bottom = (strip.y(1, (note.pitch - low + k) * row) for k in (0.95, 0.05))
        strip.pen.rectangle(
            (strip.x(note.start), top, max(strip.x(note.end), strip.x(note.start) + 2), bottom),
            fill=COLOURS[note.pitch % 12 % len(COLOURS)],
        )
    return strip.image


def contour_picture(
    signal: Floats, seconds: float, times: Floats, hertz: Floats, voiced: npt.NDArray[np.bool_]
) -> Image.Image:
    """Draws the waveform and the pitch (logarithmic) where there is a voice.

    Args:
        times: of the frames, in seconds.
        hertz: the pitch of every frame; positive where ``voiced``.
    """
    strip = Strip(seconds, [_WAVE, 260])
    strip.wave(0, signal)
    heard = hertz[voiced]
    low, high = (float(heard.min()) / 1.12, float(heard.max()) * 1.12) if heard.size else (80.0, 400.0)
    height = np.log(high / low)
    for mark in (50, 75, 100, 150, 200, 300, 400, 600, 800, 1200, 1600, 2000):
        if low <= mark <= high:
            share = float(np.log(mark / low) / height)
            strip.caption(1, share, f"{mark} Hz")
            strip.pen.line([(_MARGIN, strip.y(1, share)), (strip.x(seconds), strip.y(1, share))], fill=_GRID)
    for time, pitch in zip(times[voiced], heard, strict=True):
        x, y = strip.x(float(time)), strip.y(1, float(np.log(pitch / low) / height))
        strip.pen.ellipse((x - 2, y - 2, x + 2, y + 2), fill=COLOURS[0])
    return strip.image
