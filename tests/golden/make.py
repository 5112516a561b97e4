"""Makes every golden file beside this script. See README.md.

    python make.py --digits DIR            everything
    python make.py ops optimizers          only these
"""

import argparse
import pathlib

import torch

import examples
import layer_cases
import layers
import metrics
import op_cases
import ops
import optim_corners
import optim_traces
import optimizers
import runs
import schedules

HERE = pathlib.Path(__file__).resolve().parent
PARTS = [
    "ops", "layers", "optimizers", "optim_traces", "optim_corners", "schedules", "metrics", "runs", "examples",
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", help=f"{', '.join(PARTS)} (default: all)")
    parser.add_argument("--digits", type=pathlib.Path, help="folder with the digits IDX files")
    args = parser.parse_args()
    parts = args.parts or PARTS
    if unknown := set(parts) - set(PARTS):
        parser.error(f"unknown part: {', '.join(sorted(unknown))}")
    for part in {"runs", "examples"} & set(parts):
        if args.digits is None:
            parser.error(f"{part} need --digits DIR")

    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    if "ops" in parts:
        ops.make(HERE, op_cases.cases())
    if "layers" in parts:
        layers.make(HERE, layer_cases.cases())
    if "optimizers" in parts:
        optimizers.make(HERE)
    if "optim_traces" in parts:
        optim_traces.make(HERE)
    if "optim_corners" in parts:
        optim_corners.make(HERE)
    if "schedules" in parts:
        schedules.make(HERE)
    if "metrics" in parts:
        metrics.make(HERE)
    if "runs" in parts:
        runs.make(HERE, args.digits)
    if "examples" in parts:
        examples.make(HERE, args.digits)


if __name__ == "__main__":
    main()
