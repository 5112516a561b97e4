#!/usr/bin/env python3
"""Times the training steps of several engines in the same minutes, a block of each in turn.

    python3 measure.py --out results.jsonl --engine COMMAND [--engine COMMAND ..] [--nets 64-64-64-10,lenet,gpt]

An engine is a command that takes the name of a net and keeps the protocol of README.md. Writes one line of JSON for
each net and engine; table.py makes a table of them. Needs nothing but Python's own library.
"""

import argparse
import datetime
import json
import os
import pathlib
import queue
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

PATIENCE_FOR_A_LINE = 1800
# Losses of one net are the same in all engines up to rounding, which the first updates enlarge.
TOLERANCE_FIRST, TOLERANCE_CHECKED = 1e-4, 1e-2


class Failed(Exception):
    """An engine that ended or hung."""


class Unsupported(Failed):
    """An engine that does not know the net."""


def busy_seconds():
    """Seconds of work of all processors since the start, what a hypervisor took included; None off Linux."""
    try:
        with open("/proc/stat") as f:
            fields = [int(i) for i in f.readline().split()[1:9]]
    except OSError:
        return None
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


class Engine:
    """A running engine."""

    def __init__(self, command, net, caches, log):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("MESA_SHADER_CACHE")}
        environment["XDG_CACHE_HOME"] = str(caches)
        environment.setdefault("XDG_RUNTIME_DIR", str(caches))
        self.log = log
        self.lines = queue.Queue()
        started = time.perf_counter()
        # Outside of any crate: CubeCL keeps its cache in the target folder of one it is started in.
        self.process = subprocess.Popen(
            [*command, net], cwd=caches, env=environment, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log.open("a"),
        )  # fmt: skip
        threading.Thread(target=self.read, daemon=True).start()
        self.facts = self.line()
        self.first_step = time.perf_counter() - started
        if "unsupported" in self.facts:
            self.close()
            raise Unsupported(f"{self.facts['engine']} does not have {net}")
        self.name = self.facts["engine"]
        self.checked = self.line()

    def read(self):
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def line(self):
        try:
            line = self.lines.get(timeout=PATIENCE_FOR_A_LINE)
        except queue.Empty:
            self.process.kill()
            raise Failed(f"no answer in {PATIENCE_FOR_A_LINE} s") from None
        if line is None:
            self.process.wait()
            last = self.log.read_text().strip().splitlines()[-1:] or ["nothing on its standard error"]
            raise Failed(f"ended with status {self.process.returncode}: {last[0]}")
        return json.loads(line)

    def worked(self):
        """Seconds of work of this process."""
        with open(f"/proc/{self.process.pid}/stat") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def block(self, steps):
        """Milliseconds a step, and how many processors others kept busy meanwhile."""
        busy = busy_seconds()
        own = self.worked() if busy is not None else 0
        start = time.perf_counter()
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        answer = self.line()
        wall = time.perf_counter() - start
        others = None
        if busy is not None:
            others = max(0.0, (busy_seconds() - busy - self.worked() + own) / wall)
        return answer["seconds"] / steps * 1e3, others

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self.process.kill()


def await_quiet(deadline):
    """Waits until others leave the machine alone, at most until the deadline."""
    while time.monotonic() < deadline:
        before, start = busy_seconds(), time.monotonic()
        if before is None:
            return
        time.sleep(0.5)
        if (busy_seconds() - before) / (time.monotonic() - start) < 0.2:
            return
        time.sleep(2)


def warm_up(engine, block_seconds, limit):
    """Steps that fill a block, the seconds it took until three blocks in a row were alike, and whether they were."""
    start, steps, recent = time.monotonic(), 1, []
    while True:
        ms, _ = engine.block(steps)
        wanted = max(2, min(int(block_seconds * 1e3 / ms), 4 * steps))
        recent = [*recent[-2:], ms] if 0.7 < steps / wanted < 1.5 else []
        if not recent:
            steps = wanted
        passed = time.monotonic() - start
        alike = len(recent) == 3 and max(recent) < 1.1 * min(recent)
        if alike or passed > limit:
            return steps, passed, alike


def start(command, net, scratch, log):
    """The engine as on its first day, ended after its first steps; then again with the caches that it left."""
    caches = pathlib.Path(tempfile.mkdtemp(dir=scratch))
    first = Engine(command, net, caches, log)
    first.close()
    again = Engine(command, net, caches, log)
    again.cold = first.first_step
    return again


def machine():
    try:
        model = next(i for i in open("/proc/cpuinfo") if i.startswith("model name")).split(":")[1].strip()
    except (OSError, StopIteration):
        model = "unknown processor"
    return f"{os.cpu_count()} processors, {model}"


def close_enough(a, b, tolerance):
    return abs(a - b) <= tolerance * abs(b)


def summary(net, e, reference):
    """What is written of an engine."""
    q1, median, q3 = statistics.quantiles(e.times, n=4, method="inclusive")
    same = (
        e.facts["parameters"] == reference.facts["parameters"]
        and close_enough(e.facts["loss"], reference.facts["loss"], TOLERANCE_FIRST)
        and close_enough(e.checked["loss"], reference.checked["loss"], TOLERANCE_CHECKED)
    )
    return {
        "net": net,
        "engine": e.name,
        "version": e.facts["version"],
        "device": e.facts["device"],
        "parameters": e.facts["parameters"],
        "loss_first_step": e.facts["loss"],
        f"loss_step_{e.checked['checked']}": e.checked["loss"],
        "same_as": reference.name if same else None,
        "first_step_without_caches_s": e.cold,
        "first_step_with_caches_s": e.first_step,
        "warm_up_s": e.warm_up,
        "stable": e.alike,
        "steps_in_a_block": e.steps,
        "median_ms": median,
        "q1_ms": q1,
        "q3_ms": q3,
        "blocks_ms": e.times,
        "processors_of_others": e.others,
        "machine": machine(),
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
    }


def measure(net, options, scratch, out):
    logs = options.out.parent
    engines = []
    for at, command in enumerate(options.engine):
        words = shlex.split(command)
        try:
            await_quiet(time.monotonic() + options.patience)
            engine = start(words, net, scratch, logs / f"{net}-{at}.stderr")
        except Failed as why:
            print(f"{net}: {words[0]}: {why}", file=sys.stderr)
            continue
        print(f"{net}: {engine.name}: first step after {engine.cold:.2f} s, {engine.first_step:.2f} s", file=sys.stderr)
        engines.append(engine)
    if not engines:
        return

    def each(task):
        """Does something with every engine; those that fail are left out from there on."""
        for e in engines[:]:
            try:
                task(e)
            except (Failed, BrokenPipeError) as why:
                print(f"{net}: {e.name}: {why}", file=sys.stderr)
                engines.remove(e)

    def warm(e):
        e.times, e.others = [], []
        e.steps, e.warm_up, e.alike = warm_up(e, options.block_seconds, options.warm_up)
        print(f"{net}: {e.name}: blocks of {e.steps} steps after {e.warm_up:.1f} s of warm-up", file=sys.stderr)

    def block(e):
        await_quiet(time.monotonic() + options.patience)
        ms, others = e.block(e.steps)
        e.times.append(ms)
        e.others.append(others)

    reference = engines[-1]
    each(warm)
    load = os.getloadavg()[0]
    for _ in range(options.blocks):
        each(block)
        # Another one begins the next time.
        engines = engines[1:] + engines[:1]
    for e in engines:
        e.close()
        row = summary(net, e, reference) | {"load": load}
        if row["same_as"] is None:
            print(f"{net}: {e.name} does not train what {reference.name} trains", file=sys.stderr)
        out.write(json.dumps(row) + "\n")
        out.flush()


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--engine", action="append", required=True, help="a command; the last one is the reference")
    parser.add_argument("--nets", default="64-64-64-10,784-256-256-10,784-512-512-10,lenet,gpt")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("results.jsonl"))
    parser.add_argument("--blocks", type=int, default=9, help="blocks of each engine, at least 7")
    parser.add_argument("--block-seconds", type=float, default=1.0)
    parser.add_argument("--warm-up", type=float, default=60.0, help="most seconds of warm-up")
    parser.add_argument("--patience", type=float, default=0.0, help="most seconds to wait for quiet before a block")
    options = parser.parse_args()
    if options.blocks < 7:
        parser.error("fewer than 7 blocks say little: give --blocks 7 or more")
    options.out.parent.mkdir(parents=True, exist_ok=True)
    scratch = tempfile.mkdtemp(prefix="downhill-peers-")
    try:
        with options.out.open("w") as out:
            for net in options.nets.split(","):
                measure(net, options, scratch, out)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


if __name__ == "__main__":
    main()
