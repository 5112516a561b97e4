"""What updates must give, in f64, and how far from it f32 may be: as src/bench/reference.rs of the crate above.

Numbers carry a bound of their own error from operation to operation, so the tolerance follows from the formulas. They
are written with as many roundings as any of the libraries makes: w(1 - lr decay) - step, beta m + (1 - beta) g.
"""

import numpy

from noise import GRADIENTS, OTHER_GRADIENTS, PARAMETERS, noise

# The unit in the last place, relative: WGSL lets sums and products be either neighbour.
UNIT = 2.0**-23
# What WGSL and CUDA allow a division and a root, in units.
DIVISION, ROOT = 2.5, 4.5
# Numbers below may be flushed to 0.
SMALLEST = 2.0**-126
# Another order of the same operations may err to the other side.
SIDES = 2


class Near:
    """Numbers, and how far f32 in their place may lie."""

    def __init__(self, value, off=0.0, units=0.0):
        self.value = numpy.asarray(value, numpy.float64)
        self.off = off + units * (UNIT * (abs(self.value) + off) + SMALLEST)

    def __add__(self, b):
        return Near(self.value + b.value, self.off + b.off, 1)

    def __sub__(self, b):
        return Near(self.value - b.value, self.off + b.off, 1)

    def __mul__(self, b):
        off = self.off * abs(b.value) + b.off * abs(self.value) + self.off * b.off
        return Near(self.value * b.value, off, 1)

    def __truediv__(self, b):
        least = abs(b.value) - b.off
        value = self.value / b.value
        off = numpy.where(least > 0, (self.off + abs(value) * b.off) / numpy.where(least > 0, least, 1), numpy.inf)
        return Near(value, off, DIVISION)

    def sqrt(self):
        value = numpy.sqrt(numpy.maximum(self.value, 0))
        low = numpy.sqrt(numpy.maximum(self.value - self.off, 0))
        high = numpy.sqrt(numpy.maximum(self.value + self.off, 0))
        return Near(value, numpy.maximum(value - low, high - value), ROOT)

    def abs(self):
        return Near(abs(self.value), self.off)

    def max(self, b):
        return Near(numpy.maximum(self.value, b.value), numpy.maximum(self.off, b.off))

    def sign(self):
        """Where it may be on either side of 0, so may its sign."""
        return Near(numpy.sign(self.value), numpy.where(abs(self.value) > self.off, 0.0, 2.0))


def scalar(value):
    """A scalar of the step, rounded once."""
    return Near(value, 0.0, 1)


class Rule:
    """An optimizer's equations, with its state. `coarse`: the library computes the scalars of a step in f32."""

    def __init__(self, name, settings, coarse=False):
        self.name, self.settings, self.coarse = name, settings, coarse
        self.slots = {}
        self.product = 1.0

    def slot(self, name, start=0.0):
        return self.slots.get(name, Near(start))

    def one_minus(self, beta, power=1):
        """1 - beta^power. In f32 beta is off by half a unit, so is each product, and the difference is rounded."""
        off = (2 * power + 1) * UNIT / 2 if self.coarse else 0.0
        return Near(1.0 - beta**power, off, 1)

    def average(self, name, g, beta):
        self.slots[name] = scalar(beta) * self.slot(name) + self.one_minus(beta) * g
        return self.slots[name]

    def step(self, w, g, t):
        """The parameters after update t, the first being 1."""
        s = self.settings
        lr, decay = s["lr"], s.get("weight_decay", 0.0)
        eps = scalar(s.get("eps", 0.0))
        beta1, beta2 = s.get("betas", (0.0, 0.0))
        if self.name in ("adamw", "lion"):
            w = w * scalar(1.0 - lr * decay)
        elif decay:
            g = g + scalar(decay) * w
        if self.name in ("adam", "adamw", "nadam", "radam"):
            m, v = self.average("exp_avg", g, beta1), self.average("exp_avg_sq", g * g, beta2)
            first, second = self.one_minus(beta1, t), self.one_minus(beta2, t)
        match self.name:
            case "sgd":
                step = scalar(lr) * g
            case "momentum":
                self.slots["momentum_buffer"] = scalar(s["momentum"]) * self.slot("momentum_buffer") + g
                step = scalar(lr) * self.slots["momentum_buffer"]
            case "rmsprop":
                v = self.average("square_avg", g * g, s["alpha"])
                step = scalar(lr) * (g / (v.sqrt() + eps))
            case "adagrad":
                self.slots["sum"] = self.slot("sum") + g * g
                step = scalar(lr) * (g / (self.slots["sum"].sqrt() + eps))
            case "adadelta":
                rho = s["rho"]
                v, last = self.average("square_avg", g * g, rho), self.slot("acc_delta")
                delta = (last + eps).sqrt() / (v + eps).sqrt() * g
                self.average("acc_delta", delta * delta, rho)
                step = scalar(lr) * delta
            case "adamax":
                m = self.average("exp_avg", g, beta1)
                self.slots["exp_inf"] = (scalar(beta2) * self.slot("exp_inf")).max(g.abs() + eps)
                step = scalar(lr / (1.0 - beta1**t)) * (m / self.slots["exp_inf"])
            case "adam" | "adamw":
                step = scalar(lr) * ((m / first) / ((v / second).sqrt() + eps))
            case "nadam":
                mu = [beta1 * (1.0 - 0.5 * 0.96 ** (k * s["momentum_decay"])) for k in (t, t + 1)]
                self.product *= mu[0]
                # torch keeps the product as f32.
                now, after = (Near(1.0 - p, t * UNIT * p, 1) for p in (self.product, self.product * mu[1]))
                root = (v / second).sqrt() + eps
                step = scalar(lr * (1.0 - mu[0])) / now * (g / root) + scalar(lr * mu[1]) / after * (m / root)
            case "radam":
                most = 2.0 / (1.0 - beta2) - 1.0
                rho = most - 2.0 * t * beta2**t / (1.0 - beta2**t)
                step = scalar(lr) * (m / first)
                if rho > 5.0:
                    r = ((rho - 4.0) * (rho - 2.0) * most / ((most - 4.0) * (most - 2.0) * rho)) ** 0.5
                    step = step * scalar(r) * (second.sqrt() / (v.sqrt() + eps))
            case "lion":
                m = self.slot("exp_avg")
                step = scalar(lr) * (scalar(beta1) * m + self.one_minus(beta1) * g).sign()
                self.average("exp_avg", g, beta2)
            case other:
                raise ValueError(f"equations.py has no rule for {other}")
        return w - step


def places(each, tensors, count=4096):
    """Places that are looked at: the ends and the middle of every tensor, and others at random."""
    edges = numpy.arange(tensors)[:, None] * each + numpy.array([0, each // 2, each - 1])
    others = numpy.random.default_rng(0).integers(0, each * tensors, count)
    return numpy.unique(numpy.concatenate([edges.ravel(), others]))


def check(job, got, coarse):
    """The largest difference of `got`, the parameters after the job's steps, as a share of what rounding can make."""
    elements = job["each"] * job["tensors"]
    if len(got) != elements:
        return numpy.inf
    at = places(job["each"], job["tensors"])
    rule = Rule(job["optimizer"], job["settings"], coarse)
    w = Near(noise(PARAMETERS, at))
    gradients = [Near(noise(stream, at)) for stream in (GRADIENTS, OTHER_GRADIENTS)]
    for t in range(1, job["steps"] + 1):
        w = rule.step(w, gradients[(t - 1) % 2], t)
    share = abs(numpy.asarray(got[at], numpy.float64) - w.value) / (SIDES * w.off)
    return float(numpy.max(share)) if numpy.all(numpy.isfinite(share)) else numpy.inf
