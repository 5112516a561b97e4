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
    """The torch module of an entry of model.layers, which a run's own config.toml has with every option, for inputs of
    this shape."""
    name, options = (entry, {}) if isinstance(entry, str) else next(iter(entry.items()))
    options = {key: tuple(value) if isinstance(value, list) else value for key, value in options.items()}
    match name:
        case "flatten":
            return nn.Flatten(options["start_axis"])
        case "relu":
            return nn.ReLU()
        case "linear":
            return nn.Linear(shape[-1], **options)
        case "conv2d":
            return nn.Conv2d(shape[1], **options)
        case "max_pool2d":
            return nn.MaxPool2d(**options)
        case "dropout":
            return nn.Dropout(**options)
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
    for row, values in enumerate(logits, start=1):
        shown = {"row": row, "prediction": str(int(values.argmax())), "logits": values.tolist()}
        print(json.dumps(shown | {"probabilities": values.softmax(-1).tolist()}))


if __name__ == "__main__":
    main()
