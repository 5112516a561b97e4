"""Estimators under scikit-learn's own checks and beside its own estimators."""

import pickle

import numpy as np
import pytest

import downhill as dh

pytest.importorskip("sklearn", minversion="1.6")

from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator

#: Checks that scikit-learn skips by itself, with its reason.
SKIPPED = {"check_array_api_input": "SCIPY_ARRAY_API is not set"}


@pytest.mark.parametrize("estimator", [
    dh.Classifier(epochs=12, optimizer=dh.AdamW(lr=2e-2)),
    dh.Regressor(epochs=15, optimizer=dh.AdamW(lr=2e-2)),
], ids=["Classifier", "Regressor"])
def test_scikit_learns_checks_pass(estimator):
    results = check_estimator(estimator, on_fail=None)
    assert len(results) > 40
    for result in results:
        name, reason = result["check_name"], str(result["exception"])
        if result["status"] == "skipped":
            assert SKIPPED.get(name, "no reason") in reason, (name, reason)
        else:
            assert result["status"] == "passed", (name, reason)


def test_a_classifier_has_labels_of_any_type():
    x, t = load_iris(return_X_y=True)
    names = np.array(["setosa", "versicolor", "virginica"])[t]
    model = make_pipeline(StandardScaler(), dh.Classifier(epochs=60, optimizer=dh.AdamW(lr=1e-2), random_state=0))
    model.fit(x, names)
    assert model.score(x, names) > 0.95
    assert list(model.classes_) == ["setosa", "versicolor", "virginica"]
    p = model.predict_proba(x)
    assert p.shape == (150, 3) and np.allclose(p.sum(1), 1, atol=1e-6)
    assert (model.predict(x) == model.classes_[p.argmax(1)]).all()
    again = pickle.loads(pickle.dumps(model))
    assert (again.predict_proba(x) == p).all()
    assert cross_val_score(model, x, names, cv=3).mean() > 0.9


def test_equal_states_give_equal_nets_and_parameters_are_kept():
    x, t = load_iris(return_X_y=True)
    own = dh.Classifier((dh.linear(8), "tanh"), epochs=5, random_state=3, batch_size=16)
    assert own.get_params()["batch_size"] == 16 and own.get_params()["layers"] == (dh.linear(8), "tanh")
    assert (own.fit(x, t).predict_proba(x) == clone(own).fit(x, t).predict_proba(x)).all()
    assert own.set_params(epochs=7).fit(x, t).n_iter_ == 7 and len(own.loss_curve_) == 7
    alone = [dh.Classifier(layers, epochs=2, random_state=3).fit(x, t) for layers in ("relu", ("relu",), dh.relu, dh.Sequential("relu"))]
    assert all((other.predict_proba(x) == alone[0].predict_proba(x)).all() for other in alone)
    assert dh.Classifier(epochs=1, random_state=np.random.default_rng(0), batch_size=None).fit(x, t).run_.step == -(-150 // 32)
    for wrong, words in [(dict(layers=3), "layers = 3: the hidden layers"), (dict(random_state="a"), "seed"),
                         (dict(batch_size="some"), "batch_size")]:
        with pytest.raises(ValueError, match=words):
            dh.Classifier(epochs=1).set_params(**wrong).fit(x, t)
    for loss in ("mse", "bce_with_logits", dh.losses.huber(), "nll"):
        with pytest.raises(dh.ConfigError, match="probabilities by cross_entropy alone"):
            dh.Classifier(epochs=1, loss=loss).fit(x, t)
    assert dh.Classifier(epochs=1, loss=dh.losses.cross_entropy(label_smoothing=0.1)).fit(x, t).predict_proba(x).shape == (150, 3)
    with pytest.raises(ValueError, match='did you mean "lr"'):
        clone(own).set_params(optimizer={"name": "sgd", "lrr": 1}).fit(x, t)


def test_a_regressor_is_as_good_as_scikit_learns():
    x, t = load_diabetes(return_X_y=True)
    x = StandardScaler().fit_transform(x)
    ours = dh.Regressor((dh.linear(32), "relu"), epochs=40, optimizer=dh.AdamW(lr=3e-3), random_state=0)
    theirs = MLPRegressor(hidden_layer_sizes=(32,), max_iter=40, learning_rate_init=3e-3, batch_size=64, random_state=0)
    with pytest.warns(Warning):  # It would train on.
        theirs.fit(x[:330], t[:330])
    a, b = ours.fit(x[:330], t[:330]).score(x[330:], t[330:]), theirs.score(x[330:], t[330:])
    assert a > 0.35 and a > b - 0.05, (a, b)
    two = ours.fit(x, np.stack([t, -2 * t], axis=1)).predict(x)
    assert two.shape == (442, 2) and np.corrcoef(two[:, 0], two[:, 1])[0, 1] < -0.9


def test_a_grid_search_sets_layers_and_early_stopping_works():
    x, t = load_iris(return_X_y=True)
    x = StandardScaler().fit_transform(x)
    search = GridSearchCV(
        dh.Classifier(epochs=20, optimizer=dh.AdamW(lr=1e-2), random_state=0),
        {"layers": [(dh.linear(4), "relu"), (dh.linear(32), "relu")]}, cv=2,
    ).fit(x, t)
    assert search.best_score_ > 0.85
    stopped = dh.Classifier(
        epochs=500, optimizer=dh.AdamW(lr=3e-2), validation_fraction=0.2, early_stopping={"patience": 3}, random_state=0
    ).fit(x, t)
    assert stopped.n_iter_ < 500 and stopped.run_.outcome == "early stopped"
    images = np.random.default_rng(0).normal(size=(64, 1, 8, 8))
    images[32:] += 1
    convolution = dh.Classifier((dh.conv2d(4, 3), "relu", "flatten"), epochs=60, random_state=0)
    assert convolution.fit(images, np.arange(64) // 32).score(images, np.arange(64) // 32) > 0.9
