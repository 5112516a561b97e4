# Written by `python -m downhill._stubs` from the tables of the engine.
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ._names import Entry

__all__ = [
    "horizontal_flip",
    "vertical_flip",
    "crop",
    "shift",
    "rotation",
    "erasing",
    "noise",
    "mixup",
]

def horizontal_flip(p: float = 0.5) -> Entry:
    """Mirrors an image left to right with probability `p`."""

def vertical_flip(p: float = 0.5) -> Entry:
    """Mirrors an image top to bottom with probability `p`."""

def crop(padding: int) -> Entry:
    """Adds `padding` zeros on every side, then cuts the original size at a random place."""

def shift(pixels: int) -> Entry:
    """Moves an image by up to `pixels` whole pixels along each axis; zeros come in."""

def rotation(degrees: float) -> Entry:
    """Rotates an image about its centre by up to ± `degrees`, bilinear, with zeros outside."""

def erasing(p: float = 0.5, *, scale: Any = [0.02, 0.33], ratio: Any = [0.3, 3.3]) -> Entry:
    """Sets a rectangle to 0 with probability `p`; `scale` is its share of the image, `ratio` height over width."""

def noise(std: float) -> Entry:
    """Adds N(0, `std`²) to each element."""

def mixup(alpha: float) -> Entry:
    """Mixes each sample and its loss with another of the batch, λ from Beta(`alpha`, `alpha`) once a batch; the last entry."""
