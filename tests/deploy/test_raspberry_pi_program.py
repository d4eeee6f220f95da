"""``run.py`` of the bundle for Linux, used as people use it."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
import sys
import textwrap
import wave
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import sanderling as sd
from sanderling.deploy import camera
from tests.models import WORDS, token_encoder

FILES = Path(sd.__file__).parent / "deploy" / "raspberry_pi" / "files"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sd.deploy("digits", "raspberry-pi", tmp_path_factory.mktemp("pi") / "bundle").folder


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of digits: two files of one stem, one in a folder of its own, and one that is no picture."""
    folder = tmp_path_factory.mktemp("pictures")
    with np.load(Path(sd.__file__).parent / "zoo" / "digits" / "samples.npz") as stored:
        images = next(iter(stored.values()))[:3]
    (folder / "more").mkdir()
    for name, image in zip(("a.png", "a.bmp", "more/a.png"), images, strict=True):
        Image.fromarray(image.squeeze().astype(np.uint8)).save(folder / name)
    return folder


def run(bundle: Path, *arguments: object, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-P", str(bundle / "run.py"), *map(str, arguments)]
    environment = {"PATH": "/nowhere" if path is None else str(path)}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, cwd="/", env=environment, timeout=120
    )


def refused(done: subprocess.CompletedProcess[str]) -> str:
    """Returns: the one sentence that it ended with."""
    assert done.returncode == 1, done.stdout
    assert "Traceback" not in done.stderr
    (sentence,) = done.stderr.strip().splitlines()
    return sentence


def test_many_are_drawn_into_a_folder(bundle: Path, pictures: Path, tmp_path: Path) -> None:
    done = run(bundle, pictures, "-o", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr
    assert len([json.loads(line) for line in done.stdout.splitlines()]) == 3
    drawn = sorted(p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*.png"))
    assert drawn == ["a-2.png", "a.png", "more/a.png"]
    one = run(bundle, pictures / "a.png", "-o", tmp_path / "one.jpg")
    assert one.returncode == 0
    with Image.open(tmp_path / "one.jpg") as image:
        assert image.format == "JPEG"


def test_what_cannot_be_is_said(bundle: Path, pictures: Path, tmp_path: Path) -> None:
    text = tmp_path / "text.png"
    text.write_text("no picture")
    own = pictures / "a.png"
    before = own.read_bytes()
    assert "several answers; give a folder" in refused(run(bundle, pictures, "-o", tmp_path / "x.png"))
    assert "which the answer would replace" in refused(run(bundle, own, "-o", own))
    assert own.read_bytes() == before
    assert "cannot read the image" in refused(run(bundle, text))
    assert "nothing was given" in refused(run(bundle))
    taken = tmp_path / "taken"
    taken.write_text("")
    assert "taken" in refused(run(bundle, pictures, "-o", taken))
    assert "are not known" in refused(run(bundle, own, "-o", tmp_path / "x.xyz"))


def test_a_broken_picture_among_others_is_told_and_the_rest_answered(
    bundle: Path, pictures: Path, tmp_path: Path
) -> None:
    (tmp_path / "b.png").write_text("no picture")
    done = run(bundle, pictures / "a.png", tmp_path / "b.png", pictures / "a.bmp", "--json")
    assert done.returncode == 1
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert ["error" in each for each in found] == [False, True, False]


def test_it_runs_from_a_folder_that_cannot_be_written_to(bundle: Path, pictures: Path) -> None:
    folders = [path for path in (bundle, *bundle.rglob("*")) if path.is_dir()]
    for folder in folders:
        folder.chmod(0o555)
    try:
        assert run(bundle, pictures / "a.png").returncode == 0
    finally:
        for folder in folders:
            folder.chmod(0o755)
    assert not list(bundle.rglob("__pycache__"))


def test_missing_packages_are_named(bundle: Path) -> None:
    program = "import sys, runpy; sys.modules['ai_edge_litert'] = None; runpy.run_path(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", program, str(bundle / "run.py")],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert "ai_edge_litert" in refused(done)
    assert "pip install --require-hashes -r" in done.stderr


def test_bench_says_what_can_be_read_elsewhere(bundle: Path) -> None:
    told = json.loads(run(bundle, "--bench", "--threads", "1").stdout)
    assert told["sanderling_bench"] == 1
    assert told["p90_ms"] >= told["p50_ms"] > 0
    assert told["runs"] >= 5
    assert told["threads"] == 1
    assert told["precision"] == "float32"
    assert told["sha256"] == json.loads((bundle / "bundle.json").read_text())["model"]["sha256"]


def test_without_a_program_for_cameras_it_says_which(bundle: Path) -> None:
    assert "no program for cameras is installed" in refused(run(bundle, "--camera"))


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder for programs, in place of those that the machine has."""
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def program(path: Path, body: str) -> None:
    path.write_text(f"#!{sys.executable}\n{textwrap.dedent(body)}")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def jpeg(shade: int, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (40, 30), shade).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def test_a_camera_is_watched_until_it_ends(bundle: Path, programs: Path, tmp_path: Path) -> None:
    """The first program has no camera, the second one has."""
    stream = tmp_path / "stream"
    stream.write_bytes(b"".join(jpeg(shade) for shade in range(0, 250, 10)))
    program(programs / "rpicam-vid", "import sys; sys.exit('no cameras available')")
    program(
        programs / "ffmpeg",
        f"""
        import sys, time
        assert "/dev/video3" in sys.argv
        data = open({str(stream)!r}, "rb").read()
        for at in range(0, len(data), 700):
            sys.stdout.buffer.write(data[at : at + 700]); sys.stdout.buffer.flush(); time.sleep(0.005)
        sys.exit("the cable is out")
        """,
    )
    done = run(bundle, "--camera", 3, "--json", "-o", tmp_path / "seen", path=programs)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert answers
    assert [each["frame"] for each in answers] == list(range(len(answers)))
    sentence = refused(done)
    assert "camera 3 gives no more pictures" in sentence
    assert "no cameras available" in sentence
    assert "the cable is out" in sentence
    with Image.open(tmp_path / "seen" / "camera.png") as image:
        image.load()


def test_ctrl_c_ends_the_camera_and_its_program(bundle: Path, programs: Path, tmp_path: Path) -> None:
    import signal

    note = tmp_path / "pid"
    program(
        programs / "ffmpeg",
        f"""
        import os, sys, time
        open({str(note)!r}, "w").write(str(os.getpid()))
        while True:
            sys.stdout.buffer.write({jpeg(128)!r}); sys.stdout.buffer.flush(); time.sleep(0.01)
        """,
    )
    with subprocess.Popen(
        [sys.executable, "-P", str(bundle / "run.py"), "--camera", "--json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={"PATH": str(programs)},
    ) as watching:  # fmt: skip
        assert watching.stdout is not None
        assert json.loads(watching.stdout.readline())["frame"] == 0
        watching.send_signal(signal.SIGINT)
        _, said = watching.communicate(timeout=30)
    assert watching.returncode == 130
    assert "Traceback" not in said
    with pytest.raises(ProcessLookupError):
        os.kill(int(note.read_text()), 0)


def test_pictures_are_cut_out_of_a_stream() -> None:
    """Whatever the pieces that it comes in; the small picture inside of one is not taken for its end."""
    exif = Image.Exif()
    exif[0x010E] = "x" * 200
    thumb = jpeg(10)
    inner = b"\xff\xd8\xff\xe1" + (len(thumb) + 2).to_bytes(2, "big") + thumb + jpeg(200)[2:]
    pictures = [jpeg(10), jpeg(99, exif=exif), inner, jpeg(200, progressive=True)]
    stream = b"noise" + b"".join(pictures)
    for size in (1, 7, 1000, len(stream)):
        reader = io.BytesIO(stream)
        reader.read = lambda _, size=size, real=reader.read: real(size)  # type: ignore[method-assign]
        assert list(camera.jpegs(reader)) == pictures
    assert list(camera.jpegs(io.BytesIO(pictures[0][:-4]))) == []


def test_sentences_are_read_with_the_models_tokenizer(tmp_path: Path) -> None:
    model = token_encoder(tmp_path)
    done = sd.deploy(model, "raspberry-pi", tmp_path / "bundle", samples=[" ".join(WORDS[2:4]), WORDS[4]])
    told = (done.folder / "bundle.json").read_text()
    assert str(tmp_path) not in told
    assert "tokenizers==" in (done.folder / "requirements.txt").read_text()
    assert not list(done.folder.glob("*.service"))
    model.unlink()
    (tmp_path / "tokenizer.json").unlink()
    there = run(done.folder, "bird", "gull", "sea", "--json")
    assert there.returncode == 0, there.stderr
    table = np.array(json.loads(there.stdout)["answer"]["similarity"])
    assert table[0, 1] > 0.9 > 0.5 > abs(table[0, 2])


def test_sounds_are_heard(tmp_path: Path) -> None:
    from tests.models import Net, save

    model = save(Net((1, 4000)).dense(3).softmax().model(), tmp_path / "net.tflite")
    file = tmp_path / "hum.wav"
    with wave.open(str(file), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        hum = 8000 * np.sin(np.arange(9000) / 5)
        sound.writeframes(hum.astype("<i2").tobytes())
    done = sd.deploy(model, "raspberry-pi", tmp_path / "bundle", samples=str(file), sample_rate=8000)
    there = run(done.folder, file, "--json")
    assert there.returncode == 0, there.stderr
    (here,) = sd.run(str(model), str(file), sample_rate=8000)
    assert here.answer is not None
    found = json.loads(there.stdout)["answer"]
    assert found.keys() == here.answer.data.keys()


@pytest.mark.network
@pytest.mark.parametrize("name", ["requirements.txt", "requirements-text.txt"])
@pytest.mark.parametrize("python", ["3.11", "3.13"])
def test_pip_takes_the_pinned_packages_for_a_pi(name: str, python: str) -> None:
    """Unlike uv, pip minds the newest Python that a package says it takes."""
    done = subprocess.run(
        [
            sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--no-deps", "--ignore-installed",
            "--only-binary", ":all:", "--python-version", python, "--target", "unused",
            *(f"--platform={each}_aarch64" for each in ("manylinux_2_28", "manylinux_2_27", "manylinux2014")),
            "-r", str(FILES / name),
        ],
        capture_output=True, text=True, check=False, timeout=250,
    )  # fmt: skip
    if "No matching distribution" not in done.stderr and done.returncode and not os.environ.get("CI"):
        pytest.skip(f"no package index can be reached: {done.stderr.strip()[-200:]}")
    assert done.returncode == 0, done.stderr
