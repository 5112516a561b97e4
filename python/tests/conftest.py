"""Data and programs that tests share."""

import subprocess
import sys

import numpy as np
import pytest

import downhill as dh


@pytest.fixture(scope="session")
def digits():
    """The digits of scikit-learn: 1,437 to train on, 360 to evaluate on, float32 [1, 8, 8] from 0 to 1, int64 labels."""
    from sklearn.datasets import load_digits

    data = load_digits()
    x = (data.images[:, None] / 16).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(x))
    x, t = x[order], data.target[order]
    return x[:1437], t[:1437], x[1437:], t[1437:]


@pytest.fixture
def net():
    """A small net for the digits."""
    return dh.Sequential("flatten", dh.linear(16), "relu", dh.linear(10))


@pytest.fixture
def quick():
    """Keywords of a short run."""
    return dict(loss="cross_entropy", optimizer=dh.AdamW(lr=1e-2), epochs=2, seed=7)


@pytest.fixture
def command(tmp_path):
    """Runs the command ``downhill`` of this Python, which has to end with the exit code ``code``; gives its output."""

    def run(*args, code=0, **options):
        # Not in this folder, whose package has no extension.
        done = subprocess.run(
            [sys.executable, "-m", "downhill", *map(str, args)],
            capture_output=True, text=True, timeout=300, **{"cwd": tmp_path, **options},
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture
def program(tmp_path):
    """Starts a program of Python in a process of its own."""

    def start(text, **options):
        file = tmp_path / "program.py"
        file.write_text(text)
        return subprocess.Popen(
            [sys.executable, str(file)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            **{"cwd": tmp_path, **options},
        )

    return start
