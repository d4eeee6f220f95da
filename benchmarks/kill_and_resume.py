"""Kills a search again and again, resumes it each time, and checks that nothing measured was lost.

A search on the bundled digits model is run once without being disturbed. Another one is killed (SIGKILL)
at random moments, sometimes with its workers, sometimes without, and resumed each time; in the end it may
finish. It must have lost at most the trial that was running at each kill, measured nothing twice, found
the same winner (or one that is as fast within the measured noise, or a faster one that the undisturbed
search had no time for), and left no process and no unfinished file behind.

Run: ``python benchmarks/kill_and_resume.py [--kills 10] [--time 40s] [--seed 0]``. Exits with 1 on a
violation. Needs Linux, where a process can be asked for its children.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
START = (sys.executable, "-c", "import sys; from sanderling.cli import main; sys.exit(main())")
FRESH, KNOWN = "fresh", "known"
STATUSES = ("ok", "rejected", "undecided", "failed")


@dataclass
class Kill:
    """One kill and what it left.

    Attributes:
        seconds: after which time it struck.
        whole: the workers were killed, too; otherwise they had to notice.
        during: what the search was about.
        stored: trials in the study afterwards.
        lost: trials that had begun and were not stored.
        strays: processes that outlived it by 5 s.
        unfinished: temporary files and folders that it left to the next run.
    """

    seconds: float
    whole: bool
    during: str
    stored: int
    lost: int
    strays: int
    unfinished: int


@dataclass
class Experiment:
    """A search that is killed and resumed.

    Attributes:
        folder: for the outputs, the logs and the processes' temporary files.
        arguments: of ``sanderling optimize``, without the output.
        violations: what must not happen and did, one sentence each.
    """

    folder: Path
    arguments: list[str]
    kills: list[Kill] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    @property
    def output(self) -> Path:
        return self.folder / "killed"

    @property
    def scratch(self) -> Path:
        return self.folder / "tmp"

    def start(self, output: Path, log: Path, *, resume: bool) -> subprocess.Popen[bytes]:
        """Starts a search in a process group of its own; what it says goes to ``log``."""
        self.scratch.mkdir(exist_ok=True)
        command = [*START, "optimize", *self.arguments, "-o", str(output), *(["--resume"] if resume else [])]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "src"), "TMPDIR": str(self.scratch)}
        with log.open("wb") as errors, log.with_suffix(".out").open("wb") as out:
            return subprocess.Popen(
                command, stdout=out, stderr=errors, env=environment, start_new_session=True
            )

    def undisturbed(self, limit: float) -> float:
        """Runs the search that is compared with. Returns: the seconds it took."""
        start = time.monotonic()
        log = self.folder / "undisturbed.log"
        code = self.start(self.folder / "undisturbed", log, resume=False).wait(limit)
        if code != 0:
            raise SystemExit(f"the undisturbed search ended with {code}:\n{log.read_text()}")
        return time.monotonic() - start

    def kill(self, seconds: float, *, whole: bool, after: str = "") -> bool:
        """Starts or resumes the search and kills it.

        Args:
            seconds: how long it may run.
            whole: kill the workers, too.
            after: the time counts from when the search has said this.

        Returns: False when it had finished before.
        """
        number = len(self.kills)
        log = self.folder / f"run-{number:02d}.log"
        process = self.start(self.output, log, resume=number > 0)
        wait_for(log, after, process)
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            family = descendants(process.pid)
            for pid in (process.pid, *family) if whole else (process.pid,):
                _kill(pid)
            process.wait()
        else:
            if code != 0:
                self.violations.append(f"run {number} ended with {code} by itself: {last_line(log)}")
            return False
        strays = outliving(family, 5.0)
        for pid in strays:
            _kill(pid)
        begun, stored = read_study(self.output / "study.db", self.folder)
        before = sum(kill.lost for kill in self.kills)
        lost = len(begun) - len(stored) - before
        hidden = [f for f in self.output.rglob("*") if f.name.startswith(".")] if self.output.exists() else []
        self.kills.append(Kill(seconds, whole, last_line(log), len(stored), lost, len(strays), len(hidden)))
        if lost > 1:
            self.violations.append(f"kill {number} lost {lost} trials, at most the running one may be")
        if strays:
            self.violations.append(f"{len(strays)} processes outlived kill {number}")
        return True

    def finish(self, limit: float) -> None:
        """Lets the search end."""
        log = self.folder / "final.log"
        code = self.start(self.output, log, resume=bool(self.kills)).wait(limit)
        if code != 0:
            self.violations.append(f"the last run ended with {code}: {last_line(log)}")

    def check(self) -> None:
        """Looks at what is there in the end."""
        self.check_trials()
        self.check_files()
        self.check_winner()

    def check_trials(self) -> None:
        """Nothing is measured twice: neither in the study nor by what was printed."""
        _, stored = read_study(self.output / "study.db", self.folder)
        twice = [identity for identity, count in Counter(stored).items() if count > 1]
        if twice:
            self.violations.append(f"{len(twice)} trials are in the study twice: {', '.join(twice)}")
        printed: Counter[str] = Counter()
        known_before: set[str] = set()
        for log in (*sorted(self.folder.glob("run-*.log")), self.folder / "final.log"):
            lines = trial_lines(log)
            printed.update(name for name, kind in lines if kind == FRESH)
            unknown = known_before - {name for name, _ in lines}
            finished = log.name == "final.log"
            if finished and unknown:
                self.violations.append(f"the last run knows nothing of {', '.join(sorted(unknown))}")
            known_before |= {name for name, _ in lines}
        again = [name for name, count in printed.items() if count > 1]
        if again:
            self.violations.append(f"measured and printed more than once: {', '.join(again)}")

    def check_files(self) -> None:
        """Everything is whole, and nothing is there that should not be."""
        from sanderling.errors import SanderlingError
        from sanderling.runtime.loading import read_model

        hidden = [str(f) for f in self.output.rglob("*") if f.name.startswith(".")]
        if hidden:
            self.violations.append(f"unfinished files in the output folder: {', '.join(hidden)}")
        left = [f.name for f in self.scratch.iterdir()]
        if left:
            self.violations.append(f"left in the system's folder for temporary files: {', '.join(left)}")
        for file in [self.output / "best.tflite", *self.output.glob("candidates/*.tflite")]:
            try:
                read_model(file)
            except SanderlingError as error:
                self.violations.append(f"not a whole model: {error}")
        for name in ("best.json", "report.json"):
            try:
                json.loads((self.output / name).read_text(encoding="utf-8"))
            except (OSError, ValueError) as error:
                self.violations.append(f"{name} cannot be read: {error}")

    def check_winner(self) -> None:
        """The same candidate wins, or one that cannot be told apart from it by its speed."""
        undisturbed, killed = (winner(self.folder / name) for name in ("undisturbed", "killed"))
        print(f"winner, undisturbed: {told(undisturbed)}\nwinner, killed:      {told(killed)}")
        if undisturbed is None or killed is None:
            self.violations.append("one of the searches has no winner")
        elif undisturbed["recipe"] == killed["recipe"] and undisturbed["threads"] != killed["threads"]:
            # Speed-ups are against the original on as many threads, so they do not compare these two.
            print(f"the same candidate, on {killed['threads']} threads instead of {undisturbed['threads']}")
        elif undisturbed["name"] != killed["name"]:
            self._compare(undisturbed, killed)

    def _compare(self, undisturbed: dict[str, Any], killed: dict[str, Any]) -> None:
        """Two winners. A search that is resumed has had more time in all: it may find a better one."""
        rival = trial_called(self.output, undisturbed["name"])
        missed = trial_called(self.folder / "undisturbed", killed["name"])
        if rival is None:
            self.violations.append("the killed search has not tried the other's winner")
        elif rival["status"] != "ok" or overlap(rival, killed):
            print(f"a tie: in the killed search the other is {told(rival)}, status {rival['status']}")
        elif missed is None and killed["speedup"] > rival["speedup"]:
            print(f"better: the undisturbed search had no time for it; there its winner is {told(rival)}")
        else:
            self.violations.append(f"it is not the same winner, and no tie: {told(rival)}")


def wait_for(log: Path, words: str, process: subprocess.Popen[bytes], limit: float = 60.0) -> None:
    """Waits until a running search has said something, or has ended.

    Raises:
        TimeoutError: it has not within ``limit`` seconds.
    """
    end = time.monotonic() + limit
    while words not in log.read_text(encoding="utf-8", errors="replace") and process.poll() is None:
        if time.monotonic() > end:
            raise TimeoutError(f"it has not said {words!r} in {limit:g} s: {last_line(log)}")
        time.sleep(0.02)


def descendants(pid: int) -> list[int]:
    """Returns: process ids of a process's children and theirs."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            after_name = (entry / "stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        children.setdefault(int(after_name[1]), []).append(int(entry.name))
    found: list[int] = []
    waiting = [pid]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def outliving(pids: list[int], seconds: float) -> list[int]:
    """Returns: which of the processes still run after at most ``seconds``."""
    end = time.monotonic() + seconds
    while (alive := [pid for pid in pids if _alive(pid)]) and time.monotonic() < end:
        time.sleep(0.05)
    return alive


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it has just ended


def read_study(file: Path, folder: Path) -> tuple[list[str], list[str]]:
    """Reads a copy of a study, so that looking at it recovers nothing.

    Returns: identities of the trials that were begun ("" where it died before it had one), and of those
        that were stored; in order, with repetitions.
    """
    import optuna

    from sanderling.search.study import Study

    if not file.exists():
        return [], []
    with tempfile.TemporaryDirectory(dir=folder) as name:
        for part in file.parent.glob(f"{file.name}*"):
            shutil.copy(part, name)
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        copy = Path(name) / file.name
        storage = optuna.storages.RDBStorage(f"sqlite:///{copy}")
        known = {summary.study_name for summary in optuna.get_all_study_summaries(storage)}
        if "sanderling" not in known:
            return [], []
        study = optuna.load_study(study_name="sanderling", storage=storage)
        begun = [trial.user_attrs.get("id", "") for trial in study.get_trials()]
        texts = [trial.user_attrs.get("trial") for trial in study.get_trials()]
        stored = [json.loads(text)["id"] for text in texts if text is not None]
        readable = Study(storage, study, copy).finished
        if set(readable) != set(stored):
            raise SystemExit("the study reads other trials than it stores")
    return begun, stored


def trial_lines(log: Path) -> list[tuple[str, str]]:
    """Returns: (name, "fresh" or "known") of every trial that a run has told of."""
    found = []
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        status, _, rest = line.partition(" ")
        if status in STATUSES:
            name = rest.strip().partition("  ")[0]
            found.append((name, KNOWN if line.endswith("known from the study") else FRESH))
    return found


def last_line(log: Path) -> str:
    """Returns: the last thing that a run has said."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return " ".join(lines[-1].split()) if lines else "starting"


def winner(output: Path) -> dict[str, Any] | None:
    """Returns: the winning trial of a finished search as it stands in ``report.json``."""
    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    return next((trial for trial in report["trials"] if trial["id"] == report["best"]), None)


def trial_called(output: Path, name: str) -> dict[str, Any] | None:
    """Returns: the trial of that name."""
    report = json.loads((output / "report.json").read_text(encoding="utf-8"))
    return next((trial for trial in report["trials"] if trial["name"] == name), None)


def overlap(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Returns: whether the 95 % intervals of two speed-ups have something in common."""
    (low, high), (other_low, other_high) = (t["latency_ms"]["speedup_ci95"] for t in (a, b))
    return bool(low <= other_high and other_low <= high)


def told(trial: dict[str, Any] | None) -> str:
    """Returns: a trial in words."""
    if trial is None:
        return "none"
    latency = trial["latency_ms"]
    if latency is None:
        return f"{trial['name']}, not timed"
    low, high = latency["speedup_ci95"]
    return (
        f"{trial['name']}, {latency['speedup']:.3f}x ({low:.3f} to {high:.3f}), {trial['size_bytes']} bytes"
    )


def show(kills: list[Kill]) -> None:
    """Prints a row per kill."""
    columns = ("kill", "after", "what", "stored", "lost", "strays", "unfinished", "  it had just said")
    print("{:>4} {:>7} {:<12} {:>6} {:>5} {:>6} {:>10} {}".format(*columns))
    for number, kill in enumerate(kills, 1):
        what = "all of it" if kill.whole else "the parent"
        print(
            f"{number:>4} {kill.seconds:>5.1f} s {what:<12} {kill.stored:>6} {kill.lost:>5} {kill.strays:>6}"
            f" {kill.unfinished:>10}   {kill.during[:90]}",
            flush=True,
        )


def experiment(folder: Path, arguments: list[str], kills: int, seed: int, limit: float) -> Experiment:
    """Runs the whole experiment: undisturbed, killed and resumed, checked."""
    chance = random.Random(seed)
    trial = Experiment(folder, arguments)
    whole = trial.undisturbed(limit)
    print(f"undisturbed: {whole:.0f} s", flush=True)
    # So that the search advances between two kills, yet is struck in every phase of it.
    longest = max(8.0, 5 * whole / kills)
    for number in range(kills):
        if not trial.kill(chance.uniform(0.5, longest), whole=number % 2 == 0):
            print(f"it had finished before kill {number + 1}")
            break
    trial.finish(limit)
    trial.check()
    return trial


def main() -> int:
    """Returns: the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=10, help="how often (default: %(default)s)")
    parser.add_argument("--time", default="40s", help="of a search (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (default: %(default)s)")
    options = parser.parse_args()
    arguments = ["digits", "--samples", "digits", "--max-drop", "1%", "--time", options.time]
    with tempfile.TemporaryDirectory(prefix="kill-and-resume-") as name:
        done = experiment(Path(name), arguments, options.kills, options.seed, 600)
    show(done.kills)
    for violation in done.violations:
        print(f"VIOLATION: {violation}")
    print("nothing was lost" if not done.violations else f"{len(done.violations)} violations")
    return 1 if done.violations else 0


if __name__ == "__main__":
    sys.exit(main())
