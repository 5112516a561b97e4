#!/usr/bin/env python3
"""Configs of the nets of `downhill bench train`, with data of their shapes, for `downhill explain`.

    scripts/lease-nets.py DIR

It imports Python's own library and nothing else.
"""

import array
import math
import pathlib
import struct
import sys

CLASSES = 10
DENSE = {"64-64-64-10": 128, "784-256-256-10": 128, "784-512-512-10": 512}
CONVOLUTION = """{ conv2d = { out_channels = 6, kernel_size = 5, padding = 2 } }, "relu", { max_pool2d = 2 },
    { conv2d = { out_channels = 16, kernel_size = 5 } }, "relu", { max_pool2d = 2 },
    "flatten", { linear = 120 }, "relu", { linear = 84 }, "relu", { linear = 10 }"""
TRANSFORMER = """{ embedding = { num_embeddings = 96, embedding_dim = 128 } }, { positional_embedding = 64 },
    { repeat = { times = 4, layers = [
        { residual = ["layer_norm", { multi_head_attention = { num_heads = 4, causal = true } }] },
        { residual = ["layer_norm", { linear = 512 }, "gelu", { linear = 128 }] },
    ] } }, "layer_norm", { linear = { out_features = 96, bias = false } }"""


def npy(path, shape, code, numbers):
    """An array of NumPy: f4 or i4."""
    header = f"{{'descr': '<{code}', 'fortran_order': False, 'shape': {shape!r}, }}"
    header += " " * (-(11 + len(header)) % 64) + "\n"
    numbers = array.array("f" if code == "f4" else "i", numbers)
    path.write_bytes(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + numbers.tobytes())


def nets(folder):
    """The nets of src/bench/nets.rs, four batches each. Of the data only shapes and types matter."""
    folder.mkdir(parents=True, exist_ok=True)

    def net(name, layers, batch, shape, tokens=0):
        inputs, targets = (4 * batch, *shape), (4 * batch, *shape) if tokens else (4 * batch,)
        count, labels = math.prod(inputs), math.prod(targets)
        values = (i % tokens for i in range(count)) if tokens else (0.0 for _ in range(count))
        npy(folder / f"{name}-x.npy", inputs, "i4" if tokens else "f4", values)
        npy(folder / f"{name}-y.npy", targets, "i4", (i % (tokens or CLASSES) for i in range(labels)))
        (folder / f"{name}.toml").write_text(
            f'[data]\nsource = {{ npy = "{name}-x.npy", target = "{name}-y.npy" }}\neval_fraction = 0\nbatch_size = {batch}\n'
            f'[model]\nlayers = [{layers}]\nloss = "cross_entropy"\n'
            '[optimizer]\nname = "adamw"\n[train]\nepochs = 1\n'
        )

    for name, batch in DENSE.items():
        widths = [int(width) for width in name.split("-")]
        net(name, ', "relu", '.join(f"{{ linear = {width} }}" for width in widths[1:]), batch, widths[:1])
    net("lenet", CONVOLUTION, 64, [1, 28, 28])
    net("gpt", TRANSFORMER, 12, [64], tokens=96)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    nets(pathlib.Path(sys.argv[1]))
