# Written by `python -m downhill._stubs` from the tables of the engine.
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ._names import Entry

__all__ = [
    "accuracy",
    "top_k",
    "precision",
    "recall",
    "f1",
    "confusion_matrix",
    "mae",
    "rmse",
    "r2",
    "perplexity",
    "bits_per_character",
]

def accuracy() -> Entry:
    """The share of right predictions; with several labels, of labels rightly predicted to hold or not."""

def top_k(k: int = 5) -> Entry:
    """The share of targets that fewer than `k` classes are preferred to. The first of equal outputs is preferred, and NaN to any number; a target whose own output is NaN is never among the first. Its value is named by the number: `top_5`."""

def precision(average: Literal['macro', 'micro', 'weighted'] = 'macro') -> Entry:
    """The share of predictions of a class that are right; 0 where none is predicted."""

def recall(average: Literal['macro', 'micro', 'weighted'] = 'macro') -> Entry:
    """The share of targets of a class that are found; 0 where there is none."""

def f1(average: Literal['macro', 'micro', 'weighted'] = 'macro') -> Entry:
    """The harmonic mean of precision and recall of a class; 0 where none is predicted and there is none."""

def confusion_matrix() -> Entry:
    """How often targets of each class, a row, are predicted to be of each class, a column."""

def mae() -> Entry:
    """Mean absolute error, in the target's own unit where a table's target is standardised."""

def rmse() -> Entry:
    """Root of the mean squared error, over the numbers of all outputs together; in the target's own unit, as `mae`."""

def r2() -> Entry:
    """Coefficient of determination: the mean over the numbers of a sample. Where all targets are the same it is 1 if they are met and 0 if not, as in scikit-learn's `r2_score`."""

def perplexity() -> Entry:
    """e to the mean cross-entropy over targets, without label smoothing."""

def bits_per_character() -> Entry:
    """Mean cross-entropy over targets in bits."""
