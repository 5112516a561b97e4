#!/usr/bin/env python3
"""Data-parallel training by torch.distributed over gloo: the peer of downhill's ranks over MPI, on the processor.

    python3 benches/mpi.py RANKS [--width 128 64] [--batch 32] [--steps 300]

RANKS processes of this machine train one net, each on an equal share of every batch, and share the processors: each has
cores // RANKS threads, 1 at least. The net is 64 inputs, hidden layers of the widths given with ReLU, and 10 outputs.
The data are random, as many and as wide as the digits: 1,437 x 64. DistributedDataParallel averages the gradients; one
rank trains without it. AdamW is fused, with a rate of 3e-3.

It prints one JSON object, whose times are medians in milliseconds, by the clock of rank 0, after a warm-up:

- `step_ms`: a step, from the gathering of the batch to the updated parameters.
- `all_reduce_ms`, `all_gather_ms`: one all_reduce, and one all_gather, of a flat f32 tensor with as many numbers as the
  net has parameters, each after a barrier. They are null for one rank, which has nobody to talk to.
"""

import argparse
import json
import os
import socket
import statistics
import time

import torch
import torch.distributed as dist
from torch import multiprocessing, nn
from torch.nn.parallel import DistributedDataParallel

SAMPLES, INPUTS, CLASSES = 1437, 64, 10
WARM_UP = 30


def median_ms(act, steps, before=lambda: None):
    """The median time of `act(i)`; `before` runs ahead of each and is not timed."""
    times = []
    for i in range(WARM_UP + steps):
        before()
        start = time.perf_counter()
        act(i)
        times.append(time.perf_counter() - start)
    return round(statistics.median(times[WARM_UP:]) * 1e3, 4)


def training(rank, arguments):
    """A function that takes a step, and the number of parameters. The seed gives all ranks the same net and data."""
    torch.manual_seed(0)
    widths = [INPUTS, *arguments.width, CLASSES]
    layers = [m for a, b in zip(widths, widths[1:]) for m in (nn.ReLU(), nn.Linear(a, b))]
    net = nn.Sequential(nn.Flatten(), *layers[1:])
    parameters = sum(p.numel() for p in net.parameters())
    x, t = torch.rand(SAMPLES, INPUTS), torch.randint(0, CLASSES, (SAMPLES,))
    # The samples of each step; this rank takes its share of each row.
    picks = torch.randint(0, SAMPLES, (WARM_UP + arguments.steps, arguments.batch))
    share = picks.chunk(arguments.ranks, 1)[rank].contiguous()
    model = DistributedDataParallel(net) if arguments.ranks > 1 else net
    adamw = torch.optim.AdamW(net.parameters(), lr=3e-3, fused=True)

    def step(i):
        adamw.zero_grad()
        loss = nn.functional.cross_entropy(model(x[share[i]]), t[share[i]])
        loss.backward()
        adamw.step()
        return loss

    return step, parameters


def run(rank, arguments):
    """What each process does; rank 0 prints the result."""
    ranks, steps = arguments.ranks, arguments.steps
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // ranks))
    if ranks > 1:
        dist.init_process_group("gloo", rank=rank, world_size=ranks)
    step, parameters = training(rank, arguments)
    step_ms, reduce_ms, gather_ms = median_ms(step, steps), None, None
    if ranks > 1:
        # Zeros, whose sum stays finite however often they are reduced.
        flat = torch.zeros(parameters)
        gathered = [torch.empty(parameters) for _ in range(ranks)]
        reduce_ms = median_ms(lambda _: dist.all_reduce(flat), steps, dist.barrier)
        gather_ms = median_ms(lambda _: dist.all_gather(gathered, flat), steps, dist.barrier)
        dist.barrier()
        dist.destroy_process_group()
    if rank == 0:
        times = {"step_ms": step_ms, "all_reduce_ms": reduce_ms, "all_gather_ms": gather_ms}
        about = {"ranks": ranks, "parameters": parameters, "batch": arguments.batch}
        print(json.dumps({**about, **times, "torch": str(torch.__version__)}), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("ranks", type=int, metavar="RANKS")
    parser.add_argument("--width", type=int, nargs="+", default=[128, 64], help="widths of the hidden layers")
    parser.add_argument("--batch", type=int, default=32, help="samples of a step, over all ranks")
    parser.add_argument("--steps", type=int, default=300, help="steps that are timed")
    arguments = parser.parse_args()
    if min(arguments.ranks, arguments.steps, arguments.batch, *arguments.width) < 1:
        parser.error("numbers are 1 or more")
    if arguments.batch % arguments.ranks:
        parser.error(f"{arguments.ranks} ranks cannot share a batch of {arguments.batch} equally")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(free.getsockname()[1]))
    multiprocessing.spawn(run, (arguments,), nprocs=arguments.ranks)


if __name__ == "__main__":
    main()
