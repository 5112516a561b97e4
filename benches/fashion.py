#!/usr/bin/env python3
"""PyTorch trains examples/fashion_mlp.toml and examples/fashion_cnn.toml: seconds to 85, 90 and 92% of the test images.

    python3 benches/fashion.py --net cnn [--threads 2] [--epochs 7] [--seed 0] [--device cuda]

Layers, batch size, augmentation, optimizer, schedule and average are read from the config. Initial weights have the
same distributions, and batches come from a new order each epoch; both are drawn by PyTorch, so the numbers are not
downhill's. All images lie on the device. On the processor convolutions are channels last, which is faster. The average
of the weights is evaluated on all 10,000 test images at the end of each epoch, with batch norm's running statistics
of the trained weights, as in downhill.

A line for each epoch, then one of JSON: `train_seconds` without evaluation, `seconds` with it, from the first step on.
Reading the files and making the nets is `setup_seconds`, and in neither.
"""

import argparse
import gzip
import json
import math
import time
import tomllib
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
LEVELS = [85, 90, 92]
EVAL_BATCH = 500


def idx(path):
    raw = gzip.open(path).read()
    shape = np.frombuffer(raw, ">i4", raw[3], 4).tolist()
    return torch.frombuffer(bytearray(raw), dtype=torch.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def part(folder, name, device):
    """Images [n, 1, 28, 28] from 0 to 1, and labels."""
    images = idx(folder / f"{name}-images-idx3-ubyte.gz").to(device)
    labels = idx(folder / f"{name}-labels-idx1-ubyte.gz").to(device)
    return images.unsqueeze(1).float() / 255, labels.long()


def build(entries):
    """The layers of a config that the two have, on images [1, 28, 28]."""
    layers, channels, side = [], 1, 28
    for entry in entries:
        name, options = (entry, {}) if isinstance(entry, str) else next(iter(entry.items()))
        if name == "flatten":
            layers.append(nn.Flatten())
            channels, side = channels * side**2, 0
        elif name == "linear":
            options = options if isinstance(options, dict) else dict(out_features=options)
            layers.append(nn.Linear(channels, **options))
            channels = options["out_features"]
        elif name == "conv2d":
            layers.append(nn.Conv2d(channels, **options))
            channels = options["out_channels"]
        elif name == "max_pool2d":
            layers.append(nn.MaxPool2d(options))
            side //= options
        elif name == "batch_norm":
            layers.append(nn.BatchNorm2d(channels) if side else nn.BatchNorm1d(channels))
        elif name == "relu":
            layers.append(nn.ReLU(inplace=True))
        else:
            raise ValueError(f"no layer {name} here")
    return nn.Sequential(*layers)


def augmented(x, entries):
    for entry in entries:
        ((name, option),) = entry.items()
        if name != "horizontal_flip":
            raise ValueError(f"no augmentation {name} here")
        flip = torch.rand(len(x), 1, 1, 1, device=x.device) < option
        x = torch.where(flip, x.flip(3), x)
    return x


def evaluate(net, x, labels):
    net.eval()
    with torch.inference_mode():
        pairs = zip(x.split(EVAL_BATCH), labels.split(EVAL_BATCH))
        right = sum((net(x).argmax(1) == labels).sum() for x, labels in pairs)
    return 100 * right.item() / len(x)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--net", choices=["mlp", "cnn"], default="mlp")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--epochs", type=int, help="the config's, unless given")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--data", type=Path, help="the folder of IDX files; the config's, unless given")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    device = args.device
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None

    setup = time.perf_counter()
    config = tomllib.loads((EXAMPLES / f"fashion_{args.net}.toml").read_text())
    batch, augment = config["data"]["batch_size"], config["data"].get("augment", [])
    epochs = args.epochs or config["train"]["epochs"]
    folder = args.data or Path(config["data"]["source"]["idx"])
    (x, t), (test_x, test_t) = part(folder, "train", device), part(folder, "t10k", device)

    layout = torch.channels_last if args.net == "cnn" and device == "cpu" else torch.contiguous_format
    net = build(config["model"]["layers"]).to(device, memory_format=layout)
    averaged = build(config["model"]["layers"]).to(device, memory_format=layout)
    weights, average = list(net.parameters()), list(averaged.parameters())
    update_average = get_ema_multi_avg_fn(config["average"]["decay"])

    options = dict(config["optimizer"])
    assert options.pop("name") == "adamw" and config["model"]["loss"] == "cross_entropy"
    adamw = torch.optim.AdamW(weights, fused=True, **options)
    cycle = dict(config["schedule"])
    assert cycle.pop("name") == "one_cycle"
    steps = epochs * math.ceil(len(x) / batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(adamw, options["lr"], total_steps=steps, **cycle)
    wait()
    setup = time.perf_counter() - setup

    reached = {level: None for level in LEVELS}
    accuracies, trained, total, updates = [], 0.0, 0.0, 0
    for epoch in range(1, epochs + 1):
        wait()
        start = time.perf_counter()
        net.train()
        for rows in torch.randperm(len(x), device=device).split(batch):
            loss = F.cross_entropy(net(augmented(x[rows], augment)), t[rows])
            adamw.zero_grad()
            loss.backward()
            adamw.step()
            updates += 1
            if updates < steps:
                schedule.step()  # refuses the last, whose rate no update would use
            with torch.no_grad():
                if updates == 1:
                    for a, w in zip(average, weights):
                        a.copy_(w)
                else:
                    update_average(average, weights, None)
        wait()
        seconds = time.perf_counter() - start
        for a, b in zip(averaged.buffers(), net.buffers()):
            a.copy_(b)
        accuracy = evaluate(averaged, test_x, test_t)
        wait()
        trained, total = trained + seconds, total + time.perf_counter() - start
        accuracies.append(accuracy)
        for level in LEVELS:
            if accuracy >= level and reached[level] is None:
                reached[level] = dict(epoch=epoch, train_seconds=round(trained, 3), seconds=round(total, 3))
        print(f"epoch {epoch}  loss {loss.item():.4f}  accuracy {accuracy:.2f}%  {trained:.2f} s, "
              f"{total:.2f} s with evaluation", flush=True)

    print(json.dumps(dict(
        net=args.net, device=torch.cuda.get_device_name() if device == "cuda" else "cpu", torch=torch.__version__,
        threads=torch.get_num_threads(), seed=args.seed, epochs=epochs, batch=batch, steps=steps,
        parameters=sum(w.numel() for w in weights), accuracies=accuracies, reached=reached,
        train_seconds=round(trained, 3), seconds=round(total, 3), setup_seconds=round(setup, 3),
    )))


if __name__ == "__main__":
    main()
