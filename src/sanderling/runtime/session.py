"""The session: NumPy in, NumPy out."""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from sanderling.engines.engine import Port, Runner
from sanderling.errors import RunError
from sanderling.graph.graph import Model
from sanderling.graph.types import Array
from sanderling.runtime.arrange import arrange
from sanderling.runtime.cascade import CascadeRunner
from sanderling.runtime.cascade_file import Cascade, cascade_of
from sanderling.runtime.joining import join, rejoined, told
from sanderling.runtime.loading import announce, default_threads, load_runner, read_model
from sanderling.runtime.opening import CASCADE, Read
from sanderling.runtime.placement import Placed, choose_engine, describe, place_parts, place_runner
from sanderling.runtime.ports import feeds
from sanderling.runtime.recipe_file import RunAs, is_recipe_file, read_recipe_file
from sanderling.settings import cores, settings

if TYPE_CHECKING:
    from sanderling.runtime.parallel.mapping import Mapped, Source

Answer = Array | dict[str, Array]
How = tuple[str, int | None, str]  # engine, threads, precision


class Session:
    """A model, loaded and ready to run. Safe to call from several threads, one call at a time.

    Args:
        model: a ``.tflite`` file, a ``Model``, or the recipe file ``best.json`` of ``optimize``, which is
            run as it was measured, be it one model or a cascade of several.
        engine: an engine's name, a variant of one (``openvino:bf16``), or ``"auto"``: the fastest that
            answers as LiteRT does, which is measured once and remembered.
        threads: CPU threads; None takes the recipe file's, else ``SANDERLING_THREADS``, else what
            ``"auto"`` measures, and 1 for a named engine.
        precision: ``"auto"`` or a precision that the engine offers.
        device: which GPU, by number or a part of its name (see ``sanderling doctor``); None takes
            ``SANDERLING_DEVICE``, else the fastest.
        library: which WebGPU library reaches the GPU, ``"wgpu"`` or ``"dawn"``; None takes
            ``SANDERLING_WEBGPU``, else wgpu.
        pin: operators, by number, output or kind → ``"cpu"`` or ``"gpu"``, whatever seems to be faster.
        trust: do not compare the GPU's first answer with LiteRT's.
        samples: inputs by which ``precision="auto"`` decides what a GPU stores in 16 bits: a list, each
            an array, a list of arrays or a dict by name; or ``"noise"``. Remembered for later sessions;
            without samples everything is in 32 bits. ``placement`` tells what was decided, and why.
        tell: is called with a sentence before ``"auto"`` measures what takes seconds.

    Attributes:
        inputs, outputs: the model's ports: names, shapes, dtypes, quantization.
        engine: name of the engine that runs it.
        reason: why that one, in a sentence.
        threads: its number of CPU threads.

    Raises:
        ModelError: the file cannot be read, or the engine refuses the model.
        RecipeError: the recipe file is malformed.
        UsageError: there is no such engine, or it does not offer the precision.
    """

    engine: str
    reason: str
    threads: int
    _runner: Runner
    _reload: Callable[[], Runner] | None
    _parts: tuple[Session, ...]

    def __init__(
        self,
        model: str | Path | Model,
        engine: str = "auto",
        threads: int | None = None,
        precision: str = "auto",
        *,
        device: str | int | None = None,
        library: str | None = None,
        pin: Mapping[str | int, str] | None = None,
        trust: bool = False,
        samples: Sequence[Any] | str | None = None,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self._lock = threading.RLock()
        self._cleanup: weakref.finalize[Any, Any] | None = None
        self._tell, self._parts, self._replicated = tell, (), ""
        wishes = {"device": device, "library": library, "pin": pin or None, "trust": trust or None}
        options: dict[str, object] = {n: value for n, value in wishes.items() if value is not None}
        cascade = None if isinstance(model, Model) else cascade_of(Path(model))
        if cascade is None:
            self._open(model, (engine, threads, precision), options, samples)
        else:
            self._join(cascade, (engine, threads, precision), {**options, "samples": samples})
        self._closed = False
        self._bind()
        if settings().debug:
            sys.stderr.write(describe(self._model.name, self.engine, self.reason, self.placement))

    def _open(
        self,
        model: str | Path | Model,
        how: How,
        options: dict[str, object],
        samples: Sequence[Any] | str | None,
    ) -> None:
        path, engine, threads, precision = self._source(model, *how)
        try:
            if engine != "auto":
                announce(path, engine, options)
            self._model = read_model(path)
            self.threads = default_threads(threads)
            free = threads is None and settings().threads is None
            if samples is not None:
                options["samples"] = feeds(samples, self._model.input_names())
            self._load(path, engine, precision, options, free=free)
        except BaseException:
            self._remove_temporary()
            raise

    def _join(self, cascade: Cascade, how: How, options: Mapping[str, Any]) -> None:
        """Loads the models of a cascade, each as a session of its own."""

        def load(part: RunAs) -> Session:
            return Session(part.path, *part.unless(*how), tell=self._tell, **options)

        self._read, self._parts, self._runner = join(cascade, load, options)
        self._model, self._reload, self._how = self._read.model, None, {"precision": how[2], "options": {}}
        self.engine = " + ".join(dict.fromkeys(part.engine for part in self._parts))
        self.threads = max(part.threads for part in self._parts)
        self.reason = told(cascade.rules)
        self._replicated = CASCADE if how[0] == "auto" else how[0]

    def _load(
        self, path: Path, engine: str, precision: str, options: Mapping[str, object], *, free: bool
    ) -> None:
        self.engine, self.reason, self._reload = engine, "chosen by the caller", None
        self._read, self._how = Read(path, (self._model,)), {"precision": precision, "options": dict(options)}
        if engine == "auto":
            threads = None if free else self.threads
            chosen = choose_engine(
                path, self._model, threads=threads, precision=precision, options=options, tell=self._tell
            )
            self.engine, self.reason, self.threads = chosen.engine, chosen.reason, chosen.threads
            if chosen.runner is not None:
                self._runner = chosen.runner
                return
            options = self._how["options"] = {}  # they are wishes for a GPU
        how: dict[str, Any] = {"threads": self.threads, "precision": precision, "options": options}
        self._reload = partial(load_runner, path, self._model, self.engine, **how)
        self._runner = self._reload()

    def _source(
        self, model: str | Path | Model, engine: str, threads: int | None, precision: str
    ) -> tuple[Path, str, int | None, str]:
        """Returns: the file to load, and the engine, threads and precision to load it with."""
        if isinstance(model, Model):
            return self._write_temporary(model), engine, threads, precision
        path = Path(model)
        if not is_recipe_file(path):
            return path, engine, threads, precision
        recorded = read_recipe_file(path)
        return recorded.path, *recorded.unless(engine, threads, precision)

    def _write_temporary(self, model: Model) -> Path:
        # A Model may have been edited since it was read: only writing it tells what it is now.
        from sanderling.tflite import write

        folder = tempfile.mkdtemp(prefix="sanderling-")
        self._cleanup = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        path = Path(folder) / f"{model.name}.tflite"
        try:
            write(model, path)
        except BaseException:
            self._remove_temporary()
            raise
        return path

    def _remove_temporary(self) -> None:
        if self._cleanup is not None:
            self._cleanup()

    def _bind(self) -> None:
        """Computes once what every call needs."""
        ports = self._runner.inputs
        self._output_names = [port.name for port in self._runner.outputs]
        self._expected = [(p.type.dtype.numpy, p.type.shape) for p in ports]
        self._single = self._expected[0] if len(ports) == 1 else None

    @property
    def inputs(self) -> tuple[Port, ...]:
        return self._runner.inputs

    @property
    def outputs(self) -> tuple[Port, ...]:
        return self._runner.outputs

    @property
    def model(self) -> Model:
        """The model that is loaded, as read back from its file; of a cascade the last."""
        return self._model

    @property
    def runner(self) -> Runner:
        """What the engine loaded, for those who join several: it checks nothing, and must not be closed."""
        return self._runner

    @property
    def placement(self) -> tuple[Placed, ...]:
        """A row per operator: which engine runs it, and why."""
        if self._parts:
            return place_parts([part.placement for part in self._parts])
        return place_runner(self._model, self._runner, self.engine, self.reason)

    @property
    def calls(self) -> tuple[int, ...]:
        """How often each model of a cascade has been asked since it was loaded; () for a single model."""
        return tuple(self._runner.calls) if isinstance(self._runner, CascadeRunner) else ()

    def __call__(self, *args: Any, **kwargs: Any) -> Answer:
        """Runs the model once.

        Args:
            args: one dict of arrays by input name, or one array per input in the order of ``inputs``.
            kwargs: arrays by input name.

        Returns: the output array; a dict by output name if there are several or names were used.

        Raises:
            InputMismatch: a name, shape or dtype is wrong; says which, what was got and expected.
            RunError: the engine failed.
        """
        if self._single is not None and len(args) == 1 and not kwargs:
            x = args[0]  # the fast path: one array that fits as it is
            if type(x) is np.ndarray and (x.dtype, x.shape) == self._single:
                with self._lock:
                    self._check_open()
                    outputs = self._runner.run([x])
                return (
                    outputs[0] if len(outputs) == 1 else dict(zip(self._output_names, outputs, strict=True))
                )
        arrays, named = self._arrange(args, kwargs)
        with self._lock:
            self._check_open()
            outputs = self._runner.run(arrays)
        if named or len(outputs) != 1:
            return dict(zip(self._output_names, outputs, strict=True))
        return outputs[0]

    def _arrange(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[list[Array], bool]:
        return arrange(args, kwargs, self._runner.inputs, self._model.name)

    def map(
        self,
        stream: Iterable[Any],
        replicas: int | str = "auto",
        *,
        where: str = "auto",
        threads: int | None = None,
        stages: int | Sequence[str] | None = None,
    ) -> Mapped[Answer]:
        """Answers a stream of inputs with replicas of the model side by side, in the stream's order.

        The session itself goes on as it is; replicas are loaded beside it and freed at the end.

        Args:
            stream: what ``__call__`` takes, one after the other: an array, a tuple in ``inputs``' order,
                or a dict by name. It is read a few pieces ahead, so that it may be endless.
            replicas: how many; ``"auto"`` measures a few plans on the first inputs and takes the fastest,
                which may be one replica on all cores.
            where: ``"threads"`` of this process, ``"processes"`` of their own (where one that dies costs a
                retry and nothing else), or ``"auto"``: what is measured, threads for a given number.
            threads: of each replica, where their number is given, or of each stage.
            stages: instead of replicas the model in so many stages, one behind the other; or the engines of
                the stages, as in ``("webgpu", "litert")``. Where to cut is measured.

        Returns: an iterator, whose ``plan`` and ``reason`` say what was chosen.

        Raises:
            UsageError: an argument is wrong.
            RunError: the model keeps a state, and more than one replica is asked for.
        """
        from sanderling.runtime.parallel.mapping import Mapped, wanted_plan

        source = self.source()
        plan = wanted_plan(source, replicas, where, threads, stages)
        single = len(self._runner.outputs) == 1

        def arranged(given: Any) -> list[Array]:
            args = tuple(given) if isinstance(given, tuple) else (given,)
            return self._arrange(args, {})[0]

        def finish(outputs: list[Array]) -> Answer:
            return outputs[0] if single else dict(zip(self._output_names, outputs, strict=True))

        return Mapped(source, map(arranged, stream), plan, finish)

    def source(self) -> Source:
        """Returns: what loads replicas of the model, for ``map`` and its like."""
        from sanderling.runtime.parallel.mapping import Source

        self._check_open()
        return Source(self._read, self._replicated or self.engine, self._how, cores(), self._tell)

    def _check_open(self) -> None:
        if self._closed:
            raise RunError("the session is closed", where=self._model.name, hint="make a new Session")

    def reset(self) -> None:
        """Sets the variables of a stateful model back to their initial values."""
        with self._lock:
            self._check_open()
            self._runner.reset()

    async def run_async(self, *args: Any, **kwargs: Any) -> Answer:
        """Runs the model once in a thread of its own, so that an event loop goes on. See ``__call__``."""
        import asyncio  # 20 ms, which few need

        return await asyncio.to_thread(self, *args, **kwargs)

    def rebuild(self) -> None:
        """Loads the model again, after ``DeviceLost``. Variables that the session itself keeps stay.

        Raises:
            RunError: the session is closed, or the device is not back.
        """
        with self._lock:
            self._check_open()
            rebuild = getattr(self._runner, "rebuild", None)
            if self._parts:
                self._runner = rejoined(self._parts, self._read)
            elif rebuild is not None:
                rebuild()
            elif self._reload is not None:
                self._runner.close()
                self._runner = self._reload()
            self._bind()

    def close(self) -> None:
        """Frees the engine's memory. Closing twice is fine."""
        with self._lock:
            if not self._closed:
                self._closed = True
                for loaded in self._parts or (self._runner,):
                    loaded.close()
                self._remove_temporary()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        cascade = self._read.cascade
        several = "" if cascade is None else f", cascade of {len(self._parts)}"
        name = self._model.name if cascade is None else cascade.path.name
        return f"Session({name!r}{several}, engine={self.engine!r}, threads={self.threads})"
