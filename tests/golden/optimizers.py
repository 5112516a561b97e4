"""Golden traces of the optimizers: 30 steps over three odd-sized parameters, in f64.

Every trace starts from the same parameters and is fed the same gradients. PyTorch's
single-tensor path makes each trace that it can; `reference`, written from the equations
in the engine's documentation, makes the others, and must agree with torch on the rest.
"""

import math

import numpy as np
import torch

from common import rng, write_json, write_tensors

STEPS = 30
SHAPES = {"p0": (7, 5), "p1": (13,), "p2": (1,)}

SGD = dict(momentum=0.0, dampening=0.0, nesterov=False, weight_decay=0.0, form="torch")
RMSPROP = dict(
    alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False, bias_correction=False
)
ADAM = dict(betas=[0.9, 0.999], eps=1e-8, weight_decay=0.0, amsgrad=False)


def gradients():
    """[30, ...] for each parameter: scales over five decades, both signs, exact zeros."""
    out = {}
    wave = 10.0 ** (1.5 * np.sin(np.arange(STEPS) * 0.7) - 1.0)
    for name, shape in SHAPES.items():
        random = rng(f"gradients/{name}")
        size = 10.0 ** random.uniform(-1, 0.5, shape)
        g = random.normal(0.3, 1.0, (STEPS, *shape)) * size * wave.reshape(-1, *[1] * len(shape))
        g[random.random(g.shape) < 0.1] = 0
        out[name] = np.float32(g)
    out["p0"][:, 0, 0] = 0  # never a gradient
    out["p0"][:4, 0, 1] = 0  # the first one late
    out["p0"][:, 0, 2] *= np.float32(1e-8)  # of the size of eps
    out["p0"][:, 0, 3] = np.float32(0.37)  # steady
    out["p1"][5] = 0  # a whole tensor
    for g in out.values():
        g[12] = 0  # a whole step
    return out


def parameters():
    return {k: np.float32(rng(f"parameters/{k}").uniform(-1, 1, s)) for k, s in SHAPES.items()}


def cases():
    """name -> (optimizer, hyperparameters). Learning rates make a step visible beside w."""
    table = {}

    def add(name, optimizer, defaults, decay, **changes):
        table[name] = (optimizer, {**defaults, **changes})
        if decay:
            table[f"{name}_decay"] = (optimizer, {**defaults, **changes, "weight_decay": decay})

    add("sgd", "sgd", SGD, 0.05, lr=0.02)
    momentum = dict(lr=0.01, momentum=0.9)
    add("sgd_momentum", "sgd", SGD, 0.05, **momentum)
    add("sgd_dampening", "sgd", SGD, 0.05, **momentum, dampening=0.3)
    add("sgd_nesterov", "sgd", SGD, 0.05, **momentum, nesterov=True)
    add("sgd_velocity", "sgd", SGD, 0.05, lr=0.01, momentum=0.8, form="velocity")
    add("sgd_average", "sgd", SGD, 0.05, lr=0.03, momentum=0.8, form="average")
    # With a changing rate the three forms part: at a constant one torch's is `velocity`.
    for form, lr in [("torch", 0.01), ("velocity", 0.01), ("average", 0.07)]:
        changing = dict(lr=lr, momentum=0.9, form=form, weight_decay=0.02)
        add(f"sgd_{form}_rates", "sgd", SGD, None, **changing)
    add("rmsprop", "rmsprop", RMSPROP, 0.05, lr=0.01)
    add("rmsprop_centered", "rmsprop", RMSPROP, 0.05, lr=0.01, centered=True)
    add("rmsprop_momentum", "rmsprop", RMSPROP, 0.05, lr=0.005, momentum=0.7)
    everything = dict(lr=0.003, alpha=0.9, eps=1e-3, momentum=0.7, centered=True)
    add("rmsprop_all", "rmsprop", RMSPROP, 0.05, **everything)
    add("rmsprop_corrected", "rmsprop", RMSPROP, 0.05, lr=0.01, bias_correction=True)
    for name in ["adam", "adamw"]:
        add(name, name, ADAM, 0.1, lr=0.01)
        add(f"{name}_amsgrad", name, ADAM, 0.1, lr=0.01, betas=[0.9, 0.95], amsgrad=True)
        add(f"{name}_betas", name, ADAM, 0.1, lr=0.02, betas=[0.7, 0.9], eps=1e-3)
    for name in ["adamw", "adamw_amsgrad", "adamw_betas"]:
        del table[name]  # without decay it is adam
    return table


def rates(name, lr):
    """The learning rate of every step."""
    if not name.endswith("_rates"):
        return [lr] * STEPS
    return [lr * (0.25 + 0.75 * abs(math.cos(0.4 * t))) for t in range(STEPS)]


def run_torch(optimizer, hyper, lrs, params, grads):
    hyper = {k: v for k, v in hyper.items() if k not in ("form", "bias_correction")}
    cls = {
        "sgd": torch.optim.SGD,
        "rmsprop": torch.optim.RMSprop,
        "adam": torch.optim.Adam,
        "adamw": torch.optim.AdamW,
    }[optimizer]
    fused = {} if optimizer == "rmsprop" else {"fused": False}
    tensors = [torch.from_numpy(p.copy()).requires_grad_() for p in params.values()]
    opt = cls(tensors, **hyper, foreach=False, **fused)
    trace = []
    for t, lr in enumerate(lrs):
        opt.param_groups[0]["lr"] = lr
        for tensor, g in zip(tensors, grads.values()):
            tensor.grad = torch.from_numpy(g[t].copy())
        opt.step()
        trace.append([tensor.detach().numpy().copy() for tensor in tensors])
    return [np.stack(column) for column in zip(*trace)]


def reference(optimizer, h, lrs, w, grads):
    """One parameter tensor in f64, from the equations. `grads`: [30, ...]."""
    m = v = peak = b = 0.0
    out = []
    for t, (lr, g) in enumerate(zip(lrs, grads), start=1):
        if optimizer == "adamw":
            w = w * (1 - lr * h["weight_decay"])
        else:
            g = g + h["weight_decay"] * w
        if optimizer == "sgd":
            mu = h["momentum"]
            if h["form"] == "velocity":
                b = mu * b - lr * g
                w = w + b
            elif h["form"] == "average":
                b = mu * b + (1 - mu) * g
                w = w - lr * b
            else:
                b = g if t == 1 else mu * b + (1 - h["dampening"]) * g
                w = w - lr * (g + mu * b if h["nesterov"] else b)
        elif optimizer == "rmsprop":
            alpha = h["alpha"]
            v = alpha * v + (1 - alpha) * g**2
            m = alpha * m + (1 - alpha) * g
            spread = v - m**2 if h["centered"] else v
            if h["bias_correction"]:
                spread = spread / (1 - alpha**t)
            b = h["momentum"] * b + g / (np.sqrt(spread) + h["eps"])
            w = w - lr * b
        else:
            beta1, beta2 = h["betas"]
            m = beta1 * m + (1 - beta1) * g
            v = beta2 * v + (1 - beta2) * g**2
            peak = np.maximum(peak, v)
            d = np.sqrt((peak if h["amsgrad"] else v) / (1 - beta2**t)) + h["eps"]
            w = w - lr * m / (1 - beta1**t) / d
        out.append(w)
    return np.stack(out)


def tolerance(start, trace):
    """The Rust test's, so that a tolerance f32 cannot meet is noticed here."""
    before = np.concatenate([start[None], trace[:-1]])
    steps = np.arange(1, STEPS + 1).reshape(-1, *[1] * start.ndim)
    largest = np.maximum.accumulate(np.maximum(abs(before), abs(trace)), axis=0)
    return 2.0**-24 * (2 * steps * largest + 64 * np.cumsum(abs(trace - before), axis=0))


def make(folder):
    params, grads = parameters(), gradients()
    wide = lambda table: {k: v.astype(np.float64) for k, v in table.items()}
    tensors = {f"init/{k}": v for k, v in params.items()}
    tensors |= {f"grads/{k}": v for k, v in grads.items()}
    rows, worst = [], 0.0
    for name, (optimizer, hyper) in cases().items():
        lrs = rates(name, hyper["lr"])
        own = [
            reference(optimizer, hyper, lrs, wide(params)[k], wide(grads)[k]) for k in SHAPES
        ]
        by_torch = hyper.get("form", "torch") == "torch" and not hyper.get("bias_correction")
        if by_torch:
            trace = run_torch(optimizer, hyper, lrs, wide(params), wide(grads))
            for a, b in zip(trace, own):
                np.testing.assert_allclose(a, b, rtol=1e-11, atol=1e-13, err_msg=name)
            single = run_torch(optimizer, hyper, lrs, params, grads)
            for a, b, start in zip(trace, single, params.values()):
                used = (abs(a - b) / (tolerance(start, a) + 1e-300)).max()
                worst = max(worst, used)
                assert used < 0.8, f"{name}: torch's f32 is at {used:.2f} of the tolerance"
        else:
            trace = own
        tensors |= {f"{name}/{k}": t for k, t in zip(SHAPES, trace)}
        source = "torch" if by_torch else "equations"
        rows.append(dict(name=name, source=source, optimizer=optimizer, **hyper, lrs=lrs))
    write_tensors(folder / "optimizers.safetensors", tensors)
    write_json(folder / "optimizers.json", "traces", rows, steps=STEPS, params=list(SHAPES))
    print(f"optimizers: {len(rows)} traces of {STEPS} steps; torch's f32 uses {worst:.2f} of the tolerance")
