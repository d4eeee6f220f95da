"""WAV files of every coding, resampled and cut."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sanderling.errors import SampleError, UsageError
from sanderling.graph.types import DType
from sanderling.samples.load import load_samples
from sanderling.samples.wav import read_wav, resample
from tests.samples.models import model, tensor


def tone(frames: int, rate: int = 16000, hertz: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(frames) / rate)


def write(path: Path, signal: np.ndarray, rate: int = 16000, width: int = 2) -> Path:
    signal = signal if signal.ndim == 2 else signal[:, None]
    full = 2 ** (8 * width - 1)
    values = np.clip(np.rint(signal * full), -full, full - 1).astype(np.int64)
    if width == 1:
        data = (values + 128).astype(np.uint8).tobytes()
    elif width == 3:
        data = values.astype("<i4").reshape(-1, 1).view(np.uint8).reshape(-1, 4)[:, :3].tobytes()
    else:
        data = values.astype(f"<i{width}").tobytes()
    with wave.open(str(path), "wb") as file:
        file.setnchannels(signal.shape[1])
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(data)
    return path


def riff(
    path: Path, kind: int, bits: int, data: bytes, channels: int = 1, rate: int = 16000, extra: bytes = b""
) -> Path:
    block = channels * bits // 8
    layout = struct.pack("<HHIIHH", kind, channels, rate, rate * block, block, bits) + extra
    body = b"WAVE" + b"LIST" + struct.pack("<I", 3) + b"abc\0"  # an odd chunk first, padded
    body += b"fmt " + struct.pack("<I", len(layout)) + layout + b"data" + struct.pack("<I", len(data)) + data
    path.write_bytes(b"RIFF" + struct.pack("<I", len(body)) + body)
    return path


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_pcm_widths(tmp_path: Path, width: int) -> None:
    signal, rate = read_wav(write(tmp_path / "a.wav", tone(1000), width=width))
    assert rate == 16000
    np.testing.assert_allclose(signal[:, 0], tone(1000), atol=2.0 ** (1 - 8 * width) + 1e-6)


def test_float_extensible_and_companded(tmp_path: Path) -> None:
    for bits in (32, 64):
        data = tone(500).astype(f"<f{bits // 8}").tobytes()
        np.testing.assert_allclose(
            read_wav(riff(tmp_path / "f.wav", 3, bits, data))[0][:, 0], tone(500), atol=1e-6
        )
    guid = struct.pack("<HHIH", 22, 16, 4, 1) + b"\0" * 14
    pcm = np.rint(tone(500) * 32768).astype("<i2").tobytes()
    extensible = read_wav(riff(tmp_path / "e.wav", 0xFFFE, 16, pcm, extra=guid))[0][:, 0]
    np.testing.assert_allclose(extensible, tone(500), atol=1e-4)
    # G.711: the codes of silence, and of the greatest values of either sign.
    mulaw = read_wav(riff(tmp_path / "u.wav", 7, 8, bytes([0xFF, 0x7F, 0x80, 0x00])))[0][:, 0] * 32768
    np.testing.assert_allclose(mulaw, [0, 0, 32124, -32124])
    alaw = read_wav(riff(tmp_path / "a.wav", 6, 8, bytes([0xD5, 0x55, 0xAA, 0x2A])))[0][:, 0] * 32768
    np.testing.assert_allclose(alaw, [8, -8, 32256, -32256])


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("wav") / "x.wav"
    for content in (data, b"RIFF\0\0\0\0WAVE" + data, b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0" + data):
        path.write_bytes(content)
        try:
            signal, rate = read_wav(path)
        except SampleError:
            continue
        assert signal.ndim == 2
        assert rate > 0


def test_resampling_keeps_a_tone_and_removes_what_would_alias() -> None:
    kept = resample(tone(8000, 16000, 1000)[:, None].astype(np.float32), 16000, 22050)[:, 0]
    expected = tone(11025, 22050, 1000)
    assert kept.size == 11025
    np.testing.assert_allclose(kept[200:-200], expected[200:-200], atol=2e-3)
    aliased = resample(tone(16000, 16000, 6000)[:, None].astype(np.float32), 16000, 8000)[:, 0]
    assert np.abs(aliased[200:-200]).max() < 2e-3


def test_windows(tmp_path: Path) -> None:
    write(tmp_path / "long.wav", tone(3500))
    write(tmp_path / "short.wav", np.stack([tone(400), -tone(400)], axis=1))
    samples = load_samples(tmp_path, model(tensor("audio", (1, 1000))))
    assert [samples.name_of(i) for i in range(4)] == [
        "long.wav", "long.wav from frame 1000", "long.wav from frame 2000", "short.wav",
    ]  # fmt: skip
    np.testing.assert_allclose(samples[1]["audio"][0], tone(3500)[1000:2000], atol=1e-4)
    assert float(np.abs(samples[3]["audio"]).max()) == 0  # the two channels cancel out
    notes = " | ".join(samples.notes)
    assert "own rate (16000 Hz)" in notes
    assert "windows of 1000 samples (0.0625 s)" in notes
    assert "1 WAV files are shorter" in notes
    labelled = load_samples(tmp_path, model(tensor("audio", (1, 1000))), labels=[3, 8])
    assert labelled.labels == [3, 3, 3, 8]
    assert samples.thumbnail(0)


def test_rates_shapes_and_types(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", tone(4000))
    halved = load_samples(tmp_path, model(tensor("audio", (1, 1000, 1))), sample_rate=8000)
    assert len(halved) == 2
    assert halved[0]["audio"].shape == (1, 1000, 1)
    assert any("resampled from 16000 Hz to 8000 Hz" in note for note in halved.notes)
    assert load_samples(tmp_path, model(tensor("audio", (1000,))))[0]["audio"].shape == (1000,)
    stereo = load_samples(tmp_path, model(tensor("audio", (1, 2, 1000))))
    np.testing.assert_array_equal(stereo[0]["audio"][0, 0], stereo[0]["audio"][0, 1])
    free = load_samples(tmp_path, model(tensor("audio", (1, 1), signature=(1, -1))))
    assert free[0]["audio"].shape == (1, 4000)
    pcm = load_samples(tmp_path, model(tensor("audio", (1, 1000), DType.INT16)))
    assert int(np.abs(pcm[0]["audio"]).max()) == 16384


def test_features_of_no_known_kind_need_a_front_end_or_preprocess(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", tone(4000))
    features = model(tensor("mfcc", (1, 49, 11, 1)))
    with pytest.raises(
        SampleError,
        match=r"takes raw audio \[1,N\] or known features, this one takes 'mfcc' float32\[1,49,11,1\]",
    ):
        load_samples(tmp_path, features)
    seen: list[tuple[int, int]] = []

    def spectrum(waveform: np.ndarray, rate: int) -> np.ndarray:
        seen.append((waveform.size, rate))
        return np.resize(waveform, (49, 11, 1))

    assert load_samples(tmp_path, features, preprocess=spectrum)[0]["mfcc"].shape == (1, 49, 11, 1)
    assert seen == [(4000, 16000)]


def test_front_ends_cut_clips_or_frames(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", tone(40000, hertz=700))
    clips = load_samples(tmp_path, model(tensor("mfcc", (1, 49, 10, 1))))
    assert [clips.name_of(i) for i in range(2)] == ["a.wav", "a.wav from frame 16000"]
    assert any("GUESS" in note and "MLPerf Tiny keyword spotting" in note for note in clips.notes)
    more = load_samples(tmp_path, model(tensor("mfcc", (1, 49, 10, 1))), hop=0.25)
    assert len(more) == 1 + (40000 - 16000) // 4000
    np.testing.assert_array_equal(more[4]["mfcc"], clips[1]["mfcc"])
    rows = load_samples(tmp_path, model(tensor("x", (1, 640))))
    assert len(rows) == (1 + 40000 // 512) - 5 + 1
    np.testing.assert_array_equal(rows[0]["x"][0, 128:], rows[1]["x"][0, :512])  # one frame further
    chunks = load_samples(tmp_path, model(tensor("x", (1, 3, 40))), front_end="micro-wake-word")
    assert len(chunks) == (1 + (40000 - 480) // 160) // 3
    assert chunks.fingerprint != load_samples(
        tmp_path, model(tensor("x", (1, 3, 40))), front_end={"kind": "micro", "name": "m", "high": 7000.0}
    ).fingerprint  # fmt: skip
    assert clips.thumbnail(0)
    with pytest.raises(UsageError, match="--hop"):
        load_samples(tmp_path, model(tensor("x", (1, 640))), hop=0)


def test_length_tells_the_rate_of_a_waveform(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", tone(44100, 44100), rate=44100)
    samples = load_samples(tmp_path, model(tensor("audio", (1, 15600))))
    assert len(samples) == 1
    assert any(note.startswith("GUESS: 16000 Hz") for note in samples.notes)
    np.testing.assert_allclose(samples[0]["audio"][0, 200:-200], tone(15600)[200:-200], atol=2e-3)


def test_a_transcription_models_windows_overlap_and_begin_before_the_sound(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", tone(22050 * 4, 22050), rate=22050)
    samples = load_samples(tmp_path, model(tensor("audio", (1, 43844, 1))))
    assert len(samples) == 1 + (22050 * 4 + 3840 - 43844) // 36164
    first, second = samples[0]["audio"][0, :, 0], samples[1]["audio"][0, :, 0]
    assert not first[:3840].any()
    np.testing.assert_array_equal(first[36164:], second[: 43844 - 36164])


def test_an_input_with_one_usual_value_may_stand_beside_the_sound(tmp_path: Path) -> None:
    write(tmp_path / "a.wav", tone(2000))
    beside = (tensor("fmin", ()), tensor("sr", (1,), DType.INT64))
    net = model(tensor("audio", (1, 1), signature=(1, -1)), *beside)
    samples = load_samples(tmp_path, net, sample_rate=8000)
    assert samples[0]["audio"].shape == (1, 1000)
    assert samples[0]["fmin"].shape == ()
    assert float(samples[0]["fmin"]) == 46.875
    assert samples[0]["sr"].tolist() == [8000]
    with pytest.raises(SampleError, match="WAV files feed a model"):
        load_samples(tmp_path, model(tensor("audio", (1, 1000)), tensor("state", (1, 64))))


@pytest.mark.parametrize("rate, target", [(44100, 16000), (16000, 44100), (22050, 16000), (10007, 7919)])
def test_resampling_by_any_ratio(rate: int, target: int) -> None:
    """Ratios with many phases (primes) are computed otherwise, and give the same."""
    sound = np.stack([tone(rate, rate, 440.0), tone(rate, rate, 1000.0)], axis=1).astype(np.float32)
    found = resample(sound, rate, target)
    assert found.shape == (target, 2)
    expected = np.stack([tone(target, target, 440.0), tone(target, target, 1000.0)], axis=1)
    np.testing.assert_allclose(found[300:-300], expected[300:-300], atol=1e-4)


def test_resampling_keeps_short_sounds() -> None:
    for rate, target in ((2, 3), (3, 2), (16000, 1), (1, 16000)):
        for count in (1, 2, 5):
            found = resample(np.ones((count, 1), np.float32), rate, target)
            assert found.shape == (max(1, round(count * target / rate)), 1)
            assert np.isfinite(found).all()
    with pytest.raises(
        SampleError, match="from 1 Hz to 16000 Hz, the sound would hold 1,600,000,000 samples"
    ):
        resample(np.zeros((100_000, 1), np.float32), 1, 16000)
