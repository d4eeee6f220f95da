"""A model that runs on a GPU as far as it can, and on the CPU where it cannot."""

from __future__ import annotations

import shutil
import tempfile
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from sanderling.engines.engine import Port
from sanderling.engines.trust import Wrong, noise, telling
from sanderling.engines.webgpu.compiler.program import Program
from sanderling.engines.webgpu.compiler.target import Target
from sanderling.engines.webgpu.driver.device import Device, open_device
from sanderling.engines.webgpu.graphs.shapes import Shape, at_shapes
from sanderling.engines.webgpu.graphs.state import lift
from sanderling.engines.webgpu.judge import Judge
from sanderling.engines.webgpu.judge import WrongAnswer as WrongAnswer
from sanderling.engines.webgpu.pieces import partition
from sanderling.engines.webgpu.pieces.loaded import Loaded, Surprise
from sanderling.engines.webgpu.pieces.partition import GPU, Plan, Rates
from sanderling.engines.webgpu.pieces.places import Place, places
from sanderling.engines.webgpu.pieces.verdicts import Pins, known_by, pinned, verdict
from sanderling.engines.webgpu.remember import Memory
from sanderling.engines.webgpu.shelf import Shelf
from sanderling.engines.webgpu.trust import Foreseen
from sanderling.errors import CompileError, InputMismatch, ModelError, UsageError
from sanderling.graph.graph import Graph, Model, Tensor
from sanderling.graph.types import Array

KEPT_SHAPES = 4  # plans for other input shapes that are kept
Shapes = tuple[Shape, ...]
Planner = Callable[[list[Plan]], Plan]


class RefusedKernel(UserWarning):
    """The GPU's compiler refused a kernel; its operator runs on the CPU."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a model is to be run.

    Attributes:
        threads: of the CPU.
        pins: what the user wishes: see ``verdicts.pinned``.
        trust: the GPU's answers are not compared with LiteRT's.
        rates: what operators and copies are expected to cost.
        precision: why floats are stored as they are; "" where nobody has looked.
    """

    threads: int = 1
    pins: Pins = field(default_factory=dict)
    trust: bool = False
    rates: Rates = field(default_factory=lambda: Rates(prefer_gpu=8.0))
    precision: str = ""


class WebGPURunner:
    """Runs one model. Another shape of a resizable input makes another plan, kept for later calls.

    Args:
        path: the file, for messages.
        model: what was read from it.
        device, target: the GPU, and what to compile for.
        options: how to run it.
        memory: what is known from earlier runs.
        choose: picks one of the plans; the best with as much on the GPU as is sensible, where it is None.

    Attributes:
        states: what the session keeps between calls, fed behind the inputs.

    Raises:
        ModelError: a part can run neither on the GPU nor on the CPU.
        UsageError: a pin means no operator, or cannot be kept.
    """

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def __init__(
        self,
        path: Path,
        model: Model,
        device: Device,
        target: Target,
        options: Options | None = None,
        memory: Memory | None = None,
        choose: Planner | None = None,
    ) -> None:
        self._path, self._model, self.device = path, model, device
        self._options, self._memory = options or Options(), memory or Memory(None)
        self._choose = choose or (lambda found: found[0])
        self._lifted = lift(model)
        self.states = [state.initial for state in self._lifted.states]
        self._pins = pinned(model.main, self._options.pins)
        self._seen: dict[int, Shape] = {}
        folder = tempfile.mkdtemp(prefix="sanderling-")
        self._folder = Path(folder)
        self._cleanup = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        whole = None if self._memory.path is None else (path, model)
        trusted = self._options.trust
        self._judge = Judge(path.name, target, self._memory, self._folder, whole=whole, trust=trusted)
        self._loaded: dict[Shapes, Loaded] = {}
        self._shelves: list[Shelf] = []  # with programs that are not written yet
        graph = model.main
        self._signatures = [_signature(graph.tensors[i]) for i in graph.inputs]
        self._shapes: Shapes = tuple(graph.tensors[i].shape for i in graph.inputs)
        try:
            self._use(self._shapes)
        except BaseException:
            self.close()
            raise

    @property
    def program(self) -> Program:
        """The first program of the plan in force.

        Raises:
            ModelError: nothing runs on the GPU.
        """
        for segment in self.loaded.gpu:
            return segment.executor.program
        raise ModelError("nothing of it runs on the GPU", where=str(self._path))

    @property
    def target(self) -> Target:
        """What its programs are compiled for."""
        return self._judge.target

    @property
    def plan(self) -> Plan:
        """The plan in force."""
        return self.loaded.plan

    @property
    def loaded(self) -> Loaded:
        """The pieces of the plan in force."""
        return self._loaded[self._shapes]

    def run(self, inputs: Sequence[Array]) -> list[Array]:
        """Runs once. See ``engines.engine.Runner.run``."""
        shapes = tuple(array.shape for array in inputs)
        if shapes != self._shapes:
            self._resize(shapes)
        loaded = self._loaded[shapes]
        if loaded.plain is not None and loaded.verified and not self.states:
            found = loaded.plain(inputs)
            if self._shelves:
                self._keep()
            return found
        foreseen = None if self.states else self._judge.foresee(loaded, inputs)
        while True:
            try:
                values = loaded.run([*inputs, *self.states])
                if loaded.verified or not self._wrong_ones(loaded, inputs, values, foreseen):
                    break
            except Surprise as surprise:
                self._seen[surprise.tensor] = surprise.shape
            self._replace(shapes)
            loaded, foreseen = self._loaded[shapes], None
        found = loaded.outputs(values)
        count = len(found) - len(self.states)
        self.states = found[count:]
        self._keep()
        return found[:count]

    def _keep(self) -> None:
        """Has new programs written, now that there is an answer: until then others need the processor."""
        for shelf in self._shelves:
            shelf.flush()
        self._shelves.clear()

    def _wrong_ones(
        self,
        loaded: Loaded,
        inputs: Sequence[Array],
        values: Mapping[int, Array],
        foreseen: Foreseen | None,
    ) -> dict[int, Wrong]:
        """Compares the pieces on the GPU with LiteRT, on what was fed, or on noise where that is all alike.

        Returns: what an operator is ``known_by`` → how wrong it is.
        """
        if not any(map(telling, inputs)) and not loaded.remembers:
            values = loaded.run([*map(noise, inputs, self.inputs), *self.states])
        return self._judge.wrong(loaded, values, foreseen)

    def _replace(self, shapes: Shapes) -> None:
        """Makes the plan for these shapes anew, after something was learned."""
        for old in self._loaded.values():
            old.close()
        self._loaded.clear()
        self._use(shapes)

    def _check(self, shapes: Shapes) -> None:
        if len(shapes) != len(self._signatures):
            raise InputMismatch(
                f"got {len(shapes)} inputs, expected {len(self._signatures)}", where=str(self._path)
            )
        for port, shape, signature in zip(self.inputs, shapes, self._signatures, strict=True):
            if len(shape) != len(signature):
                raise InputMismatch(
                    f"input {port.name} has shape {shape}, expected {signature}", where=str(self._path)
                )

    def _resize(self, shapes: Shapes) -> None:
        """Makes a plan for other shapes. As in LiteRT, sizes that the file does not leave open may change,
        too: whether the model works with them is seen then."""
        self._check(shapes)
        try:
            self._use(shapes)
        except (ModelError, CompileError) as error:
            told = ", ".join("x".join(map(str, shape)) for shape in shapes)
            raise InputMismatch(
                f"the model does not work with inputs of [{told}]: {error.what}", where=str(self._path)
            ) from None

    def _use(self, shapes: Shapes) -> None:
        """Makes the plan for these input shapes the current one."""
        if shapes not in self._loaded:
            states = [state.initial.shape for state in self._lifted.states]
            model = at_shapes(self._lifted.model, [*shapes, *states], self._seen)
            loaded = self._load(model, [shapes, sorted(self._seen.items())])
            if len(self._loaded) >= KEPT_SHAPES:
                self._loaded.pop(next(iter(self._loaded))).close()
            self._loaded[shapes] = loaded
        self._shapes = shapes
        graph, names = self._model.main, self._model
        self.inputs = tuple(
            Port(name, replace(graph.tensors[i].type, shape=shape), signature)
            for name, i, shape, signature in zip(
                names.input_names(), graph.inputs, shapes, self._signatures, strict=True
            )
        )
        now = self._loaded[shapes].graph
        sizes = [now.tensors[i].shape for i in now.outputs[: len(graph.outputs)]]
        self.outputs = tuple(
            Port(name, replace(graph.tensors[i].type, shape=shape), _signature(graph.tensors[i]))
            for name, i, shape in zip(names.output_names(), graph.outputs, sizes, strict=True)
        )

    def _load(self, model: Model, told: list[object]) -> Loaded:
        graph = model.main
        # Without a memory of the file nobody says that the model is what lies in it.
        kept = self._memory.path is not None
        shelf = Shelf.of(self._path, graph, self.target, told) if kept else Shelf(None)
        self._shelves.append(shelf)
        refused = self._refused(graph, shelf)
        while True:
            plan = self._choose(self._plans(graph, refused))
            made = Loaded.make(
                model,
                plan,
                self.device,
                self.target,
                self._folder,
                self._options.threads,
                refused,
                shelf,
            )
            if isinstance(made, Loaded):
                made.verified = made.verified or self._options.trust
                return made
            refused |= made.reasons
            if made.faulty:
                warnings.warn(
                    f"{self._path.name}: {self.device.adapter.name} does not compile"
                    f" {', '.join(made.faulty[:3])}: the CPU computes it",
                    RefusedKernel, stacklevel=2,
                )  # fmt: skip

    def _plans(self, graph: Graph, refused: Mapping[int, str]) -> list[Plan]:
        keys = {p: known_by(node) for p, node in enumerate(graph.nodes)}
        wanted = {p: self._pins[key] for p, key in keys.items() if key in self._pins}
        for position, device in wanted.items():
            if device == GPU and position in refused:
                node = graph.nodes[position]
                raise UsageError(
                    f"{node.kind} {graph.tensors[node.outputs[0]].name!r} is pinned to the GPU, but"
                    f" {refused[position]}",
                    where=str(self._path),
                )
        found = partition.plans(graph, refused, wanted, self._options.rates)
        if not found:
            raise UsageError(
                f"the pins ask for more than {partition.MOST_PARTITIONS} pieces on the GPU",
                where=str(self._path), hint="pin fewer operators",
            )  # fmt: skip
        return found

    def _refused(self, graph: Graph, shelf: Shelf) -> dict[int, str]:
        """Returns: position → why a node is not run on the GPU."""
        keys = {position: str(known_by(node)) for position, node in enumerate(graph.nodes)}
        told = self._memory.wrong
        wrong = {position: told[key] for position, key in keys.items() if key in told}
        return wrong | shelf.verdicts(len(graph.nodes), lambda: self._unable(graph))

    def _unable(self, graph: Graph) -> dict[int, str]:
        """Returns: position → why a node cannot run on the GPU."""
        limits, most = self.target.kernels, self.target.binding_bytes
        told = ((position, verdict(graph, node, limits, most)) for position, node in enumerate(graph.nodes))
        return {position: able.reason for position, able in told if not able}

    def places(self) -> list[Place]:
        """Returns: a row per node of the file's main graph."""
        how = self._options
        return places(
            self._model.main,
            self.loaded,
            self._lifted,
            self.target,
            self._pins,
            how.rates,
            how.precision,
        )

    def reset(self) -> None:
        """Sets variables back to their initial values."""
        self.states = [state.initial for state in self._lifted.states]
        for loaded in self._loaded.values():
            loaded.reset()

    def rebuild(self) -> None:
        """Makes everything anew, as a rule because the device was lost; variables that are the session's (see
        ``places``) keep their values.

        Raises:
            CompileError, RunError: the device is not back.
        """
        old, self._loaded = list(self._loaded.values()), {}
        for loaded in old:
            loaded.close()
        self.device = open_device(self.device.adapter.number, self.device.adapter.library.name)
        self._use(self._shapes)

    def close(self) -> None:
        """Frees the memory on the GPU and the CPU."""
        for loaded in self._loaded.values():
            loaded.close()
        self._cleanup()


def _signature(tensor: Tensor) -> Shape:
    signature = tensor.shape_signature
    return signature if len(signature) == len(tensor.shape) else tensor.shape
