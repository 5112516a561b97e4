"""Learning rates and momenta of torch's schedulers, step by step, in f64."""

import warnings

import torch
from torch.optim import lr_scheduler as s

from common import write_json

STEPS = 60
LR = 0.25


def cases():
    """name -> (the config's table, what makes torch's scheduler)."""
    one = dict(anneal_strategy="cos", cycle_momentum=True, base_momentum=0.85, max_momentum=0.95)
    table = {}

    def add(case, make, /, **keys):
        table[case] = (keys, make)

    add("constant", lambda o: s.ConstantLR(o), name="constant")
    add("constant_long", lambda o: s.ConstantLR(o, 0.5, 17), name="constant", factor=0.5, total_iters=17)
    add("step", lambda o: s.StepLR(o, 7, 0.5), name="step", step_size=7, gamma=0.5)
    add("step_default", lambda o: s.StepLR(o, 20), name="step", step_size=20)
    add("multistep", lambda o: s.MultiStepLR(o, [5, 11, 11, 40], 0.3), name="multistep", milestones=[5, 11, 11, 40], gamma=0.3)
    add("exponential", lambda o: s.ExponentialLR(o, 0.93), name="exponential", gamma=0.93)
    add("linear", lambda o: s.LinearLR(o), name="linear")
    add("linear_down", lambda o: s.LinearLR(o, 1.0, 0.1, 33), name="linear", start_factor=1.0, end_factor=0.1, total_iters=33)
    add("cosine", lambda o: s.CosineAnnealingLR(o, STEPS), name="cosine", t_max=STEPS)
    add("cosine_past", lambda o: s.CosineAnnealingLR(o, 13, 0.01), name="cosine", t_max=13, eta_min=0.01)
    add("restarts", lambda o: s.CosineAnnealingWarmRestarts(o, 8), name="cosine_restarts", t_0=8)
    add("restarts_longer", lambda o: s.CosineAnnealingWarmRestarts(o, 5, 2, 0.02), name="cosine_restarts", t_0=5, t_mult=2, eta_min=0.02)
    add("one_cycle", lambda o: s.OneCycleLR(o, LR, STEPS), name="one_cycle", total_steps=STEPS)
    add(
        "one_cycle_linear",
        lambda o: s.OneCycleLR(o, LR, STEPS, pct_start=0.4, anneal_strategy="linear", base_momentum=0.7, max_momentum=0.9, div_factor=10, final_div_factor=50),
        name="one_cycle", total_steps=STEPS, pct_start=0.4, **{**one, "anneal_strategy": "linear", "base_momentum": 0.7, "max_momentum": 0.9}, div_factor=10.0, final_div_factor=50.0,
    )
    add(
        "one_cycle_three",
        lambda o: s.OneCycleLR(o, LR, STEPS, three_phase=True, cycle_momentum=False),
        name="one_cycle", total_steps=STEPS, three_phase=True, cycle_momentum=False,
    )
    add("polynomial", lambda o: s.PolynomialLR(o, STEPS), name="polynomial", total_iters=STEPS)
    add("polynomial_square", lambda o: s.PolynomialLR(o, 41, 2.0), name="polynomial", total_iters=41, power=2.0)
    noam = lambda k: 64**-0.5 * min((k + 1) ** -0.5, (k + 1) * 10**-1.5)
    add("noam", lambda o: s.LambdaLR(o, noam), name="inverse_sqrt", warmup_steps=10, d_model=64)
    rise = lambda k: min((k + 1) / 10, (10 / (k + 1)) ** 0.5)
    add("inverse_sqrt", lambda o: s.LambdaLR(o, rise), name="inverse_sqrt", warmup_steps=10)
    warm = dict(name="linear", start_factor=0.1, end_factor=1.0, total_iters=10)
    add(
        "warmup_cosine",
        lambda o: s.SequentialLR(o, [s.LinearLR(o, 0.1, 1.0, 10), s.CosineAnnealingLR(o, 50)], [10]),
        name="sequence", schedules=[warm, dict(name="cosine", t_max=50)], milestones=[10],
    )
    add(
        "three_in_turn",
        lambda o: s.SequentialLR(o, [s.ConstantLR(o, 0.2, 6), s.ExponentialLR(o, 0.9), s.StepLR(o, 5, 0.5)], [8, 30]),
        name="sequence",
        schedules=[dict(name="constant", factor=0.2, total_iters=6), dict(name="exponential", gamma=0.9), dict(name="step", step_size=5, gamma=0.5)],
        milestones=[8, 30],
    )
    return table


def plateaus():
    """name -> (keys, the metric of each epoch)."""
    falling = [1.0 / (1 + k) if k < 9 else 0.1 + 0.00001 * (k % 3) for k in range(STEPS)]
    rising = [min(0.9, 0.1 * k) - 0.01 * (k % 4 == 1) for k in range(STEPS)]
    return {
        "plateau": (dict(), falling),
        "plateau_quick": (dict(factor=0.5, patience=2, cooldown=3, min_lr=0.02), falling),
        "plateau_abs": (dict(factor=0.3, patience=4, threshold=0.05, threshold_mode="abs", eps=1e-3), falling),
        "plateau_max": (dict(mode="max", factor=0.5, patience=3, threshold=0.01), rising),
    }


def make(folder):
    warnings.simplefilter("ignore")
    rows = []
    for name, (keys, make_scheduler) in cases().items():
        opt = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR, momentum=0.9)
        scheduler = make_scheduler(opt)
        lrs, momenta = [], []
        for k in range(STEPS):
            lrs.append(float(opt.param_groups[0]["lr"]))
            momenta.append(float(opt.param_groups[0]["momentum"]))
            opt.step()
            if k + 1 < STEPS:
                scheduler.step()
        row = dict(case=name, lr=LR, schedule=keys, lrs=lrs)
        if keys.get("name") == "one_cycle" and keys.get("cycle_momentum", True):
            row["momenta"] = momenta
        rows.append(row)
    for name, (keys, metrics) in plateaus().items():
        opt = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=LR)
        scheduler = s.ReduceLROnPlateau(opt, **keys)
        lrs = []
        for value in metrics:
            lrs.append(float(opt.param_groups[0]["lr"]))
            scheduler.step(value)
        table = dict(name="plateau", **keys)
        if keys.get("mode") == "max":
            table["metric"] = "eval_accuracy"
        rows.append(dict(case=name, lr=LR, schedule=table, lrs=lrs, metrics=metrics))
    write_json(folder / "schedules.json", "schedules", rows)
    print(f"schedules: {len(rows)} cases of {STEPS} steps")
