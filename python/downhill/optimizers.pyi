# Written by `python -m downhill._stubs` from the tables of the engine.
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from ._names import Named

__all__ = [
    "SGD",
    "RMSprop",
    "Adam",
    "AdamW",
    "NAdam",
    "RAdam",
    "Adamax",
    "Adagrad",
    "Adadelta",
    "Adan",
    "Lion",
    "Lamb",
    "Lars",
    "Adafactor",
    "Muon",
    "ScheduleFreeAdamW",
    "ScheduleFreeSgd",
]

class SGD(Named):
    """w ← w − ηg, with g ← g + λw"""

    def __init__(self, *, lr: float = 0.001, momentum: float = 0.0, dampening: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0, form: str = 'torch', clip_norm: float | None = None, clip_value: float | None = None, skip_nonfinite: bool | None = None, decay_biases_and_norms: bool = True, groups: Any = None) -> None: ...

class RMSprop(Named):
    """s ← αs + (1 − α)g²; w ← w − ηg/(√s + ε), with g ← g + λw"""

    def __init__(self, *, lr: float = 0.01, alpha: float = 0.99, eps: float = 1e-08, weight_decay: float = 0.0, momentum: float = 0.0, centered: bool = False, bias_correction: bool = False, clip_norm: float | None = None, clip_value: float | None = None, skip_nonfinite: bool | None = None, decay_biases_and_norms: bool = True, groups: Any = None) -> None: ...

class Adam(Named):
    """m ← m + (1 − β₁)(g − m); v ← β₂v + (1 − β₂)g²; w ← w − η/(1 − β₁ᵗ)·m/(√v/√(1 − β₂ᵗ) + ε), with g ← g + λw"""

    def __init__(self, *, lr: float = 0.001, betas: Sequence[float] = [0.9, 0.999], eps: float = 1e-08, weight_decay: float = 0.0, amsgrad: bool = False, state_bits: int = 32, clip_norm: float | None = None, clip_value: float | None = None, skip_nonfinite: bool | None = None, decay_biases_and_norms: bool = True, groups: Any = None) -> None: ...

class AdamW(Named):
    """w ← w − ηλw; then as adam, with g as it is"""

    def __init__(self, *, lr: float = 0.001, betas: Sequence[float] = [0.9, 0.999], eps: float = 1e-08, weight_decay: float = 0.01, amsgrad: bool = False, state_bits: int = 32, clip_norm: float | None = None, clip_value: float | None = None, skip_nonfinite: bool | None = None, decay_biases_and_norms: bool = True, groups: Any = None) -> None: ...

class NAdam(Named):
    """m and v as adam's; μₜ = β₁(1 − ½·0.96^(tψ)), Πₜ = μ₁·…·μₜ; w ← w − η((1 − μₜ)/(1 − Πₜ)·g + μₜ₊₁/(1 − Πₜ₊₁)·m)/(√v/√(1 − β₂ᵗ) + ε), with g ← g + λw"""

    def __init__(self, *, lr: float = 0.002, betas: Sequence[float] = [0.9, 0.999], eps: float = 1e-08, weight_decay: float = 0.0, momentum_decay: float = 0.004, decoupled_weight_decay: bool = False, clip_norm: float | None = None, clip_value: float | None = None, skip_nonfinite: bool | None = None, decay_biases_and_norms: bool = True, groups: Any = None) -> None: ...

class RAdam(Named):
    """m and v as adam's, m̂ = m/(1 − β₁ᵗ); ρ∞ = 2/(1 − β₂) − 1, ρₜ = ρ∞ − 2tβ₂ᵗ/(1 − β₂ᵗ); where ρₜ > 5: w ← w − ηrₜ√(1 − β₂ᵗ)·m̂/(√v + ε), rₜ² = (ρₜ − 4)(ρₜ − 2)ρ∞/((ρ∞ − 4)(ρ∞ − 2)ρₜ); else w ← w − ηm̂; with g ← g + λw"""

    def __init__(self, *, lr: float = 0.001, betas: Sequence[float] = [0.9, 0.999], eps: float = 1e-08, weight_decay: float = 0.0, decoupled_weight_decay: bool = False, clip_norm: float | None = None, clip_value: float | None = None, skip_nonfinite: bool | None = None, decay_biases_and_norms: bool = True, groups: Any = None) -> None: ...

class Adamax(Named):
    """m as adam's; u ← max(β₂u, |g| + ε); w ← w − η/(1 − β₁ᵗ)·m/u, with g ← g + λw"""

    def __init__(self, *, lr: float = 0.002, betas: Sequence[float] = [0.9, 0.999], eps: float = 1e-08, weight_decay: float = 0.0, clip_norm: float | None = None, clip_value: float | None = None, skip_nonfinite: bool | None = None, decay_biases_and_norms: bool = True, groups: Any = None) -> None: ...

class Adagrad(Named):
    """s ← s + g²; w ← w − η/(1 + (t − 1)·lr_decay)·g/(√s + ε), with g ← g + λw"""

    def __init__(self, *, lr: float = 0.01, lr_decay: float = 0.0, weight_decay: float = 0.0, initial_accumulator_value: float = 0.0, eps: float = 1e-10, clip_norm: float | None = None, clip_value: float | None = None, skip_nonfinite: bool | None = None, decay_biases_and_norms: bool = True, groups: Any = None) -> None: ...

class Adadelta(Named):
    """s ← ρs + (1 − ρ)g²; δ = √(Δ + ε)/√(s + ε)·g; Δ ← ρΔ + (1 − ρ)δ²; w ← w − ηδ, with g ← g + λw"""

    def __init__(self, *, lr: float = 1.0, rho: float = 0.9, eps: float = 1e-06, weight_decay: float = 0.0, clip_norm: float | None = None, clip_value: float | None = None, skip_nonfinite: bool | None = None, decay_biases_and_norms: bool = True, groups: Any = None) -> None: ...

class Adan(Named):
    """d = g − g′ with g′ the gradient before, first d = 0; m ← m + (1 − β₁)(g − m); v ← v + (1 − β₂)(d − v); n ← β₃n + (1 − β₃)(g + β₂d)²; w ← (w − η(m/(1 − β₁ᵗ) + β₂v/(1 − β₂ᵗ))/(√n/√(1 − β₃ᵗ) + ε))/(1 + ηλ)"""

    def __init__(self, *, lr: float = 0.001, betas: Sequence[float] = [0.98, 0.92, 0.99], eps: float = 1e-08, weight_decay: float = 0.0, no_prox: bool = False, clip_norm: float | None = None, clip_value: float | None = None, skip_nonfinite: bool | None = None, decay_biases_and_norms: bool = True, groups: Any = None) -> None: ...

class Lion(Named):
    """w ← w − η(sign(β₁m + (1 − β₁)g) + λw); then m ← β₂m + (1 − β₂)g"""

    def __init__(self, *, lr: float = 0.0001, betas: Sequence[float] = [0.9, 0.99], weight_decay: float = 0.0, clip_norm: float | None = None, clip_value: float | None = None, skip_nonfinite: bool | None = None, decay_biases_and_norms: bool = True, groups: Any = None) -> None: ...

class Lamb(Named):
    """m and v as adam's; u = m/(1 − β₁ᵗ)/(√v/√(1 − β₂ᵗ) + ε) + λw; w ← w − η·‖w‖/‖u‖·u"""

    def __init__(self, *, lr: float = 0.001, betas: Sequence[float] = [0.9, 0.999], eps: float = 1e-06, weight_decay: float = 0.01, clip_norm: float | None = None, clip_value: float | None = None, skip_nonfinite: bool | None = None, decay_biases_and_norms: bool = True, groups: Any = None) -> None: ...

class Lars(Named):
    """d = trust_coefficient·‖w‖/(‖g‖ + ε)·g, with g ← g + λw; b ← μb + (1 − τ)d, first b = d; w ← w − ηb"""

    def __init__(self, *, lr: float = 1.0, momentum: float = 0.9, dampening: float = 0.0, nesterov: bool = False, weight_decay: float = 0.0, trust_coefficient: float = 0.001, eps: float = 1e-08, clip_norm: float | None = None, clip_value: float | None = None, skip_nonfinite: bool | None = None, decay_biases_and_norms: bool = True, groups: Any = None) -> None: ...

class Adafactor(Named):
    """R, C ← running means of the mean of g² along rows and columns, of which 1 − t^beta2_decay is kept; v = RC/max(mean R, ε₁), without two axes a running mean of g²; u = g/√max(v, ε₁²); w ← w(1 − ηλ) − min(η, 1/√t)·max(ε₂, rms(w))/max(1, rms(u)/d)·u"""

    def __init__(self, *, lr: float = 0.01, beta2_decay: float = -0.8, eps: Sequence[float] = [1.1920928955078125e-07, 0.001], d: float = 1.0, weight_decay: float = 0.0, clip_norm: float | None = None, clip_value: float | None = None, skip_nonfinite: bool | None = None, decay_biases_and_norms: bool = True, groups: Any = None) -> None: ...

class Muon(Named):
    """matrices: b ← μb + (1 − μ)g; X = NewtonSchulz(μb + (1 − μ)g); w ← w(1 − ηλ) − η·√max(1, rows/columns)·X. All else, and where `use_muon` is false: adamw"""

    def __init__(self, *, lr: float = 0.001, momentum: float = 0.95, nesterov: bool = True, weight_decay: float = 0.1, ns_coefficients: Sequence[float] = [3.4445, -4.775, 2.0315], ns_steps: int = 5, eps: float = 1e-07, adjust_lr_fn: str = 'original', use_muon: bool = True, adamw: Any = {'betas': [0.9, 0.999], 'eps': 1e-08, 'lr': 0.001, 'weight_decay': 0.01}, clip_norm: float | None = None, clip_value: float | None = None, skip_nonfinite: bool | None = None, decay_biases_and_norms: bool = True, groups: Any = None) -> None: ...

class ScheduleFreeAdamW(Named):
    """v ← β₂v + (1 − β₂)g²; d = g/(√v/√(1 − β₂ᵗ) + ε) + λy; y ← y + c(z − y) − η(1 − β₁(1 − c))d; z ← z − ηd; w is y in training, x = y + (1 − 1/β₁)(z − y) in evaluation"""

    def __init__(self, *, lr: float = 0.0025, betas: Sequence[float] = [0.9, 0.999], eps: float = 1e-08, weight_decay: float = 0.0, warmup_steps: int = 0, r: float = 0.0, weight_lr_power: float = 2.0, clip_norm: float | None = None, clip_value: float | None = None, skip_nonfinite: bool | None = None, decay_biases_and_norms: bool = True, groups: Any = None) -> None: ...

class ScheduleFreeSgd(Named):
    """d = g + λy; y ← y + c(z − y) − η(1 − μ(1 − c))d; z ← z − ηd; w is y in training, x = y + (1 − 1/μ)(z − y) in evaluation"""

    def __init__(self, *, lr: float = 1.0, momentum: float = 0.9, weight_decay: float = 0.0, warmup_steps: int = 0, r: float = 0.0, weight_lr_power: float = 2.0, clip_norm: float | None = None, clip_value: float | None = None, skip_nonfinite: bool | None = None, decay_biases_and_norms: bool = True, groups: Any = None) -> None: ...
