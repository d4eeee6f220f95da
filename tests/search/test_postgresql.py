"""A study in PostgreSQL: shared by machines, whose running trials are theirs, and its password nobody's."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.local_ray import free_port
from sanderling import verbs, zoo
from sanderling.errors import StorageError, UsageError
from sanderling.search.database import Database
from sanderling.search.owner import Owner
from sanderling.search.study import Study
from tests.search.test_study import trial

Opened = Callable[[Database, str], Study]

PASSWORD = "not to be seen"
URL_PASSWORD = "not%20to%20be%20seen"


def _programs() -> Path | None:
    """Returns: the folder of PostgreSQL's server programs; Debian does not have them in the path."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    in_path = shutil.which("initdb")
    return found[-1].parent if found else Path(in_path).resolve().parent if in_path else None


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server on the loopback that asks for a password. Yields: ``user:password@host:port``."""
    pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'sanderling[postgresql]'")
    programs = _programs()
    if programs is None:
        pytest.skip("there is no PostgreSQL server: install your system's postgresql package")
    folder = Path(tempfile.mkdtemp(prefix="sd-pg-", dir="/tmp"))
    other = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if os.getuid() == 0 else []
    if other:  # the server refuses to run as root
        shutil.chown(folder, "nobody", "nogroup")
    secret = folder / "secret"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    data, port = folder / "data", free_port()

    def run(*words: str) -> None:
        done = subprocess.run(
            [*other, *words],
            cwd=folder,
            capture_output=True,
            text=True,
            timeout=60,
            env={"PATH": os.environ["PATH"]},
        )
        assert done.returncode == 0, done.stdout + done.stderr

    run(
        str(programs / "initdb"), "-D", str(data), "-U", "me", "-A", "scram-sha-256", "--no-sync",
        f"--pwfile={secret}",
    )  # fmt: skip
    options = f"-p {port} -h 127.0.0.1 -k {folder} -c fsync=off"
    run(str(programs / "pg_ctl"), "-D", str(data), "-l", str(folder / "log"), "-o", options, "-w", "start")
    try:
        yield f"me:{URL_PASSWORD}@127.0.0.1:{port}"
    finally:
        run(str(programs / "pg_ctl"), "-D", str(data), "-m", "immediate", "-w", "stop")
        shutil.rmtree(folder)


@pytest.fixture
def database(server: str, request: pytest.FixtureRequest) -> Database:
    """A database of its own."""
    import psycopg

    name = f"t{abs(hash(request.node.name)) % 10**8}"
    with psycopg.connect(f"postgresql://{server}/postgres", autocommit=True) as connection:
        connection.execute(f"create database {name}")
    return Database.parse(f"postgresql://{server}/{name}")


@pytest.fixture
def opened() -> Iterator[Opened]:
    """Opens studies, and closes them."""
    studies: list[Study] = []

    def open_one(database: Database, key: str) -> Study:
        studies.append(Study.open(database, key, resume=False))
        return studies[-1]

    yield open_one
    for study in studies:
        study.close()


def test_its_url_never_shows_the_password() -> None:
    pytest.importorskip("psycopg")
    for text in (
        "postgresql://me:s3cret@host:5432/trials?sslmode=require",
        "postgres://me:s3cret@[::1]/trials",
        "postgresql+psycopg://me:s3cret@host/trials?application_name=x",
    ):
        found = Database.parse(text)
        assert found.url.startswith("postgresql+psycopg://me:s3cret@")
        assert "s3cret" not in found.shown + repr(found) + str(found)
        assert found.shown.startswith("postgresql://me@")
        assert found.without_secrets("FATAL: no s3cret here") == "FATAL: no *** here"
    assert Database.parse("postgresql://me:a%40b%2Fc@h/d").without_secrets("a@b/c") == "***"
    for wrong in (
        "mysql://me:s3cret@h/d",
        "postgresql://me:s3cret@h",
        "postgresql://me:s3cret@h:x/d",
        "s3cret",
    ):
        with pytest.raises(UsageError) as error:
            Database.parse(wrong)
        assert "s3cret" not in str(error.value)


def test_machines_share_it(database: Database, opened: Opened) -> None:
    ours, theirs = (opened(database, "key") for _ in range(2))
    ours.begin("a", "a")
    assert theirs.look_up("a") is None
    ours.finish(trial("a"))
    assert theirs.look_up("a") == trial("a")
    theirs.remember("sizes", [1, 2])
    assert ours.recall("sizes") == [1, 2]
    assert opened(database, "another search").look_up("a") is None


def test_running_trials_of_others_are_left_to_them(
    database: Database, opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    this = Owner.this()
    gone = subprocess.Popen(["true"])
    gone.wait()
    owners = {
        "another machine": replace(this, host="another", pid=gone.pid),
        "alive": this,
        "dead": replace(this, pid=gone.pid),
        "its number was given to another process": replace(this, started="long ago"),
    }
    study = opened(database, "key")
    for identity, by in owners.items():
        monkeypatch.setattr(Owner, "this", classmethod(lambda cls, by=by: by))
        study.begin(identity, identity)
    opened(database, "key")
    states = {row.user_attrs["name"]: row.state.name for row in study._study.get_trials()}
    assert states == {
        "another machine": "RUNNING", "alive": "RUNNING", "dead": "FAIL",
        "its number was given to another process": "FAIL",
    }  # fmt: skip
    study.finish(trial("alive"))
    assert opened(database, "key").look_up("alive") == trial("alive")


def test_a_server_that_is_not_there_or_lets_nobody_in(server: str, capfd: pytest.CaptureFixture[str]) -> None:
    place = server.rpartition("@")[2]
    for url in (
        f"postgresql://me:{URL_PASSWORD}@127.0.0.1:{free_port()}/trials",
        f"postgresql://me:wrong%20to%20see@{place}/postgres",
        f"postgresql://{server}/no_such_database",
    ):
        with pytest.raises(StorageError, match="the study cannot be opened") as error:
            Study.open(Database.parse(url), "key", resume=False)
        assert "\n" not in str(error.value)
        assert "to be seen" not in str(error.value)
        assert "wrong to see" not in str(error.value)


def test_a_search_keeps_its_trials_there(database: Database, tmp_path: Path, digits: zoo.Card) -> None:
    url = database.url.replace("postgresql+psycopg", "postgresql")
    options = {"limit": 60, "threads": 1, "seconds": 20.0, "study": url, "training": 0}
    first = verbs.optimize(str(digits.name), output=tmp_path / "one", **options)  # type: ignore[arg-type]
    assert not (tmp_path / "one" / "study.db").exists()
    told = []
    again = verbs.optimize(
        str(digits.name),
        output=tmp_path / "two",
        listen=told.append,
        **options,  # type: ignore[arg-type]
    )
    known = {each.id for each in first.trials}
    resumed = {e.trial.id for e in told if type(e).__name__ == "TrialFinished" and e.resumed}
    assert known <= resumed | {each.id for each in again.trials}
    assert len(known & resumed) >= len(known) - 1
    assert all(each.where for each in first.trials)
    for file in (tmp_path / "one").rglob("*"):
        if file.suffix in (".json", ".html"):
            text = file.read_text()
            assert PASSWORD not in text
            assert URL_PASSWORD not in text


def test_a_process_that_ended_is_told_from_one_that_runs() -> None:
    assert not Owner.this().is_gone()
    assert replace(Owner.this(), started="0").is_gone() == bool(Owner.this().started)
