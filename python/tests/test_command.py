"""The package beside the command line: equal bits, and runs that each can use of the other."""

import json

import numpy as np
import pytest

import downhill as dh

CONFIG = """
seed = 5

[data]
source = {{ npz = "digits.npz", x = "x", y = "t", eval_x = "xv", eval_y = "tv" }}
batch_size = 48

[model]
layers = ["flatten", {{ linear = 24 }}, "relu", {{ dropout = 0.1 }}, {{ linear = 10 }}]
loss = "cross_entropy"

[optimizer]
name = "adamw"
lr = 4e-3

[train]
epochs = 3
"""


def weights_of(path):
    """The weights of a run's file."""
    return dh.Sequential().load(path).state_dict()


def are_equal(a, b):
    """True for two state dicts with the same bits."""
    return a.keys() == b.keys() and all(a[name].tobytes() == b[name].tobytes() for name in a)


@pytest.fixture
def fitted(digits, tmp_path):
    """A run of Python in the folder ``runs/a``."""
    x, t, xv, tv = digits
    net = dh.Sequential("flatten", dh.linear(24), "relu", dh.dropout(0.1), dh.linear(10))
    run = net.fit(
        x, t, eval=(xv, tv), loss="cross_entropy", optimizer=dh.AdamW(lr=4e-3), epochs=3, batch_size=48, seed=5,
        out=tmp_path / "runs/a",
    )
    return net, run


def test_a_config_has_the_bits_of_the_same_run_in_python(digits, fitted, command, tmp_path):
    x, t, xv, tv = digits
    net, run = fitted
    np.savez(tmp_path / "digits.npz", x=x, t=t, xv=xv, tv=tv)
    (tmp_path / "net.toml").write_text(CONFIG.format())
    command("train", "net.toml", "--out", "runs/b", "--quiet")
    theirs = weights_of(tmp_path / "runs/b/model.safetensors")
    assert are_equal(net.state_dict(), theirs)
    # Without a folder too.
    again = dh.Sequential("flatten", dh.linear(24), "relu", dh.dropout(0.1), dh.linear(10))
    in_memory = again.fit(x, t, eval=(xv, tv), loss="cross_entropy", optimizer=dh.AdamW(lr=4e-3), epochs=3, batch_size=48, seed=5)
    assert (in_memory.steps["loss"] == run.steps["loss"]).all()
    assert are_equal(again.state_dict(), theirs)
    # The command that compares runs, step by step, finds no difference either.
    command("compare", "runs/a", "runs/b")


def test_the_folder_of_a_run_has_what_the_command_line_keeps(digits, fitted, command, tmp_path):
    _, _, xv, tv = digits
    net, run = fitted
    folder = tmp_path / "runs/a"
    assert run.path == folder
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    epochs = [line for line in lines if line["event"] == "epoch"]
    assert [line["eval_loss"] for line in epochs] == list(run.epochs["eval_loss"])
    config = (folder / "config.toml").read_text()
    assert dh._net._table(config)["data"]["sample"] == [1, 8, 8] and 'source = "memory"' in config

    loaded = dh.load(folder)
    assert (loaded.predict(xv) == net.predict(xv)).all()
    assert loaded.evaluate(xv, tv)["loss"] == pytest.approx(run.last["eval_loss"], rel=1e-6)


def test_commands_take_a_run_of_python(digits, fitted, command, tmp_path):
    _, _, xv, tv = digits
    net, run = fitted
    np.save(tmp_path / "xv.npy", xv)
    np.savez(tmp_path / "other.npz", x=xv, y=tv)
    lines = command("predict", "runs/a", "xv.npy", "--json").splitlines()
    assert len(lines) == 360
    p = net.predict(xv)
    for line, own in zip(map(json.loads, lines), p):
        assert line["prediction"] == str(own.argmax())
        np.testing.assert_allclose([line["probabilities"][str(c)] for c in range(10)], own, atol=1e-6)
    command("export", "runs/a")
    text = (tmp_path / "runs/a/model.py").read_text()
    assert "[n, 1, 8, 8]" in text
    command("report", "runs/a")
    assert (tmp_path / "runs/a/report.html").stat().st_size > 10_000
    found = json.loads(command("eval", "runs/a", "--data", "other.npz", "--json").splitlines()[-1])
    assert found["loss"] == pytest.approx(run.last["eval_loss"], rel=1e-6) and found["samples"] == 360
    assert "runs/a" in command("runs")


def test_commands_say_what_a_run_of_python_needs(fitted, command, tmp_path):
    out = command("eval", "runs/a", code=2)
    assert "arrays of the program that trained" in out and "--data FILE.npz" in out
    out = command("resume", "runs/a", "--set", "train.epochs=9", code=2)
    assert "downhill.resume(RUN, x, t)" in out and "downhill.sweep(.., resume=True)" in out
    (tmp_path / "net.toml").write_text('data = { source = "memory" }\nmodel = { layers = ["relu"], loss = "mse" }\n'
                                       'optimizer = { name = "sgd" }\n')
    assert "arrays of the program" in command("train", "net.toml", code=2)
    assert not list((tmp_path / "runs").glob("net-*"))


def test_the_command_is_the_program(command, tmp_path):
    assert command("--version").startswith(f"downhill {dh.__version__}")
    assert "Usage: downhill " in command("trian", code=2)
    assert "did you mean" in command("trian", code=2) or "similar" in command("trian", code=2)
    (tmp_path / "net.toml").write_text(
        'data = { source = "digits" }\ntrain = { steps = 5 }\noptimizer = { name = "sgd" }\n'
        'model = { layers = ["flatten", { linear = 10 }], loss = "cross_entropy" }\n'
    )
    command("train", "net.toml", "--out", "runs/c")
    net = dh.load(tmp_path / "runs/c")
    assert net.predict(np.zeros((2, 1, 8, 8), "f4")).shape == (2, 10)
    assert "no such file" in command("train", "missing.toml", code=2).lower()
