#!/usr/bin/env python3
"""PyTorch's training step on the processor, served to measure.py block by block: see README.md, "The protocol".

    python3 torch_step.py NET [--threads 2]

Eager PyTorch with fused AdamW, the fastest it has without compiling the model; data resident.
"""

import argparse
import json
import sys
import time

import numpy
import torch
from torch import nn
from torch.nn import functional as F

BATCHES = 4
CHECKED = 8


class Attention(nn.Module):
    """nanoGPT's causal self-attention: one projection to q, k and v, with biases."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x):
        n, t, d = x.shape
        q, k, v = (part.view(n, t, self.heads, d // self.heads).transpose(1, 2) for part in self.qkv(x).split(d, 2))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.out(y.transpose(1, 2).reshape(n, t, d))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.ln_1, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.ln_2, self.fc, self.proj = nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        x = x + self.attention(self.ln_1(x))
        return x + self.proj(F.gelu(self.fc(self.ln_2(x))))


class Gpt(nn.Module):
    def __init__(self, vocabulary, context, width, heads, layers):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(context, width)
        self.blocks = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.ln, self.head = nn.LayerNorm(width), nn.Linear(width, vocabulary, bias=False)
        self.register_buffer("at", torch.arange(context), persistent=False)

    def forward(self, x):
        x = self.tokens(x) + self.positions(self.at)
        return self.head(self.ln(self.blocks(x)))


def mlp(inputs, width):
    return nn.Sequential(
        nn.Linear(inputs, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 10)
    )


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def gpt():
    return Gpt(vocabulary=96, context=64, width=128, heads=4, layers=4)


# Name: net, batch, shape of a sample, whether it is of tokens, shape of a label, classes.
NETS = {
    "64-64-64-10": (lambda: mlp(64, 64), 128, [64], False, [], 10),
    "784-256-256-10": (lambda: mlp(784, 256), 128, [784], False, [], 10),
    "784-512-512-10": (lambda: mlp(784, 512), 512, [784], False, [], 10),
    "lenet": (lenet, 64, [1, 28, 28], False, [], 10),
    "gpt": (gpt, 12, [64], True, [64], 96),
}


def uniform(n):
    """The first n numbers in [0, 1) of the generator that all engines take their data from: s <- a s + c mod 2^64."""
    a, c, s = (numpy.uint64(i) for i in (6364136223846793005, 1442695040888963407, 0x9E3779B97F4A7C15))
    powers = numpy.cumprod(numpy.full(n, a))
    sums = numpy.cumsum(numpy.concatenate([numpy.ones(1, numpy.uint64), powers[:-1]]))
    return ((powers * s + c * sums) >> numpy.uint64(40)).astype(numpy.float32) / numpy.float32(1 << 24)


def fixed_weights(net):
    """Weights that all engines start from: products of indices, so that a transposed weight is the same."""
    with torch.no_grad():
        for name, p in net.named_parameters():
            product = numpy.ones((), numpy.float64)
            for size in p.shape:
                product = product[..., None] * numpy.arange(1, size + 1)
            norm = 1.0 if p.dim() == 1 and name.endswith("weight") else 0.0
            p.copy_(torch.from_numpy((norm + 0.1 * numpy.sin(0.37 * product)).astype(numpy.float32)))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("net", choices=NETS)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)

    make, batch, sample, tokens, label, classes = NETS[arguments.net]
    n = BATCHES * batch
    inputs, labels = n * int(numpy.prod(sample)), n * int(numpy.prod(label))
    numbers = uniform(inputs + labels)
    x = numbers[:inputs].reshape(n, *sample)
    x = torch.from_numpy((x * numpy.float32(classes)).astype(numpy.int64) if tokens else x)
    t = torch.from_numpy((numbers[inputs:] * numpy.float32(classes)).astype(numpy.int64)).reshape(n, *label)

    net = make()
    fixed_weights(net)
    adamw = torch.optim.AdamW(net.parameters(), lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01, fused=True)
    done = 0

    def step():
        nonlocal done
        rows = slice(done % BATCHES * batch, (done % BATCHES + 1) * batch)
        loss = F.cross_entropy(net(x[rows]).view(-1, classes), t[rows].view(-1))
        adamw.zero_grad()
        loss.backward()
        adamw.step()
        done += 1
        return loss

    def say(**fields):
        print(json.dumps(fields), flush=True)

    loss = step().item()
    say(
        engine="PyTorch",
        version=f"{torch.__version__}, {torch.get_num_threads()} threads, fused AdamW",
        device="processor",
        parameters=sum(p.numel() for p in net.parameters()),
        loss=loss,
    )
    say(checked=CHECKED, loss=[step() for _ in range(CHECKED - 1)][-1].item())
    for line in sys.stdin:
        steps = int(line)
        start = time.perf_counter()
        for _ in range(steps):
            loss = step()
        loss = loss.item()
        say(steps=steps, seconds=time.perf_counter() - start, loss=loss)


if __name__ == "__main__":
    main()
