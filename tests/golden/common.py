"""What the golden scripts share: seeds that depend on a name alone, versions, writing."""

import json
import platform
import zlib

import numpy as np
import safetensors
import torch
from safetensors.numpy import save


def rng(name):
    """A generator seeded by `name`: a new case never moves the numbers of another."""
    return np.random.default_rng(zlib.crc32(name.encode()))


def f32(value):
    """The nearest f32, as a Python float: what both sides mean by a scalar argument."""
    return float(np.float32(value))


def versions():
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "safetensors": safetensors.__version__,
    }


def write_tensors(path, tensors):
    """`tensors`: name -> array. F64 for what is expected, F32 and I32 for what goes in."""
    for name, tensor in tensors.items():
        assert np.isfinite(tensor).all(), f"{name} is not finite"
    contiguous = {k: np.asarray(v, order="C") for k, v in tensors.items()}
    # One entry: safetensors writes several in random order, and two runs must give the same bytes.
    made_by = ", ".join(f"{name} {version}" for name, version in versions().items())
    path.write_bytes(save(contiguous, {"made_by": made_by}))


def write_json(path, key, rows, **more):
    """One row a line, so that a change of one case is a change of one line."""
    head = {"versions": versions(), **more}
    lines = ",\n".join("  " + json.dumps(row) for row in rows)
    text = json.dumps(head)[:-1] + f', "{key}": [\n{lines}\n]}}\n'
    json.loads(text)
    path.write_text(text)
