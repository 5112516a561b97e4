"""Estimators with scikit-learn's manners: ``fit``, ``predict``, ``score``, ``get_params``."""

from __future__ import annotations

from numbers import Integral
from typing import Any

import numpy as np

try:
    # scikit-learn has no types of its own.
    from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
    from sklearn.utils import check_random_state
    from sklearn.utils.multiclass import check_classification_targets
    from sklearn.utils.validation import check_is_fitted, validate_data
except ImportError as error:
    raise ImportError("downhill.Classifier and downhill.Regressor need scikit-learn 1.6 or later: pip install "
                      "scikit-learn") from error

from ._errors import ConfigError
from ._names import plain
from ._net import Sequential, _name


class _Estimator(BaseEstimator):
    """The parameters and the training of both estimators."""

    def __init__(
        self,
        layers: Any = ("flatten", {"linear": 64}, "relu"),
        *,
        loss: Any = None,
        optimizer: Any = "adamw",
        schedule: Any = None,
        epochs: int = 100,
        batch_size: Any = 64,
        validation_fraction: float = 0.0,
        early_stopping: Any = None,
        random_state: Any = None,
        adapter: Any = None,
        config: Any = None,
        verbose: bool = False,
    ) -> None:
        self.layers = layers
        self.loss = loss
        self.optimizer = optimizer
        self.schedule = schedule
        self.epochs = epochs
        self.batch_size = batch_size
        self.validation_fraction = validation_fraction
        self.early_stopping = early_stopping
        self.random_state = random_state
        self.adapter = adapter
        self.config = config
        self.verbose = verbose

    def _seed(self) -> int:
        """The seed of the run; where none is given, one that is drawn."""
        state = self.random_state
        if isinstance(state, Integral):
            return int(state)
        if isinstance(state, np.random.Generator):
            return int(state.integers(np.iinfo(np.int32).max))
        return int(check_random_state(state).randint(np.iinfo(np.int32).max))

    def _hidden(self) -> list[Any]:
        """The layers before the last. One layer may stand alone."""
        layers = plain(self.layers)
        if isinstance(layers, (str, dict)):
            return [layers]
        if not isinstance(layers, list):
            raise ConfigError(f"layers = {self.layers!r}: the hidden layers are needed, as (dh.linear(64), \"relu\")")
        return layers

    def _rows(self, samples: int) -> Any:
        """The batch size: never more than there are samples."""
        rows = self.batch_size
        return min(int(rows), samples) if isinstance(rows, Integral) and not isinstance(rows, bool) else rows

    def _train(self, x: np.ndarray, t: np.ndarray, outputs: int, loss: Any) -> None:
        """Trains the hidden layers and a layer of so many outputs after them."""
        net = Sequential(*self._hidden(), {"linear": outputs})
        run = net.fit(
            x, t,
            loss=loss if self.loss is None else self.loss,
            optimizer=self.optimizer,
            schedule=self.schedule,
            epochs=self.epochs,
            batch_size=self._rows(len(x)),
            eval=self.validation_fraction or None,
            early_stopping=self.early_stopping,
            seed=self._seed(),
            adapter=self.adapter,
            config=self.config,
            progress=self.verbose,
        )
        self.net_ = net
        self.run_ = run
        self.n_iter_ = max(1, len(run.epochs["epoch"]))
        self.loss_curve_ = run.epochs["train_loss"]

    def _samples(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return validate_data(self, X, reset=False, dtype=[np.float32, np.float64], allow_nd=True)


class Classifier(ClassifierMixin, _Estimator):
    """A net that tells classes apart: hidden layers, and a layer of an output for each class after them.

    Parameters are keys of a config under their names. ``layers`` are the hidden layers, ``loss`` is cross-entropy without it,
    ``validation_fraction`` the share that is held out to evaluate on, ``random_state`` the seed, and ``config`` a whole config
    or its other sections as a dict. Labels are of any type.

    After :meth:`fit`: ``classes_``, ``net_`` (a :class:`downhill.Sequential`), ``run_``, ``n_iter_``, ``loss_curve_``,
    ``n_features_in_``.
    """

    def fit(self, X: Any, y: Any) -> "Classifier":
        """Trains a new net on samples and their labels."""
        if _name(self.loss) not in (None, "cross_entropy"):
            raise ConfigError(f"loss = {self.loss!r}: outputs of a Classifier are probabilities by cross_entropy alone, with any "
                              f"of its options; a Regressor or a downhill.Sequential takes other losses")
        X, y = validate_data(self, X, y, dtype=[np.float32, np.float64], allow_nd=True, ensure_min_samples=2)
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"Classifier can't train when only one class is present: every label is {self.classes_[0]!r}")
        self._train(X, labels.astype(np.int32), len(self.classes_), "cross_entropy")
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class, in the order of ``classes_``: [samples, classes]."""
        X = self._samples(X)
        return self.net_.predict(X, adapter=self.adapter).astype(np.float64)

    def predict(self, X: Any) -> np.ndarray:
        """The likeliest class of each sample."""
        probabilities = self.predict_proba(X)
        return self.classes_[probabilities.argmax(axis=1)]


class Regressor(RegressorMixin, _Estimator):
    """A net that predicts numbers: hidden layers, and a layer of an output for each target after them.

    Parameters are those of :class:`Classifier`; ``loss`` is the mean squared error without it. Targets are learnt as
    (y - mean) / deviation, and predictions are in the targets' own unit.

    After :meth:`fit`: ``net_``, ``run_``, ``n_iter_``, ``loss_curve_``, ``n_features_in_``.
    """

    def fit(self, X: Any, y: Any) -> "Regressor":
        """Trains a new net on samples and their numbers, [samples] or [samples, targets]."""
        X, y = validate_data(
            self, X, y, dtype=[np.float32, np.float64], allow_nd=True, multi_output=True, y_numeric=True,
            ensure_min_samples=2,
        )
        self._is_column = y.ndim == 1
        targets = y.reshape(len(y), -1).astype(np.float64)
        self._mean = targets.mean(axis=0)
        deviation = targets.std(axis=0)
        self._deviation = np.where(deviation > 0, deviation, 1.0)
        scaled = ((targets - self._mean) / self._deviation).astype(np.float32)
        self._train(X, scaled, targets.shape[1], "mse")
        return self

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def predict(self, X: Any) -> np.ndarray:
        """The numbers of each sample, in the unit of the targets."""
        X = self._samples(X)
        numbers = self.net_(X, adapter=self.adapter).astype(np.float64) * self._deviation + self._mean
        return numbers[:, 0] if self._is_column else numbers
