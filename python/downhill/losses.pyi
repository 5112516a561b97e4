# Written by `python -m downhill._stubs` from the tables of the engine.
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ._names import Entry

__all__ = [
    "cross_entropy",
    "nll",
    "kl_div",
    "mse",
    "l1",
    "huber",
    "smooth_l1",
    "bce_with_logits",
]

def cross_entropy(*, label_smoothing: float = 0.0, ignore_index: int | None = None) -> Entry:
    """Softmax cross-entropy of logits against classes."""

def nll(*, ignore_index: int | None = None) -> Entry:
    """Negative log-likelihood of log-probabilities against classes."""

def kl_div(*, reduction: Literal['batchmean', 'mean', 'sum'] = 'batchmean', log_target: bool = False) -> Entry:
    """Kullback–Leibler divergence of log-probabilities from probabilities; a class counts as a one-hot row."""

def mse() -> Entry:
    """Mean squared error; a class counts as a one-hot row."""

def l1() -> Entry:
    """Mean absolute error; a class counts as a one-hot row."""

def huber(delta: float = 1.0) -> Entry:
    """Huber's loss: squared near 0, linear beyond `delta`; a class counts as a one-hot row."""

def smooth_l1(beta: float = 1.0) -> Entry:
    """Huber's loss divided by `beta`; `l1` at 0; a class counts as a one-hot row."""

def bce_with_logits() -> Entry:
    """Binary cross-entropy of logits against labels from 0 to 1; a class counts as a one-hot row."""
