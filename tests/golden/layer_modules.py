"""Layers as torch modules, by the engine's names and options.

What torch has no module for is written out here: positional embeddings, rotary attention, and
layers of which only a part of the output is wanted.
"""

import torch
import torch.nn.functional as F
from torch import nn


class Apply(nn.Module):
    """A function without parameters."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


def sinusoids(length, width):
    """p[t, 2i] = sin(t / 10000^(2i/d)), p[t, 2i+1] = cos(same): "Attention is all you need", 3.5."""
    t = torch.arange(length, dtype=torch.float64)[:, None]
    angle = t * 10000.0 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
    return torch.stack([angle.sin(), angle.cos()], -1).reshape(length, width)


class Learned(nn.Module):
    def __init__(self, max_len, width):
        super().__init__()
        self.weight = nn.Parameter(0.02 * torch.randn(max_len, width))

    def forward(self, x):
        return x + self.weight[: x.shape[1]]


class Attention(nn.Module):
    """torch.nn.MultiheadAttention's parameters for self-attention of [n, t, d], its result alone.

    With `rotary`, queries and keys of each head are turned first by position t, as in GPT-NeoX and
    in Hugging Face's Llama: element i pairs with i + h/2 (h the head's width), at the angle
    t * 10000^(-2i/h). Su et al., 2021, pair neighbours; the two differ by a permutation of weights.
    """

    def __init__(self, width, num_heads, causal, bias, rotary):
        super().__init__()
        self.heads, self.causal, self.rotary = num_heads, causal, rotary
        attention = nn.MultiheadAttention(width, num_heads, bias=bias, batch_first=True)
        self.in_proj_weight = attention.in_proj_weight
        self.in_proj_bias = attention.in_proj_bias
        self.out_proj = attention.out_proj

    def turned(self, q):
        t, half = q.shape[-2], q.shape[-1] // 2
        i = torch.arange(half, dtype=torch.float64)
        angle = torch.arange(t, dtype=torch.float64)[:, None] * 10000.0 ** (-i / half)
        cos, sin = angle.cos().to(q.dtype), angle.sin().to(q.dtype)
        a, b = q[..., :half], q[..., half:]
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

    def forward(self, x):
        n, t, d = x.shape
        qkv = F.linear(x, self.in_proj_weight, self.in_proj_bias).chunk(3, -1)
        q, k, v = (part.reshape(n, t, self.heads, -1).transpose(1, 2) for part in qkv)
        if self.rotary:
            q, k = self.turned(q), self.turned(k)
        scores = q @ k.transpose(-1, -2) / (d // self.heads) ** 0.5
        if self.causal:
            later = torch.ones(t, t, dtype=torch.bool).triu(1)
            scores = scores.masked_fill(later, float("-inf"))
        mixed = scores.softmax(-1) @ v
        return self.out_proj(mixed.transpose(1, 2).reshape(n, t, d))


class TorchAttention(nn.MultiheadAttention):
    """torch's own, called as self-attention."""

    def __init__(self, width, num_heads, causal, bias):
        super().__init__(width, num_heads, bias=bias, batch_first=True)
        self.causal = causal

    def forward(self, x):
        t = x.shape[1]
        mask = torch.ones(t, t, dtype=torch.bool).triu(1) if self.causal else None
        return super().forward(x, x, x, attn_mask=mask, need_weights=False)[0]


def recurrent(cls):
    """torch.nn.GRU or LSTM over [n, t, d], from a state of zeros: every h, or the last one."""

    class Recurrent(cls):
        def forward(self, x):
            out, _ = super().forward(x)
            return out if self.sequences else out[:, -1]

    def make(x, a):
        module = Recurrent(x.shape[-1], a["hidden_size"], a["num_layers"], a["bias"], batch_first=True)
        module.sequences = a["return_sequences"]
        return module

    return make


def conv(cls):
    def make(x, a):
        size = a["kernel_size"]
        options = {k: a[k] for k in ["stride", "padding", "dilation", "groups", "bias"]}
        if "output_padding" in a:
            options["output_padding"] = a["output_padding"]
        return cls(x.shape[1], a["out_channels"], size, **options)

    return make


def apply(function, *keys, **rename):
    """A function of x and of these options, some by another name."""

    def make(x, a):
        options = {rename.get(k, k): v for k, v in a.items()}
        assert set(a) <= {*keys, *rename}, set(a) - {*keys, *rename}
        return Apply(lambda x: function(x, **options))

    return make


MAX_POOL = ["kernel_size", "stride", "padding", "dilation", "ceil_mode"]
AVG_POOL = ["kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"]


def batch_norm(x, a):
    cls = {2: nn.BatchNorm1d, 3: nn.BatchNorm1d, 4: nn.BatchNorm2d}[x.dim()]
    options = {k: v for k, v in a.items() if k != "training"}
    return cls(x.shape[1], **options).train(a["training"])


def layer_norm(x, a):
    return nn.LayerNorm(
        list(x.shape[-a["axes"] :]),
        eps=a["eps"],
        elementwise_affine=a["elementwise_affine"],
        bias=a["bias"],
    )


def rms_norm(x, a):
    # No eps means that of x's type, which is f32's whatever the type of this evaluation.
    eps = torch.finfo(torch.float32).eps if a["eps"] is None else a["eps"]
    shape = list(x.shape[-a["axes"] :])
    return nn.RMSNorm(shape, eps=eps, elementwise_affine=a["elementwise_affine"])


def instance_norm(x, a):
    cls = {3: nn.InstanceNorm1d, 4: nn.InstanceNorm2d}[x.dim()]
    return cls(x.shape[1], eps=a["eps"], affine=a["affine"])


def positional(x, a):
    if a["kind"] == "learned":
        return Learned(a["max_len"], x.shape[-1])
    return Apply(lambda x: x + sinusoids(x.shape[1], x.shape[2]).to(x.dtype))


def attention(x, a):
    if a["rotary"]:
        return Attention(x.shape[-1], **a)
    return TorchAttention(x.shape[-1], **{k: v for k, v in a.items() if k != "rotary"})


# layer -> (x, options) -> module
MODULES = {
    "linear": lambda x, a: nn.Linear(x.shape[-1], **a),
    "conv1d": conv(nn.Conv1d),
    "conv2d": conv(nn.Conv2d),
    "conv_transpose1d": conv(nn.ConvTranspose1d),
    "conv_transpose2d": conv(nn.ConvTranspose2d),
    "max_pool1d": apply(F.max_pool1d, *MAX_POOL),
    "max_pool2d": apply(F.max_pool2d, *MAX_POOL),
    "avg_pool1d": apply(F.avg_pool1d, *AVG_POOL),
    "avg_pool2d": apply(F.avg_pool2d, *AVG_POOL),
    "adaptive_avg_pool2d": apply(F.adaptive_avg_pool2d, "output_size"),
    "global_avg_pool": lambda x, a: Apply(lambda x: x.flatten(2).mean(-1)),
    "global_max_pool": lambda x, a: Apply(lambda x: x.flatten(2).amax(-1)),
    "upsample": apply(F.interpolate, "size", "scale_factor", "mode", "align_corners"),
    "batch_norm": batch_norm,
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "group_norm": lambda x, a: nn.GroupNorm(a["num_groups"], x.shape[1], a["eps"], a["affine"]),
    "instance_norm": instance_norm,
    "embedding": lambda x, a: nn.Embedding(**a),
    "positional": positional,
    "multi_head_attention": attention,
    "prelu": lambda x, a: nn.PReLU(a["num_parameters"], a["init"]),
    "gru": recurrent(nn.GRU),
    "lstm": recurrent(nn.LSTM),
}


def check():
    """The attention written out here is torch's where both can be had."""
    torch.manual_seed(0)
    for causal in [False, True]:
        theirs = TorchAttention(12, 3, causal, True).double()
        ours = Attention(12, 3, causal, True, rotary=False).double()
        ours.load_state_dict(theirs.state_dict())
        x = torch.randn(2, 7, 12, dtype=torch.float64)
        assert (ours(x) - theirs(x)).abs().max() < 1e-12
