"""The exceptions of the package. Their texts are those of the command line."""

from __future__ import annotations


class Error(Exception):
    """Any call of the package raises it where it cannot do what it was asked."""


class ConfigError(Error, ValueError):
    """A setting is wrong: an unknown key, a wrong type, a value out of range."""


class ShapeError(Error, ValueError):
    """A layer that does not fit its input; the text names the layer."""


class DataError(Error, ValueError):
    """Arrays that cannot be used: empty, not as many targets as inputs, labels out of range, not numbers."""


class WeightsError(Error, ValueError):
    """Weights that are missing, damaged, or those of another net."""


class NoAdapterError(Error, RuntimeError):
    """No graphics adapter answers, or none has the name that was asked for."""


class GpuError(Error, RuntimeError):
    """The driver refused something."""


class DeviceLostError(Error, RuntimeError):
    """The device was lost, or no longer answers."""


class CheckpointError(Error, RuntimeError):
    """A run that cannot be resumed: it is done, in use, damaged, or another."""


class BudgetError(Error, MemoryError):
    """The memory of the device is not enough; the text lists the buffers."""


class DivergedError(Error, ArithmeticError):
    """The loss is no longer a finite number.

    Attributes: ``step`` and ``epoch``, counted from 1, ``lr`` and ``loss`` of that step, and ``run``, a
    :class:`downhill.Run` with the records up to there. The net keeps the weights that it had before.
    """

    step: int
    epoch: int
    lr: float
    loss: float
    run: object = None


class FileError(Error, OSError):
    """A file or a folder that cannot be read or written."""


class InternalError(Error, RuntimeError):
    """A fault of downhill itself."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C has stopped a run after a whole step; the run is saved where it has a folder.

    Attribute: ``run``, the :class:`downhill.Run` up to there.
    """

    run: object = None


class StopTraining(Exception):
    """Raised in ``on_epoch``, it ends a run after that epoch; ``fit`` returns as usual."""
