"""Golden metrics: scikit-learn's own functions, in f64, on inputs that are exact in f32.

A row is a case with its inputs and the value of each metric. Outputs differ from each other, so that no
tie is broken. Of six classes one is never predicted, and one does not occur at all.
"""

import warnings

import numpy as np
import sklearn
from sklearn import metrics

from common import rng, write_json

AVERAGES = ["macro", "micro", "weighted"]
BY_CLASS = {"precision": metrics.precision_score, "recall": metrics.recall_score, "f1": metrics.f1_score}


def averaged(truth, said):
    return {
        f"{name}_{average}": score(truth, said, average=average, zero_division=0)
        for name, score in BY_CLASS.items()
        for average in AVERAGES
    }


def classes():
    draw = rng("metrics classes")
    n, c = 41, 6
    logits = np.round(draw.normal(size=(n, c)) * 64 + 0.0) / 64
    logits += np.arange(c) / 1024  # no two are equal
    logits[:, 4:] -= 6
    target = draw.integers(0, 5, size=n)
    said = logits.argmax(1)
    every = np.arange(c)
    log_z = np.log(np.exp(logits).sum(1))
    entropy = (log_z - logits[np.arange(n), target]).mean()
    values = averaged(target, said)
    values["accuracy"] = metrics.accuracy_score(target, said)
    for k in [2, 3]:
        values[f"top_{k}"] = metrics.top_k_accuracy_score(target, logits, k=k, labels=every)
    values["perplexity"] = np.exp(entropy)
    values["bits_per_character"] = entropy / np.log(2)
    confusion = metrics.confusion_matrix(target, said, labels=every)
    return logits, target, values, confusion.tolist()


def labels():
    draw = rng("metrics labels")
    n, c = 29, 5
    logits = np.round(draw.normal(size=(n, c)) * 64) / 64 + 1 / 128
    logits[:, 3] = -abs(logits[:, 3])  # never predicted
    target = (draw.random(size=(n, c)) < 0.4).astype(float)
    target[:, 4] = 0  # never true
    values = averaged(target.astype(int), (logits > 0).astype(int))
    return logits, target, values, None


def numbers():
    draw = rng("metrics numbers")
    n, c = 23, 3
    target = np.round((draw.normal(size=(n, c)) * [1, 2, 0] + [0, 30, 5]) * 64) / 64  # the last does not vary
    output = target + np.round(draw.normal(size=(n, c)) * 16) / 64
    values = {
        "mae": metrics.mean_absolute_error(target, output),
        # Of all outputs together: root_mean_squared_error is the mean of each one's.
        "rmse": np.sqrt(metrics.mean_squared_error(target, output)),
        "r2": metrics.r2_score(target, output),
    }
    return output, target, values, None


def make(folder):
    warnings.simplefilter("error")
    rows = []
    for case in [classes, labels, numbers]:
        output, target, values, confusion = case()
        assert (np.float32(output) == output).all() and (np.float32(target) == target).all()
        rows.append(
            {
                "name": case.__name__,
                "columns": output.shape[1],
                "output": output.ravel().tolist(),
                "target": target.ravel().tolist(),
                "values": {name: float(value) for name, value in values.items()},
                "confusion": confusion,
            }
        )
    write_json(folder / "metrics.json", "cases", rows, sklearn=sklearn.__version__)
