"""Front ends of well-known models.

What the figures rest on, and how they were checked, stands beside each.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sanderling.samples.features.described import FrontEnd
from sanderling.samples.features.mel import Mel
from sanderling.samples.features.micro import Micro
from sanderling.samples.features.spectral import Log, Normalize, Spectral


@dataclass(frozen=True, slots=True)
class Preset:
    """A front end with what it is for.

    Attributes:
        what: for people.
        front_end: the features.
        frames: how many a model of this kind takes; more than one where there are several.
        flat: the model takes them as one row, frame by frame.
        labels: what the published model tells apart, in the order of its scores.
    """

    what: str
    front_end: FrontEnd
    frames: tuple[int, ...]
    flat: bool = False
    labels: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        """By which a user asks for it."""
        return self.front_end.name


_KWS_WORDS = ("down", "go", "left", "no", "off", "on", "right", "stop", "up", "yes")

PRESETS: tuple[Preset, ...] = (
    # Frames of 30 ms; those of 40 ms give 49 in a second, too, and descriptions name both: the model knows
    # 78 % of 160 words spoken by a synthesiser with 30 ms, 74 % with 40 ms. With digital silence the first
    # coefficient is √80 · ln(1e-6) = −123.6, the least value that the int8 model's input can hold (−123.4),
    # which settles the logarithm, its offset, the bands and the cosines' scale.
    Preset(
        "MLPerf Tiny keyword spotting: 49×10 MFCC of one second",
        Spectral(
            "mlperf-tiny-kws", 16000, window=480, hop=320, fft=512, level="peak", power=1,
            mel=Mel(40, 20.0, 4000.0, scale="htk", slopes="mel"), log=Log(offset=1e-6), mfcc=10,
            cosines="htk", clip=16000,
        ),
        (49,), labels=(*_KWS_WORDS, "_silence_", "_unknown_"),
    ),
    # librosa's melspectrogram with its defaults; 20 / power · log10(mel + ε).
    Preset(
        "MLPerf Tiny anomaly detection: 5 frames of 128 log-mel bands",
        Spectral(
            "mlperf-tiny-anomaly", 16000, window=1024, hop=512, fft=1024, edge="reflect",
            mel=Mel(128, 0.0, 8000.0, scale="slaney", area="slaney"),
            log=Log("10", offset=2.220446049250313e-16, factor=10.0), step=1,
        ),
        (5,), flat=True,
    ),
    # Equal to the compiled front end of PyPI silabs-mltk 0.20 in every bit, and to that of pymicro-features
    # 2.0 but for about 1 value in 1,000 (its gain control rounds otherwise).
    Preset(
        "microWakeWord: 40 channels every 10 ms, streamed",
        Micro("micro-wake-word", window=480, hop=160), (1, 2, 3, 4, 5),
    ),
    # The example of TensorFlow Lite Micro, 49 frames 20 ms apart of one second.
    Preset(
        "TensorFlow Lite Micro's micro_speech: 49×40 features of one second",
        Micro("micro-speech", window=480, hop=320, clip=16000), (49,), flat=True,
        labels=("_silence_", "_unknown_", "yes", "no"),
    ),
    # TensorFlow's tutorial: magnitudes, no logarithm. Its window of an odd length is the symmetric one.
    Preset(
        "TensorFlow's simple audio recognition: spectrogram 124×129 of one second",
        Spectral("simple-audio", 16000, window=255, hop=128, fft=256, taper="hann_symmetric", power=1,
            clip=16000), (124,),
    ),
    # The published parameters of YAMNet; VGGish differs in the offset alone (0.01).
    Preset(
        "YAMNet: 96×64 log-mel of 0.975 s",
        Spectral(
            "yamnet", 16000, window=400, hop=160, fft=512, power=1,
            mel=Mel(64, 125.0, 7500.0, scale="htk", slopes="mel"), log=Log(offset=0.001), clip=15600,
        ),
        (96,),
    ),
    # The published parameters of Whisper: the last frame is left out, values are brought to about −1..1.
    Preset(
        "Whisper: 80×3000 log-mel of 30 s",
        Spectral(
            "whisper", 16000, window=400, hop=160, fft=400, edge="reflect",
            mel=Mel(80, 0.0, 8000.0, scale="slaney", area="slaney"),
            log=Log("10", floor=1e-10, range=8.0), normalize=Normalize((-4.0,), (4.0,)), clip=480_000,
        ),
        (3000,),
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Waveform:
    """How models that take a waveform of some length are fed.

    Attributes:
        rate: Hz.
        hop: samples from one window to the next, 0 for side by side.
        lead: samples of silence before the sound.
    """

    rate: int
    hop: int = 0
    lead: int = 0


# By the length of the input in samples. basic_pitch: 2 s at 22,050 Hz, less a hop; windows overlap by 30
# frames of 256 samples, half of them before the sound. 15,600: YAMNet's 0.975 s. 16,000: a second. 576:
# Silero's voice activity, 512 new samples after 64 of before.
WAVEFORMS = {
    43844: Waveform(22050, 43844 - 30 * 256, 15 * 256),
    15600: Waveform(16000),
    16000: Waveform(16000),
    576: Waveform(16000, 512, 64),
}

# Inputs beside the sound that have one usual value, by their name; ``sr`` is the sample rate.
CONSTANTS = {"fmin": 46.875, "fmax": 2093.75}  # the range of swift_f0


def preset(name: str) -> Preset | None:
    """Returns: the preset of that name, or None."""
    return next((each for each in PRESETS if each.name == name), None)
