#!/usr/bin/env python3
"""PyTorch's times for the training steps of benches/train_step.rs, on the processor and, where there is one, on
CUDA: eager, and as a CUDA graph. Fused AdamW, data resident, as fast as PyTorch's own means make it.

    python3 benches/pytorch.py [--threads 2]

Each figure is the median of 15 rounds in microseconds a step, the smallest in brackets.
"""

import argparse
import statistics
import time

import torch
from torch import nn

NETS = [([64, 64, 64, 10], 128), ([784, 256, 256, 10], 128), ([784, 512, 512, 10], 512)]


def problem(widths, batch, device):
    layers = []
    for i, (a, b) in enumerate(zip(widths, widths[1:])):
        layers += [nn.ReLU()] * (i > 0) + [nn.Linear(a, b)]
    net = nn.Sequential(*layers).to(device)
    adamw = torch.optim.AdamW(net.parameters(), fused=True, capturable=device == "cuda")
    x = torch.rand(4 * batch, widths[0], device=device)
    t = torch.randint(0, widths[-1], (4 * batch,), device=device)

    def step(i):
        rows = slice(i % 4 * batch, (i % 4 + 1) * batch)
        adamw.zero_grad(set_to_none=False)
        loss = nn.functional.cross_entropy(net(x[rows]), t[rows])
        loss.backward()
        adamw.step()
        return loss

    return step


def measure(step, device, steps):
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    for i in range(20):
        step(i)
    times = []
    for _ in range(15):
        wait()
        start = time.perf_counter()
        for i in range(steps):
            step(i)
        wait()
        times.append((time.perf_counter() - start) / steps * 1e6)
    return f"{statistics.median(times):.0f} ({min(times):.0f})"


def graphed(step):
    """Four steps, one a batch, captured once and replayed: a quarter of a replay is a step."""
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for i in range(4):
            step(i)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for i in range(4):
            step(i)
    return lambda i: graph.replay() if i % 4 == 0 else None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    torch.set_num_threads(parser.parse_args().threads)
    print(f"PyTorch {torch.__version__}, {torch.get_num_threads()} threads")
    for widths, batch in NETS:
        name = f"{'-'.join(map(str, widths))} batch {batch}"
        steps = 20 if widths[1] > 256 else 100
        print(f"{name}, processor: {measure(problem(widths, batch, 'cpu'), 'cpu', steps)} µs", flush=True)
        if torch.cuda.is_available():
            print(f"{name}, {torch.cuda.get_device_name()}: {measure(problem(widths, batch, 'cuda'), 'cuda', 400)} µs")
            step = graphed(problem(widths, batch, "cuda"))
            print(f"{name}, {torch.cuda.get_device_name()}, graph: {measure(step, 'cuda', 400)} µs", flush=True)


if __name__ == "__main__":
    main()
