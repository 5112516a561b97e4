#!/usr/bin/env python3
"""One table in Markdown of what optimizers.py wrote: python3 optimizers_table.py optimizers.jsonl"""

import json
import statistics
import sys

from table import head, line, milliseconds


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1]) as f:
        rows = [json.loads(i) for i in f]
    if not rows:
        sys.exit(f"{sys.argv[1]} has no results")
    versions = dict.fromkeys(f"{r['engine'].split(',')[0]} {r['version']}" for r in rows)
    others = [o for r in rows for o in r["processors_of_others"] if o is not None]
    print(f"{rows[0]['machine']}, {rows[0]['time']}. {', '.join(versions)}.")
    if others:
        print(f"Other programs kept {statistics.median(others):.1f} processors busy meanwhile (median).")
    print()
    head("optimizer", "parameters", "tensors", "engine", "on", "ms an update (quartiles)", "GB/s",
         "times downhill's fused", "times its library's fastest", "of error bound")  # fmt: skip
    for r in rows:
        line(
            r["optimizer"],
            f"{r['parameters']:,}",
            f"{r['tensors']:,}",
            r["engine"],
            r["device"],
            milliseconds(r),
            f"{r['bytes_per_second'] / 1e9:.3g}",
            f"{r['times_ours']:.2f}",
            f"{r['times_fastest']:.2f}",
            f"{r['of_error_bound']:.2f}",
        )
    print(
        "\nGB/s: what an update has to move by the book (gradient, parameter and state read, parameter and state written)"
        " over the wall's time, whatever an engine really moves. Times: of the times, round by round; above 1 is slower."
        " Of error bound: the largest difference to the equations in f64, as a share of what rounding can make."
    )


if __name__ == "__main__":
    main()
