"""Golden values of single ops: output, gradients and the scale of their rounding error.

A case is evaluated in f64 from f32 inputs. Its gradients are those of sum(output * u)
for a random u. Beside each expected tensor lies a *scale* of the same shape,

    scale_i = |y_i| + sum over every number x_j that goes in of |dy_i/dx_j| |x_j|,

the componentwise condition of the value: an f32 algorithm that is stable errs by a few
2^-24 * scale_i. For a matmul it is |A||B|, for a sum the sum of magnitudes, for exp
(1 + |x|) exp(x). The test multiplies it by a factor for each op.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch.autograd.functional import jacobian

from common import f32, rng, write_json, write_tensors

# Above this many elements the scale is one number, the largest, not a tensor.
LARGE = 2000


def log_softmax(x, axes):
    return x - torch.logsumexp(x, axes or tuple(range(x.dim())), keepdim=True)


def reduce(function):
    def apply(t, a):
        axes = a["axes"] or list(range(t[0].dim()))
        return function(t[0], axes, keepdim=a["keepdim"])

    return apply


def matmul(t, a):
    left = t[0].transpose(-1, -2) if a["transpose_a"] else t[0]
    right = t[1].transpose(-1, -2) if a["transpose_b"] else t[1]
    return torch.matmul(left, right)


def cross_entropy(t, a):
    ignore = a["ignore_index"]
    return F.cross_entropy(
        t[0].flatten(0, -2),
        t[1].flatten(),
        label_smoothing=a["label_smoothing"],
        ignore_index=-100 if ignore is None else ignore,
    )


def nll(t, a):
    ignore = a["ignore_index"]
    ignore = -100 if ignore is None else ignore
    return F.nll_loss(t[0].flatten(0, -2), t[1].flatten(), ignore_index=ignore)


# op -> (tensors, arguments) -> output. Names are those of the engine.
OPS = {
    "add": lambda t, a: t[0] + t[1],
    "sub": lambda t, a: t[0] - t[1],
    "mul": lambda t, a: t[0] * t[1],
    "div": lambda t, a: t[0] / t[1],
    "pow": lambda t, a: torch.pow(t[0], t[1]),
    "minimum": lambda t, a: torch.minimum(t[0], t[1]),
    "maximum": lambda t, a: torch.maximum(t[0], t[1]),
    "operators": lambda t, a: -(2.0 - t[0]) / (t[1] + 1.5) * t[0] - 0.5,
    "add_scalar": lambda t, a: t[0] + a["value"],
    "mul_scalar": lambda t, a: t[0] * a["value"],
    "pow_scalar": lambda t, a: t[0] ** a["value"],
    "neg": lambda t, a: -t[0],
    "exp": lambda t, a: torch.exp(t[0]),
    "log": lambda t, a: torch.log(t[0]),
    "sqrt": lambda t, a: torch.sqrt(t[0]),
    "abs": lambda t, a: torch.abs(t[0]),
    "sin": lambda t, a: torch.sin(t[0]),
    "cos": lambda t, a: torch.cos(t[0]),
    "tanh": lambda t, a: torch.tanh(t[0]),
    "sigmoid": lambda t, a: torch.sigmoid(t[0]),
    "relu": lambda t, a: torch.relu(t[0]),
    "silu": lambda t, a: F.silu(t[0]),
    "gelu": lambda t, a: F.gelu(t[0]),
    "gelu_tanh": lambda t, a: F.gelu(t[0], approximate="tanh"),
    "square": lambda t, a: torch.square(t[0]),
    "recip": lambda t, a: torch.reciprocal(t[0]),
    "leaky_relu": lambda t, a: F.leaky_relu(t[0], a["slope"]),
    "elu": lambda t, a: F.elu(t[0], a["alpha"]),
    "softplus": lambda t, a: F.softplus(t[0], a["beta"], a["threshold"]),
    "clamp": lambda t, a: torch.clamp(t[0], a["min"], a["max"]),
    "eq": lambda t, a: torch.eq(t[0], t[1]).double(),
    "ne": lambda t, a: torch.ne(t[0], t[1]).double(),
    "lt": lambda t, a: torch.lt(t[0], t[1]).double(),
    "le": lambda t, a: torch.le(t[0], t[1]).double(),
    "gt": lambda t, a: torch.gt(t[0], t[1]).double(),
    "ge": lambda t, a: torch.ge(t[0], t[1]).double(),
    "select": lambda t, a: torch.where(t[0] != 0, t[1], t[2]),
    "select_lt": lambda t, a: torch.where(t[0] < t[1], t[0] * 2.0, t[1]),
    "sum": reduce(torch.sum),
    "mean": reduce(torch.mean),
    "amax": reduce(torch.amax),
    "logsumexp": reduce(torch.logsumexp),
    "sum_all": lambda t, a: t[0].sum(),
    "mean_all": lambda t, a: t[0].mean(),
    "softmax": lambda t, a: torch.exp(log_softmax(t[0], a["axes"])),
    "log_softmax": lambda t, a: log_softmax(t[0], a["axes"]),
    "reshape": lambda t, a: t[0].reshape(a["shape"]),
    "transpose": lambda t, a: t[0].transpose(a["a"], a["b"]),
    "permute": lambda t, a: t[0].permute(a["axes"]),
    "slice": lambda t, a: t[0].narrow(a["axis"], a["start"], a["end"] - a["start"]),
    "broadcast_to": lambda t, a: t[0].broadcast_to(a["shape"]),
    "concat": lambda t, a: torch.cat(t, a["axis"]),
    "gather": lambda t, a: torch.gather(t[0], a["axis"], t[1]),
    "index_select": lambda t, a: torch.index_select(t[0], a["axis"], t[1]),
    "to_i32": lambda t, a: torch.trunc(t[0]),
    "one_hot": lambda t, a: F.one_hot(t[0], a["classes"]).double(),
    "detach": lambda t, a: t[0].detach() * t[0],
    "matmul": matmul,
    "cross_entropy": cross_entropy,
    "mse": lambda t, a: F.mse_loss(t[0], t[1]),
    "l1": lambda t, a: F.l1_loss(t[0], t[1]),
    "huber": lambda t, a: F.huber_loss(t[0], t[1], delta=a["delta"]),
    "smooth_l1": lambda t, a: F.smooth_l1_loss(t[0], t[1], beta=a["beta"]),
    "nll": nll,
    "kl_div": lambda t, a: F.kl_div(t[0], t[1], **a),
    "bce_with_logits": lambda t, a: F.binary_cross_entropy_with_logits(t[0], t[1]),
}


def scale(function, args):
    """|y| + sum_j |dy/dx_j| |x_j|, elementwise."""
    out = function(*args).detach()
    total = out.abs().reshape(-1)
    for jac, arg in zip(jacobian(function, tuple(args)), args):
        total = total + jac.reshape(out.numel(), -1).abs() @ arg.abs().reshape(-1)
    return total.reshape(out.shape)


def matmul_scales(case, tensors, u):
    """The same in closed form for a large 2-D matmul: y, and the gradients of both sides."""
    magnitude = [t.abs().requires_grad_() for t in tensors]
    out = OPS["matmul"](magnitude, case["args"])
    grads = torch.autograd.grad((out * u.abs()).sum(), magnitude)
    return [3 * out.detach().max(), *[2 * g.max() for g in grads]]


def evaluate(case):
    """Every tensor of one case, by the names the Rust test reads."""
    name, args = case["name"], case["args"]
    function = OPS[case["op"]]
    tensors = {
        key: torch.from_numpy(x).double() if x.dtype == np.float32 else torch.from_numpy(x).long()
        for key, x in case["inputs"].items()
    }
    wrt = case["grads"]
    random = rng(name + "/u")

    def forward(*xs):
        return function(list({**tensors, **dict(zip(wrt, xs))}.values()), args)

    xs = [tensors[key] for key in wrt]
    out = forward(*xs)
    files = {f"{name}/in/{key}": x for key, x in case["inputs"].items()}
    files[f"{name}/out"] = out.numpy()
    if not wrt:
        return files

    def first(u, *xs):
        xs = [x if x.requires_grad else x.detach().requires_grad_() for x in xs]
        return torch.autograd.grad((forward(*xs) * u).sum(), xs, create_graph=True)

    u = torch.from_numpy(random.uniform(0.5, 2.0, out.shape).astype(np.float32)).double()
    u = u * torch.from_numpy(random.choice([-1.0, 1.0], out.shape))
    files[f"{name}/u"] = u.numpy().astype(np.float32)
    grads = [g.detach() for g in first(u, *xs)]
    if out.numel() > LARGE:
        scales = matmul_scales(case, list(tensors.values()), u)
    else:
        scales = [scale(forward, xs)]
        for i in range(len(xs)):
            scales.append(scale(lambda u, *xs, i=i: first(u, *xs)[i], [u, *xs]))
    if case["family"] != "movement":
        files[f"{name}/out/scale"] = scales[0].numpy().astype(np.float32)
    for key, grad, size in zip(wrt, grads, scales[1:]):
        files[f"{name}/grad/{key}"] = grad.numpy()
        files[f"{name}/grad/{key}/scale"] = size.numpy().astype(np.float32)
    if case["second"]:
        files.update(second_order(name, wrt, first, u, xs, random))
    return files


def second_order(name, wrt, first, u, xs, random):
    """The gradient of sum over inputs of (first gradient * v)."""
    vs = [torch.from_numpy(random.uniform(-1, 1, x.shape).astype(np.float32)).double() for x in xs]

    def second(u, *rest):
        vs, xs = rest[: len(wrt)], rest[len(wrt) :]
        xs = [x if x.requires_grad else x.detach().requires_grad_() for x in xs]
        total = sum((g * v).sum() for g, v in zip(first(u, *xs), vs))
        return torch.autograd.grad(total, xs, create_graph=True)

    files = {}
    for i, (key, grad) in enumerate(zip(wrt, second(u, *vs, *xs))):
        size = scale(lambda u, *rest, i=i: second(u, *rest)[i], [u, *vs, *xs])
        files[f"{name}/v/{key}"] = vs[i].numpy().astype(np.float32)
        files[f"{name}/grad2/{key}"] = grad.detach().numpy()
        files[f"{name}/grad2/{key}/scale"] = size.numpy().astype(np.float32)
    return files


def make(folder, cases):
    missing = set(OPS) - {case["op"] for case in cases}
    assert not missing, f"ops without a case: {missing}"
    assert len({case["name"] for case in cases}) == len(cases), "two cases of one name"
    tensors = {}
    for case in cases:
        tensors.update(evaluate(case))
    rows = [{**case, "inputs": list(case["inputs"])} for case in cases]
    write_tensors(folder / "ops.safetensors", tensors)
    write_json(folder / "ops.json", "cases", rows)
    print(f"ops: {len(cases)} cases of {len(OPS)} ops")
