"""Every layer of the engine as a function: ``linear(128)``, ``conv2d(16, kernel_size=3)``."""

from ._names import TABLES as _TABLES
from ._names import entry_function as _entry_function

__all__ = [row["name"] for row in _TABLES["layers"]]
globals().update(
    (row["name"], _entry_function("layer", row, "an entry of model.layers", flat=False)) for row in _TABLES["layers"]
)
