#!/usr/bin/env python3
"""Tables in Markdown of what measure.py wrote: python3 table.py results.jsonl"""

import json
import statistics
import sys

NETS = {
    "64-64-64-10": "64-64-64-10, batch 128",
    "784-256-256-10": "784-256-256-10, batch 128",
    "784-512-512-10": "784-512-512-10, batch 512",
    "lenet": "LeNet, batch 64",
    "gpt": "GPT, batch 12 of 64",
}


def number(x):
    """Three figures, plainly."""
    return f"{x:.0f}" if x >= 100 else f"{x:.3g}"


def milliseconds(row):
    return f"{number(row['median_ms'])} ({number(row['q1_ms'])} to {number(row['q3_ms'])})" if row else "not measured"


def ratio(a, b):
    return f"{a['median_ms'] / b['median_ms']:.2g}" if a and b else ""


def line(*cells):
    print(f"| {' | '.join(str(c) for c in cells)} |")


def head(*cells):
    line(*cells)
    print("|" + "---|" * len(cells))


def best(rows, engine):
    return min((r for r in rows if r["engine"].startswith(engine)), key=lambda r: r["median_ms"], default=None)


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1]) as f:
        rows = [json.loads(i) for i in f]
    if not rows:
        sys.exit(f"{sys.argv[1]} has no results")
    print(f"{rows[0]['machine']}, {rows[0]['time']}. Milliseconds a step: median (quartiles); Burn's best variant.\n")
    head("net", "downhill", "Burn", "PyTorch, processor", "Burn / downhill", "PyTorch / downhill", "Burn / PyTorch")
    nets = list(dict.fromkeys(r["net"] for r in rows))
    for net in nets:
        of_net = [r for r in rows if r["net"] == net]
        ours, burn, torch = (best(of_net, e) for e in ("downhill", "Burn", "PyTorch"))
        times = [milliseconds(r) for r in (ours, burn, torch)]
        line(NETS.get(net, net), *times, ratio(burn, ours), ratio(torch, ours), ratio(burn, torch))
    print("\nEvery engine. The first step is counted from the start of the process, in seconds.\n")
    head("net", "engine", "ms a step", "first step, no caches", "with caches", "warm-up, s", "blocks", "others' processors",
         "parameters", "loss at step 1, 8", "as PyTorch")  # fmt: skip
    for net in nets:
        for r in sorted((r for r in rows if r["net"] == net), key=lambda r: r["engine"]):
            others = [o for o in r["processors_of_others"] if o is not None]
            line(
                net,
                f"{r['engine']} {r['version']} on {r['device']}",
                milliseconds(r),
                f"{r['first_step_without_caches_s']:.2f}",
                f"{r['first_step_with_caches_s']:.2f}",
                f"{r['warm_up_s']:.0f}" + ("" if r["stable"] else ", never stable"),
                f"{len(r['blocks_ms'])} of {r['steps_in_a_block']}",
                f"{statistics.median(others):.1f}" if others else "unknown",
                r["parameters"],
                f"{r['loss_first_step']:.4f}, {r['loss_step_8']:.4f}",
                "yes" if r["same_as"] else "NO",
            )


if __name__ == "__main__":
    main()
