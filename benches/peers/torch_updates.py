#!/usr/bin/env python3
"""PyTorch's optimizers, their updates alone: see README.md, "The protocol".

    python3 torch_updates.py --way fused|foreach|single [--device cuda] JOB
"""

import argparse
import json
import sys
import time

import numpy
import torch

from noise import GRADIENTS, OTHER_GRADIENTS, PARAMETERS, noise

WAYS = {
    "fused": {"fused": True},
    "foreach": {"foreach": True},
    "single": {"foreach": False},
}
# Classes, and those that have a fused kernel.
CLASSES = {
    "sgd": "SGD", "momentum": "SGD", "rmsprop": "RMSprop", "adagrad": "Adagrad", "adadelta": "Adadelta",
    "adam": "Adam", "adamw": "AdamW", "adamax": "Adamax", "nadam": "NAdam", "radam": "RAdam",
}  # fmt: skip
FUSED = {"sgd", "momentum", "adagrad", "adam", "adamw"}
CHUNK = 1 << 22


class Clock:
    """Seconds of the wall, and of the device where it has a clock, from the start until all work is done."""

    def __init__(self, device):
        self.cuda = device == "cuda"
        self.wait()
        if self.cuda:
            self.events = [torch.cuda.Event(enable_timing=True) for _ in range(2)]
            self.events[0].record()
        self.start = time.perf_counter()

    def wait(self):
        if self.cuda:
            torch.cuda.synchronize()

    def stop(self):
        if not self.cuda:
            return {"seconds": time.perf_counter() - self.start}
        self.events[1].record()
        self.wait()
        seconds = time.perf_counter() - self.start
        return {"seconds": seconds, "device_seconds": self.events[0].elapsed_time(self.events[1]) / 1e3}


class Library:
    def __init__(self, job, way, device):
        self.job, self.way, self.device = job, way, device

    def tensors(self, stream):
        each, tensors = self.job["each"], self.job["tensors"]
        flat = numpy.empty(each * tensors, numpy.float32)
        for at in range(0, len(flat), CHUNK):
            part = flat[at : at + CHUNK]
            part[:] = noise(stream, numpy.arange(at, at + len(part)))
        return [torch.tensor(part, device=self.device) for part in numpy.split(flat, tensors)]

    def set(self):
        """Parameters with gradients, and their optimizer."""
        parameters = [t.requires_grad_() for t in self.tensors(PARAMETERS)]
        for p, g in zip(parameters, self.tensors(GRADIENTS)):
            p.grad = g
        kind = getattr(torch.optim, CLASSES[self.job["optimizer"]])
        return parameters, kind(parameters, **self.job["settings"], **WAYS[self.way])

    def checked(self, parameters, optimizer):
        """Takes the job's steps, with two gradients in turn."""
        gradients = [[p.grad for p in parameters], self.tensors(OTHER_GRADIENTS)]
        for step in range(self.job["steps"]):
            for p, g in zip(parameters, gradients[step % 2]):
                p.grad = g
            optimizer.step()
        for p, g in zip(parameters, gradients[0]):
            p.grad = g
        with open(self.job["file"], "wb") as f:
            for p in parameters:
                f.write(p.detach().cpu().numpy().tobytes())


def say(**fields):
    print(json.dumps(fields), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--way", choices=WAYS, required=True)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("job", type=json.loads)
    arguments = parser.parse_args()
    job, way, device = arguments.job, arguments.way, arguments.device
    name = f"PyTorch, {way}"
    if job["optimizer"] not in (FUSED if way == "fused" else CLASSES):
        say(engine=name, unsupported=job["optimizer"])
        return
    library = Library(job, way, device)
    sets = [library.set() for _ in range(job["sets"])]
    library.checked(*sets[0])
    adapter = torch.cuda.get_device_name() if device == "cuda" else f"processor, {torch.get_num_threads()} threads"
    say(engine=name, version=torch.__version__, device=adapter)
    # The first update of a set makes its state.
    for _, optimizer in sets:
        optimizer.step()
        optimizer.step()
    say(checked=job["steps"])
    at = 0
    for line in sys.stdin:
        steps = int(line)
        clock = Clock(device)
        for _ in range(steps):
            sets[at][1].step()
            at = (at + 1) % len(sets)
        say(steps=steps, **clock.stop())


if __name__ == "__main__":
    main()
