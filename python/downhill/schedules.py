"""Every schedule of the learning rate as a class: ``cosine()``, ``one_cycle(pct_start=0.2)``."""

from ._names import TABLES as _TABLES
from ._names import schedule_function as _schedule_function

__all__ = [row["name"] for row in _TABLES["schedules"]]
globals().update((row["name"], _schedule_function(row)) for row in _TABLES["schedules"])
