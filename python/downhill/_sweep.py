"""Sweeps: many runs of a net at once."""

from __future__ import annotations

import os
import tempfile
from numbers import Integral
from pathlib import Path
from typing import Any, Mapping

import numpy as np

from . import _downhill
from ._config import DATA_KEYS, TRAIN_KEYS, build
from ._errors import ConfigError, Interrupted
from ._names import BESIDE_OPTIMIZER, TABLES, plain
from ._net import Sequential, check_free, folder, gathered, load, quiet_loader, which

_OPTIMIZER_KEYS = {option["name"] for row in TABLES["optimizers"] for option in row["options"] + BESIDE_OPTIMIZER}


def _values(first: float, last: float, scale: str, count: int) -> str:
    """So many values as a config has them. Numbers of NumPy are numbers too."""
    ends = [repr(int(end) if isinstance(end, Integral) else float(end)) for end in (first, last)]
    return f"{ends[0]}..{ends[1]}:{scale}:{int(count)}"


def log(first: float, last: float, count: int) -> str:
    """``count`` values of equal ratios from ``first`` to ``last``, for the grid of a sweep."""
    return _values(first, last, "log", count)


def lin(first: float, last: float, count: int) -> str:
    """``count`` values of equal differences from ``first`` to ``last``, for the grid of a sweep."""
    return _values(first, last, "lin", count)


class SweepResult:
    """The result of :func:`sweep`: a row for each run, the best of them, and their folder."""

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


def _sections(given: dict[str, Any]) -> dict[str, Any]:
    """The section [sweep] of these keywords."""
    given = {key: plain(value) for key, value in given.items() if value is not None}
    for name in ("grid", "zip"):
        if not isinstance(given.get(name, {}), dict):
            raise ConfigError(f"{name} = {given[name]!r}: a dict of keys with their values is needed, as "
                              f'{{"optimizer.lr": [1e-3, 3e-3]}}')
        for key in given.get(name, {}):
            _check_key(str(key))
    if "seeds" in given:
        try:
            given["seeds"] = [int(seed) for seed in given["seeds"]]
        except (TypeError, ValueError):
            raise ConfigError(f"seeds = {given['seeds']!r}: whole numbers are needed, as range(8)") from None
    if not any(given.get(name) for name in ("grid", "zip", "seeds")):
        raise ConfigError('the sweep varies nothing; give it grid={"optimizer.lr": [1e-3, 3e-3]} or seeds=range(8)')
    return given


def _check_key(key: str) -> None:
    """Refuses a key of a sweep that lacks its section, where one has it."""
    sections = {"optimizer": _OPTIMIZER_KEYS, "train": TRAIN_KEYS, "data": DATA_KEYS}
    found = [f"{section}.{key}" for section, names in sections.items() if key in names]
    if "." not in key and found:
        raise ConfigError(f'unknown key {key} of a sweep; keys have their section: did you mean "{found[0]}"?')


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
    :meth:`Sequential.fit`. ``out`` is the folder, a temporary one without it. The same call with ``resume=True`` goes on with
    a sweep that was stopped: runs that have ended stay as they are, and their arrays are not compared.
    """
    keys = {key: config.pop(key) for key in KEYS if key in config}
    table = build(net.layers, config, KEYS)
    sections = _sections({**keys, "grid": grid, "zip": zip, "seeds": seeds})
    kept, path = None, folder(out)
    if path is None:
        if resume:
            raise ConfigError("resume: the folder of the sweep is needed, as out= has named it")
        kept = tempfile.TemporaryDirectory(prefix="downhill-sweep-")
        path = Path(kept.name) / "sweep"
    elif not resume and (path / "sweep.toml").exists():
        raise ConfigError(f'{path} holds a sweep already; the same call with resume=True goes on with it; or choose another '
                          f"out, or remove it")
    elif not resume:
        check_free(path)
    arrays, data = gathered(x, t, eval)
    table["data"].update(data)
    observer = _Observer(progress)
    try:
        quiet_loader()
        done = _downhill.sweep(table, sections, resume, arrays, which(adapter), path, observer)
    except KeyboardInterrupt:
        how = "" if kept else f', and saved; downhill.sweep(.., out="{path}", resume=True) goes on with it'
        raise Interrupted(f"the sweep was stopped{how}") from None
    finally:
        observer.close()
    return SweepResult(done, path, kept)
