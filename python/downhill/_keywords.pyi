# Written by `python -m downhill._stubs` from the tables of the engine.
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from os import PathLike
from typing import TypedDict

from ._names import Entry, Named

class Keywords(TypedDict, total=False):
    """Keys of a config that `fit` takes as keywords."""

    augment: Sequence[str | Entry | Mapping[str, Any]]
    average: Mapping[str, Any]
    batch_size: Any
    checkpoint: Mapping[str, Any]
    config: str | PathLike[str] | Mapping[str, Any]
    data: Mapping[str, Any]
    device_timeout: float | None
    drop_last: bool | None
    early_stopping: bool | Mapping[str, Any]
    epochs: int | None
    eval_batch_size: int
    eval_fraction: Any
    init: Mapping[str, Any]
    loss: str | Entry | Mapping[str, Any]
    memory: Any
    metrics: Sequence[str | Entry | Mapping[str, Any]]
    micro_batch: Any
    normalise: Any
    optimizer: str | Named | Mapping[str, Any]
    precision: Literal['f32', 'f16'] | None
    residence: Literal['auto', 'resident', 'streamed'] | None
    sampling: Literal['epoch', 'once', 'file', 'replacement'] | None
    schedule: str | Named | Mapping[str, Any] | None
    seed: int
    seeds: Mapping[str, Any]
    shards: int | None
    shuffle: bool | None
    split_seed: Any
    steps: int | None
    stratify: Any
    train: Mapping[str, Any]
    tune: Mapping[str, Any]
    watch: Mapping[str, Any]
    weight_rounding: Literal['nearest', 'stochastic'] | None
    workers: int | None
