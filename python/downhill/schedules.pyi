# Written by `python -m downhill._stubs` from the tables of the engine.
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ._names import Named

__all__ = [
    "constant",
    "step",
    "multistep",
    "exponential",
    "linear",
    "cosine",
    "cosine_restarts",
    "one_cycle",
    "polynomial",
    "plateau",
    "inverse_sqrt",
    "sequence",
]

class constant(Named):
    """base·factor for the first total_iters steps, then base"""

    def __init__(self, *, factor: float = 0.3333333333333333, total_iters: int = 5, interval: Literal['step', 'epoch'] | None = None) -> None: ...

class step(Named):
    """base·gamma^⌊k/step_size⌋"""

    def __init__(self, step_size: Any, *, gamma: float = 0.1, interval: Literal['step', 'epoch'] | None = None) -> None: ...

class multistep(Named):
    """base·gamma^(milestones ≤ k)"""

    def __init__(self, milestones: Any, *, gamma: float = 0.1, interval: Literal['step', 'epoch'] | None = None) -> None: ...

class exponential(Named):
    """base·gamma^k"""

    def __init__(self, gamma: Any, *, interval: Literal['step', 'epoch'] | None = None) -> None: ...

class linear(Named):
    """base·(start_factor + (end_factor − start_factor)·min(k, total_iters)/total_iters)"""

    def __init__(self, *, start_factor: float = 0.3333333333333333, end_factor: float = 1.0, total_iters: int = 5, interval: Literal['step', 'epoch'] | None = None) -> None: ...

class cosine(Named):
    """eta_min + (base − eta_min)·(1 + cos(πk/t_max))/2"""

    def __init__(self, *, t_max: Any = None, eta_min: float = 0.0, interval: Literal['step', 'epoch'] | None = None) -> None: ...

class cosine_restarts(Named):
    """as cosine over t_0 steps, then over t_mult times as many, and so on, each from base again"""

    def __init__(self, t_0: Any, *, t_mult: int = 1, eta_min: float = 0.0, interval: Literal['step', 'epoch'] | None = None) -> None: ...

class one_cycle(Named):
    """from base/div_factor up to base over pct_start of total_steps, then down to base/div_factor/final_div_factor; momentum from max_momentum to base_momentum and back"""

    def __init__(self, *, total_steps: Any = None, pct_start: float = 0.3, anneal_strategy: str = 'cos', cycle_momentum: bool = True, base_momentum: float = 0.85, max_momentum: float = 0.95, div_factor: float = 25.0, final_div_factor: float = 10000.0, three_phase: bool = False, interval: Literal['step', 'epoch'] | None = None) -> None: ...

class polynomial(Named):
    """base·(1 − min(k, total_iters)/total_iters)^power"""

    def __init__(self, *, total_iters: Any = None, power: float = 1.0, interval: Literal['step', 'epoch'] | None = None) -> None: ...

class plateau(Named):
    """the rate times factor after more than patience epochs in a row without a better metric"""

    def __init__(self, *, metric: str = 'eval_loss', mode: str = 'min', factor: float = 0.1, patience: int = 10, threshold: float = 0.0001, threshold_mode: str = 'rel', cooldown: int = 0, min_lr: float = 0.0, eps: float = 1e-08, interval: Literal['step', 'epoch'] | None = None) -> None: ...

class inverse_sqrt(Named):
    """base·min(t/warmup_steps, √(warmup_steps/t)) with t = k + 1; with d_model base·d_model^(−½)·min(t^(−½), t·warmup_steps^(−3/2))"""

    def __init__(self, warmup_steps: Any, *, d_model: Any = None, interval: Literal['step', 'epoch'] | None = None) -> None: ...

class sequence(Named):
    """the i-th schedule from milestone i on, where it starts at k = 0"""

    def __init__(self, schedules: Any, milestones: Any, *, interval: Literal['step', 'epoch'] | None = None) -> None: ...
