"""Faults of users are exceptions with the texts of the command line."""

import numpy as np
import pytest

import downhill as dh

X, T = np.zeros((8, 3), "f4"), np.arange(8) % 2


def fit(*layers, x=X, t=T, **options):
    return dh.Sequential(*(layers or (dh.linear(2),))).fit(
        x, t, **{"loss": "cross_entropy", "optimizer": "sgd", "epochs": 1, **options}
    )


@pytest.mark.parametrize("options, words", [
    (dict(epoch=3), 'unknown key epoch; did you mean "epochs"?'),
    (dict(los="mse"), 'did you mean "loss"?'),
    (dict(t=T.astype("f4")), "takes classes, and the targets of arrays are floats"),
    (dict(loss="cross_entropi"), 'model.loss: unknown loss "cross_entropi"; did you mean "cross_entropy"?'),
    (dict(loss={"huber": {"detla": 1}}), 'unknown key model.loss.huber.detla; did you mean "delta"?'),
    (dict(optimizer="adamv"), 'optimizer.name: unknown optimizer "adamv"; did you mean "adam'),
    (dict(optimizer={"name": "sgd", "momentun": 1}), 'unknown key optimizer.momentun for sgd; did you mean "momentum"?'),
    (dict(epochs=0), "train: at least 1 epoch or step is needed"),
    (dict(epochs="many"), "train.epochs = \"many\": a whole number from 0 on is needed"),
    (dict(batch_size=0), "batch_size"),
    (dict(train={"epochz": 1}), 'unknown key train.epochz; did you mean "epochs"?'),
    (dict(metrics=["f2"]), "eval.metrics"),
    (dict(schedule="cosin"), 'schedule.name: unknown schedule "cosin"; did you mean "cosine"?'),
    (dict(eval=1.5), "data.eval_fraction = 1.5"),
    (dict(checkpoint={"every_steps": 5}), 'give out="runs/a"'),
    (dict(watch={"tensorboard": True}), 'watch.tensorboard: .* give out="runs/a"'),
    (dict(watch=3), r"watch = 3: a dict of the keys of \[watch\]"),
    (dict(seed=object()), "seed: a object is no value of a config"),
    (dict(config="/nowhere.toml"), "cannot read the config /nowhere.toml"),
])
def test_settings(options, words):
    with pytest.raises(dh.ConfigError, match=words.replace("?", r"\?")) as raised:
        fit(**options)
    assert isinstance(raised.value, ValueError) and isinstance(raised.value, dh.Error)


def test_entries_are_checked_where_they_are_made():
    for make, words in [
        (lambda: dh.linear(3, bais=False), 'unknown key model.layers.linear.bais; did you mean "bias"'),
        (lambda: dh.linear(0), "linear"),
        (lambda: dh.conv2d(), "out_channels"),
        (lambda: dh.AdamW(lrr=1), 'unknown key optimizer.lrr for adamw; did you mean "lr"'),
        (lambda: dh.AdamW(lr=-1.0), "optimizer.lr = -1"),
        (lambda: dh.schedules.one_cycle(pct_stat=0.1), 'did you mean "pct_start"'),
        (lambda: dh.metrics.top_k(kk=2), 'did you mean "k"'),
        (lambda: dh.losses.huber(detla=2), 'did you mean "delta"'),
        (lambda: dh.augment.crop(pading=2), "crop"),
        (lambda: dh.Sequential("relo"), 'unknown layer "relo"; did you mean "relu"'),
    ]:
        with pytest.raises(dh.ConfigError) as raised:
            make()
        assert words in str(raised.value)
    with pytest.raises(TypeError, match="takes 1 options without a name"):
        dh.linear(3, 4)


@pytest.mark.parametrize("change, words", [
    (dict(t=T[:5]), "x has 8 samples and t 5"),
    (dict(t=T - 1), "label -1 is not in"),
    (dict(x=X[:0], t=T[:0]), "x has shape"),
    (dict(t=np.zeros(8, int)), "one class"),
    (dict(eval=(X, T[:3])), "the x of eval has 8 samples and the t of eval 3"),
    (dict(eval=(X[:, :2], T)), r"f32 \[3\] a sample to train on, and f32 \[2\]"),
    (dict(eval=(X,)), "eval has 1 arrays"),
    (dict(x=np.full((8, 3), "a")), "texts"),
])
def test_arrays(change, words):
    with pytest.raises(dh.DataError, match=words):
        fit(**change)


def test_shapes_name_the_layer():
    with pytest.raises(dh.ShapeError, match=r"layer 1 \(conv2d\)"):
        fit("relu", dh.conv2d(4, 3))
    with pytest.raises(dh.ShapeError, match="layer 0"):
        fit(dh.linear(2), x=T[:, None].astype(np.int64))
    net = dh.Sequential(dh.linear(2))
    net.fit(X, T, loss="cross_entropy", optimizer="sgd", epochs=1)
    with pytest.raises(dh.Error, match="0.weight"):
        net.predict(np.zeros((2, 5), "f4"))
    with pytest.raises(dh.DataError, match="no sample"):
        net.predict(X[:0])


def test_numbers_that_are_not_finite_diverge():
    x = X.copy()
    x[3, 1] = np.nan
    with pytest.raises(dh.DivergedError, match="the loss became NaN at step 1") as raised:
        fit(x=x, t=T)
    assert (raised.value.step, raised.value.epoch) == (1, 1) and np.isnan(raised.value.loss)
    assert isinstance(raised.value, ArithmeticError)
    with pytest.raises(dh.DivergedError):
        fit(dh.linear(1), t=np.full(8, np.nan), loss="mse")


def test_adapters_are_listed_and_chosen(digits, net, quick):
    x, t, _, _ = digits
    first = dh.adapters()[0]
    assert first.index == 0 and first.name and first.kind
    run = net.fit(x, t, adapter=0, **quick)
    assert run.adapter == first.name
    with pytest.raises(dh.NoAdapterError, match="no adapter's name contains \"voodoo\""):
        net.fit(x, t, adapter="voodoo", **quick)
    with pytest.raises(dh.BudgetError):
        net.fit(x, t, memory="64KiB", **quick)
