#!/usr/bin/env python3
"""The tables of `scripts/bare-gpu.sh lease`: OUT/lease.md from the JSON and text in OUT.

    scripts/lease-table.py OUT

Every figure is a line: name, predicted, measured, ratio. It imports Python's own library and nothing else.
"""

import json
import math
import pathlib
import re
import statistics
import sys
import traceback
from typing import NamedTuple


class Range(NamedTuple):
    """A prediction between two bounds."""

    low: float
    high: float


class About(NamedTuple):
    """A prediction with the error that was allowed for."""

    middle: float
    error: float


# Predictions. All were made before the measurement, from one earlier run on an NVIDIA H200 (benches/RESULTS.md, "On a
# GPU"), a law that was fitted to it, and public sources; so they are for that card. None is changed to fit a result: a new
# prediction is a new line.
LAUNCH_US = {"dependent dispatches": Range(2.0, 2.5), "disjoint dispatches": Range(0.6, 1.0)}
LOAD_AND_STORE_US = 0.6
CHASED_LOAD_US = 0.145
WORKGROUP_MEMORY_KIB = 48
# Rates that were measured in that earlier run.
PEAK_TFLOPS, COPY_GBS, TRIAD_GBS = 62.7, 3970, 4285
# Microseconds of a step: with the new products, with fusions as well, and with whole-net or grouped kernels as well.
STAGES = ["new products", "new products and fusions", "whole-net or grouped kernels"]
STEP_US = {
    "64-64-64-10": [About(45, 6), 40, About(10, 3)],
    "784-256-256-10": [About(55, 8), 50, About(30, 6)],
    "784-512-512-10": [About(130, 20), 115, None],
    "lenet": [About(260, 30), About(125, 20), None],
    "gpt": [About(1150, 120), About(450, 80), About(330, 60)],
}
# Microseconds of PyTorch's CUDA graph: these were measured in that earlier run.
TORCH_STEP_US = {"64-64-64-10": 111, "784-256-256-10": 178, "784-512-512-10": 232}
# Products of the smallest net by their K, of the kernel that made them in that earlier run; the sum of LeNet's first bias
# gradient, [6, 1, 1, 1].
OLD_PRODUCT, OLD_PRODUCT_US = "matmul_tiled", {128: 11.5, 64: 7, 10: 3.4}
OLD_BIAS_SUM_US, BIAS_SUM, BIAS_SUM_SHAPE = 115, "reduce_rows_fold", [6, 1, 1, 1]
# Microseconds of the fastest of three layouts.
PRODUCT_US = {
    256: About(6, 1.5),
    512: About(14, 3),
    1024: About(55, 8),
    2048: About(430, 50),
    4096: About(3300, 350),
}
UNCHECKED_SAVES = Range(5, 15)
# Percent of the triad at 16 Mi parameters in one tensor of 256 columns. AdamW's is of the design; the others were predicted
# from bytes, 2.2 us a dispatch and the rounds of the norms and of Adafactor's columns, before any was measured on a GPU.
UPDATE_OF_TRIAD = {"adamw": 95, "lamb": 85, "lars": 80, "adafactor": 25}


def number(x):
    """Three digits, and whole numbers in full."""
    if x == int(x) or abs(x) >= 1000:
        return f"{x:,.0f}"
    return f"{x:.{max(0, 2 - math.floor(math.log10(abs(x))))}f}"


def predicted_number(x):
    """A number that was predicted, in no more digits than it has."""
    text = number(x)
    return text.rstrip("0").rstrip(".") if "." in text else text


class Lines:
    """The tables of a measurement."""

    def __init__(self, out):
        self.out, self.text = out, []

    def read(self, name):
        """A JSON file of the lease; None where its block failed."""
        try:
            return json.loads((self.out / name).read_text())
        except (OSError, ValueError):
            return None

    def rows(self, name, table=0):
        """The rows of a table of a benchmark."""
        report = self.read(name)
        return report["tables"][table]["rows"] if report else []

    def section(self, title):
        self.text += ["", f"## {title}", "", "| name | predicted | measured | ratio |", "|---|--:|--:|--:|"]

    def line(self, name, measured, unit, predicted=None):
        middle, text = predicted, "–"
        if isinstance(predicted, Range):
            middle = sum(predicted) / 2
            text = f"{predicted_number(predicted.low)} to {predicted_number(predicted.high)} {unit}"
        elif isinstance(predicted, About):
            middle = predicted.middle
            text = f"{predicted_number(predicted.middle)} ± {predicted_number(predicted.error)} {unit}"
        elif predicted is not None:
            text = f"{predicted_number(predicted)} {unit}"
        ratio = "–" if not middle else f"{measured / middle:.2f}"
        self.text.append(f"| {name} | {text.strip()} | {f'{number(measured)} {unit}'.strip()} | {ratio} |")

    def note(self, text):
        self.text += ["", text]

    def torch(self, name, row, predicted=None):
        """PyTorch's time of the same work, where it was measured."""
        if row.get("torch_seconds"):
            way = f", {row['torch_way']}" if row["torch_way"] else ""
            self.line(f"{name}: PyTorch{way}", 1e6 * row["torch_seconds"], "µs", predicted)
            self.line(f"{name}: PyTorch's time over ours", row["torch_over_ours"], "")


def microseconds(row):
    """By the device's clock where it has one."""
    return 1e6 * (row["device_seconds"] or row["wall_seconds"])


def adapter(lines):
    report = lines.read("adapters.json")
    lines.section("M0: the adapter")
    if report:
        chosen = report["adapters"][report["chosen"]]
        memory = chosen["limits"]["max_compute_workgroup_storage_size"] / 1024
        lines.line("workgroup memory", memory, "KiB", WORKGROUP_MEMORY_KIB)
    for roof in filter(None, [(lines.read("matmul.json") or {}).get("roof")]):
        lines.line("multiply-adds in registers", roof["flops"] / 1e12, "TFLOP/s", PEAK_TFLOPS)
        lines.line("copy", roof["copy"] / 1e9, "GB/s", COPY_GBS)
        lines.line("triad", roof["triad"] / 1e9, "GB/s", TRIAD_GBS)
    clocks = lines.out / "clocks.csv"
    for row in clocks.read_text().splitlines() if clocks.exists() else []:
        block, *values = [value.strip() for value in row.split(",")]
        for name, value, unit in zip(["multiprocessors", "memory", "power"], values, ["MHz", "MHz", "W"]):
            if re.fullmatch(r"[0-9.]+", value):
                lines.line(f"{name} after {block}", float(value), unit)
    lines.note("Predicted rates are those of an earlier day.")
    lines.note("Cooperative configurations are not measured: `downhill adapters` does not list them yet.")


def launch(lines):
    rows = lines.rows("launch.json")
    most = max((row["dispatches"] for row in rows), default=0)
    each = {row["what"]: 1e6 * row["each_seconds"] for row in rows if row["dispatches"] == most}
    largest = max((row["bytes"] for row in rows if row["loads"]), default=0)
    lines.section("M1: dispatches and loads")
    for row in rows:
        if row["loads"]:
            name, predicted = f"a load of a chase through {row['bytes'] >> 10} KiB", CHASED_LOAD_US
            predicted = predicted if row["bytes"] == largest else None
        else:
            name = f"{row['what']}, each of {row['dispatches']:,}"
            predicted = LAUNCH_US.get(row["what"]) if row["dispatches"] == most else None
        lines.line(name, 1e6 * row["each_seconds"], "µs", predicted)
    if "dependent copies" in each:
        more = each["dependent copies"] - each["dependent dispatches"]
        lines.line("a load and a store: copies less dispatches", more, "µs", LOAD_AND_STORE_US)
    lines.note("A narrow barrier through wgpu-hal is not measured: `downhill bench launch` has none.")


def k_of(row):
    """K of a product: its FLOPs over twice its elements. The usual epilogues, two operations at most, add 1 at most."""
    return int(row["flops"] / (2 * math.prod(json.loads(row["makes"]))))


def steps(lines):
    lines.section("M2: training steps")
    kernels = lines.rows("train.json", 1)
    plans = {}
    for row in lines.rows("train.json"):
        net, name = row["net"].split()[0], row["net"]
        step = 1e6 * row["step_seconds"]
        plan = ((lines.read(f"explain-{net}.json") or {}).get("train") or [{}])[0]
        plans[name] = plan.get("kernels", [])
        for stage, predicted in zip(STAGES, STEP_US.get(net, [])):
            if predicted is not None:
                lines.line(f"{name}: a step, predicted with {stage}", step, "µs", predicted)
        lines.line(f"{name}: a step, predicted by explain", step, "µs", plan.get("predicted_us"))
        if row["kernel_seconds"]:
            total = 1e6 * row["kernel_seconds"]
            lines.line(f"{name}: all kernels, predicted by explain", total, "µs", plan.get("predicted_us"))
        lines.line(f"{name}: dispatches, by explain", row["dispatches"], "", plan.get("dispatches"))
        lines.torch(name, row, TORCH_STEP_US.get(net))
    old = {}
    for k, predicted in OLD_PRODUCT_US.items():
        same = [row for row in kernels if row["net"].startswith("64-64-64-10") and row["kernel"] == OLD_PRODUCT]
        times = [1e6 * row["device_seconds"] for row in same if k_of(row) in (k, k + 1)]
        if times:
            old[k] = statistics.median(times)
            lines.line(f"{OLD_PRODUCT} of K = {k}, median of {len(times)}", old[k], "µs", predicted)
    for row in kernels:
        if row["net"].startswith("lenet") and row["kernel"] == BIAS_SUM and json.loads(row["makes"]) == BIAS_SUM_SHAPE:
            lines.line("LeNet's first bias sum", 1e6 * row["device_seconds"], "µs", OLD_BIAS_SUM_US)
    is_software = bool(kernels) and lines.read("train.json")["machine"]["kind"] == "software"
    if not is_software and 64 in old and old.get(128, math.inf) < 1.1 * old[64]:
        lines.note("Products of K = 128 take as long as those of K = 64: the law of the predictions is wrong.")
    if kernels and not old:
        lines.note(f"The smallest net has no {OLD_PRODUCT}, for which products of K = 128, 64 and 10 were predicted.")
    lines.note("PyTorch's predictions are its CUDA graph's times on an earlier day.")
    lines.note("A step: by the wall's clock. All kernels: the sum by the device's clock, each in a pass of its own.")
    if not kernels:
        return
    lines.section("M2: kernels of training steps, predicted by explain")
    differing = set()
    for row in kernels:
        plan, i = plans.get(row["net"], []), row["number"] - 1
        same = i < len(plan) and (plan[i]["kernel"], plan[i]["shape"]) == (row["kernel"], json.loads(row["makes"]))
        if not same:
            differing.add(row["net"])
        name = f"{row['net'].split()[0]} {row['number']}: {row['kernel']}, {row['what']} {row['makes']}"
        lines.line(name, 1e6 * row["device_seconds"], "µs", plan[i]["predicted_us"] if same else None)
    for net in sorted(differing):
        lines.note(f"{net}: its plan is not that of `downhill explain --target gpu`; only equal kernels are compared.")


def products(lines):
    rows = lines.rows("matmul.json")
    lines.section("M3: products of square matrices")
    for side in sorted({row["side"] for row in rows}):
        same = [row for row in rows if row["side"] == side]
        best = min(same, key=microseconds)
        lines.line(f"{side}, best: {best['layout']}", microseconds(best), "µs", PRODUCT_US.get(side))
        for row in same:
            lines.line(f"{side} {row['layout']}: {row['kernel']}", microseconds(row), "µs")
            lines.torch(f"{side} {row['layout']}", row)


def unchecked(lines):
    lines.section("M4: buffers that the driver does not check")

    def compare(name, checked, other):
        lines.line(f"{name}, checked", checked, "µs")
        lines.line(f"{name}, unchecked", other, "µs")
        lines.line(f"{name}: unchecked saves", 100 * (1 - other / checked), "%", UNCHECKED_SAVES)

    for row, other in zip(lines.rows("matmul-checked.json"), lines.rows("matmul-unchecked.json")):
        compare(f"{row['side']} {row['layout']}", microseconds(row), microseconds(other))
    for row, other in zip(lines.rows("train-checked.json"), lines.rows("train-unchecked.json")):
        compare(f"{row['net']}: a step", 1e6 * row["step_seconds"], 1e6 * other["step_seconds"])
        if row["kernel_seconds"]:
            compare(f"{row['net']}: all kernels", 1e6 * row["kernel_seconds"], 1e6 * other["kernel_seconds"])


def criterion(lines):
    lines.section("M5: training steps by `train_step`, and PyTorch's")
    units = {"ns": 1e-3, "µs": 1, "ms": 1e3, "s": 1e6}
    path = lines.out / "train_step.txt"
    pattern = r"^adamw step/(\S+)([^\n]*?)\s+time:\s+\[\S+ \S+ (\S+) (\S+) "
    for net, rest, value, unit in re.findall(pattern, path.read_text() if path.exists() else "", re.MULTILINE):
        predicted = [p for p in STEP_US.get(net, []) if p is not None]
        lines.line(f"{net}{rest}", float(value) * units[unit], "µs", predicted[-1] if predicted else None)
    path = lines.out / "pytorch.txt"
    for name, value in re.findall(r"^(.+): (\d+) \(\d+\)", path.read_text() if path.exists() else "", re.MULTILINE):
        predicted = TORCH_STEP_US.get(name.split()[0]) if name.endswith(", graph") else None
        lines.line(f"PyTorch, {name}", float(value), "µs", predicted)
    lines.note("Windows of 64 and 512 steps are not measured: the engine chooses windows itself, of 64 at most.")


def optimizers(lines):
    lines.section("M6: updates")
    for row in lines.rows("optim.json"):
        name = f"{row['optimizer']}, {row['parameters']:,} parameters, {row['way']}"
        lines.line(name, microseconds(row), "µs")
        if row["way"] == "fused":
            lines.line(f"{name}: of the triad, at least", 100 * row["of_triad"], "%", UPDATE_OF_TRIAD.get(row["optimizer"]))
        lines.torch(name, row)


def blocks(lines):
    lines.text += ["", "## The blocks", "", "| block | seconds | end |", "|---|--:|---|"]
    path = lines.out / "blocks.tsv"
    for row in path.read_text().splitlines() if path.exists() else []:
        lines.text.append(f"| {' | '.join(row.split(chr(9)))} |")
    lines.note("M7 (replicas) and M8 (cooperative matrices) are not built yet: nothing was measured.")


def table(out):
    lines = Lines(out)
    lines.text = ["# A short lease of a GPU machine"]
    for name in ["launch.json", "train.json", "matmul.json", "optim.json"]:
        report = lines.read(name)
        if report:
            machine = report["machine"]
            lines.note(
                f"{machine['adapter']} ({machine['kind']}, {machine['backend']}, {machine['driver']}), "
                f"{machine['family']} kernels, downhill {report['version']}."
            )
            break
    for name in ["matmul.json", "train.json", "optim.json"]:
        torch = (lines.read(name) or {}).get("torch")
        if torch:
            lines.note(f"PyTorch {torch['version']} on {torch['device']}.")
            break
    lines.note(
        "Predictions were made before the measurement, for an NVIDIA H200. A ratio is measured over predicted, over the "
        "middle of a range; a dash where nothing was predicted."
    )
    failed = False
    for part in [adapter, launch, steps, products, unchecked, criterion, optimizers, blocks]:
        try:
            part(lines)
        except (LookupError, TypeError, ValueError, ArithmeticError) as error:
            # The other tables are worth having.
            traceback.print_exc()
            lines.note(f"This table ends here: {error!r}.")
            failed = True
    (out / "lease.md").write_text("\n".join(lines.text) + "\n")
    return int(failed)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(table(pathlib.Path(sys.argv[1])))
