"""What a trace of optim_traces.py or optim_corners.py must satisfy.

- One that torch or the package `schedulefree` made agrees with the equations to 1e-11.
- torch's own f32 follows it within the tolerance of the Rust test; so do the equations in f32, where no
  package has the method.
- Muon, which torch computes in bfloat16, is near torch's own.
"""

import json
import math
import pathlib

import numpy as np
import torch
from safetensors.numpy import load_file

import optim_traces
from optim_traces import TORCH, newton_schulz, reference, run_torch

ROUNDOFF = 2.0**-24


def schedule_free(optimizer, h, lrs, w, grads):
    """y and x of one parameter tensor after each step, from the sequences x, y and z of the paper."""
    beta = h["betas"][0] if optimizer == "schedule_free_adamw" else h["momentum"]
    x, y, z = w, w, w
    v = weights = peak = 0.0
    trained, evaluated = [], []
    for t, (lr, g) in enumerate(zip(lrs, grads), start=1):
        rate = lr * min(1.0, t / max(h["warmup_steps"], 1))
        if optimizer == "schedule_free_adamw":
            v = h["betas"][1] * v + (1 - h["betas"][1]) * g**2
            g = g / (np.sqrt(v / (1 - h["betas"][1] ** t)) + h["eps"])
        z = z - rate * (g + h["weight_decay"] * y)
        peak = max(peak, rate)
        weight = t ** h["r"] * peak ** h["weight_lr_power"]
        weights += weight
        x = x + weight / weights * (z - x)
        y = (1 - beta) * z + beta * x
        trained.append(y)
        evaluated.append(x)
    return trained, evaluated


def agree(name, got, want):
    """[step][parameter] of both."""
    assert len(got) == len(want) > 0, name
    for step, (a, b) in enumerate(zip(got, want), start=1):
        for x, y in zip(a, b, strict=True):
            np.testing.assert_allclose(x, y, rtol=1e-11, atol=1e-13, err_msg=f"{name} step {step}")


def rooms(optimizer, shape):
    """Roundoffs of an element's own way, and of the way of its tensor, that it may be off by, as in the Rust test."""
    if optimizer == "muon" and len(shape) == 2:
        return 64, 512
    return (128 if optimizer in ("lamb", "lars", "adafactor") else 64), 0


def part_used(optimizer, start, want, got):
    """How much of the Rust test's tolerance `got` takes: [step][parameter] of both."""
    worst = 0.0
    for p, before in enumerate(start):
        own, shared = rooms(optimizer, before.shape)
        largest, way, longest = abs(before), np.zeros_like(before), 0.0
        for t, (a, b) in enumerate(zip(want, got), start=1):
            moved = abs(a[p] - before)
            largest, way, longest = np.maximum(largest, abs(a[p])), way + moved, longest + moved.max()
            bound = ROUNDOFF * (2 * t * largest + own * way + shared * longest)
            worst = max(worst, (abs(a[p] - b[p]) / (bound + 1e-300)).max())
            before = a[p]
    return worst


def near_torchs_muon(name, h, lrs, start, grads, want):
    """Matrices only. bfloat16 has 8 bits, and Newton-Schulz makes the rounding errors of small singular values
    large: a step may be off by a third of its norm, and the way by less, since errors of steps are unlike."""
    weight = torch.from_numpy(start.copy()).requires_grad_()
    own = {k: v for k, v in h.items() if k != "adamw"}
    opt = torch.optim.Muon([weight], **{**own, "ns_coefficients": tuple(own["ns_coefficients"])})
    before_torch, before_want = start, start
    for t, (lr, g) in enumerate(zip(lrs, grads)):
        opt.param_groups[0]["lr"] = lr
        weight.grad = torch.from_numpy(g.copy())
        opt.step()
        now = weight.detach().numpy().copy()
        # The decay is the same for both, and is taken out of the step.
        step_torch = now - before_torch * (1 - lr * h["weight_decay"])
        step = want[t] - before_want * (1 - lr * h["weight_decay"])
        off = np.linalg.norm(step_torch - step)
        assert off <= 0.33 * np.linalg.norm(step) + 1e-12, f"{name} step {t + 1}: {off:.2e}"
        before_torch, before_want = now, want[t]
    off = np.linalg.norm(now - want[-1]) / np.linalg.norm(want[-1] - start)
    assert off <= 0.1, f"{name}: the way is off by {off:.2f}"


def check(name, optimizer, hyper, lrs, params, grads, trace, evaluated):
    """`trace`: [step][parameter] in f64; `evaluated` likewise, or empty. Says how much of the tolerance f32 uses."""
    wide = [{k: v.astype(np.float64) for k, v in table.items()} for table in (params, grads)]
    free = optimizer.startswith("schedule_free")
    if free:
        both = [schedule_free(optimizer, hyper, lrs, wide[0][k], wide[1][k]) for k in params]
        agree(name, trace, list(zip(*[y for y, _ in both])))
        agree(f"{name}, evaluated,", evaluated, list(zip(*[x for _, x in both])))
    elif optimizer in TORCH:
        own = [reference(optimizer, hyper, lrs, wide[0][k], wide[1][k]) for k in params]
        agree(name, trace, list(zip(*own)))
    if optimizer == "muon":
        for p, k in enumerate(params):
            if params[k].ndim == 2:
                want = [step[p] for step in trace]
                near_torchs_muon(f"{name} {k}", hyper, lrs, wide[0][k], wide[1][k], want)
    if optimizer in TORCH:
        single, _ = run_torch(optimizer, hyper, lrs, params, grads)
    else:
        single = list(zip(*[reference(optimizer, hyper, lrs, params[k], grads[k]) for k in params]))
    for step in single:
        assert all(w.dtype == np.float32 for w in step), f"{name} is not computed in f32"
    used = part_used(optimizer, wide[0].values(), trace, single)
    print(f"  {name}: f32 uses {used:.2f} of the tolerance")
    assert used <= 1.0, f"{name}: f32 is at {used:.2f} of the tolerance"


def check_traces():
    """The traces that optim_traces.py has made, again from their hyperparameters, and as they are stored."""
    folder = pathlib.Path(__file__).resolve().parent
    rows = json.loads((folder / "optim_traces.json").read_text())
    stored = load_file(folder / "optim_traces.safetensors")
    params = {k: stored[f"init/{k}"] for k in rows["params"]}
    grads = {k: stored[f"grads/{k}"] for k in rows["params"]}
    for row in rows["traces"]:
        name, hyper = row["name"], dict(row["optimizer"])
        optimizer = hyper.pop("name")
        if optimizer == "adafactor" and hyper["eps"][0] is None:
            hyper["eps"] = [float(np.finfo(np.float32).eps), hyper["eps"][1]]
        wide = [{k: v.astype(np.float64) for k, v in table.items()} for table in (params, grads)]
        if optimizer in TORCH:
            trace, evaluated = run_torch(optimizer, hyper, row["lrs"], *wide)
        else:
            own = [reference(optimizer, hyper, row["lrs"], wide[0][k], wide[1][k]) for k in params]
            trace, evaluated = list(zip(*own)), []
        check(name, optimizer, hyper, row["lrs"], params, grads, trace, evaluated)
        for p, k in enumerate(params):
            kept = np.stack([trace[t - 1][p] for t in rows["kept"]])
            np.testing.assert_allclose(stored[f"{name}/{k}"], kept, rtol=1e-11, atol=1e-13, err_msg=name)
