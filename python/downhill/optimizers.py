"""Every optimizer of the engine as a class, under PyTorch's name where PyTorch has it: ``AdamW(lr=3e-3)``."""

from ._names import BESIDE_OPTIMIZER as _BESIDE
from ._names import TABLES as _TABLES
from ._names import named_class as _named_class

__all__ = [row["class"] for row in _TABLES["optimizers"]]
globals().update((row["class"], _named_class("optimizer", row, _BESIDE)) for row in _TABLES["optimizers"])
