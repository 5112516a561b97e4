"""A net and its runs."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import warnings
from collections import OrderedDict
from contextlib import contextmanager
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable, Iterator, Mapping

import numpy as np

from . import _downhill
from ._arrays import as_array, as_weights
from ._config import build
from ._errors import ConfigError, DataError, DivergedError, Interrupted, ShapeError, StopTraining, WeightsError
from ._names import plain
from ._progress import Observer, choose

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from ._keywords import Keywords

FIT_KEYWORDS = ["eval", "out", "progress", "on_epoch", "on_steps", "adapter"]


_QUIET = threading.Lock()


def quiet_loader() -> None:
    """Keeps Mesa's drivers from printing an error about a variable that only a desktop sets.

    The variable is set before the first device is opened, and stays: to remove it again would race with threads that read
    the environment.
    """
    if sys.platform == "linux":
        with _QUIET:
            os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())


def which(adapter: Any) -> str:
    """The adapter as ``--adapter`` takes it; without one, that of ``DOWNHILL_ADAPTER``, else the best."""
    return str(adapter) if adapter is not None else os.environ.get("DOWNHILL_ADAPTER") or "auto"


def folder(out: Any) -> Path | None:
    """The folder that ``out`` names."""
    if out is None:
        return None
    if os.fspath(out) == "":
        raise ConfigError('out = "": the name of a folder is needed, as "runs/a"')
    return Path(out)


def gathered(x: Any, t: Any, eval: Any) -> tuple[Any, dict[str, Any]]:
    """The samples as the engine takes them, and what they say for [data]."""
    data: dict[str, Any] = {}
    if t is None:
        data["target"] = "inputs"
    eval_x = eval_t = None
    if isinstance(eval, Real) and not isinstance(eval, bool):
        data["eval_fraction"] = float(eval)
    elif eval is not None:
        pair = eval if isinstance(eval, (tuple, list)) else (eval,)
        if len(pair) != (1 if t is None else 2):
            wanted = "(xv,)" if t is None else "(xv, tv)"
            raise DataError(f"eval has {len(pair)} arrays: {wanted} is needed, or the share of the samples to hold out, as 0.2")
        eval_x = as_array("the x of eval", pair[0])
        eval_t = as_array("the t of eval", pair[1], is_target=True) if t is not None else None
    own = (as_array("x", x), as_array("t", t, is_target=True) if t is not None else None)
    if (eval_x is not None) and (eval_x.dtype != own[0].dtype):
        if eval_x.dtype == np.uint8 and own[0].dtype.kind == "f":
            raise _no_bytes("the x of eval", own[0].dtype.name)
        # Numbers of another type that mean the same.
        eval_x = _as_type("the x of eval", eval_x, own[0].dtype)
    if eval_t is not None and own[1] is not None and eval_t.dtype != own[1].dtype:
        eval_t = _as_type("the t of eval", eval_t, own[1].dtype)
    return _downhill.Arrays(own[0], own[1], eval_x, eval_t), data


def _as_type(name: str, array: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """The array in the type of the one to train on, where it has the same numbers there."""
    cast = array.astype(dtype)
    if array.dtype.kind in "iu" and dtype.kind == "f" or np.array_equal(cast, array):
        return np.ascontiguousarray(cast)
    raise DataError(f"{name} is {array.dtype}, and that to train on {dtype}: both need the same type")


def _no_bytes(name: str, others: str) -> DataError:
    """Bytes, which training divides by 255, where a net is trained on floats."""
    return DataError(f"{name} is uint8, and the net is trained on {others}; whether bytes are to be divided is yours to say: give "
                     f'{name} / 255, or {name}.astype("f4") for the numbers as they are')


class Run:
    """The result of ``fit``: the records of a run, its weights, and how it ended."""

    def __init__(self, net: "Sequential", done: dict[str, Any], path: Path | None) -> None:
        #: The net, with the weights of this run's end.
        self.net = net
        #: The folder of the run, or None.
        self.path = path
        #: ``"finished"``, ``"early stopped"``, ``"stopped"`` or ``"diverged"``.
        self.outcome: str = done["outcome"]
        #: Steps done.
        self.step: int = done["step"]
        #: The whole config as TOML, every default written out.
        self.config: str = done["config"]
        #: The adapter that it ran on.
        self.adapter: str = done["adapter"]
        #: The numbers of each epoch, as arrays by name.
        self.epochs: dict[str, np.ndarray] = _whole(done["epochs"], ("epoch", "steps"))
        #: Loss and learning rate of each step, as arrays by name.
        self.steps: dict[str, np.ndarray] = _whole(done["steps"], ("epoch", "step"))
        confusion = done.get("confusion")
        #: The last confusion matrix, true classes in rows, where ``metrics`` asked for it.
        self.confusion_matrix = None if confusion is None else np.array(confusion, dtype=np.int64)
        self._average = done["average"]

    @property
    def metrics(self) -> Any:
        """The numbers of each epoch: a DataFrame where pandas is installed, else the dict :attr:`epochs`."""
        try:
            import pandas
        except ImportError:
            return self.epochs
        frame = pandas.DataFrame(self.epochs)
        return frame.set_index("epoch")

    @property
    def last(self) -> dict[str, float]:
        """The numbers of the last epoch."""
        return {name: values[-1].item() for name, values in self.epochs.items() if len(values)}

    @property
    def average(self) -> "OrderedDict[str, np.ndarray] | None":
        """The averaged weights, where ``average`` asked for them."""
        return None if self._average is None else OrderedDict(self._average)

    def __repr__(self) -> str:
        numbers = [f"{name}={self.last[name]:.4g}" for name in ("train_loss", "eval_loss", "eval_accuracy") if name in self.last]
        where = f" in {self.path}" if self.path else ""
        return f"<Run {self.outcome} after step {self.step}{where}: {', '.join(numbers) or 'no epoch'}>"


def _whole(arrays: dict[str, np.ndarray], names: tuple[str, ...]) -> dict[str, np.ndarray]:
    """The arrays, those of these names as whole numbers."""
    return {name: values.astype(np.int64) if name in names else values for name, values in arrays.items()}


class Sequential:
    """A net: layers one after the other, each a name, a function of :mod:`downhill.layers`, or a dict as in a config.

    >>> net = Sequential("flatten", linear(128), "relu", linear(10))

    The sizes of inputs follow from the arrays. Weights are there after :meth:`fit`, :meth:`load` or
    :meth:`load_state_dict`; ``fit`` goes on from them, and :meth:`reset` drops them.
    """

    def __init__(self, *layers: Any) -> None:
        flat: list[Any] = []
        for layer in layers:
            flat.extend(layer if isinstance(layer, (list, tuple)) else layer.layers if isinstance(layer, Sequential) else [layer])
        for layer in flat:
            _downhill.check("layer", plain(layer))
        #: The layers.
        self.layers: list[Any] = flat
        #: The last run of :meth:`fit`.
        self.run: Run | None = None
        self._weights: list[tuple[str, np.ndarray]] | None = None
        self._config: dict[str, Any] | None = None
        self._encoding: str | None = None
        self._predictors: dict[Any, Any] = {}

    def __downhill__(self) -> list[Any]:
        return plain(self.layers)

    def __repr__(self) -> str:
        return f"Sequential({', '.join(repr(layer) for layer in self.layers)})"

    def __getstate__(self) -> dict[str, Any]:
        # Devices stay where they are; the records of a run go with its folder.
        return {**self.__dict__, "_predictors": {}, "run": None}

    def fit(
        self,
        x: Any,
        t: Any = None,
        *,
        eval: Any = None,
        out: str | os.PathLike[str] | None = None,
        progress: Any = False,
        on_epoch: Callable[[dict[str, float]], Any] | None = None,
        on_steps: Callable[[dict[str, float]], Any] | None = None,
        adapter: Any = None,
        **config: "Unpack[Keywords]",
    ) -> Run:
        """Trains the net on arrays, samples along their first axis, and returns the :class:`Run`.

        ``t`` are targets: integers are labels, floats are numbers; without them the inputs are their own. ``eval`` is a pair
        of arrays to evaluate on after each epoch, or the share of the samples that is held out. ``out`` is a new folder that
        keeps the run, with checkpoints, as the command line does. ``progress`` shows a bar or lines. ``on_epoch`` is called
        with the numbers of each epoch, and may raise :class:`StopTraining`; ``on_steps`` with the last of some steps.

        Every other keyword is a key of a config: ``loss``, ``optimizer``, ``schedule``, ``epochs``, ``steps``,
        ``batch_size``, ``seed``, ``metrics``, ``early_stopping``, ``augment``, ``precision`` and all others of the reference.
        ``config`` is a whole config that they change.
        """
        arrays, data = gathered(x, t, eval)
        table = build(self.layers, dict(config), FIT_KEYWORDS)
        table["data"].update(data)
        path = folder(out)
        _needs_folder(table, path)
        check_free(path)
        if self._weights is not None and (table.get("init") or {}).get("file"):
            raise ConfigError("init: the net has weights, and fit goes on from them; net.reset() first drops them")
        observer = Observer(choose(progress), on_epoch, on_steps)
        quiet_loader()
        with _closing(observer), self._diverging(path), self._explaining(x, t, table["model"].get("loss")):
            done = _downhill.fit(table, arrays, which(adapter), path, self._weights, observer)
        return self._take(done, path, observer)

    def _take(self, done: dict[str, Any], path: Path | None, observer: Observer) -> Run:
        """Has the weights of a run, and raises the exception that stopped it."""
        for note in done["notes"]:
            warnings.warn(note, stacklevel=4)
        self._weights, self._encoding = done["weights"], done["encoding"]
        self._config = _table(done["config"])
        self._predictors = {}
        # A net without layers takes those of its config.
        self.layers = self.layers or self._config["model"]["layers"]
        self.run = run = Run(self, done, path)
        raised = done["raised"]
        if raised is None or isinstance(raised, StopTraining):
            return run
        if isinstance(raised, KeyboardInterrupt):
            how = f', and saved; downhill.resume("{path}", x, t) goes on with it' if path else "; the net has its weights"
            interrupted = Interrupted(f"stopped after step {run.step}{how}")
            interrupted.run = run
            raise interrupted from None
        raise raised

    @contextmanager
    def _diverging(self, path: Path | None) -> Iterator[None]:
        """A run that diverges has its records in the exception."""
        try:
            yield
        except DivergedError as error:
            records = getattr(error, "records", None)
            if records and records["config"] is not None:
                error.run = Run(self, {**records, "outcome": "diverged", "step": error.step, "average": None}, path)
            raise

    @contextmanager
    def _explaining(self, x: Any, t: Any = None, loss: Any = None) -> Iterator[None]:
        """Errors that have their reason in an array name it: ``x``, or targets ``t`` of the loss."""
        try:
            yield
        except (ConfigError, DataError, ShapeError, WeightsError) as error:
            was, now = ((self._config or {}).get("data") or {}).get("sample"), list(np.shape(x)[1:])
            if isinstance(error, (ShapeError, WeightsError)) and was is not None and now != was:
                raise ShapeError(
                    f"x has samples of shape {now}, and the net was trained on samples of shape {was} (samples lie along the "
                    f"first axis; net.reset() drops the weights): {error}"
                ) from error
            is_label = any(words in str(error) for words in ("label ", "output and target"))
            if is_label and t is not None and _name(loss) in _OF_NUMBERS and as_array("t", t, is_target=True).dtype.kind in "iu":
                raise type(error)(f"{error}. Integer targets are labels of classes; "
                                  f't.astype("f4") is for numbers') from error.__cause__
            raise

    @property
    def trained(self) -> bool:
        """True where it has weights."""
        return self._weights is not None

    def reset(self) -> "Sequential":
        """Drops the weights: the next :meth:`fit` begins with new ones."""
        self._weights = self._config = self._encoding = self.run = None
        self._predictors = {}
        return self

    def _known(self, what: str) -> tuple[dict[str, Any], list[tuple[str, np.ndarray]]]:
        if self._weights is None:
            raise WeightsError(f"the net has no weights to {what} with: train it by fit, or load some")
        # Weights that were loaded have no run; no key but the layers matters for an output then.
        plainest = {"data": {"source": "memory"}, "model": {"loss": "mse"}, "optimizer": {"name": "sgd"}}
        table = self._config or plainest
        return {**table, "model": {**table["model"], "layers": plain(self.layers)}}, self._weights

    def _answers(self, x: Any, head: bool, adapter: Any) -> np.ndarray:
        table, weights = self._known("predict")
        if head and self._config is None:
            raise WeightsError("predict: the weights were loaded, and which loss they were trained for is not known, so whether "
                               "outputs become probabilities is not either; net(x) gives the outputs of the last layer")
        array = self._as_trained(as_array("x", x))
        if array.size == 0:
            raise DataError(f"x has shape {list(array.shape)}: there is no sample in it")
        key = (head, which(adapter))
        quiet_loader()
        with self._explaining(array):
            if key not in self._predictors:
                self._predictors[key] = _downhill.Predictor(table, self._encoding, weights, which(adapter), head)
            return self._predictors[key].predict(array)

    def _as_trained(self, array: np.ndarray) -> np.ndarray:
        """Whole numbers as floats, where the net was trained on floats that nothing scales. Bytes and floats are not mixed."""
        data = (self._config or {}).get("data", {})
        if data.get("source") != "memory" or data.get("integers", False):
            return array
        divisor = json.loads(self._encoding).get("divisor", 1) if self._encoding else 1
        is_bytes = array.dtype == np.uint8
        if divisor != 1 and not is_bytes:
            raise DataError(f"x is {array.dtype}, and the net was trained on bytes, which are divided by {divisor:g}; give it uint8, "
                            f'as (x * {divisor:g}).round().astype("u1") of numbers from 0 to 1')
        if divisor == 1 and is_bytes:
            raise _no_bytes("x", "floats")
        return array if self._encoding or array.dtype.kind == "f" else array.astype(np.float32)

    def predict(self, x: Any, *, adapter: Any = None) -> np.ndarray:
        """The answers to samples, float32: probabilities where the loss is one of classes, else the outputs."""
        return self._answers(x, True, adapter)

    def __call__(self, x: Any, *, adapter: Any = None) -> np.ndarray:
        """The outputs of the last layer, float32."""
        return self._answers(x, False, adapter)

    def evaluate(self, x: Any, t: Any = None, *, adapter: Any = None, **config: Any) -> dict[str, Any]:
        """The loss on arrays, the accuracy where targets are labels, and the metrics of the run or of ``metrics``.

        ``loss`` is needed where the weights were loaded without a run.
        """
        table, weights = self._known("evaluate")
        if self._config is None and "loss" not in config and "config" not in config:
            raise ConfigError("evaluate: the net was not trained here, and which loss is meant is not known; give "
                              'loss="cross_entropy" or another')
        table = build(self.layers, {"config": table, **config}, ["adapter"])
        # The samples are these, encoded as the run's were.
        table["data"] = {key: value for key, value in table["data"].items() if key in ("source", "batch_size", "workers")}
        table.pop("early_stopping", None)
        table.pop("checkpoint", None)
        array = self._as_trained(as_array("x", x))
        arrays, data = gathered(array, t, None)
        table["data"].update(data)
        quiet_loader()
        with self._explaining(array, t, table["model"].get("loss")):
            found = _downhill.evaluate(table, self._encoding, weights, arrays, which(adapter))
        if "confusion_matrix" in found:
            found["confusion_matrix"] = np.array(found["confusion_matrix"], dtype=np.int64)
        return found

    def state_dict(self) -> "OrderedDict[str, np.ndarray]":
        """A copy of the weights by their names, which are those of ``torch.nn.Sequential``."""
        if self._weights is None:
            raise WeightsError("the net has no weights yet: train it by fit, or load some")
        return OrderedDict((name, values.copy()) for name, values in self._weights)

    def load_state_dict(self, weights: Mapping[str, Any]) -> "Sequential":
        """Takes weights by their names, as :meth:`state_dict` or a model of PyTorch has them. Use checks the shapes."""
        if not isinstance(weights, Mapping):
            raise WeightsError(f"the weights are a {type(weights).__name__}, and a dict of names with arrays is needed, as "
                               f"state_dict() gives it")
        wrong = [name for name in weights if not isinstance(name, str)]
        if wrong:
            raise WeightsError(f"the weights have the key {wrong[0]!r}, and names are needed, as 0.weight")
        self._weights = [(name, np.array(as_weights(name, values))) for name, values in weights.items()]
        self._predictors = {}
        return self

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the weights as a safetensors file."""
        _downhill.save(Path(path), list(self.state_dict().items()))

    def load(self, path: str | os.PathLike[str]) -> "Sequential":
        """Takes the weights of a safetensors file."""
        self._weights = _downhill.load(Path(path))
        self._predictors = {}
        return self


#: Losses whose targets are numbers, or labels as one-hot rows.
_OF_NUMBERS = {"mse", "l1", "huber", "smooth_l1", "bce_with_logits"}


def _name(entry: Any) -> Any:
    """The name of an entry of a config."""
    entry = plain(entry)
    return next(iter(entry), None) if isinstance(entry, dict) else entry


@contextmanager
def _closing(observer: Observer) -> Iterator[None]:
    try:
        yield
    finally:
        observer.view.close()


def check_free(path: Path | None) -> None:
    """Refuses a folder that holds a run."""
    if path is None:
        return
    if (path / "model.safetensors").exists():
        raise ConfigError(f"{path} holds a run already, or model.safetensors, its weights; choose another out, or remove it")
    if (path / "metrics.jsonl").exists():
        raise ConfigError(f'{path} holds a run already, which did not end; downhill.resume("{path}", x, t) goes on with it; or '
                          f"choose another out, or remove it")


def _needs_folder(table: dict[str, Any], out: Any) -> None:
    """Refuses keys of a run's folder where there is none."""
    if out is not None:
        return
    watch = table.get("watch") or {}
    key = "checkpoint" if table.get("checkpoint") else next((f"watch.{key}" for key, value in watch.items() if value), None)
    if key:
        raise ConfigError(f'{key}: it is written into the folder of a run, and there is none; give out="runs/a"')


def _table(text: str) -> dict[str, Any]:
    """A config of TOML as a dict."""
    return json.loads(_downhill.to_json(text))


def load(path: str | os.PathLike[str]) -> Sequential:
    """The net of a finished run with its weights, from the run's folder."""
    found = _downhill.open_run(Path(path))
    table = _table(found["config"])
    net = Sequential(*table["model"]["layers"])
    net._weights, net._encoding, net._config = found["weights"], found["encoding"], table
    return net


def resume(
    path: str | os.PathLike[str],
    x: Any,
    t: Any = None,
    *,
    eval: Any = None,
    progress: Any = False,
    on_epoch: Callable[[dict[str, float]], Any] | None = None,
    on_steps: Callable[[dict[str, float]], Any] | None = None,
    adapter: Any = None,
    set: Mapping[str, Any] | None = None,
) -> Run:
    """Continues a run that was stopped, from its folder, on the same arrays, to the bits of one that was not.

    ``set`` changes keys that change no step that is done, as ``{"train.epochs": 60}``. The records are those from here on;
    the folder has all.
    """
    arrays, data = gathered(x, t, eval)
    settings = [f"{key}={json.dumps(value)}" for key, value in (set or {}).items()]
    observer = Observer(choose(progress), on_epoch, on_steps)
    net = Sequential()
    quiet_loader()
    with _closing(observer), net._diverging(Path(path)):
        done = _downhill.resume(Path(path), arrays, which(adapter), settings, observer)
    return net._take(done, Path(path), observer)


class Adapter:
    """A graphics adapter of this machine."""

    def __init__(self, index: int, name: str, kind: str, backend: str, driver: str, memory: int | None) -> None:
        self.index, self.name, self.kind, self.backend, self.driver, self.memory = index, name, kind, backend, driver, memory

    def __repr__(self) -> str:
        return f"<Adapter {self.index}: {self.name} ({self.kind}, {self.backend})>"


def adapters() -> list[Adapter]:
    """Every adapter; ``adapter=`` takes an index, part of a name, ``"auto"`` or ``"software"``."""
    quiet_loader()
    return [Adapter(**row) for row in _downhill.adapters()]
