#!/usr/bin/env python3
"""Loads a run's weights into the torch.nn.Sequential they are named after, and shows what it makes of inputs.

    scripts/load_in_pytorch.py runs/digits-1 images.npy

Needs torch, safetensors and numpy. The inputs are an .npy file [n, 1, 8, 8] of floats from 0 to 1, as the digits' are.
The layers are those of nets like examples/digits.toml and examples/digits_cnn.toml; others go beside them.
"""

import json
import sys
import tomllib
from pathlib import Path

import numpy
import torch
from safetensors.torch import load_file
from torch import nn


def layer(entry, shape):
    """The torch module of an entry of model.layers, for inputs [1, ..] of this shape."""
    name, options = (entry, {}) if isinstance(entry, str) else next(iter(entry.items()))
    match name:
        case "flatten":
            return nn.Flatten()
        case "relu":
            return nn.ReLU()
        case "linear":
            options = options if isinstance(options, dict) else {"out_features": options}
            return nn.Linear(shape[-1], **options)
        case "conv2d":
            axes = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
            return nn.Conv2d(shape[1], **axes)
        case "max_pool2d":
            options = options if isinstance(options, dict) else {"kernel_size": options}
            return nn.MaxPool2d(**options)
        case "dropout":
            return nn.Dropout(options["p"] if isinstance(options, dict) else options)
    sys.exit(f"model.layers has {name}, which this script does not know; add it to layer()")


def load(run):
    """The model of a run, for evaluation."""
    config = tomllib.loads((run / "config.toml").read_text())
    model, x = nn.Sequential(), torch.zeros(1, 1, 8, 8)
    for entry in config["model"]["layers"]:
        model.append(layer(entry, x.shape).eval())
        x = model[-1](x)
    # Names and shapes are torch's own, so nothing is renamed or transposed.
    model.load_state_dict(load_file(run / "model.safetensors"))
    return model.eval()


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    model, inputs = load(Path(sys.argv[1])), torch.from_numpy(numpy.load(sys.argv[2])).float()
    with torch.no_grad():
        logits = model(inputs)
    for row, (values, shares) in enumerate(zip(logits.tolist(), logits.softmax(-1).tolist()), start=1):
        print(json.dumps({"row": row, "prediction": str(values.index(max(values))), "logits": values, "probabilities": shares}))


if __name__ == "__main__":
    main()
