"""Training and its results."""

import copy
import pickle
import sys
import types

import numpy as np
import pytest

import downhill as dh


def test_the_net_of_the_readme_is_as_good_as_scikit_learns(digits):
    from sklearn.neural_network import MLPClassifier

    x, t, xv, tv = digits
    net = dh.Sequential("flatten", dh.linear(128), "relu", dh.linear(10))
    run = net.fit(x, t, loss="cross_entropy", optimizer=dh.AdamW(lr=3e-3), epochs=30, eval=(xv, tv))
    theirs = MLPClassifier((128,), learning_rate_init=3e-3, batch_size=32, max_iter=30, random_state=0)
    flat = lambda images: images.reshape(len(images), -1)
    with pytest.warns(Warning):  # It would train on.
        theirs.fit(flat(x), t)
    ours, theirs = run.last["eval_accuracy"], theirs.score(flat(xv), tv)
    assert ours >= 0.96 and ours >= theirs - 0.01, (ours, theirs)
    assert run.outcome == "finished" and run.path is None and run.step == 30 * 45

    p = net.predict(xv)
    assert p.shape == (360, 10) and p.dtype == np.float32
    np.testing.assert_allclose(p.sum(axis=1), 1, atol=1e-6)
    assert (p.argmax(axis=1) == tv).mean() == pytest.approx(ours)
    outputs = net(xv).astype(np.float64)
    softmax = np.exp(outputs - outputs.max(axis=1, keepdims=True))
    np.testing.assert_allclose(p, softmax / softmax.sum(axis=1, keepdims=True), atol=1e-6)
    found = net.evaluate(xv, tv)
    assert found["accuracy"] == pytest.approx(ours) and found["loss"] == pytest.approx(run.last["eval_loss"], rel=1e-6)


def test_records_are_arrays_and_a_frame(digits, net, quick):
    pandas = pytest.importorskip("pandas")
    x, t, xv, tv = digits
    run = net.fit(x, t, eval=(xv, tv), metrics=["f1", dh.metrics.top_k(3), "confusion_matrix"], **quick)
    assert isinstance(run.metrics, pandas.DataFrame)
    assert list(run.metrics.index) == [1, 2] and list(run.epochs["epoch"]) == [1, 2]
    for name in ("train_loss", "eval_loss", "eval_accuracy", "eval_metrics.f1", "eval_metrics.top_3"):
        assert run.epochs[name].shape == (2,) and run.metrics[name].iloc[-1] == run.last[name]
    assert len(run.steps["loss"]) == run.step == 2 * 45
    assert list(run.steps["step"][:2]) == [1, 2] and (run.steps["lr"] == 1e-2).all()
    assert run.confusion_matrix.shape == (10, 10) and run.confusion_matrix.sum() == 360
    assert np.trace(run.confusion_matrix) / 360 == pytest.approx(run.last["eval_accuracy"])
    assert "epochs = 2" in run.config and 'source = "memory"' in run.config
    assert "finished after step 90" in repr(run)


def test_equal_seeds_give_equal_bits_and_others_do_not(digits, quick):
    x, t, _, _ = digits
    layers = ("flatten", dh.linear(16), "relu", dh.dropout(0.2), dh.linear(10))

    def weights(**options):
        net = dh.Sequential(*layers)
        net.fit(x, t, **{**quick, **options})
        return np.concatenate([values.ravel() for values in net.state_dict().values()])

    first = weights()
    assert (first == weights()).all()
    assert (first != weights(seed=8)).any()


def test_fit_goes_on_from_the_weights_and_reset_drops_them(digits, net, quick):
    x, t, _, _ = digits
    first = net.fit(x, t, **quick).last["train_loss"]
    second = net.fit(x, t, **quick).last["train_loss"]
    assert second < first
    assert net.trained and not net.reset().trained
    assert net.fit(x, t, **quick).last["train_loss"] == first
    with pytest.raises(dh.WeightsError, match="no weights"):
        net.reset().predict(x)


def test_a_share_may_be_held_out(digits, net, quick):
    x, t, _, _ = digits
    run = net.fit(x, t, eval=np.float32(0.25), **quick)
    assert "eval_fraction = 0.25" in run.config and run.last["eval_accuracy"] > 0.5
    assert run.step == 2 * -(-1078 // 32)


def test_inputs_may_be_their_own_targets(digits):
    x, _, xv, _ = digits
    net = dh.Sequential("flatten", dh.linear(8), "relu", dh.linear(64), dh.reshape([1, 8, 8]))
    run = net.fit(x, eval=(xv,), loss="mse", optimizer="adamw", epochs=2)
    assert 'target = "inputs"' in run.config and run.last["eval_loss"] < 0.3
    assert net.predict(xv).shape == (360, 1, 8, 8)
    assert net.evaluate(xv)["loss"] == pytest.approx(run.last["eval_loss"], rel=1e-6)


def test_bytes_are_scaled_as_in_a_config(digits, quick):
    x, t, xv, tv = digits
    small = lambda images: (images * 255).astype(np.uint8)
    bytes_net, float_net = (dh.Sequential("flatten", dh.linear(16), "relu", dh.linear(10)) for _ in range(2))
    a = bytes_net.fit(small(x), t, eval=(small(xv), tv), **quick)
    b = float_net.fit(small(x).astype(np.float32) / np.float32(255), t, **quick)
    np.testing.assert_allclose(a.steps["loss"], b.steps["loss"], rtol=1e-4)
    assert bytes_net.evaluate(small(xv), tv)["loss"] == pytest.approx(a.last["eval_loss"], rel=1e-6)
    with pytest.raises(dh.DataError, match="trained on bytes"):
        bytes_net.predict(xv)
    standard = dh.Sequential("flatten", dh.linear(16), "relu", dh.linear(10))
    run = standard.fit(x, t, eval=(xv, tv), normalise="standard", **quick)
    assert standard.evaluate(xv, tv)["loss"] == pytest.approx(run.last["eval_loss"], rel=1e-5)


def test_every_section_of_a_config_is_a_keyword(digits, net):
    x, t, xv, tv = digits
    run = net.fit(
        x, t, eval=(xv, tv), loss=dh.losses.cross_entropy(label_smoothing=0.1),
        optimizer=dh.SGD(lr=0.1, momentum=0.9, clip_norm=1.0),
        schedule=dh.schedules.cosine(), epochs=3, batch_size=128, drop_last=True, sampling="once",
        early_stopping={"patience": 1, "restore_best": True}, average={"kind": "ema", "decay": 0.9},
        augment=[dh.augment.shift(1), dh.augment.erasing(0.5, scale=[0.02, 0.1])], seeds={"init": 3}, eval_batch_size=100,
    )
    for text in ("label_smoothing = 0.1", 'name = "cosine"', "clip_norm = 1.0", 'sampling = "once"', "patience = 1",
                 "shift = 1", "erasing", "init = 3", "batch_size = 128", "drop_last = true", "batch_size = 100"):
        assert text in run.config, text
    assert run.step == 3 * (1437 // 128) and run.steps["lr"][-1] < run.steps["lr"][0]
    assert run.average is not None and run.average.keys() == net.state_dict().keys()


def test_a_config_file_is_a_net(digits, tmp_path):
    x, t, _, _ = digits
    file = tmp_path / "net.toml"
    file.write_text(
        'data = { source = "digits", batch_size = 32 }\ntrain = { epochs = 3 }\noptimizer = { name = "lion", lr = 1e-3 }\n'
        'model = { layers = ["flatten", { linear = 10 }], loss = "cross_entropy" }\n'
    )
    net = dh.Sequential()
    run = net.fit(x, t, config=file, epochs=1)
    assert run.step == -(-1437 // 32) and 'name = "lion"' in run.config
    assert net.predict(x[:3]).shape == (3, 10)


def test_functions_follow_epochs_and_may_stop_them(digits, net, quick, capsys):
    x, t, xv, tv = digits
    seen, steps = [], []

    def follow(epoch):
        seen.append(epoch)
        if len(seen) == 2:
            raise dh.StopTraining

    run = net.fit(x, t, eval=(xv, tv), on_epoch=follow, on_steps=steps.append, progress="plain", **{**quick, "epochs": 9})
    assert [own["epoch"] for own in seen] == [1, 2] and set(seen[0]) >= {"train_loss", "eval_loss", "eval_accuracy"}
    assert run.outcome == "stopped" and len(run.epochs["epoch"]) == 2 and steps[-1]["step"] == 90
    assert net.predict(x[:2]).shape == (2, 10)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("epoch 1/9  train_loss ") and "eval_accuracy" in lines[1]

    def fail(epoch):
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        net.fit(x, t, on_epoch=fail, **quick)


def test_nets_and_weights_are_copied_and_saved(digits, net, quick, tmp_path):
    x, t, xv, _ = digits
    net.fit(x, t, **quick)
    p = net.predict(xv)
    for other in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert (other.predict(xv) == p).all()
    net.save(tmp_path / "w.safetensors")
    fresh = dh.Sequential("flatten", dh.linear(16), "relu", dh.linear(10)).load(tmp_path / "w.safetensors")
    assert (fresh(xv) == net(xv)).all()
    with pytest.raises(dh.ConfigError, match="loss"):
        fresh.evaluate(xv, np.zeros(len(xv), int))
    state = net.state_dict()
    assert list(state) == ["1.weight", "1.bias", "3.weight", "3.bias"] and state["1.weight"].shape == (16, 64)
    state["1.weight"][:] = 0
    assert (net.predict(xv) == p).all(), "a state dict is a copy"
    with pytest.raises(dh.WeightsError, match="1.weight"):
        dh.Sequential("flatten", dh.linear(8), "relu", dh.linear(10)).load_state_dict(net.state_dict())(xv)


def test_predictions_do_not_depend_on_how_many_there_are(digits, net, quick):
    x, t, xv, _ = digits
    net.fit(x, t, **quick)
    all_at_once = net.predict(x)
    assert (net.predict(x[:7]) == all_at_once[:7]).all()
    assert (net.predict(x[300:301]) == all_at_once[300]).all()
    # Whole numbers are what floats were.
    assert net.predict(np.zeros((1, 1, 8, 8), np.int64)).shape == (1, 10)


def test_integers_go_through_an_embedding():
    rng = np.random.default_rng(1)
    tokens = rng.integers(0, 20, (200, 6))
    net = dh.Sequential(dh.embedding(20, 8), "flatten", dh.linear(2))
    run = net.fit(tokens, (tokens[:, 0] > 9).astype(np.int64), loss="cross_entropy", optimizer=dh.AdamW(lr=3e-2), epochs=20)
    assert run.last["train_loss"] < 0.2
    assert ((net.predict(tokens).argmax(1) == 1) == (tokens[:, 0] > 9)).mean() > 0.95


def test_names_stand_without_parentheses(digits, quick):
    x, t, _, _ = digits
    losses = [
        dh.Sequential("flatten", dh.linear(16), relu, dh.linear(10)).fit(
            x, t, **{**quick, "optimizer": optimizer, "schedule": schedule, "loss": loss}
        ).steps["loss"]
        for relu, optimizer, schedule, loss in [
            (dh.relu, dh.AdamW, dh.schedules.cosine, dh.losses.cross_entropy),
            (dh.relu(), dh.AdamW(), dh.schedules.cosine(), "cross_entropy"),
        ]
    ]
    assert (losses[0] == losses[1]).all()
    with pytest.raises(dh.ConfigError, match="step_size"):
        dh.Sequential("flatten", dh.linear(10)).fit(x, t, **{**quick, "schedule": dh.schedules.step})
    with pytest.raises(dh.ConfigError, match="out_channels"):
        dh.Sequential(dh.conv2d)


def test_early_stopping_may_be_switched_off_and_mappings_are_dicts(digits, net, quick):
    from types import MappingProxyType

    x, t, xv, tv = digits
    config = MappingProxyType({"early_stopping": MappingProxyType({"patience": 1}), "model": {"loss": "cross_entropy"}})
    run = net.fit(x, t, eval=(xv, tv), config=config, early_stopping=False, **quick)
    assert "[early_stopping]" not in run.config
    run = net.fit(x, t, eval=(xv, tv), config=config, **quick)
    assert "[early_stopping]" in run.config
    assert "patience = 2" in net.fit(x, t, eval=(xv, tv), early_stopping=MappingProxyType({"patience": 2}), **quick).config


def test_the_environment_is_set_once(program):
    text = """
import os
import threading
os.environ.pop("XDG_RUNTIME_DIR", None)
import downhill as dh
dh.adapters()
first = os.environ["XDG_RUNTIME_DIR"]
dh.Sequential(dh.linear(2)).fit([[0.0], [1.0]], [0, 1], loss="cross_entropy", optimizer="sgd", epochs=1)
assert os.environ["XDG_RUNTIME_DIR"] == first
print("same")
"""
    out, err = program(text).communicate(timeout=60)
    assert out.strip() == "same" and "XDG_RUNTIME_DIR" not in err, err


class Tqdm:
    """A bar that keeps what it is told."""

    made = []

    def __init__(self, total, unit, dynamic_ncols):
        self.total, self.n, self.closed, self.shown = total, 0, False, {}
        self.made.append(self)

    def refresh(self):
        pass

    def set_description(self, text, refresh=True):
        self.description = text

    def set_postfix(self, shown):
        self.shown = shown

    def update(self, count):
        self.n += count

    def close(self):
        self.closed = True


def test_a_bar_of_tqdm_shows_the_run(digits, net, quick, monkeypatch):
    x, t, xv, tv = digits
    auto = types.ModuleType("tqdm.auto")
    auto.tqdm, Tqdm.made = Tqdm, []
    monkeypatch.setitem(sys.modules, "tqdm", types.ModuleType("tqdm"))
    monkeypatch.setitem(sys.modules, "tqdm.auto", auto)
    run = net.fit(x, t, eval=(xv, tv), progress=True, **quick)
    bar, = Tqdm.made
    assert bar.total == bar.n == run.step == 90 and bar.closed and bar.description == "epoch 2"
    assert bar.shown["eval_loss"] == f"{run.last['eval_loss']:.4f}" and bar.shown["eval_accuracy"].endswith("%")
    with pytest.raises(dh.ConfigError):
        net.fit(x, t, progress=True, **{**quick, "epochs": 0})
    assert all(bar.closed for bar in Tqdm.made)
