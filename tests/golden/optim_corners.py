"""More traces of the optimizers of optim_traces.py, at the edges of their hyperparameters.

Tensors without a gradient for a while, or that start at zero, where norms are 0; betas of 0; a large
eps; no momentum; other coefficients of Newton-Schulz. What is stored is as there, but for fewer steps.
`optim_proofs.py` says what a trace must satisfy before it is stored.
"""

import numpy as np

import optim_proofs
from common import rng
from optim_traces import FREE, MUON, STEPS, TORCH, rates, reference, run_torch, store

KEPT = [1, 3, 10, 50]
SHAPES = {"wide": (17, 29), "tall": (23, 4), "cube": (3, 4, 5), "zero": (5, 9), "row": (1, 11), "one": (1,)}


def gradients():
    """[50, ...] for each parameter: sizes that change from step to step and from element to element."""
    out = {}
    wave = 10.0 ** np.sin(np.arange(STEPS) * 0.9)
    for name, shape in SHAPES.items():
        random = rng(f"optim_corners/gradients/{name}")
        size = 10.0 ** random.uniform(-1.5, 0, shape)
        g = random.normal(0.3, 1.0, (STEPS, *shape)) * size * wave.reshape(-1, *[1] * len(shape))
        g[random.random(g.shape) < 0.1] = 0
        out[name] = np.float32(g)
    out["cube"][:2] = 0  # a whole tensor late
    out["cube"][:, 1, 2] = 0  # a row never
    out["tall"][20:25] = 0  # a whole tensor for a while
    for g in out.values():
        g[13] = 0  # a whole step
    return out


def parameters():
    random = {k: rng(f"optim_corners/parameters/{k}").uniform(-1, 1, s) for k, s in SHAPES.items()}
    return {k: np.float32(0 * w if k == "zero" else w) for k, w in random.items()}


def cases():
    """name -> (optimizer, hyperparameters)."""
    table = {}

    def add(name, optimizer, **hyper):
        table[name] = (optimizer, hyper)

    nadam = dict(eps=1e-8, weight_decay=0.0, momentum_decay=4e-3, decoupled_weight_decay=False)
    add("nadam_no_memory", "nadam", lr=0.01, betas=[0.0, 0.9], **nadam)
    every = dict(eps=0.1, weight_decay=0.3, momentum_decay=0.5, decoupled_weight_decay=True)
    add("nadam_large_eps_rates", "nadam", lr=0.02, betas=[0.9, 0.99], **every)
    radam = dict(lr=0.01, weight_decay=0.2)
    coupled, decoupled = dict(decoupled_weight_decay=False), dict(decoupled_weight_decay=True)
    add("radam_never_adaptive", "radam", betas=[0.9, 0.6], eps=1e-8, **radam, **coupled)
    add("radam_decoupled_rates", "radam", betas=[0.0, 0.97], eps=1e-4, **radam, **decoupled)
    add("adamax_no_memory", "adamax", lr=0.01, betas=[0.0, 0.9], eps=1e-8, weight_decay=0.0)
    add("adamax_of_this_step_rates", "adamax", lr=0.02, betas=[0.9, 0.0], eps=0.5, weight_decay=0.2)
    adagrad = dict(lr=0.05, initial_accumulator_value=0.0, eps=1e-10)
    add("adagrad_lr_decay", "adagrad", lr_decay=1.0, weight_decay=0.0, **adagrad)
    add("adagrad_decay_rates", "adagrad", lr_decay=0.0, weight_decay=0.3, **adagrad)
    add("adadelta_long_rates", "adadelta", lr=2.0, rho=0.99, eps=1e-6, weight_decay=0.0)
    add("adadelta_no_memory", "adadelta", lr=0.02, rho=0.0, eps=0.1, weight_decay=0.2)
    add("lion_sign", "lion", lr=0.003, betas=[0.0, 0.0], weight_decay=0.0)
    add("lion_slow_rates", "lion", lr=0.005, betas=[0.95, 0.98], weight_decay=1.0)
    free = dict(warmup_steps=3, r=2.0, weight_lr_power=0.0)
    adamw = "schedule_free_adamw"
    add("schedule_free_adamw_rates", adamw, lr=0.01, betas=[0.9, 0.99], eps=1e-8, weight_decay=0.2, **FREE)
    add("schedule_free_adamw_late", adamw, lr=0.01, betas=[0.6, 0.9], eps=0.01, weight_decay=0.0, **free)
    # Rates that change after the largest: the engine's shares go by those of the warm-up alone.
    sgd = dict(momentum=0.5, weight_decay=0.2, r=1.0, weight_lr_power=2.0)
    add("schedule_free_sgd_warm", "schedule_free_sgd", lr=0.05, warmup_steps=5, **sgd)
    add("schedule_free_sgd_rates", "schedule_free_sgd", lr=0.05, warmup_steps=0, **sgd)
    add("lamb_no_memory", "lamb", lr=0.01, betas=[0.0, 0.9], eps=1e-6, weight_decay=0.0)
    add("lamb_decay_rates", "lamb", lr=0.01, betas=[0.9, 0.99], eps=1e-6, weight_decay=1.0)
    lars = dict(trust_coefficient=0.02, eps=1e-8, dampening=0.0)
    plain = dict(momentum=0.0, nesterov=False, weight_decay=0.1)
    add("lars_no_momentum", "lars", lr=0.5, **plain, **{**lars, "dampening": 0.3})  # of nothing
    lars |= dict(eps=0.5)
    add("lars_large_eps_rates", "lars", lr=0.3, momentum=0.8, nesterov=True, weight_decay=0.0, **lars)
    add("adafactor_clipped", "adafactor", lr=0.02, beta2_decay=-1.0, eps=[1e-7, 1e-2], d=1.0, weight_decay=0.0)
    every = dict(eps=[1e-3, 0.1], d=1.0, weight_decay=0.3)
    add("adafactor_slow_rates", "adafactor", lr=0.5, beta2_decay=-0.3, **every)
    cubic = dict(ns_coefficients=[1.5, -0.5, 0.0], ns_steps=3, momentum=0.5, weight_decay=0.0)
    add("muon_cubic", "muon", **{**MUON, **cubic})
    inner = dict(lr=0.03, betas=[0.8, 0.95], eps=1e-3, weight_decay=0.3)
    rms = dict(adjust_lr_fn="match_rms_adamw", eps=0.5, weight_decay=0.5, momentum=0.0)
    add("muon_large_eps_rates", "muon", **{**MUON, **rms, "adamw": inner})
    return table


def course(name, optimizer, hyper, params, grads):
    """[step][parameter] as it is stored, and what is evaluated: from torch or the package, where they can."""
    lrs = rates(name, hyper["lr"])
    if optimizer in TORCH:
        return run_torch(optimizer, hyper, lrs, params, grads)
    own = [reference(optimizer, hyper, lrs, params[k], grads[k]) for k in params]
    return list(zip(*own)), []


def make(folder):
    params, grads = parameters(), gradients()
    wide = lambda table: {k: v.astype(np.float64) for k, v in table.items()}
    traces = []
    for name, (optimizer, hyper) in cases().items():
        trace, evaluated = course(name, optimizer, hyper, wide(params), wide(grads))
        lrs = rates(name, hyper["lr"])
        optim_proofs.check(name, optimizer, hyper, lrs, params, grads, trace, evaluated)
        traces.append((name, optimizer, hyper, trace, evaluated))
    store(folder, "optim_corners", KEPT, params, grads, traces)
    optim_proofs.check_traces()
