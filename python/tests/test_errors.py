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
    (dict(config=3), "config = 3: the path of a file or a dict is needed"),
    (dict(out=""), 'out = "": the name of a folder is needed'),
    (dict(progress="bar"), "progress = 'bar': True, False, \"plain\", or an object with the methods"),
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
    (dict(eval=((X * 255).astype("u1"), T)), "the x of eval is uint8, and the net is trained on float32"),
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
    other = np.zeros((8, 5), "f4")
    for work in (lambda: net.predict(other), lambda: net(other), lambda: net.evaluate(other, T),
                 lambda: net.fit(other, T, loss="cross_entropy", optimizer="sgd", epochs=1)):
        with pytest.raises(dh.ShapeError, match=r"x has samples of shape \[5\], and the net was trained on .* \[3\]"):
            work()
    assert net.predict(X).shape == (8, 2)
    with pytest.raises(dh.DataError, match="no sample"):
        net.predict(X[:0])


def test_numbers_that_are_not_finite_diverge():
    x = X.copy()
    x[3, 1] = np.nan
    with pytest.raises(dh.DivergedError, match="the loss became NaN at step 1") as raised:
        fit(x=x, t=T)
    assert (raised.value.step, raised.value.epoch) == (1, 1) and np.isnan(raised.value.loss)
    assert isinstance(raised.value, ArithmeticError)
    assert raised.value.run.outcome == "diverged" and raised.value.run.path is None
    late = np.zeros((64, 3), "f4")
    late[0] = np.inf
    net = dh.Sequential(dh.linear(2))
    net.fit(late[1:], np.arange(63) % 2, loss="cross_entropy", optimizer="sgd", epochs=1)
    before = net.state_dict()
    with pytest.raises(dh.DivergedError) as raised:
        net.fit(late[::-1].copy(), np.arange(64) % 2, loss="cross_entropy", optimizer="sgd", epochs=1, batch_size=8, sampling="file")
    run = raised.value.run
    assert raised.value.step == 8 and list(run.steps["step"][:7]) == [1, 2, 3, 4, 5, 6, 7] and "batch_size = 8" in run.config
    assert all((values == before[name]).all() for name, values in net.state_dict().items())
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


def test_weights_are_checked():
    net = dh.Sequential(dh.linear(2))
    for weights, words in [
        ([1, 2], "the weights are a list, and a dict of names with arrays is needed"),
        ({0: np.zeros((2, 3))}, "the weights have the key 0, and names are needed"),
        ({"0.weight": "a"}, "0.weight holds texts"),
        ({"0.weight": np.zeros((2, 3)) + 1j}, "0.weight holds complex numbers"),
    ]:
        with pytest.raises(dh.WeightsError, match=words):
            net.load_state_dict(weights)
    net.load_state_dict({"0.weight": np.eye(2, 3), "0.bias": np.zeros(2)})
    # Probabilities or numbers: no loss says it.
    with pytest.raises(dh.WeightsError, match=r"net\(x\)"):
        net.predict(X)
    assert (net(X) == 0).all()


def test_weights_to_begin_from_do_not_replace_those_of_a_net(tmp_path):
    net = dh.Sequential(dh.linear(2))
    options = dict(loss="cross_entropy", optimizer="sgd", epochs=1, init={"file": str(tmp_path / "w.safetensors")})
    fit().net.save(tmp_path / "w.safetensors")
    net.fit(X, T, **options)
    for out in (None, tmp_path / "run"):
        with pytest.raises(dh.ConfigError, match=r"init: .*net\.reset\(\)"):
            net.fit(X, T, out=out, **options)
    net.reset().fit(X, T, **options)


def test_bytes_and_floats_are_not_mixed():
    x = np.random.default_rng(0).integers(0, 256, (8, 3)).astype("u1")
    options = dict(loss="cross_entropy", optimizer="sgd", epochs=1)
    of_floats = [fit(x=x / 255).net, fit(x=x / 255, normalise="standard").net]
    for net in of_floats:
        for work in (lambda: net.predict(x), lambda: net.evaluate(x, T)):
            with pytest.raises(dh.DataError, match=r"x is uint8.* x\.astype\(\"f4\"\)"):
                work()
    of_bytes = fit(x=x).net
    with pytest.raises(dh.DataError, match=r"x is float32, and the net was trained on bytes.* give it uint8"):
        of_bytes.predict(x.astype("f4"))
    assert of_bytes.predict(x).shape == (8, 2)
    of_tokens = dh.Sequential(dh.embedding(256, 2), "flatten", dh.linear(2))
    of_tokens.fit(x, T, normalise="none", **options)
    assert of_tokens.predict(x).shape == (8, 2)


def test_indices_beyond_a_table_are_told():
    tokens = np.arange(16).reshape(8, 2)
    net = fit(dh.embedding(16, 4), "flatten", dh.linear(2), x=tokens).net
    for wrong in (16, -1):
        tokens = tokens.copy()
        tokens[7, 1] = wrong
        for work in (lambda: net.predict(tokens), lambda: net(tokens), lambda: net.evaluate(tokens, T)):
            with pytest.raises(dh.Error, match=rf"0\.weight.*|.*index {wrong}"):
                work()
        with pytest.raises(dh.DataError, match=rf"layer 0 \(embedding\): 0.weight has 16 rows, and the inputs hold the index {wrong}"):
            net.predict(tokens)


def test_integer_targets_of_numbers_are_told():
    with pytest.raises(dh.Error, match=r't\.astype\("f4"\) is for numbers'):
        fit(dh.linear(1), loss="mse", t=np.arange(8))
    with pytest.raises(dh.ConfigError) as raised:
        fit(epoch=3)
    assert "astype" not in str(raised.value)


def test_texts_of_folders_speak_of_python(tmp_path):
    fit(out=tmp_path / "done")
    with pytest.raises(dh.ConfigError, match="holds a run already, or .*; choose another out, or remove it"):
        fit(out=tmp_path / "done")
    with pytest.raises(dh.ConfigError, match="holds a run already"):
        dh.sweep(dh.Sequential(dh.linear(2)), X, T, seeds=range(2), out=tmp_path / "done", loss="cross_entropy", optimizer="sgd")

    def fail(epoch):
        raise LookupError

    with pytest.raises(LookupError):
        fit(out=tmp_path / "run", on_epoch=fail, epochs=3)
    with pytest.raises(dh.ConfigError, match=r'did not end; downhill\.resume\(".*run", x, t\) goes on with it'):
        fit(out=tmp_path / "run")
