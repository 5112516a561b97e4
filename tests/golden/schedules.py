"""Golden learning rates: torch's own schedulers, stepped after every update, in f64.

A row is a schedule as a config would name it, the rate it starts from, and the rate of every
update, with the momentum where it is moved, or the metrics that were observed. `length` is the
run's, for the lengths that a schedule leaves out.

`one_cycle` has the optimizer's rate for its peak, which torch is told as max_lr.
"""

import warnings

import torch
from torch.optim import lr_scheduler as torch_schedules

from common import rng, write_json

STEPS = 120


def cases():
    """name -> (base rate, schedule)."""
    table = {}

    def add(case, name=None, base=0.3, **options):
        table[case] = (base, dict(name=name or case, **options))

    add("constant", total_iters=7)
    add("constant_half", "constant", factor=0.5)
    add("step", step_size=30)
    add("step_up", "step", step_size=7, gamma=1.1)
    add("multistep", milestones=[10, 50, 90])
    add("multistep_twice", "multistep", milestones=[0, 33, 33, 80], gamma=0.7)
    add("exponential", gamma=0.95)
    add("linear", total_iters=11)
    add("linear_warm_up", "linear", start_factor=1e-3, total_iters=50)
    add("linear_down", "linear", start_factor=1.0, end_factor=0.0)
    add("polynomial", total_iters=100)
    add("polynomial_square", "polynomial", power=2.0)
    add("polynomial_root", "polynomial", power=0.5, total_iters=60)
    add("cosine")
    add("cosine_once_and_again", "cosine", t_max=25, eta_min=0.02)
    add("cosine_of_one", "cosine", t_max=1)
    add("cosine_from_below", "cosine", t_max=31, eta_min=0.5)
    add("cosine_restarts", t_0=17)
    add("cosine_restarts_doubled", "cosine_restarts", t_0=9, t_mult=2, eta_min=1e-3)
    add("cosine_restarts_tripled", "cosine_restarts", t_0=1, t_mult=3)
    add("one_cycle", base=0.1)
    add("one_cycle_linear", "one_cycle", base=2.0, anneal_strategy="linear", pct_start=0.41)
    three = dict(three_phase=True)
    add("one_cycle_three_phase", "one_cycle", **three)
    add("one_cycle_three_phase_linear", "one_cycle", **three, anneal_strategy="linear", pct_start=0.17)
    add("one_cycle_three_phase_late", "one_cycle", **three, pct_start=0.6, total_steps=STEPS)
    factors = dict(div_factor=3.0, final_div_factor=50.0, base_momentum=0.5, max_momentum=0.9)
    add("one_cycle_factors", "one_cycle", **factors, pct_start=0.05)
    add("one_cycle_only_down", "one_cycle", pct_start=0.0)
    add("one_cycle_nearly_only_up", "one_cycle", pct_start=0.99)
    add("one_cycle_rate_alone", "one_cycle", cycle_momentum=False, pct_start=0.25)
    add("inverse_sqrt", warmup_steps=20)
    add("inverse_sqrt_at_once", "inverse_sqrt", warmup_steps=1)
    add("noam", "inverse_sqrt", base=1.0, warmup_steps=40, d_model=512)
    add("noam_factor", "inverse_sqrt", base=0.5, warmup_steps=200, d_model=64)
    add("plateau")
    add("plateau_quick", "plateau", factor=0.5, patience=2)
    add("plateau_abs", "plateau", factor=0.6, patience=3, threshold=0.05, threshold_mode="abs")
    add("plateau_cooldown", "plateau", factor=0.7, patience=1, cooldown=5, threshold=0.02)
    add("plateau_min_lr", "plateau", factor=0.3, patience=0, min_lr=0.01)
    add("plateau_eps", "plateau", factor=0.3, patience=0, eps=5e-3)
    right = dict(metric="eval_accuracy", mode="max")
    add("plateau_max", "plateau", **right, factor=0.5, patience=4)
    add("plateau_max_abs", "plateau", **right, factor=0.4, patience=4, threshold=0.1, threshold_mode="abs")

    def chain(case, milestones, *schedules, base=0.3):
        table[case] = (base, dict(name="sequence", milestones=milestones, schedules=list(schedules)))

    warm = dict(name="linear", start_factor=0.01)
    chain("warm_cosine", [20], warm, dict(name="cosine", eta_min=1e-3))
    chain("warm_cosine_restarts", [13], warm, dict(name="cosine_restarts", t_0=21, t_mult=2))
    chain("warm_step", [10], dict(warm, total_iters=5), dict(name="step", step_size=25, gamma=0.5))
    chain(
        "four",
        [10, 40, 90],
        dict(name="constant", factor=0.25, total_iters=6),
        dict(name="exponential", gamma=0.9),
        dict(name="multistep", milestones=[0, 12], gamma=0.6),
        dict(name="polynomial", power=1.5, total_iters=20),
    )
    chain("cosine_then_cosine", [45], dict(name="cosine", t_max=10), dict(name="cosine", t_max=50))
    # torch's one_cycle makes its first rate everyone's base: with div_factor = 1 that changes nothing.
    cycle = dict(name="one_cycle", div_factor=1.0, final_div_factor=30.0, pct_start=0.4)
    chain("warm_cycle_flat", [15, 90], warm, cycle, dict(name="constant", factor=0.1), base=0.3)
    return table


def resolved(schedule, length):
    """The schedule with the lengths it leaves out, which torch asks for."""
    out = dict(schedule)
    if out["name"] == "sequence":
        ends = [0, *out["milestones"], length]
        parts = zip(out["schedules"], ends, ends[1:])
        out["schedules"] = [resolved(inner, end - start) for inner, start, end in parts]
    key = {
        "polynomial": "total_iters",
        "cosine": "t_max",
        "one_cycle": "total_steps",
    }.get(out["name"])
    if key:
        out.setdefault(key, length)
    return out


def inverse_sqrt(options):
    """The factor of the rate, by the papers' own formulas."""
    warmup = options["warmup_steps"]

    def noam(k):
        t = k + 1
        return options["d_model"] ** -0.5 * min(t**-0.5, t * warmup**-1.5)

    def fairseq(k):
        t = k + 1
        return t / warmup if t < warmup else warmup**0.5 * t**-0.5

    return noam if "d_model" in options else fairseq


def scheduler(optimizer, schedule, base):
    options = {k: v for k, v in schedule.items() if k != "name"}
    name = schedule["name"]
    if name == "inverse_sqrt":
        return torch_schedules.LambdaLR(optimizer, inverse_sqrt(options))
    if name == "sequence":
        inner = [scheduler(optimizer, one, base) for one in options["schedules"]]
        return torch_schedules.SequentialLR(optimizer, inner, options["milestones"])
    cls = {
        "constant": torch_schedules.ConstantLR,
        "step": torch_schedules.StepLR,
        "multistep": torch_schedules.MultiStepLR,
        "exponential": torch_schedules.ExponentialLR,
        "linear": torch_schedules.LinearLR,
        "cosine": torch_schedules.CosineAnnealingLR,
        "cosine_restarts": torch_schedules.CosineAnnealingWarmRestarts,
        "one_cycle": torch_schedules.OneCycleLR,
        "polynomial": torch_schedules.PolynomialLR,
        "plateau": torch_schedules.ReduceLROnPlateau,
    }[name]
    if name == "one_cycle":
        options["max_lr"] = base
    options.pop("metric", None)
    names = {"t_max": "T_max", "t_0": "T_0", "t_mult": "T_mult"}
    return cls(optimizer, **{names.get(k, k): v for k, v in options.items()})


def metrics(name, mode):
    """A loss that falls, then wanders; accuracy is the other way up."""
    noise = rng(f"schedules/{name}").normal(0, 0.05, STEPS)
    curve = [round(0.4 + 2.0 * 0.9**t + float(noise[t]), 6) for t in range(STEPS)]
    return [-value for value in curve] if mode == "max" else curve


def moves_momentum(schedule, k):
    """Whether the schedule says what momentum is after `k` steps."""
    if schedule["name"] == "sequence":
        return moves_momentum(schedule["schedules"][sum(k >= m for m in schedule["milestones"])], 0)
    return schedule["name"] == "one_cycle" and schedule.get("cycle_momentum", True)


def run(name, base, schedule):
    parameter = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([parameter], lr=base, momentum=0.9)
    stepped = scheduler(optimizer, resolved(schedule, STEPS), base)
    watched = metrics(name, schedule.get("mode")) if schedule["name"] == "plateau" else []
    lrs, momenta = [], []
    for t in range(STEPS):
        lrs.append(float(optimizer.param_groups[0]["lr"]))
        momentum = float(optimizer.param_groups[0]["momentum"])
        momenta.append(momentum if moves_momentum(schedule, t) else None)
        optimizer.step()
        if t + 1 < STEPS:
            stepped.step(*watched[t : t + 1])
    return dict(name=name, base=base, schedule=schedule, lrs=lrs, momenta=momenta, metrics=watched)


def make(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = [run(name, base, schedule) for name, (base, schedule) in cases().items()]
    write_json(folder / "schedules.json", "schedules", rows, length=STEPS)
    print(f"schedules: {len(rows)} of {STEPS} steps")
