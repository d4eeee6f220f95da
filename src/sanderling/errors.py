"""Every error a user of Sanderling can meet.

Each error is one sentence built from four parts: what went wrong, where, what was got or expected, and
what to do next. ``str(error)`` is the whole sentence; ``where`` and ``hint`` are the parts by themselves.
"""

from __future__ import annotations


class SanderlingError(Exception):
    """Base of all errors raised on purpose.

    Args:
        what: what went wrong, with the value got and the one expected, without a final full stop.
        where: the file, operator or option it is about; empty when there is none.
        hint: what the user can do next; empty when nothing is known to help.
    """

    def __init__(self, what: str, *, where: str = "", hint: str = "") -> None:
        self.what = what
        self.where = where
        self.hint = hint
        sentence = f"{where}: {what}" if where else what
        super().__init__(f"{sentence}; {hint}" if hint else sentence)


class ModelError(SanderlingError):
    """The model file, or the graph read from it, cannot be used."""


class FormatError(ModelError):
    """The bytes are not a readable model of the expected format."""


class UnsupportedOperator(ModelError):
    """The model holds an operator that the chosen engine or technique cannot take."""


class InvalidGraph(ModelError):
    """The graph breaks a rule that every graph must keep (see ``graph/verify.py``)."""


class CompileError(SanderlingError):
    """A graph could not be turned into something an engine runs."""


class KernelError(CompileError):
    """A GPU kernel was refused by the shader compiler."""


class DeviceLimit(CompileError):
    """The model needs more than the device offers."""


class RunError(SanderlingError):
    """Running a model failed."""


class InputMismatch(RunError):
    """An input has the wrong name, shape or dtype."""


class DeviceLost(RunError):
    """The device went away while it was in use."""


class OutOfMemory(RunError):
    """The device or the process ran out of memory."""


class WorkerError(RunError):
    """An isolated worker crashed, hung past its deadline or ran out of memory.

    ``detail`` holds the worker's traceback or the end of its log, for people who look for the cause.
    ``passing`` is True where the same call may well succeed another time: it was too slow, or was killed.
    """

    detail: str = ""
    passing: bool = False


class ConnectionLost(WorkerError):
    """The connection to a device broke off. The same call may be made again: ``passing`` is True."""

    passing = True


class NodeLost(ConnectionLost):
    """A node of a cluster is gone, with all that ran there. The same call may be made on another one."""


class DeviceError(RunError):
    """A device cannot be reached, or lacks what is needed to run models there.

    ``away`` is True where it does not answer: waiting may help.
    """

    away: bool = False


class MeterError(RunError):
    """What measures energy cannot be used, or no longer tells."""


class StorageError(SanderlingError):
    """A file cannot be written: the disk is full, or the place does not allow it."""


class FetchError(SanderlingError):
    """A zoo model could not be fetched, or what came is not what its card describes."""


class SampleError(SanderlingError):
    """The samples cannot be read or do not fit the model."""


class UnreadableSample(SampleError):
    """One sample cannot be read or does not fit: nothing can be compared on it, whatever the candidate."""


class RecipeError(SanderlingError):
    """A recipe is malformed or cannot be applied to this model."""


class BudgetError(SanderlingError):
    """No candidate met the budget. ``nearest`` holds the trials that came closest."""

    def __init__(
        self, what: str, *, nearest: tuple[object, ...] = (), where: str = "", hint: str = ""
    ) -> None:
        super().__init__(what, where=where, hint=hint)
        self.nearest = nearest


class ConvertError(SanderlingError):
    """A model could not be converted, or the result does not match its source."""


class DeployError(SanderlingError):
    """A deployment bundle could not be made or does not run."""


class UsageError(SanderlingError):
    """An option or argument is wrong: the command line exits with 2."""


class MissingExtra(SanderlingError):
    """An optional dependency is not installed."""

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs packages that are not installed",
            hint=f"run: pip install 'sanderling[{extra}]'",
        )
        self.extra = extra
