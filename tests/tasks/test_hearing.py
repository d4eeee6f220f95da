"""Spans, notes and pictures of sound."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling.tasks.notes import Note, midi_of, note_name, notes_of, stitched
from sanderling.tasks.sound_picture import contour_picture, notes_picture, timeline_picture
from sanderling.tasks.timeline import Hearing, Span, means_nothing, smoothed, spans


def side_by_side(count: int, seconds: float = 0.1) -> list[tuple[float, float]]:
    return [(i * seconds, (i + 1) * seconds) for i in range(count)]


def test_speech_begins_at_the_threshold_and_ends_below_the_release() -> None:
    scores = np.array([0.1, 0.45, 0.6, 0.45, 0.4, 0.3, 0.1, 0.1, 0.1, 0.9])[:, None]
    found = spans(scores, side_by_side(10), ["speech"], Hearing(0.5, 0.35, gap=0.05))
    assert [str(span) for span in found] == ["0.2–0.5 s speech (60%)", "0.9–1.0 s speech (90%)"]
    joined = spans(scores, side_by_side(10), ["speech"], Hearing(0.5, 0.35, gap=0.5))
    assert [str(span) for span in joined] == ["0.2–1.0 s speech (90%)"]
    assert spans(scores, side_by_side(10), ["speech"], Hearing(0.5, 0.35, least=0.2, gap=0.05)) == found[:1]
    assert spans(scores, side_by_side(10), ["_silence_"], Hearing()) == []
    assert spans(np.zeros((0, 1)), [], ["speech"], Hearing()) == []
    alone = spans(np.array([[0.8]]), [(0.0, 1.0)], ["yes"], Hearing())
    assert alone == [Span(0.0, 1.0, "yes", 0.8)]


def test_long_windows_speak_for_their_middle() -> None:
    times = [(0.1 * i, 0.1 * i + 1) for i in range(20)]
    scores = np.zeros((20, 2))
    scores[8:13, 1] = 1.0
    (found,) = spans(scores, times, ["no", "yes"], Hearing())
    assert (found.start, found.end) == (pytest.approx(0.8 + 0.45), pytest.approx(1.2 + 0.55))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.integers(1, 50))
def test_smoothing_is_a_centred_mean(values: list[float], count: int) -> None:
    found = smoothed(np.array(values)[:, None], count)[:, 0]
    count = min(count, len(values))
    for i in range(len(values)):
        around = values[max(0, i - (count - 1) // 2) : i + count // 2 + 1]
        assert found[i] == pytest.approx(np.mean(around))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.floats(0.3, 0.9), st.floats(0, 0.3))
def test_spans_never_overlap_and_hold_every_loud_window(
    values: list[float], threshold: float, gap: float
) -> None:
    times = side_by_side(len(values))
    found = spans(np.array(values)[:, None], times, ["x"], Hearing(threshold, threshold / 2, gap=gap))
    assert all(a.end <= b.start + 1e-9 for a, b in itertools.pairwise(found))
    for (start, end), value in zip(times, values, strict=True):
        inside = any(s.start <= start + 1e-9 and end <= s.end + 1e-9 for s in found)
        assert inside or value < threshold


def test_classes_that_mean_nothing() -> None:
    assert all(map(means_nothing, ("_silence_", "_unknown_", "Background noise", "<noise>", "[unknown]")))
    assert not any(map(means_nothing, ("yes", "speech", "silent night", "on")))


def test_notes_begin_at_onsets_and_bridge_dips() -> None:
    onsets, frames = np.zeros((100, 88)), np.zeros((100, 88))
    key = 69 - 21
    frames[10:60, key] = 0.8
    frames[30:35, key] = 0.1  # a dip
    onsets[10, key], onsets[50, key] = 0.9, 0.7  # struck again
    frames[70:75, key + 12] = 0.9  # too short
    onsets[70, key + 12] = 0.9
    frames[80:99, 3] = 0.9  # no onset
    found = notes_of(onsets, frames, 0.01)
    assert [(n.start, n.end, n.pitch) for n in found] == [(0.1, 0.5, 69)]
    assert notes_of(onsets, frames, 0.02)[1] == Note(1.0, 1.2, 69, 0.8)
    assert str(found[0]).startswith("0.10–0.50 s A4")
    (short,) = notes_of(onsets, frames, 0.01, bridge=3)
    assert short.end == pytest.approx(0.3)


def test_pitches_have_their_names() -> None:
    assert [note_name(p) for p in (21, 60, 61, 69, 108)] == ["A0", "C4", "C♯4", "A4", "C8"]
    np.testing.assert_allclose(midi_of([440.0, 880.0, 261.6255653]), [69, 81, 60])


def test_overlapping_windows_are_joined_in_their_middles() -> None:
    seconds, length = 0.1, 2.0
    starts = [-0.5, 0.9, 2.3]
    # Every frame holds its own time; the windows' edges hold what must not be seen.
    windows = []
    for start in starts:
        window = (start + np.arange(20) * seconds)[:, None]
        window[[0, 1, -2, -1]] = 99
        windows.append(window)
    joined = stitched(windows, starts, length, seconds)[:, 0]
    assert len(joined) == 43
    np.testing.assert_allclose(joined[:41], np.arange(41) * seconds, atol=0.051)


def test_pictures_show_what_was_heard() -> None:
    rng = np.random.default_rng(0)
    signal = rng.standard_normal(16000)
    span = Span(0.25, 0.5, "yes", 0.9)
    curves = {"yes": [0.1, 0.9, 0.2], "no": [0.3, 0.1, 0.4]}
    drawn = timeline_picture(signal, 1.0, [0.2, 0.5, 0.8], curves, [span], 0.5)
    plain = timeline_picture(signal, 1.0, [0.2, 0.5, 0.8], curves, [], 0.5)
    changed = np.argwhere(np.any(np.asarray(drawn) != np.asarray(plain), axis=2))
    width = drawn.size[0]
    left, right = changed[:, 1].min(), changed[:, 1].max()
    assert (right - left) / width == pytest.approx(0.25, abs=0.03)
    notes = [Note(0.1, 0.4, 60, 0.8), Note(0.4, 0.9, 67, 0.7)]
    assert notes_picture(signal, 1.0, notes).size[0] == width
    assert notes_picture(signal[:1], 1e-4, []).size[0] == width
    times = np.arange(10) / 10
    voiced = np.arange(10) % 2 == 0
    with_voice = contour_picture(signal, 1.0, times, np.full(10, 220.0), voiced)
    without = contour_picture(signal, 1.0, times, np.full(10, 220.0), np.zeros(10, bool))
    assert np.any(
        np.asarray(with_voice.crop((0, 160, *with_voice.size)))
        != np.asarray(without.crop((0, 160, *without.size)))
    )
