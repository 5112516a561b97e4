"""Every metric of an evaluation as a function: ``top_k(3)``."""

from ._names import TABLES as _TABLES
from ._names import entry_function as _entry_function

__all__ = [row["name"] for row in _TABLES["metrics"]]
globals().update(
    (row["name"], _entry_function("metric", row, "an entry of eval.metrics", flat=False)) for row in _TABLES["metrics"]
)
