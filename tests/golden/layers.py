"""Golden values of layers: output, the gradients of input and parameters, running statistics.

A case is evaluated in f64 from f32 numbers. Its gradients are those of sum(output * u) for a
random u. Beside each expected tensor lies a *scale* of the same shape, in which its rounding errors
are counted; how it is made depends on the layer:

linear     (convolutions, averages, interpolation, tables) the same layer evaluated on
           magnitudes, |x|, |w| and |u|: the sum of the magnitudes of all terms of the element. An
           algorithm that adds these terms in any order errs by a few 2^-24 of that, sqrt(n) for n
           terms, n at worst.
selection  (maxima) outputs are exact, and have no scale; a gradient's is that of |u|.
smooth     (norms, attention, recurrent layers) |y_i| + (s_i + mean s) / 2^-24, where s_i is the
           root mean square change of y_i over 16 evaluations in f64 for which every number that
           goes in, u included, was off by one roundoff, 2^-24, of random sign. It is the noise of
           the element under rounding of what goes in; the mean over the tensor is there because
           roundings on the way reach elements that what goes in happens not to.

A case may err by `factor` roundoffs of the scale. That of a layer is in FACTORS, and make refuses a
case of which torch's own f32 takes more than half.
"""

import numpy as np
import torch
from torch.func import functional_call

import layer_modules
from common import rng, write_json, write_tensors
from layer_modules import MODULES

ROUNDOFF = 2.0**-24
SAMPLES = 16

LINEAR = {
    "linear", "conv1d", "conv2d", "conv_transpose1d", "conv_transpose2d", "avg_pool1d", "avg_pool2d",
    "adaptive_avg_pool2d", "global_avg_pool", "upsample", "embedding",
}  # fmt: skip
SELECTION = {"max_pool1d", "max_pool2d", "global_max_pool"}

# Roundoffs of the scale, by family or layer. A sinusoid of an angle of 20, in f32, is off by that many alone.
FACTORS = {
    "linear": 8,
    "conv": 8,
    "conv_transpose": 8,
    "pool": 8,
    "upsample": 64,
    "norm": 16,
    "embedding": 8,
    "positional": 32,
    "attention": 32,
    "recurrent": 32,
}


def draw(case, name, tensor):
    """First values of a parameter or buffer: f32, of a size that keeps outputs near 1."""
    generator = rng(f"{case['name']}/{name}")
    fan = tensor[0].numel() if tensor.dim() > 1 else 1
    low, high = -((3 / fan) ** 0.5), (3 / fan) ** 0.5
    if name == "num_batches_tracked":
        return np.zeros((), np.float32)
    if name == "running_var" or (case["family"] == "norm" and name == "weight"):
        low, high = 0.5, 1.5
    elif tensor.dim() < 2:
        low, high = -1.0, 1.0
    return generator.uniform(low, high, tuple(tensor.shape)).astype(np.float32)


def evaluate(case, module, values, u=None):
    """Every expected tensor by name, in the type of `values`; `u` is drawn where it is None."""
    several = case["args"].get("training") is True
    x = values["x"][0] if several else values["x"]
    leaves = {
        name: tensor.clone().requires_grad_()
        for name, tensor in {**values, "x": x}.items()
        if name in case["grads"]
    }
    state = {name: values[name].clone() for name in case["params"] + case["buffers"]}
    weights = {**state, **{name: leaf for name, leaf in leaves.items() if name != "x"}}
    out = functional_call(module, weights, leaves.get("x", x))
    if u is None:
        u = upstream(case, out)
    grads = torch.autograd.grad((out * u.to(out.dtype)).sum(), list(leaves.values()))
    results = {"out": out.detach()}
    results |= {f"grad/{name}": grad for name, grad in zip(leaves, grads)}
    if several:
        for batch in values["x"][1:]:
            functional_call(module, weights, batch)
        results |= {f"after/{name}": state[name] for name in case["buffers"]}
    return results, u


def upstream(case, out):
    generator = rng(case["name"] + "/u")
    u = generator.uniform(0.5, 2.0, out.shape) * generator.choice([-1.0, 1.0], out.shape)
    return torch.from_numpy(np.asarray(u, np.float32)).double()


def convert(values, function):
    """Every float tensor through `function`; indices and counts stay."""
    keep = lambda name, t: name == "num_batches_tracked" or not t.is_floating_point()
    return {name: t if keep(name, t) else function(t) for name, t in values.items()}


def scales(case, module, values, u, want):
    if case["layer"] in LINEAR:
        return evaluate(case, module, convert(values, torch.abs), u.abs())[0]
    if case["layer"] in SELECTION:
        found, _ = evaluate(case, module, values, u.abs())
        return {name: scale for name, scale in found.items() if name != "out"}
    generator = torch.Generator().manual_seed(rng(case["name"] + "/jitter").integers(2**31).item())

    def jittered(t):
        signs = torch.randint(0, 2, t.shape, generator=generator, dtype=torch.float64) * 2 - 1
        return t * (1 + ROUNDOFF * signs)

    squares = {name: torch.zeros_like(t) for name, t in want.items()}
    for _ in range(SAMPLES):
        found, _ = evaluate(case, module, convert(values, jittered), jittered(u))
        for name in squares:
            squares[name] += (found[name] - want[name]) ** 2
    result = {}
    for name, square in squares.items():
        noise = (square / SAMPLES).sqrt() / ROUNDOFF
        result[name] = want[name].abs() + noise + noise.mean()
    return result


def tensors(case):
    """Everything of a case that the Rust test reads, and how much of the tolerance torch's f32 takes."""
    name = case["name"]
    x = torch.from_numpy(case["x"])
    x = x.double() if x.is_floating_point() else x.long()
    one = x[0] if case["args"].get("training") is True else x
    module = MODULES[case["layer"]](one, case["args"])
    case["params"] = [key for key, _ in module.named_parameters()]
    case["buffers"] = [key for key, _ in module.named_buffers()]
    case["grads"] = ["x"] * x.is_floating_point() + case["params"]
    stored = {key: draw(case, key, t) for key, t in module.state_dict().items()}
    values = {"x": x, **{key: torch.from_numpy(t).double() for key, t in stored.items()}}
    module = module.double()
    want, u = evaluate(case, module, values)
    scale = scales(case, module, values, u, want)

    single, _ = evaluate(case, module.float(), convert(values, torch.Tensor.float), u.float())
    taken = 0.0
    for key, tensor in want.items():
        error = (single[key].double() - tensor).abs()
        if key not in scale:
            assert case["layer"] in SELECTION and not error.any(), f"{name} {key}: not exact"
            continue
        bound = scale[key] * case["factor"] * ROUNDOFF
        taken = max([taken, *(error / bound)[error > 0].tolist()])

    files = {f"{name}/in/x": case["x"], f"{name}/u": u.numpy().astype(np.float32)}
    files |= {f"{name}/in/{key}": t for key, t in stored.items()}
    files |= {f"{name}/{key}": t.numpy().astype(np.float64) for key, t in want.items()}
    files |= {f"{name}/{key}/scale": t.numpy().astype(np.float32) for key, t in scale.items()}
    return files, taken


def make(folder, cases):
    layer_modules.check()
    missing = set(MODULES) - {case["layer"] for case in cases}
    assert not missing, f"layers without a case: {missing}"
    assert len({case["name"] for case in cases}) == len(cases), "two cases of one name"
    files, rows, worst = {}, [], {}
    for case in cases:
        case["factor"] = FACTORS.get(case["layer"], FACTORS[case["family"]])
        made, taken = tensors(case)
        worst[case["family"]] = max(worst.get(case["family"], (0, "")), (taken, case["name"]))
        files.update(made)
        rows.append({key: value for key, value in case.items() if key != "x"})
    for family, (taken, name) in worst.items():
        print(f"{family:16} torch's f32 takes {taken:.2f} of the tolerance, in {name}")
    assert max(worst.values())[0] < 0.5, "a tolerance that torch's own f32 half uses up"
    write_tensors(folder / "layers.safetensors", files)
    write_json(folder / "layers.json", "cases", rows)
    print(f"layers: {len(cases)} cases of {len(MODULES)} layers")
