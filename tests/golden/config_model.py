"""The torch model of a config: its list of layers, with the engine's names for the parameters."""

import torch
from torch import nn

from layer_modules import MODULES

AXES = dict(stride=1, padding=0, dilation=1)
POOL = dict(stride=None, padding=0, ceil_mode=False)

# layer -> (the option that a value in place of the options stands for, defaults)
OPTIONS = {
    "linear": ("out_features", dict(bias=True)),
    "conv1d": (None, AXES | dict(groups=1, bias=True)),
    "conv2d": (None, AXES | dict(groups=1, bias=True)),
    "conv_transpose1d": (None, AXES | dict(output_padding=0, groups=1, bias=True)),
    "conv_transpose2d": (None, AXES | dict(output_padding=0, groups=1, bias=True)),
    "max_pool1d": ("kernel_size", POOL | dict(dilation=1)),
    "max_pool2d": ("kernel_size", POOL | dict(dilation=1)),
    "avg_pool1d": ("kernel_size", POOL | dict(count_include_pad=True)),
    "avg_pool2d": ("kernel_size", POOL | dict(count_include_pad=True)),
    "adaptive_avg_pool2d": ("output_size", {}),
    "global_avg_pool": (None, {}),
    "global_max_pool": (None, {}),
    "upsample": ("scale_factor", dict(mode="nearest")),
    "batch_norm": (
        None,
        dict(eps=1e-5, momentum=0.1, affine=True, track_running_stats=True, training=True),
    ),
    "layer_norm": ("axes", dict(axes=1, eps=1e-5, elementwise_affine=True, bias=True)),
    "rms_norm": ("axes", dict(axes=1, eps=None, elementwise_affine=True)),
    "group_norm": ("num_groups", dict(eps=1e-5, affine=True)),
    "instance_norm": (None, dict(eps=1e-5, affine=False)),
    "positional_embedding": ("max_len", dict(kind="learned")),
    "multi_head_attention": ("num_heads", dict(causal=False, bias=True, rotary=False)),
    "embedding": (None, {}),
    "gru": ("hidden_size", dict(num_layers=1, bias=True, return_sequences=True)),
    "lstm": ("hidden_size", dict(num_layers=1, bias=True, return_sequences=True)),
}

# layer -> (main option, torch's module)
FUNCTIONS = {
    "relu": (None, nn.ReLU),
    "leaky_relu": ("negative_slope", nn.LeakyReLU),
    "elu": ("alpha", nn.ELU),
    "gelu": ("approximate", nn.GELU),
    "silu": (None, nn.SiLU),
    "softplus": ("beta", nn.Softplus),
    "tanh": (None, nn.Tanh),
    "sigmoid": (None, nn.Sigmoid),
    "softmax": (None, lambda: nn.Softmax(-1)),
    "log_softmax": (None, lambda: nn.LogSoftmax(-1)),
    "dropout": ("p", nn.Dropout),
    "flatten": ("start_axis", lambda start_axis=1: nn.Flatten(start_axis)),
    "reshape": ("shape", lambda shape: Reshape(shape)),
    "permute": ("axes", lambda axes: Permute(axes)),
}

# What layer_modules.py calls it, where that is another name.
ENGINE = {"positional_embedding": "positional"}

CONTAINERS = {"residual": "layers", "parallel": "branches", "repeat": None, "block": None}


class Reshape(nn.Module):
    """[n, ..] to [n, shape..]."""

    def __init__(self, shape):
        super().__init__()
        self.shape = shape

    def forward(self, x):
        return x.reshape(len(x), *self.shape)


class Permute(nn.Module):
    """The axes after the batch, counted from 1, in another order."""

    def __init__(self, axes):
        super().__init__()
        self.axes = axes

    def forward(self, x):
        return x.permute(0, *self.axes)


class Residual(nn.Module):
    """shortcut(x) + layers(x)"""

    def __init__(self, layers, shortcut):
        super().__init__()
        self.layers = layers
        self.shortcut = shortcut

    def forward(self, x):
        return (x if self.shortcut is None else self.shortcut(x)) + self.layers(x)


class Parallel(nn.Sequential):
    """The same x through every branch."""

    def __init__(self, branches, join, axis):
        super().__init__(*branches)
        self.join, self.axis = join, axis

    def forward(self, x):
        made = [branch(x) for branch in self]
        return torch.cat(made, self.axis) if self.join == "concat" else sum(made[1:], made[0])


def container(name, options, x):
    """A layer made of layers on `x`."""
    if name == "residual":
        layers = chain(options["layers"], x)
        shortcut = options.get("shortcut")
        return Residual(layers, shortcut and chain(shortcut, x))
    if name == "parallel":
        branches = [chain(branch, x) for branch in options["branches"]]
        return Parallel(branches, options.get("join", "concat"), options.get("axis", 1))
    if name == "repeat":
        copies = nn.Sequential()
        for i in range(options["times"]):
            copies.append(chain(options["layers"], x))
            x = shaped(copies[i], x)
        return copies
    return chain(options["layers"], x)


def shaped(module, x):
    """What the module makes of x, without a trace on its running buffers."""
    with torch.no_grad():
        y = module.eval()(x)
    module.train()
    return y


def layer(entry, x):
    """The module of one entry on `x`, and its name if it has one of its own."""
    name, options = (entry, {}) if isinstance(entry, str) else next(iter(entry.items()))
    main = CONTAINERS[name] if name in CONTAINERS else (FUNCTIONS.get(name) or OPTIONS[name])[0]
    if not isinstance(options, dict):
        options = {main: options}
    if name in CONTAINERS:
        return container(name, options, x), options.get("name") if name == "block" else None
    if name in FUNCTIONS:
        return FUNCTIONS[name][1](**options), None
    return MODULES[ENGINE.get(name, name)](x, OPTIONS[name][1] | options), None


def chain(entries, x):
    """The entries one after the other on `x`."""
    modules = nn.Sequential()
    for i, entry in enumerate(entries):
        module, name = layer(entry, x)
        modules.add_module(name or str(i), module)
        x = shaped(module, x)
    return modules
