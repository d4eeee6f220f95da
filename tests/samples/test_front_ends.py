"""Front ends against closed forms and against integers that a compiled front end gave."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sanderling.errors import FormatError, SampleError, UsageError
from sanderling.samples.features.choose import front_end_for, table_of
from sanderling.samples.features.described import from_json, read_front_end, to_json
from sanderling.samples.features.mel import Mel, hertz_to_mel, mel_to_hertz
from sanderling.samples.features.micro import Gain, Micro, Noise
from sanderling.samples.features.presets import PRESETS, preset
from sanderling.samples.features.spectral import Log, Normalize, Pcen, Spectral
from sanderling.samples.features.spectrum import dct, frame_count, frames, taper
from sanderling.samples.inputs import model_inputs
from tests.samples.models import model, tensor


def sound(samples: int = 4000) -> np.ndarray:
    """A sweep in noise, the same to the last bit everywhere."""
    state, noise = 1, []
    for _ in range(samples):
        state = (state * 1103515245 + 12345) % 2**31
        noise.append((state >> 16) % 2001 - 1000)
    t = np.arange(samples) / 16000
    return (np.array(noise) + np.rint(9000 * np.sin(2 * np.pi * (300 + 6000 * t) * t))).astype(np.int16)


@given(st.floats(0, 20000), st.sampled_from(["htk", "slaney"]))
def test_mel_scales_are_inverted(hertz: float, scale: str) -> None:
    assert float(mel_to_hertz(hertz_to_mel(hertz, scale), scale)) == pytest.approx(hertz, abs=1e-6)


def test_mel_scales_at_points_that_their_authors_give() -> None:
    # HTK: 1000 Hz are 1000 mel (to its rounded constants); Slaney: 1000 Hz are 15, 6400 Hz are 42.
    assert float(hertz_to_mel(1000.0)) == pytest.approx(1000, abs=0.02)
    np.testing.assert_allclose(hertz_to_mel([200.0, 1000.0, 6400.0], "slaney"), [3, 15, 42])


@pytest.mark.parametrize("slopes", ["mel", "hertz"])
def test_neighbouring_bands_share_every_bin(slopes: str) -> None:
    weights = Mel(20, 100.0, 7000.0, slopes=slopes).weights(513, 16000)
    centres = mel_to_hertz(np.linspace(*hertz_to_mel([100.0, 7000.0]), 22))[1:-1]
    hertz = np.linspace(0, 8000, 513)
    inside = (hertz > centres[0]) & (hertz < centres[-1])
    np.testing.assert_allclose(weights[inside].sum(axis=1), 1)
    assert not weights[(hertz < 100) | (hertz > 7000)].any()
    equal = Mel(20, 100.0, 7000.0, area="slaney").weights(1 << 16, 16000)
    np.testing.assert_allclose(equal.sum(axis=0) * 8000 / (1 << 16), 1, rtol=1e-3)


@given(
    st.integers(0, 300), st.integers(1, 40), st.integers(1, 50), st.sampled_from(["none", "reflect", "zeros"])
)
def test_frames_are_where_they_should_be(samples: int, size: int, hop: int, edge: str) -> None:
    signal = np.arange(samples, dtype=float)
    cut = frames(signal, size, hop, edge)
    assert len(cut) == frame_count(samples, size, hop, edge)
    lead = 0 if edge == "none" else size // 2
    for i, frame in enumerate(cut):
        inside = [(k, i * hop + k - lead) for k in range(size) if 0 <= i * hop + k - lead < samples]
        assert all(frame[k] == at for k, at in inside)


def test_tapers() -> None:
    np.testing.assert_allclose(taper("hann_symmetric", 9), np.hanning(9), atol=1e-15)
    np.testing.assert_allclose(taper("hamming_symmetric", 9), np.hamming(9), atol=1e-15)
    np.testing.assert_allclose(taper("hann", 8), np.hanning(9)[:-1], atol=1e-15)
    assert taper("rectangular", 5).tolist() == [1] * 5


def test_cosine_transform() -> None:
    values = np.random.default_rng(0).standard_normal((3, 12))
    whole = dct(values, 12)
    np.testing.assert_allclose(np.linalg.norm(whole, axis=1), np.linalg.norm(values, axis=1))
    direct = [sum(values[0, n] * np.cos(np.pi * k * (2 * n + 1) / 24) for n in range(12)) for k in range(12)]
    scale = np.sqrt(np.where(np.arange(12) == 0, 1, 2) / 12)
    np.testing.assert_allclose(whole[0], direct * scale)
    htk = dct(values, 4, "htk")
    np.testing.assert_allclose(htk, whole[:, :4] * [np.sqrt(2), 1, 1, 1])


@pytest.mark.parametrize("power", [1, 2])
def test_spectrum_of_a_frame_is_its_fourier_sum(power: int) -> None:
    signal = np.random.default_rng(1).standard_normal(30).astype(np.float32)
    front_end = Spectral("s", 16000, window=20, hop=7, fft=32, power=power)
    n = np.arange(20)
    for i, row in enumerate(front_end(signal)):
        frame = signal[7 * i : 7 * i + 20] * (0.5 - 0.5 * np.cos(2 * np.pi * n / 20))
        sums = [abs((frame * np.exp(-2j * np.pi * k * n / 32)).sum()) ** power for k in range(17)]
        np.testing.assert_allclose(row, sums, rtol=1e-5, atol=1e-6)


def test_a_tone_lands_in_its_band() -> None:
    mel = Mel(40, 0.0, 8000.0)
    front_end = Spectral(
        "s", 16000, window=512, hop=512, fft=512, mel=mel, log=Log("10", floor=1e-10, factor=10)
    )
    centres = mel_to_hertz(np.linspace(*hertz_to_mel([0.0, 8000.0]), 42))[1:-1]
    for band in (12, 20, 33):
        tone = np.sin(2 * np.pi * centres[band] * np.arange(2048) / 16000).astype(np.float32)
        assert (front_end(tone).argmax(axis=1) == band).all()
        # Ten times as loud is 20 dB more.
        np.testing.assert_allclose(front_end(10 * tone)[:, band] - front_end(tone)[:, band], 20, atol=1e-4)


def test_levels_logs_and_normalisations() -> None:
    signal = np.random.default_rng(2).standard_normal(4000).astype(np.float32) / 4
    plain = Spectral("s", 16000, 400, 160, 512, power=1)
    peak = Spectral("s", 16000, 400, 160, 512, power=1, level="peak")
    np.testing.assert_allclose(peak(signal), plain(signal) / signal.max(), rtol=1e-5)
    whole = Spectral("s", 16000, 400, 160, 512, power=1, level="int16")
    np.testing.assert_allclose(whole(signal), plain(signal) * 32768, rtol=1e-5)
    values = plain(signal).astype(float)
    limited = Log("10", floor=1e-10, factor=20, range=30)(values)
    assert float(np.ptp(limited)) == pytest.approx(30)
    np.testing.assert_allclose(Log(offset=0.5)(np.zeros(1)), np.log(0.5))
    assert Normalize(over="feature")(values).std(axis=0) == pytest.approx(1)
    assert Normalize(over="clip")(values).mean() == pytest.approx(0)
    unit = Normalize(over="range")(values)
    assert (unit.min(), unit.max()) == (0, 1)
    np.testing.assert_allclose(Normalize((1.0,), (2.0,))(np.array([[5.0]])), 2)
    # A constant sound is its own mean: nothing but the gain is left of its level.
    loud, quiet = (Pcen(gain=1.0, epsilon=1e-12)(np.full((5, 2), level)) for level in (1.0, 1e4))
    np.testing.assert_allclose(loud, quiet, rtol=1e-9)


def test_silence_is_the_least_that_the_keyword_model_can_be_told() -> None:
    found = preset("mlperf-tiny-kws")
    assert found is not None
    silence = found.front_end(np.zeros(16000, np.float32))
    assert silence.shape == (49, 10)
    np.testing.assert_allclose(silence[:, 0], np.sqrt(80) * np.log(1e-6), rtol=1e-6)
    np.testing.assert_allclose(silence[:, 1:], 0, atol=1e-4)


def test_fixed_point_front_end_gives_the_integers_of_a_compiled_one() -> None:
    """Source: the front end inside PyPI silabs-mltk 0.20.0, fed ``sound``."""
    pcm = sound()
    usual = Micro("m").integers(pcm)
    first = [
        630,
        587,
        652,
        603,
        663,
        607,
        665,
        605,
        656,
        593,
        640,
        587,
        635,
        586,
        634,
        587,
        645,
        593,
        638,
        588,
    ]
    last = [412, 318, 325, *[0] * 23, 593, 578, 489, 0, 414, 203, 433, 222, 420, 222, 438, 0, 388, 311]
    assert usual.shape == (23, 40)
    assert usual[0, :20].tolist() == first
    assert usual[-1].tolist() == last
    other = Micro(
        "m", window=400, hop=320, channels=20, noise=Noise(), gain=None, notch=0.95, output="range"
    )((pcm / 32768).astype(np.float32))
    expected = [-128] * 12 + [55, 127, 28, -122, -89, -111, -71, -106]
    assert other[-1].tolist() == expected
    bare = Micro("m", window=400, hop=320, channels=20, noise=None, gain=None, log_shift=-1).integers(pcm)
    assert bare[5, 6:14].tolist() == [2220, 4044, 65535, 65535, 5623, 2903, 4008, 3609]


def test_fixed_point_front_end_is_near_the_real_one() -> None:
    """Without its adaptive stages it is 64 times the logarithm of a mel spectrogram."""
    pcm = sound(8000)
    found = Micro("m", noise=None, gain=None).integers(pcm) / 64
    mel = Mel(40, 125.0, 7500.0, slopes="mel")
    real = Spectral("s", 16000, 480, 160, 512, level="int16", mel=mel, log=Log(floor=1e-3))(
        pcm / np.float32(32768)
    )
    # Energies are scaled by 1/512² in the transform, weights by 2¹², and the logarithm's input by 2³.
    expected = real / 2 + np.log(2.0) * (12 / 2 + 3 - 9)
    # What lies far below a frame's peak drowns in the rounding of 16 bits.
    strong = expected > expected.max(axis=1, keepdims=True) - np.log(2.0) * 6
    assert strong.mean() > 0.3
    assert np.abs(found - expected)[strong].max() < 0.1


@given(st.lists(st.integers(-32768, 32767), max_size=900))
def test_fixed_point_front_end_takes_any_sound(values: list[int]) -> None:
    found = Micro("m", notch=0.9).integers(np.array(values, np.int16))
    assert found.shape == (max(0, 1 + (len(values) - 480) // 160) if len(values) >= 480 else 0, 40)
    assert ((found >= 0) & (found <= 0xFFFF)).all()


@pytest.mark.parametrize("each", PRESETS, ids=lambda p: p.name)
def test_presets_are_json_both_ways_and_fill_their_models(each, tmp_path: Path) -> None:
    front_end = each.front_end
    data = json.loads(json.dumps(to_json(front_end)))
    assert from_json(data, "there") == front_end
    (tmp_path / "f.json").write_text(json.dumps(data))
    assert read_front_end(tmp_path / "f.json") == front_end
    if front_end.clip:
        assert front_end.frames(front_end.clip) >= max(each.frames)
    body = (each.frames[0], front_end.features)
    shape = (1, body[0] * body[1]) if each.flat else (1, *body, 1)
    net = model(tensor("features", shape))
    chosen = front_end_for(net, model_inputs(net)[0])
    assert chosen is not None
    assert chosen.front_end == front_end
    assert "GUESS" in chosen.why


def test_own_front_end_as_json_and_what_is_wrong_with_others(tmp_path: Path) -> None:
    own = Spectral(
        "mine", 8000, 200, 80, 256, edge="zeros", preemphasis=0.97, mel=Mel(16, high=4000.0),
        log=Log(offset=1.0), pcen=Pcen(), mfcc=4, normalize=Normalize((0.0, 1.0, 2.0, 3.0), (1.0,)),
        clip=8000, step=2,
    )  # fmt: skip
    assert from_json(to_json(own), "x") == own
    micro = Micro("m", noise=Noise(bits=8), gain=Gain(strength=0.5))
    assert from_json(to_json(micro), "x") == micro
    good = to_json(own)
    for change, words in (
        ({"kind": "magic"}, "a front end is a JSON object with a kind"),
        ({"kind": ["spectral"]}, "a front end is a JSON object with a kind"),
        ({"hops": 3}, "there is no setting 'hops'; did you mean 'hop'"),
        ({"hop": "three"}, "hop: got 'three', expected a whole number"),
        ({"hop": True}, "got True, expected a whole number"),
        ({"preemphasis": 10**400}, "preemphasis: got 1000.*…, expected a number"),
        ({"edge": "mirror"}, "got 'mirror'; choose one of: none, reflect, zeros"),
        ({"mel": {"bands": 0}}, "0 mel bands are not possible"),
        ({"fft": 1 << 40}, "are not possible"),
        ({"fft": 1 << 20, "mel": {"bands": 1000}}, "are too many"),
        ({"clip": 1 << 40}, "clip 0 to"),
        ({"log": {"base": "e"}}, "a logarithm needs an offset or a floor"),
        ({"normalize": {"std": [0]}}, "deviations that are not zero"),
        ({"mel": {"low": 3}}, "mel: a setting is missing: 'bands'"),
    ):
        with pytest.raises(UsageError, match=words):
            from_json({**good, **change}, "f.json")
    for text in ("{", "[1]", "[" * 100_000):
        (tmp_path / "f.json").write_text(text)
        with pytest.raises(UsageError, match=r"f\.json"):
            read_front_end(tmp_path / "f.json")
    with pytest.raises(UsageError, match="cannot be read"):
        read_front_end(tmp_path / "none.json")


def test_features_take_the_place_that_the_input_gives_them() -> None:
    features = np.arange(12, dtype=np.float32).reshape(4, 3)
    for shape in ((1, 4, 3), (1, 4, 3, 1), (1, 1, 4, 3), (1, 4, 1, 3), (1, 12), (4, 3)):
        spec = model_inputs(model(tensor("x", shape)))[0]
        table = table_of(spec, 3)
        assert table is not None
        assert table.arranged(features, spec).shape == shape
        assert table.arranged(features, spec).reshape(-1).tolist() == list(range(12))
    spec = model_inputs(model(tensor("x", (1, 3, 4))))[0]
    table = table_of(spec, 3)
    assert table is not None
    assert table.arranged(features, spec)[0].tolist() == features.T.tolist()
    assert table_of(spec, 5) is None
    net = model(tensor("x", (1, 60, 10, 1)))
    with pytest.raises(SampleError, match=r"makes 49 frames of a clip of 16000 samples, input 'x' takes 60"):
        front_end_for(net, model_inputs(net)[0], "mlperf-tiny-kws")
    with pytest.raises(SampleError, match="frames of 64 values, which do not fit"):
        front_end_for(net, model_inputs(net)[0], "yamnet")
    with pytest.raises(UsageError, match=r"there is no front end 'kws'; give a \.json file or one of"):
        front_end_for(net, model_inputs(net)[0], "kws")


def test_settings_in_a_models_parameters_are_its_front_end(zoo_dir: Path) -> None:
    from sanderling.runtime.loading import read_model

    net = read_model(zoo_dir / "tflite" / "keyword_on_off_fp32.tflite")
    chosen = front_end_for(net, model_inputs(net)[0])
    assert chosen is not None
    assert chosen.front_end == Micro(
        "keyword_spotting_on_off_v3", channels=104, noise=Noise(remaining=0.4), gain=None, notch=0.95,
        output="range", clip=16000,
    )  # fmt: skip
    assert chosen.table.frames == 98


@given(st.data())
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_parameters_are_said_or_read_never_worse(zoo_dir: Path, data: st.DataObject) -> None:
    from sanderling.runtime.loading import read_model
    from sanderling.tflite.parameters import PARAMETERS

    net = read_model(zoo_dir / "tflite" / "keyword_on_off_fp32.tflite")
    blob = bytearray(next(b for name, b in net.metadata if name == PARAMETERS).tobytes())
    for _ in range(data.draw(st.integers(1, 4))):
        blob[data.draw(st.integers(0, len(blob) - 1))] = data.draw(st.integers(0, 255))
    damaged = replace(net, metadata=((PARAMETERS, np.frombuffer(bytes(blob), np.uint8)),))
    try:
        chosen = front_end_for(damaged, model_inputs(damaged)[0])
    except (FormatError, SampleError):
        return
    assert chosen is None or chosen.front_end.clip <= 1 << 24
