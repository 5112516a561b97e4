"""Sweeps: many runs of a net at once."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any, Mapping

import numpy as np

from . import _downhill
from ._config import build
from ._errors import Interrupted
from ._names import plain
from ._net import Sequential, gathered, load, quiet_loader, which


def log(first: float, last: float, count: int) -> str:
    """``count`` values of equal ratios from ``first`` to ``last``, for the grid of a sweep."""
    return f"{first!r}..{last!r}:log:{count}"


def lin(first: float, last: float, count: int) -> str:
    """``count`` values of equal differences from ``first`` to ``last``, for the grid of a sweep."""
    return f"{first!r}..{last!r}:lin:{count}"


class SweepResult:
    """What :func:`sweep` gives back: a row for each run, the best of them, and their folder."""

    def __init__(self, done: dict[str, Any], path: Path, kept: Any) -> None:
        #: The folder.
        self.path = path
        #: A dict for each run: its settings and the numbers of its last epoch.
        self.rows: list[dict[str, Any]] = done["rows"]
        #: The keys that differ.
        self.swept: list[str] = done["swept"]
        #: The number that says which runs are best.
        self.metric: str = done["metric"]
        #: The numbers of the runs, the best first.
        self.ranked: list[int] = done["ranked"]
        #: True where it was stopped.
        self.is_stopped: bool = done["is_stopped"]
        self._kept = kept

    @property
    def table(self) -> Any:
        """The rows, the best first: a DataFrame where pandas is installed, else a dict of arrays."""
        others = [row["run"] for row in self.rows if row["run"] not in self.ranked]
        rows = [self.rows[run] for run in self.ranked + others]
        try:
            import pandas
        except ImportError:
            names = list(dict.fromkeys(name for row in rows for name in row))
            return {name: np.array([row.get(name) for row in rows]) for name in names}
        return pandas.DataFrame(rows).set_index("run")

    @property
    def best(self) -> dict[str, Any]:
        """The row of the best run."""
        if not self.ranked:
            raise RuntimeError("no run of the sweep has come to its end with a finite number")
        return self.rows[self.ranked[0]]

    @property
    def best_net(self) -> Sequential:
        """The net of the best run, with its weights."""
        return self.net(self.best["run"])

    def net(self, run: int) -> Sequential:
        """The net of a run by its number. ``keep`` says which runs keep their weights."""
        return load(self.path / self.rows[run]["folder"])

    def __repr__(self) -> str:
        return f"<Sweep of {len(self.rows)} runs in {self.path}: best {self.best if self.ranked else None}>"


class _Observer:
    """The count of runs that have ended, in a bar or not at all."""

    def __init__(self, progress: Any) -> None:
        self.bar: Any = None
        self.done = self.total = 0
        self.progress = progress

    def start(self, runs: int, _: dict[str, float]) -> None:
        self.total = runs
        if self.progress:
            try:
                from tqdm.auto import tqdm  # type: ignore[import-untyped]
            except ImportError:
                return
            self.bar = tqdm(total=runs, unit="run", dynamic_ncols=True)

    def steps(self, run: int, _: dict[str, float]) -> None:
        pass

    def epoch(self, run: int, record: dict[str, float]) -> None:
        if self.bar is not None:
            self.bar.set_description(f"epoch {int(record['epoch'])}")

    def end(self, run: int, _: dict[str, float]) -> None:
        self.done += 1
        if self.bar is not None:
            self.bar.update(1)
        elif self.progress:
            print(f"{self.done} of {self.total} runs ended", flush=True)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


#: The keys of [sweep] that are keywords.
KEYS = ["grid", "zip", "random", "seeds", "order", "halving", "asha", "at_once", "keep", "metric"]


def sweep(
    net: Sequential,
    x: Any,
    t: Any = None,
    *,
    grid: Mapping[str, Any] | None = None,
    zip: Mapping[str, Any] | None = None,
    seeds: Any = None,
    eval: Any = None,
    out: str | os.PathLike[str] | None = None,
    resume: bool = False,
    progress: Any = False,
    adapter: Any = None,
    **config: Any,
) -> SweepResult:
    """Trains many runs of a net at once, which differ in keys of the config.

    ``grid`` has the values of each key, which go with each of the others, and ``zip`` those that go together: a list,
    :func:`log` or :func:`lin`. Each run is repeated with each of ``seeds``. ``random``, ``halving``, ``asha``, ``order``,
    ``at_once``, ``keep`` and ``metric`` are those of ``downhill sweep``; every other keyword is as in
    :meth:`Sequential.fit`. ``out`` is the folder, a temporary one without it.
    """
    keys = {key: config.pop(key) for key in KEYS if key in config}
    given = {**keys, "grid": grid, "zip": zip, "seeds": None if seeds is None else [int(seed) for seed in seeds]}
    kept = None
    if out is None:
        kept = tempfile.TemporaryDirectory(prefix="downhill-sweep-")
        out = Path(kept.name) / "sweep"
    arrays, data = gathered(x, t, eval)
    table = build(net.layers, config, KEYS)
    table["data"].update(data)
    observer = _Observer(progress)
    try:
        with quiet_loader():
            sections = {key: plain(value) for key, value in given.items() if value is not None}
            done = _downhill.sweep(table, None if resume else sections, arrays, which(adapter), Path(out), observer)
    except KeyboardInterrupt:
        how = "" if kept else f', and saved; downhill.sweep(.., out="{out}", resume=True) goes on with it'
        raise Interrupted(f"the sweep was stopped{how}") from None
    finally:
        observer.close()
    return SweepResult(done, Path(out), kept)
