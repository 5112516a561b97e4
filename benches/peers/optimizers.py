#!/usr/bin/env python3
"""Times the updates of several libraries' optimizers in the same minutes, a block of each in turn.

    python3 optimizers.py --ours DOWNHILL --engine COMMAND [--engine COMMAND ..] [--optimizers adamw,momentum]

optimizers.sh builds the engines and starts this. An engine is a command that takes a job and keeps the protocol of
README.md. Writes one line of JSON for each case and engine; optimizers_table.py makes the table. Needs numpy.
"""

import argparse
import datetime
import json
import os
import pathlib
import resource
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

import numpy

import equations
from measure import Engine, Failed, Unsupported, await_quiet, busy_seconds, machine, warm_up

# torch's names and defaults, as `downhill bench optim` has them; the decay is there so that the check sees it.
SETTINGS = {
    "adamw": {"lr": 1e-3, "betas": [0.9, 0.999], "eps": 1e-8},
    "adam": {"lr": 1e-3, "betas": [0.9, 0.999], "eps": 1e-8},
    "momentum": {"lr": 1e-3, "momentum": 0.9},
    "sgd": {"lr": 1e-3},
    "rmsprop": {"lr": 1e-2, "alpha": 0.99, "eps": 1e-8},
    "adagrad": {"lr": 1e-2, "eps": 1e-10},
    "adadelta": {"lr": 1.0, "rho": 0.9, "eps": 1e-6},
    "adamax": {"lr": 2e-3, "betas": [0.9, 0.999], "eps": 1e-8},
    "nadam": {"lr": 2e-3, "betas": [0.9, 0.999], "eps": 1e-8, "momentum_decay": 4e-3},
    "radam": {"lr": 1e-3, "betas": [0.9, 0.999], "eps": 1e-8},
    "lion": {"lr": 1e-4, "betas": [0.9, 0.99]},
}
DECAY = 0.01
# Updates that are checked: the rectification of RAdam begins at the sixth.
CHECKED = 10
SIZES = "1Ki,16Ki,256Ki,1Mi,16Mi,64Mi"
# Tensors are of whole multiples of so many numbers, as in `downhill bench optim`.
GRAIN = 256
# Sets of parameters, gradients and state that steps go through in turn, at most.
MOST_SETS = 64
# A run of downhill that takes longer than this many seconds takes one sample a round and not three.
LONG = 15


class Left(Exception):
    """A case that is left out."""


class Timed:
    """A way of a library to make updates, and its times."""

    def __init__(self, engine, version, device):
        self.engine, self.version, self.device = engine, version, device
        self.times, self.device_times, self.others = [], [], []
        self.error = None

    def library(self):
        """Ways of the same library on the same device are compared with the fastest of them."""
        return self.engine.split(",")[0], self.device


class Ours:
    """`downhill bench optim`, started anew each round: it checks and times three ways in turn."""

    def __init__(self, program, optimizer, size, tensors, quick, log):
        self.command = [
            program, "bench", "optim", "--json",
            "--optimizers", optimizer, "--sizes", str(size), "--tensors", str(tensors), *(["--quick"] if quick else []),
        ]  # fmt: skip
        self.log = log
        start = time.monotonic()
        report = self.report(1)
        self.runs = 3 if time.monotonic() - start < LONG else 1
        rows = report["tables"][0]["rows"]
        self.first = rows[0]
        device = report["machine"]["adapter"]
        self.ways = {r["way"]: Timed(f"downhill, {r['way']}", report["version"], device) for r in rows}
        for row in rows:
            self.ways[row["way"]].error = row["of_error_bound"]

    def report(self, runs):
        with self.log.open("a") as log:
            done = subprocess.run([*self.command, "--runs", str(runs)], stdout=subprocess.PIPE, stderr=log)
        if done.returncode:
            raise Failed(f"{shlex.join(self.command)} ended with status {done.returncode}: see {self.log}")
        return json.loads(done.stdout)

    def round(self):
        busy, start, own = busy_seconds(), time.perf_counter(), children_seconds()
        rows = self.report(self.runs)["tables"][0]["rows"]
        wall, others = time.perf_counter() - start, None
        if busy is not None:
            others = max(0.0, (busy_seconds() - busy - children_seconds() + own) / wall)
        for row in rows:
            way = self.ways[row["way"]]
            way.times.append(row["wall_seconds"] * 1e3)
            way.others.append(others)
            if row["device_seconds"] is not None:
                way.device_times.append(row["device_seconds"] * 1e3)


class Peer(Engine):
    """A running engine, its updates checked."""

    def __init__(self, command, job, caches, log):
        super().__init__(command, json.dumps(job), caches, log)
        self.timed = Timed(self.name, self.facts["version"], self.facts["device"])
        wanted = job
        if self.facts.get("decay") is False:
            wanted = job | {"settings": {k: v for k, v in job["settings"].items() if k != "weight_decay"}}
        got = numpy.fromfile(job["file"], numpy.float32)
        os.unlink(job["file"])
        self.timed.error = equations.check(wanted, got, self.facts.get("scalars") == "f32")

    def line(self):
        answer = super().line()
        if "device_seconds" in answer:
            self.device_seconds = answer["device_seconds"]
        return answer

    def round(self):
        ms, others = self.block(self.steps)
        self.timed.times.append(ms)
        self.timed.others.append(others)
        if hasattr(self, "device_seconds"):
            self.timed.device_times.append(self.device_seconds / self.steps * 1e3)


def children_seconds():
    """Seconds of work of the processes that this one has waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def number(text):
    """1Ki, 16Mi or a plain number."""
    units = {"Ki": 1 << 10, "Mi": 1 << 20}
    return int(text[:-2]) * units[text[-2:]] if text[-2:] in units else int(text)


def free_bytes():
    try:
        with open("/proc/meminfo") as f:
            return next(int(i.split()[1]) * 1024 for i in f if i.startswith("MemAvailable"))
    except (OSError, StopIteration):
        return None


def start_peers(options, job, arrays, scratch, say):
    """The engines that have the optimizer and do what its equations say, and whether any does something else."""
    # Beside its sets each has a second gradient for the check, and intermediate results.
    each = job["each"] * job["tensors"] * 4 * (arrays * job["sets"] + arrays + 4)
    free = free_bytes()
    if free is not None and each * len(options.engine) > 0.8 * free:
        raise Left(f"{len(options.engine)} engines of {each >> 20} MiB each, and {free >> 20} MiB are free")
    peers, wrong = [], False
    for at, command in enumerate(options.engine):
        words = shlex.split(command)
        try:
            peer = Peer(words, job, scratch, options.out.parent / f"optimizers-{at}.stderr")
            peer.steps, _, _ = warm_up(peer, options.block_seconds, options.warm_up)
        except Unsupported:
            continue
        except (Failed, BrokenPipeError) as why:
            say(f"{shlex.join(words)}: {why}")
            wrong = True
            continue
        if peer.timed.error > 1:
            say(f"{peer.name} is off by {peer.timed.error:.3g} times what rounding can make after {CHECKED} updates")
            wrong = True
            peer.close()
            continue
        say(f"{peer.name}: blocks of {peer.steps} updates; {peer.timed.error:.2f} of the error bound")
        peers.append(peer)
    return peers, wrong


def take_turns(options, ours, peers, say):
    """Every round; peers that fail are left out from there on. Whether any did."""
    turns = [ours, *peers]
    begun = len(turns)
    for _ in range(options.rounds):
        for candidate in turns[:]:
            await_quiet(time.monotonic() + options.patience)
            try:
                candidate.round()
            except (Failed, BrokenPipeError) as why:
                if candidate is ours:
                    raise
                say(f"{candidate.name}: {why}")
                turns.remove(candidate)
                peers.remove(candidate)
        # Another one begins the next time.
        turns = turns[1:] + turns[:1]
    return len(turns) < begun


def rows_of(ours, peers, job, facts):
    """A line of the results for each way."""
    timed = [*ours.ways.values(), *(p.timed for p in peers)]
    fused = timed[0]
    for t in timed:
        q1, median, q3 = statistics.quantiles(t.times, n=4, method="inclusive")
        alike = [other for other in timed if other.library() == t.library()]
        fastest = min(alike, key=lambda other: statistics.median(other.times))
        yield facts | {
            "optimizer": job["optimizer"],
            "parameters": job["each"] * job["tensors"],
            "tensors": job["tensors"],
            "engine": t.engine,
            "version": t.version,
            "device": t.device,
            "sets": job["sets"],
            "settings": job["settings"],
            "median_ms": median,
            "q1_ms": q1,
            "q3_ms": q3,
            "blocks_ms": t.times,
            "device_ms": statistics.median(t.device_times) if t.device_times else None,
            "bytes_per_parameter": ours.first["bytes_per_parameter"],
            "bytes_per_second": ours.first["bytes_per_parameter"] * job["each"] * job["tensors"] / median * 1e3,
            # Round by round, for a machine that slows down slows all.
            "times_ours": statistics.median(a / b for a, b in zip(t.times, fused.times)),
            "times_fastest": statistics.median(a / b for a, b in zip(t.times, fastest.times)),
            "of_error_bound": t.error,
            "processors_of_others": t.others,
            "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        }


def measure(options, optimizer, size, tensors, scratch, out):
    """One case; whether an engine failed in it."""
    each = size // tensors // GRAIN * GRAIN
    title = f"{optimizer}, {each * tensors} parameters in {tensors} tensors"

    def say(text):
        print(f"{title}: {text}", file=sys.stderr)

    if each == 0:
        say(f"left out, for that is less than {GRAIN} numbers a tensor")
        return False
    await_quiet(time.monotonic() + options.patience)
    ours = Ours(options.ours, optimizer, size, tensors, options.quick, options.out.parent / "optimizers-downhill.stderr")
    arrays = (ours.first["bytes_per_parameter"] // 4 - 3) // 2 + 2
    sets = ours.first["rotated_bytes"] // (each * tensors * 4 * arrays)
    job = {
        "optimizer": optimizer,
        "each": each,
        "tensors": tensors,
        "sets": max(1, min(MOST_SETS, sets)),
        "steps": CHECKED,
        "file": str(pathlib.Path(scratch) / "parameters.f32"),
        "settings": SETTINGS[optimizer] | {"weight_decay": DECAY},
    }
    peers, wrong = start_peers(options, job, arrays, scratch, say)
    facts = {"machine": machine(), "load": os.getloadavg()[0]}
    try:
        wrong |= take_turns(options, ours, peers, say)
    finally:
        for peer in peers:
            peer.close()
    for row in rows_of(ours, peers, job, facts):
        out.write(json.dumps(row) + "\n")
    out.flush()
    return wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--ours", required=True, help="the program downhill")
    parser.add_argument("--engine", action="append", default=[], help="a command")
    parser.add_argument("--optimizers", default=",".join(SETTINGS), help="by name, separated by commas")
    parser.add_argument("--sizes", help=f"parameters in all [default: {SIZES}; 64Ki if quick]")
    parser.add_argument("--tensors", help="over how many tensors [default: 1,100,1000; 1,100 if quick]")
    parser.add_argument("--rounds", type=int, help="blocks of each engine, at least 2 [default: 7, or 2 if quick]")
    parser.add_argument("--quick", action="store_true", help="seconds a case, to see that it works")
    parser.add_argument("--patience", type=float, default=0, help="seconds to wait for a quiet machine, each block")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("optimizers.jsonl"))
    options = parser.parse_args()
    options.rounds = options.rounds or (2 if options.quick else 7)
    if options.rounds < 2:
        parser.error(f"--rounds {options.rounds}: quartiles need 2 at least")
    options.block_seconds, options.warm_up = (0.02, 1) if options.quick else (0.3, 15)
    optimizers = options.optimizers.split(",")
    unknown = [o for o in optimizers if o not in SETTINGS]
    if unknown:
        parser.error(f"no optimizer {', '.join(unknown)}; there are {', '.join(SETTINGS)}")
    sizes = (options.sizes or ("64Ki" if options.quick else SIZES)).split(",")
    tensors = (options.tensors or ("1,100" if options.quick else "1,100,1000")).split(",")
    options.out = options.out.resolve()
    options.out.parent.mkdir(parents=True, exist_ok=True)
    failed = False
    with tempfile.TemporaryDirectory() as scratch, options.out.open("w") as out:
        for case in ((o, number(s), int(t)) for o in optimizers for s in sizes for t in tensors):
            try:
                failed |= measure(options, *case, pathlib.Path(scratch), out)
            except Left as why:
                print(f"{case[0]}, {case[1]} in {case[2]} tensors: left out: {why}", file=sys.stderr)
            except Failed as why:
                print(f"{case[0]}, {case[1]} in {case[2]} tensors: {why}", file=sys.stderr)
                failed = True
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
