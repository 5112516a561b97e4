"""Every augmentation of training samples as a function: ``crop(4)``."""

from ._names import TABLES as _TABLES
from ._names import entry_function as _entry_function

__all__ = [row["name"] for row in _TABLES["augmentations"]]
globals().update(
    (row["name"], _entry_function("augmentation", row, "an entry of data.augment", flat=True)) for row in _TABLES["augmentations"]
)
