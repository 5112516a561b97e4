"""Every loss of the engine as a function: ``cross_entropy(label_smoothing=0.1)``."""

from ._names import TABLES as _TABLES
from ._names import entry_function as _entry_function

__all__ = [row["name"] for row in _TABLES["losses"]]
globals().update(
    (row["name"], _entry_function("loss", row, "model.loss", flat=False)) for row in _TABLES["losses"]
)
