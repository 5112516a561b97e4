"""Golden traces of the optimizers that are not in optimizers.py: 50 steps over tensors of odd shapes, in f64.

torch's single-tensor path makes each trace that it can, the package `schedulefree` those of its authors, and the
equations below the others; where torch makes one the equations must agree with it. The parameters are stored after the
steps of KEPT only.
"""

import math

import numpy as np
import schedulefree
import torch

from common import rng, write_json, write_tensors

STEPS = 50
KEPT = [1, 2, 3, 5, 10, 20, 30, 40, 50]
SHAPES = {"m": (19, 23), "v": (13,), "t": (3, 5, 2, 2), "s": (1,), "tall": (40, 3)}


def gradients():
    out = {}
    wave = 10.0 ** (1.2 * np.sin(np.arange(STEPS) * 0.7) - 1.0)
    for name, shape in SHAPES.items():
        random = rng(f"optim_traces/gradients/{name}")
        size = 10.0 ** random.uniform(-1, 0.5, shape)
        g = random.normal(0.3, 1.0, (STEPS, *shape)) * size * wave.reshape(-1, *[1] * len(shape))
        g[random.random(g.shape) < 0.1] = 0
        out[name] = np.float32(g)
    out["m"][:, 0, 1] = 0  # never a gradient
    out["m"][:4, 0, 2] = 0  # the first one late
    out["m"][:, 0, 3] = np.float32(0.37)  # steady
    return out


def parameters():
    return {k: np.float32(rng(f"optim_traces/parameters/{k}").uniform(-1, 1, s)) for k, s in SHAPES.items()}


ADAM = dict(betas=[0.9, 0.999], eps=1e-8, weight_decay=0.0)
FREE = dict(warmup_steps=0, r=0.0, weight_lr_power=2.0)
MUON = dict(
    lr=0.02,
    weight_decay=0.1,
    momentum=0.95,
    nesterov=True,
    ns_coefficients=[3.4445, -4.775, 2.0315],
    eps=1e-7,
    ns_steps=5,
    adjust_lr_fn="original",
    adamw=dict(lr=0.01, betas=[0.9, 0.999], eps=1e-8, weight_decay=0.01),
)


def cases():
    """name -> (optimizer, hyperparameters)."""
    nadam = dict(lr=0.01, **ADAM, momentum_decay=4e-3, decoupled_weight_decay=False)
    radam = dict(lr=0.01, **ADAM, decoupled_weight_decay=False)
    adamax = dict(lr=0.01, **ADAM)
    adagrad = dict(lr=0.05, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1e-10)
    adadelta = dict(lr=1.0, rho=0.9, eps=1e-3, weight_decay=0.0)
    lion = dict(lr=0.003, betas=[0.9, 0.99], weight_decay=0.0)
    adan = dict(lr=0.01, betas=[0.98, 0.92, 0.99], eps=1e-8, weight_decay=0.0, no_prox=False)
    adamw = dict(lr=0.01, betas=[0.9, 0.999], eps=1e-8, weight_decay=0.0, **FREE)
    sgd = dict(lr=0.02, momentum=0.9, weight_decay=0.0, **FREE)
    lamb = dict(lr=0.01, betas=[0.9, 0.999], eps=1e-6, weight_decay=0.01)
    lars = dict(
        lr=1.0, momentum=0.9, dampening=0.0, nesterov=False, weight_decay=0.0, trust_coefficient=1e-2, eps=1e-8
    )
    adafactor = dict(lr=0.01, beta2_decay=-0.8, eps=[2.0**-23, 1e-3], d=1.0, weight_decay=0.0)
    table = {}

    def add(name, optimizer, base, **changes):
        table[name] = (optimizer, {**base, **changes})

    add("nadam", "nadam", nadam)
    add("nadam_decay", "nadam", nadam, weight_decay=0.1, momentum_decay=0.2)
    add("nadam_decoupled_rates", "nadam", nadam, weight_decay=0.1, decoupled_weight_decay=True, betas=[0.8, 0.95])
    add("radam", "radam", radam)
    add("radam_decay_rates", "radam", radam, weight_decay=0.1, betas=[0.8, 0.98])
    add("radam_decoupled", "radam", radam, weight_decay=0.1, decoupled_weight_decay=True, eps=1e-2)
    add("adamax", "adamax", adamax)
    add("adamax_decay_rates", "adamax", adamax, weight_decay=0.1, betas=[0.7, 0.9], eps=1e-2)
    add("adagrad", "adagrad", adagrad)
    add("adagrad_all_rates", "adagrad", adagrad, weight_decay=0.1, lr_decay=0.1, initial_accumulator_value=0.3, eps=0.1)
    add("adadelta", "adadelta", adadelta)
    add("adadelta_decay_rates", "adadelta", adadelta, weight_decay=0.1, rho=0.7, eps=1e-2)
    add("lion", "lion", lion)
    add("lion_decay_rates", "lion", lion, weight_decay=0.5, betas=[0.5, 0.9])
    add("schedule_free_adamw", "schedule_free_adamw", adamw)
    add("schedule_free_adamw_all", "schedule_free_adamw", adamw, weight_decay=0.1, warmup_steps=20, r=0.5, betas=[0.8, 0.95])
    add("schedule_free_sgd", "schedule_free_sgd", sgd)
    add("schedule_free_sgd_all", "schedule_free_sgd", sgd, weight_decay=0.1, warmup_steps=10, weight_lr_power=1.0)
    add("adan", "adan", adan)
    add("adan_decay_rates", "adan", adan, weight_decay=0.1, betas=[0.9, 0.8, 0.95], eps=1e-2)
    add("adan_no_prox", "adan", adan, weight_decay=0.1, no_prox=True)
    add("lamb", "lamb", lamb)
    add("lamb_rates", "lamb", lamb, weight_decay=0.2, betas=[0.8, 0.95], eps=1e-2)
    add("lars", "lars", lars)
    add("lars_decay_rates", "lars", lars, weight_decay=0.1, nesterov=True)
    add("lars_dampening", "lars", lars, dampening=0.3, momentum=0.5)
    add("adafactor", "adafactor", adafactor)
    add("adafactor_decay_rates", "adafactor", adafactor, weight_decay=0.1, d=1.2, eps=[1e-6, 1e-2], beta2_decay=-0.5)
    add("muon", "muon", MUON)
    add("muon_plain_rates", "muon", MUON, nesterov=False, momentum=0.8, adjust_lr_fn="match_rms_adamw")
    return table


def rates(name, lr):
    if not name.endswith("_rates"):
        return [lr] * STEPS
    return [lr * (0.25 + 0.75 * abs(math.cos(0.4 * t))) for t in range(STEPS)]


TORCH = {
    "nadam": torch.optim.NAdam,
    "radam": torch.optim.RAdam,
    "adamax": torch.optim.Adamax,
    "adagrad": torch.optim.Adagrad,
    "adadelta": torch.optim.Adadelta,
    "adafactor": torch.optim.Adafactor,
    "schedule_free_adamw": schedulefree.AdamWScheduleFree,
    "schedule_free_sgd": schedulefree.SGDScheduleFree,
}


def run_torch(optimizer, hyper, lrs, params, grads):
    """[step][parameter], and what is evaluated, where that is another thing."""
    # Counts and products that torch keeps as tensors are of the default type.
    torch.set_default_dtype(torch.float64)
    hyper = dict(hyper)
    if optimizer == "adafactor":
        hyper["eps"] = tuple(hyper["eps"])
    tensors = [torch.from_numpy(p.copy()).requires_grad_() for p in params.values()]
    opt = TORCH[optimizer](tensors, **hyper, foreach=False)
    free = optimizer.startswith("schedule_free")
    if free:
        opt.train()
    trace, evaluated = [], []
    for t, lr in enumerate(lrs):
        opt.param_groups[0]["lr"] = lr
        for tensor, g in zip(tensors, grads.values()):
            tensor.grad = torch.from_numpy(g[t].copy())
        opt.step()
        trace.append([tensor.detach().numpy().copy() for tensor in tensors])
        if free:
            opt.eval()
            evaluated.append([tensor.detach().numpy().copy() for tensor in tensors])
            opt.train()
    torch.set_default_dtype(torch.float32)
    return trace, evaluated


def newton_schulz(x, h):
    a, b, c = h["ns_coefficients"]
    wide = x.T if x.shape[0] > x.shape[1] else x
    wide = wide / max(np.linalg.norm(wide), h["eps"])
    for _ in range(h["ns_steps"]):
        gram = wide @ wide.T
        wide = a * wide + (b * gram + c * gram @ gram) @ wide
    return wide.T if x.shape[0] > x.shape[1] else wide


def reference(optimizer, h, lrs, w, grads):
    """One parameter tensor in f64, from the equations."""
    m = v = u = b = row = col = 0.0
    product = 1.0
    out = []
    for t, (lr, g) in enumerate(zip(lrs, grads), start=1):
        if optimizer == "muon" and w.ndim != 2:
            inner = h["adamw"]
            lr = inner["lr"] * lr / h["lr"]
            beta1, beta2 = inner["betas"]
            w = w * (1 - lr * inner["weight_decay"])
            m = beta1 * m + (1 - beta1) * g
            v = beta2 * v + (1 - beta2) * g**2
            w = w - lr * m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + inner["eps"])
            out.append(w)
            continue
        decay = h["weight_decay"]
        size = np.linalg.norm(w) / math.sqrt(w.size)
        if h.get("decoupled_weight_decay") or optimizer in ("lion", "adafactor", "muon"):
            w = w * (1 - lr * decay)
        elif optimizer not in ("lamb", "adan"):
            g = g + decay * w
        if optimizer in ("nadam", "radam", "lamb", "adamax"):
            beta1, beta2 = h["betas"]
            m = beta1 * m + (1 - beta1) * g
            v = beta2 * v + (1 - beta2) * g**2
            u = np.maximum(beta2 * u, abs(g) + h["eps"])
        if optimizer == "nadam":
            mu = beta1 * (1 - 0.5 * 0.96 ** (t * h["momentum_decay"]))
            mu_next = beta1 * (1 - 0.5 * 0.96 ** ((t + 1) * h["momentum_decay"]))
            product *= mu
            d = np.sqrt(v / (1 - beta2**t)) + h["eps"]
            w = w - lr * ((1 - mu) / (1 - product) * g + mu_next / (1 - product * mu_next) * m) / d
        elif optimizer == "radam":
            most = 2 / (1 - beta2) - 1
            rho = most - 2 * t * beta2**t / (1 - beta2**t)
            step = m / (1 - beta1**t)
            if rho > 5:
                r = math.sqrt((rho - 4) * (rho - 2) * most / ((most - 4) * (most - 2) * rho))
                step = step * r * math.sqrt(1 - beta2**t) / (np.sqrt(v) + h["eps"])
            w = w - lr * step
        elif optimizer == "adamax":
            w = w - lr / (1 - beta1**t) * m / u
        elif optimizer == "adagrad":
            v = v + g**2 + (h["initial_accumulator_value"] if t == 1 else 0)
            w = w - lr / (1 + (t - 1) * h["lr_decay"]) * g / (np.sqrt(v) + h["eps"])
        elif optimizer == "adadelta":
            v = h["rho"] * v + (1 - h["rho"]) * g**2
            delta = np.sqrt(u + h["eps"]) / np.sqrt(v + h["eps"]) * g
            u = h["rho"] * u + (1 - h["rho"]) * delta**2
            w = w - lr * delta
        elif optimizer == "lion":
            beta1, beta2 = h["betas"]
            w = w - lr * np.sign(beta1 * m + (1 - beta1) * g)
            m = beta2 * m + (1 - beta2) * g
        elif optimizer == "adan":
            # As the authors' code; its betas are 1 - beta of the paper.
            beta1, beta2, beta3 = h["betas"]
            change = g - old if t > 1 else 0 * g
            old = g
            m = beta1 * m + (1 - beta1) * g
            u = beta2 * u + (1 - beta2) * change
            v = beta3 * v + (1 - beta3) * (g + beta2 * change) ** 2
            step = m / (1 - beta1**t) + beta2 * u / (1 - beta2**t)
            step = lr * step / (np.sqrt(v / (1 - beta3**t)) + h["eps"])
            w = w * (1 - lr * decay) - step if h["no_prox"] else (w - step) / (1 + lr * decay)
        elif optimizer == "lamb":
            step = m / (1 - beta1**t) / (np.sqrt(v / (1 - beta2**t)) + h["eps"]) + decay * w
            norms = np.linalg.norm(w), np.linalg.norm(step)
            w = w - lr * (norms[0] / norms[1] if all(norms) else 1.0) * step
        elif optimizer == "lars":
            norms = np.linalg.norm(w), np.linalg.norm(g)
            local = h["trust_coefficient"] * norms[0] / (norms[1] + h["eps"]) if all(norms) else 1.0
            d = local * g
            b = d if t == 1 or h["momentum"] == 0 else h["momentum"] * b + (1 - h["dampening"]) * d
            w = w - lr * (d + h["momentum"] * b if h["nesterov"] else b)
        elif optimizer == "adafactor":
            eps1 = h["eps"][0] or np.finfo(w.dtype).eps
            alpha = max(h["eps"][1], size) * min(lr, 1 / math.sqrt(t))
            keep = 1 - t ** h["beta2_decay"]
            if w.ndim > 1:
                row = keep * row + (1 - keep) * (g**2).mean(-1, keepdims=True)
                col = keep * col + (1 - keep) * (g**2).mean(-2, keepdims=True)
                v = row @ col / np.maximum(row.mean(-2, keepdims=True), eps1)
            else:
                u = keep * u + (1 - keep) * g**2
                v = u
            step = g / np.sqrt(np.maximum(v, eps1**2))
            w = w - alpha / max(1.0, np.linalg.norm(step) / math.sqrt(w.size) / h["d"]) * step
        elif optimizer == "muon":
            b = h["momentum"] * b + (1 - h["momentum"]) * g
            step = h["momentum"] * b + (1 - h["momentum"]) * g if h["nesterov"] else b
            rows, columns = w.shape
            scale = math.sqrt(max(1, rows / columns))
            if h["adjust_lr_fn"] == "match_rms_adamw":
                scale = 0.2 * math.sqrt(max(rows, columns))
            w = w - lr * scale * newton_schulz(step, h)
        out.append(w)
    return out


def store(folder, file, kept, params, grads, traces):
    """`traces`: name, optimizer, hyperparameters, [step][parameter], and what is evaluated, likewise or empty."""
    tensors = {f"init/{k}": v for k, v in params.items()}
    tensors |= {f"grads/{k}": v for k, v in grads.items()}
    rows = []
    for name, optimizer, hyper, trace, evaluated in traces:
        for i, k in enumerate(params):
            tensors[f"{name}/{k}"] = np.stack([trace[t - 1][i] for t in kept])
            if evaluated:
                tensors[f"{name}/average/{k}"] = np.stack([evaluated[t - 1][i] for t in kept])
        source = "equations"
        if optimizer in TORCH:
            source = "schedulefree" if evaluated else "torch"
        lrs = rates(name, hyper["lr"])
        rows.append(dict(name=name, source=source, lrs=lrs, optimizer=dict(name=optimizer, **hyper)))
    write_tensors(folder / f"{file}.safetensors", tensors)
    write_json(folder / f"{file}.json", "traces", rows, kept=kept, params=list(params))
    print(f"{file}: {len(rows)} traces of {STEPS} steps")


def make(folder):
    params, grads = parameters(), gradients()
    wide = lambda table: {k: v.astype(np.float64) for k, v in table.items()}
    traces = []
    for name, (optimizer, hyper) in cases().items():
        lrs = rates(name, hyper["lr"])
        by_torch = optimizer in TORCH
        evaluated = []
        if by_torch:
            # None is torch's epsilon of the type; the engine's type is f32.
            given = dict(hyper)
            if optimizer == "adafactor" and given["eps"][0] is None:
                given["eps"] = [float(np.finfo(np.float32).eps), given["eps"][1]]
            trace, evaluated = run_torch(optimizer, given, lrs, wide(params), wide(grads))
        if not optimizer.startswith("schedule_free"):
            given = given if by_torch else hyper
            own = [reference(optimizer, given, lrs, wide(params)[k], wide(grads)[k]) for k in SHAPES]
            own = list(zip(*own))
            if by_torch:
                for step, (a, b) in enumerate(zip(trace, own)):
                    for x, y in zip(a, b):
                        np.testing.assert_allclose(x, y, rtol=1e-11, atol=1e-13, err_msg=f"{name} {step}")
            else:
                trace = own
        traces.append((name, optimizer, hyper, trace, evaluated))
    store(folder, "optim_traces", KEPT, params, grads, traces)
