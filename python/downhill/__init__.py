"""downhill: trains small neural nets on any GPU, or on none.

>>> import downhill as dh
>>> net = dh.Sequential("flatten", dh.linear(128), "relu", dh.linear(10))
>>> run = net.fit(x, t, loss="cross_entropy", optimizer=dh.AdamW(lr=3e-3), epochs=30, eval=(xv, tv))
>>> p = net.predict(xv)

Layers and optimizers are functions and classes of this module; losses, metrics, schedules and augmentations are in
:mod:`downhill.losses`, :mod:`downhill.metrics`, :mod:`downhill.schedules` and :mod:`downhill.augment`.
"""

from importlib.util import find_spec as _find_spec
from typing import TYPE_CHECKING

from . import augment, layers, losses, metrics, optimizers, schedules
from ._downhill import __version__
from ._errors import (
    BudgetError,
    CheckpointError,
    ConfigError,
    DataError,
    DeviceLostError,
    DivergedError,
    Error,
    FileError,
    GpuError,
    InternalError,
    Interrupted,
    NoAdapterError,
    ShapeError,
    StopTraining,
    WeightsError,
)
from ._net import Adapter, Run, Sequential, adapters, load, resume
from ._sweep import SweepResult, lin, log, sweep
from .layers import *  # noqa: F403
from .optimizers import *  # noqa: F403

if TYPE_CHECKING:
    from ._estimators import Classifier, Regressor

__all__ = [
    "Adapter", "BudgetError", "CheckpointError", "ConfigError", "DataError", "DeviceLostError",
    "DivergedError", "Error", "FileError", "GpuError", "InternalError", "Interrupted", "NoAdapterError",
    "Run", "Sequential", "ShapeError", "StopTraining", "SweepResult", "WeightsError", "adapters", "augment", "layers",
    "__version__", "lin", "load", "log", "losses", "metrics", "optimizers", "resume", "schedules", "sweep",
    *layers.__all__, *optimizers.__all__,
]
# `from downhill import *` works without scikit-learn too.
if _find_spec("sklearn") is not None:
    __all__ += ["Classifier", "Regressor"]


def __getattr__(name: str):
    # The estimators need scikit-learn, and only who uses them imports it.
    if name in ("Classifier", "Regressor"):
        try:
            from . import _estimators
        except ImportError as error:
            # hasattr takes no other exception.
            raise AttributeError(str(error)) from error
        return getattr(_estimators, name)
    raise AttributeError(f"module 'downhill' has no attribute '{name}'")
