"""The table of layer cases: shapes and options. What comes out is worked out in layers.py.

Shapes are small and awkward: odd sides, batches of one, strides that leave a border unused.
"""

from dataclasses import dataclass, field

import numpy as np

from common import f32, rng


@dataclass
class Draw:
    """Random input: uniform in [lo, hi], on a grid of `step` (for ties), or integers below hi."""

    shape: tuple
    lo: float = -2.0
    hi: float = 2.0
    step: float | None = None
    integer: bool = False

    def draw(self, generator):
        if self.integer:
            return generator.integers(self.lo, self.hi, self.shape, dtype=np.int32)
        x = generator.uniform(self.lo, self.hi, self.shape)
        return np.asarray(np.round(x / self.step) * self.step if self.step else x, np.float32)


@dataclass
class Table:
    cases: list = field(default_factory=list)
    family: str = ""

    def add(self, name, layer, x, **args):
        """`x`: a shape, a Draw or an array. `args`: the layer's options, by the engine's names."""
        x = Draw(x) if isinstance(x, tuple) else x
        x = x.draw(rng(f"{name}/x")) if isinstance(x, Draw) else x
        args = {k: f32(v) if isinstance(v, float) else v for k, v in args.items()}
        self.cases.append(dict(name=name, layer=layer, family=self.family, args=args, x=x))


def linear(t):
    t.family = "linear"
    for bias in [True, False]:
        more = "" if bias else "_no_bias"
        t.add(f"linear{more}", "linear", (5, 7), out_features=3, bias=bias)
        t.add(f"linear_of_one{more}", "linear", (1, 1), out_features=1, bias=bias)
        t.add(f"linear_3d{more}", "linear", (2, 3, 5), out_features=4, bias=bias)
    # On a grid, so that some elements are 0, where torch takes the slope of the negative side.
    for name, x, channels in [("", (3, 4), 1), ("_channels", (3, 4), 4), ("_images", (2, 3, 5, 4), 3), ("_of_one", (1, 1), 1)]:
        t.add(f"prelu{name}", "prelu", Draw(x, step=0.5), num_parameters=channels, init=0.25)
    t.add("linear_wide", "linear", (3, 65), out_features=33, bias=True)


def conv(t):
    t.family = "conv"

    def add(name, x, out, kernel, **options):
        axes = len(x) - 2
        each = lambda v: [v] * axes if isinstance(v, int) else list(v)
        padding = options.pop("padding", 0)
        args = dict(
            out_channels=out,
            kernel_size=each(kernel),
            stride=each(options.pop("stride", 1)),
            padding=padding if padding == "same" else each(padding),
            dilation=each(options.pop("dilation", 1)),
            groups=options.pop("groups", 1),
            bias=options.pop("bias", True),
        )
        assert not options, options
        t.add(f"conv{axes}d_{name}", f"conv{axes}d", x, **args)

    add("plain", (2, 3, 7, 9), 4, 3)
    add("no_bias", (2, 3, 5, 6), 4, 3, bias=False)
    add("of_one", (1, 1, 1, 1), 1, 1)
    add("one_channel", (1, 1, 7, 9), 1, 3)
    add("1x1", (2, 5, 5, 3), 7, 1)
    add("1x1_stride", (2, 3, 6, 7), 4, 1, stride=2)
    add("whole", (3, 2, 5, 4), 3, (5, 4))
    add("row_kernel", (2, 2, 5, 13), 3, (1, 5))
    add("column_kernel", (2, 2, 13, 5), 3, (4, 1), padding=(2, 0))
    add("stride_2", (2, 3, 7, 9), 4, 3, stride=2)
    add("stride_2_rest", (2, 2, 8, 13), 3, (3, 4), stride=2)
    add("stride_3", (1, 2, 8, 13), 3, 3, stride=3, padding=1)
    add("stride_apart", (2, 2, 9, 13), 3, (3, 2), stride=(1, 3), padding=(0, 1))
    add("stride_past_kernel", (2, 2, 9, 11), 3, 2, stride=3)
    add("padding", (2, 3, 5, 13), 2, 3, padding=1)
    add("padding_apart", (2, 2, 5, 7), 3, (3, 5), padding=(1, 2))
    add("padding_wide", (1, 2, 3, 4), 2, 2, padding=3)
    add("same", (2, 2, 7, 9), 3, 3, padding="same")
    add("same_even", (2, 2, 5, 7), 3, (2, 4), padding="same")
    add("same_dilated", (1, 2, 7, 9), 2, 3, padding="same", dilation=2)
    add("same_even_dilated", (1, 2, 7, 9), 2, (2, 4), padding="same", dilation=(3, 1))
    add("dilation_2", (2, 2, 7, 9), 3, 3, dilation=2)
    add("dilation_apart", (2, 2, 7, 9), 3, (3, 2), dilation=(1, 3), stride=2, padding=(1, 2))
    add("groups_2", (2, 4, 7, 5), 6, 3, groups=2)
    add("groups_3_stride", (2, 6, 7, 5), 3, 3, groups=3, stride=2, padding=1, bias=False)
    add("depthwise", (2, 5, 7, 9), 5, 3, groups=5, padding=1)
    add("depthwise_double", (2, 3, 7, 5), 6, 3, groups=3)
    add("depthwise_stride", (1, 4, 9, 9), 4, 5, groups=4, stride=2, padding=2)
    add("many_channels", (2, 17, 5, 4), 33, 3, padding=1)
    add("even_everything", (4, 4, 8, 8), 8, 4, stride=2, padding=1)

    add("plain", (2, 3, 11), 4, 3)
    add("no_bias", (2, 3, 11), 4, 3, bias=False)
    add("of_one", (1, 1, 1), 1, 1)
    add("1x1", (2, 3, 7), 5, 1)
    add("whole", (3, 2, 7), 3, 7)
    add("stride_2_rest", (2, 3, 14), 4, 5, stride=2, padding=2)
    add("stride_past_kernel", (2, 2, 13), 3, 2, stride=4)
    add("same_even", (2, 3, 9), 4, 4, padding="same")
    add("same_dilated", (2, 3, 9), 4, 3, padding="same", dilation=2)
    add("dilation_3", (1, 3, 13), 2, 3, dilation=3, stride=2, padding=4)
    add("groups_2", (2, 4, 9), 6, 3, groups=2, padding=1)
    add("depthwise_double", (2, 5, 9), 10, 3, groups=5, stride=2)
    add("long", (1, 1, 211), 2, 9, stride=3)


def conv_transpose(t):
    t.family = "conv_transpose"

    def add(name, x, out, kernel, **options):
        axes = len(x) - 2
        each = lambda v: [v] * axes if isinstance(v, int) else list(v)
        defaults = dict(stride=1, padding=0, output_padding=0, dilation=1)
        args = {k: each(options.pop(k, v)) for k, v in defaults.items()}
        args |= dict(groups=options.pop("groups", 1), bias=options.pop("bias", True))
        assert not options, options
        args |= dict(out_channels=out, kernel_size=each(kernel))
        t.add(f"conv_transpose{axes}d_{name}", f"conv_transpose{axes}d", x, **args)

    add("plain", (2, 3, 4, 5), 2, 3)
    add("no_bias", (2, 3, 4, 5), 2, 3, bias=False)
    add("of_one", (1, 1, 1, 1), 1, 1)
    add("stride_2", (2, 3, 4, 5), 2, 3, stride=2)
    add("doubling", (2, 3, 4, 5), 4, 4, stride=2, padding=1)
    add("output_padding", (2, 3, 4, 5), 2, 3, stride=2, padding=1, output_padding=1)
    add("apart", (1, 2, 3, 5), 3, (2, 3), stride=(3, 2), padding=(0, 1), output_padding=(2, 0))
    add("stride_past_kernel", (2, 2, 3, 4), 2, 2, stride=3)
    add("dilation_2", (2, 2, 4, 5), 3, 3, dilation=2, padding=2)
    add("dilation_apart", (1, 2, 4, 5), 2, (3, 2), dilation=(1, 3), stride=2, output_padding=(1, 1))
    add("groups_2", (2, 4, 4, 3), 6, 3, groups=2, stride=2)
    add("depthwise", (2, 3, 5, 4), 3, 3, groups=3, padding=1)
    add("1x1_stride", (2, 3, 3, 4), 2, 1, stride=2, output_padding=1)
    add("many_channels", (1, 17, 3, 3), 20, 2, stride=2)
    add("plain", (2, 3, 7), 4, 3)
    add("output_padding", (2, 3, 7), 2, 4, stride=3, padding=2, output_padding=2)
    add("groups_dilation", (2, 4, 5), 2, 3, groups=2, dilation=2, stride=2, bias=False)


def pool(t):
    t.family = "pool"
    grid = dict(lo=-1.0, hi=1.0, step=0.5)

    def add(kind, name, x, kernel, **options):
        shape = x.shape if isinstance(x, Draw) else x
        axes = len(shape) - 2
        each = lambda v: [v] * axes if isinstance(v, int) else list(v)
        args = dict(
            kernel_size=each(kernel),
            stride=each(options.pop("stride", kernel)),
            padding=each(options.pop("padding", 0)),
            ceil_mode=options.pop("ceil_mode", False),
        )
        if kind == "max_pool":
            args["dilation"] = each(options.pop("dilation", 1))
        else:
            args["count_include_pad"] = options.pop("count_include_pad", True)
        assert not options, options
        t.add(f"{kind}{axes}d_{name}", f"{kind}{axes}d", x, **args)

    for kind in ["max_pool", "avg_pool"]:
        add(kind, "2", (2, 3, 6, 8), 2)
        add(kind, "rest", (2, 2, 7, 9), 2)
        add(kind, "ceil", (2, 2, 7, 9), 2, ceil_mode=True)
        add(kind, "overlap", (2, 2, 7, 9), 3, stride=2, padding=1)
        add(kind, "overlap_1", (1, 2, 5, 6), 3, stride=1, padding=1)
        add(kind, "apart", (1, 2, 7, 9), (2, 3), stride=(1, 2), padding=(1, 0))
        add(kind, "stride_past_kernel", (2, 2, 8, 11), 2, stride=3)
        add(kind, "ceil_padding", (1, 2, 6, 9), 3, stride=2, padding=1, ceil_mode=True)
        # The last window would begin in the right padding, and is dropped.
        add(kind, "ceil_dropped", (1, 2, 6, 7), 2, stride=3, padding=1, ceil_mode=True)
        add(kind, "whole", (2, 3, 5, 4), (5, 4))
        add(kind, "1", (2, 3, 4, 3), 1)
        add(kind, "2", (2, 3, 11), 2)
        add(kind, "overlap", (2, 3, 11), 3, stride=2, padding=1, ceil_mode=True)
    for name, more in {"": {}, "_ceil": dict(ceil_mode=True)}.items():
        bare = dict(count_include_pad=False, **more)
        add("avg_pool", f"bare{name}", (2, 2, 7, 8), 3, stride=2, padding=1, **bare)
        add("avg_pool", f"bare{name}", (2, 2, 10), 4, stride=3, padding=2, **bare)
    add("max_pool", "dilation", (2, 2, 7, 9), 2, stride=1, dilation=(2, 3))
    add("max_pool", "dilation_all", (1, 2, 9, 8), 3, stride=2, padding=1, dilation=2, ceil_mode=True)
    add("max_pool", "ties", Draw((2, 2, 6, 8), **grid), 2)
    add("max_pool", "ties_overlap", Draw((2, 2, 7, 9), **grid), 3, stride=2, padding=1)
    add("max_pool", "ties_dilation", Draw((1, 2, 8, 7), **grid), 3, stride=1, padding=1, dilation=2)
    add("max_pool", "ties_all", Draw((1, 2, 5, 5), 1.0, 1.0), 3, stride=1, padding=1)
    add("max_pool", "ties", Draw((2, 3, 12), **grid), 4, stride=2, padding=2)
    add("max_pool", "negative", Draw((1, 2, 5, 6), -1e30, -1e20), 3, stride=2, padding=1)

    for name, x, size in [
        ("dividing", (2, 3, 6, 8), [3, 2]),
        ("odd", (2, 3, 7, 9), [3, 4]),
        ("one_row", (1, 2, 5, 13), [1, 5]),
        ("to_one", (2, 5, 7, 5), [1, 1]),
        ("as_it_is", (2, 2, 3, 4), [3, 4]),
        ("larger", (1, 2, 2, 3), [5, 4]),
    ]:
        t.add(f"adaptive_avg_pool2d_{name}", "adaptive_avg_pool2d", x, output_size=size)
    for kind in ["global_avg_pool", "global_max_pool"]:
        t.add(f"{kind}_2d", kind, (3, 5, 4, 7))
        t.add(f"{kind}_1d", kind, (2, 3, 11))
        t.add(f"{kind}_of_one", kind, (2, 3, 1, 1))


def upsample(t):
    t.family = "upsample"
    modes = {
        "nearest": dict(mode="nearest"),
        "bilinear": dict(mode="bilinear", align_corners=False),
        "aligned": dict(mode="bilinear", align_corners=True),
    }
    for mode, options in modes.items():
        for name, x, to in [
            ("double", (2, 2, 3, 4), dict(scale_factor=[2.0, 2.0])),
            ("triple", (1, 2, 3, 5), dict(scale_factor=[3.0, 2.0])),
            ("broken", (1, 2, 5, 7), dict(scale_factor=[1.5, 2.5])),
            ("down", (1, 2, 8, 9), dict(scale_factor=[0.5, 0.75])),
            ("size", (2, 2, 3, 5), dict(size=[7, 8])),
            ("size_down", (1, 2, 9, 7), dict(size=[4, 3])),
            ("same", (1, 2, 3, 4), dict(size=[3, 4])),
            ("to_one", (1, 2, 5, 4), dict(size=[1, 1])),
            ("from_one", (1, 2, 1, 1), dict(size=[3, 2])),
        ]:
            t.add(f"upsample_{mode}_{name}", "upsample", x, **options, **to)


def norm(t):
    t.family = "norm"
    shapes = {"2d": (6, 5), "3d": (4, 3, 7), "4d": (3, 4, 5, 3)}
    far = lambda shape: Draw(shape, 99.0, 101.0)
    plain = dict(eps=1e-5, momentum=0.1, affine=True, track_running_stats=True)
    for name, shape in shapes.items():
        # Three batches, one after the other; out and gradients are those of the first.
        three = (3, *shape)
        train = dict(training=True)
        evaluate = dict(training=False)
        t.add(f"batch_norm_{name}", "batch_norm", three, **plain, **train)
        t.add(f"batch_norm_{name}_eval", "batch_norm", shape, **plain, **evaluate)
        bare = {**plain, "affine": False}
        t.add(f"batch_norm_{name}_bare", "batch_norm", three, **bare, **train)
        t.add(f"batch_norm_{name}_bare_eval", "batch_norm", shape, **bare, **evaluate)
        cumulative = {**plain, "momentum": None}
        t.add(f"batch_norm_{name}_cumulative", "batch_norm", three, **cumulative, **train)
        untracked = {**plain, "track_running_stats": False}
        t.add(f"batch_norm_{name}_untracked", "batch_norm", three, **untracked, **train)
        t.add(f"batch_norm_{name}_untracked_eval", "batch_norm", shape, **untracked, **evaluate)
    other = {**plain, "momentum": 0.3, "eps": 1e-3}
    t.add("batch_norm_options", "batch_norm", (3, 2, 3, 3, 2), **other, training=True)
    t.add("batch_norm_far", "batch_norm", far((3, 5, 3, 2, 4)), **plain, training=True)
    t.add("batch_norm_one_image", "batch_norm", (3, 1, 3, 4, 5), **plain, training=True)
    t.add("batch_norm_three_rows", "batch_norm", (3, 3, 4), **plain, training=True)
    t.add("batch_norm_row_eval", "batch_norm", (1, 5), **plain, training=False)
    t.add("batch_norm_image_eval", "batch_norm", (1, 3, 4, 5), **plain, training=False)
    t.add("batch_norm_long", "batch_norm", (3, 1, 1, 263), **plain, training=True)

    layer = dict(axes=1, eps=1e-5, elementwise_affine=True, bias=True)
    t.add("layer_norm_2d", "layer_norm", (5, 7), **layer)
    t.add("layer_norm_3d", "layer_norm", (2, 5, 12), **layer)
    t.add("layer_norm_axes", "layer_norm", (3, 2, 4, 5), **{**layer, "axes": 2})
    t.add("layer_norm_bare", "layer_norm", (3, 11), **{**layer, "elementwise_affine": False})
    t.add("layer_norm_no_bias", "layer_norm", (2, 3, 8), **{**layer, "bias": False})
    t.add("layer_norm_far", "layer_norm", far((4, 9)), **layer)
    t.add("layer_norm_long", "layer_norm", (2, 261), **layer)
    t.add("layer_norm_eps", "layer_norm", Draw((3, 6), -0.01, 0.01), **{**layer, "eps": 0.1})

    rms = dict(axes=1, eps=None, elementwise_affine=True)
    t.add("rms_norm_2d", "rms_norm", (5, 7), **rms)
    t.add("rms_norm_3d", "rms_norm", (2, 5, 12), **rms)
    t.add("rms_norm_axes", "rms_norm", (3, 4, 5), **{**rms, "axes": 2, "eps": 1e-6})
    t.add("rms_norm_bare", "rms_norm", (3, 11), **{**rms, "elementwise_affine": False})
    t.add("rms_norm_small", "rms_norm", Draw((3, 6), -1e-3, 1e-3), **rms)
    t.add("rms_norm_long", "rms_norm", (2, 261), **rms)

    group = dict(eps=1e-5, affine=True)
    for groups in [1, 3, 6]:
        t.add(f"group_norm_{groups}", "group_norm", (2, 6, 3, 5), num_groups=groups, **group)
    t.add("group_norm_2d", "group_norm", (3, 8), num_groups=2, **group)
    t.add("group_norm_3d", "group_norm", (2, 4, 7), num_groups=2, **group)
    t.add("group_norm_bare", "group_norm", (1, 4, 3, 5), num_groups=2, eps=1e-5, affine=False)
    t.add("group_norm_far", "group_norm", far((2, 4, 3, 2)), num_groups=2, **group)
    for name, shape in [("3d", (2, 3, 7)), ("4d", (2, 3, 5, 3))]:
        t.add(f"instance_norm_{name}", "instance_norm", shape, eps=1e-5, affine=False)
        t.add(f"instance_norm_{name}_affine", "instance_norm", shape, eps=1e-3, affine=True)


def embedding(t):
    t.family = "embedding"
    tokens = lambda shape, below: Draw(shape, 0, below, integer=True)
    plain = dict(num_embeddings=11, embedding_dim=6, padding_idx=None)
    t.add("embedding", "embedding", tokens((3, 5), 11), **plain)
    t.add("embedding_rank1", "embedding", tokens((7,), 11), **plain)
    repeated = np.array([[4, 4, 4, 0], [4, 10, 4, 4]], np.int32)
    t.add("embedding_repeated", "embedding", repeated, **plain)
    t.add("embedding_one_token", "embedding", np.full((2, 70), 3, np.int32), **plain)
    padded = np.array([[2, 0, 5, 5], [2, 2, 1, 0]], np.int32)
    small = dict(num_embeddings=6, embedding_dim=5)
    t.add("embedding_padding", "embedding", padded, **small, padding_idx=2)
    t.add("embedding_padding_last", "embedding", padded, **small, padding_idx=5)
    t.add("embedding_wide", "embedding", tokens((2, 9), 130), num_embeddings=130, embedding_dim=3,
          padding_idx=None)
    t.add("embedding_of_one", "embedding", tokens((1, 1), 1), num_embeddings=1, embedding_dim=1,
          padding_idx=None)

    for name, x in [("", (2, 5, 6)), ("_full", (3, 9, 4)), ("_of_one", (1, 1, 2))]:
        t.add(f"positional_learned{name}", "positional", x, kind="learned", max_len=9)
        t.add(f"positional_sinusoidal{name}", "positional", x, kind="sinusoidal")
    # Frequencies from 1 to 1/10000, positions to 129: the sine's argument must be reduced well.
    t.add("positional_sinusoidal_long", "positional", (1, 130, 10), kind="sinusoidal")


def attention(t):
    t.family = "attention"

    def add(name, shape, heads, causal, bias=True, rotary=False):
        args = dict(num_heads=heads, causal=causal, bias=bias, rotary=rotary)
        t.add(f"attention_{name}", "multi_head_attention", Draw(shape, -1.5, 1.5), **args)

    # [batch, T, heads * head dim]
    for causal in [False, True]:
        kind = "causal" if causal else "full"
        add(f"{kind}_1x4_t5", (3, 5, 4), 1, causal)
        add(f"{kind}_2x7_t5", (1, 5, 14), 2, causal)
        add(f"{kind}_4x4_t33", (1, 33, 16), 4, causal)
        add(f"{kind}_1x32_t5", (1, 5, 32), 1, causal)
        add(f"{kind}_1x4_t70", (1, 70, 4), 1, causal)
        add(f"{kind}_2x4_t70", (1, 70, 8), 2, causal, bias=False)
        add(f"{kind}_2x7_t33", (3, 33, 14), 2, causal)
        add(f"{kind}_4x7_t1", (3, 1, 28), 4, causal)
        add(f"{kind}_2x4_rotary", (2, 9, 8), 2, causal, rotary=True)
    add("causal_1x32_rotary", (1, 12, 32), 1, True, bias=False, rotary=True)
    add("full_1x4_rotary_t70", (1, 70, 4), 1, False, rotary=True)
    # Scores of tens: a softmax without the row's maximum would lose them.
    steep = dict(num_heads=2, causal=True, bias=True, rotary=False)
    t.add("attention_steep", "multi_head_attention", Draw((1, 6, 8), -9.0, 9.0), **steep)


def recurrent(t):
    t.family = "recurrent"
    for layer in ["gru", "lstm"]:

        def add(name, shape, hidden, layers=1, bias=True, sequences=True):
            args = dict(hidden_size=hidden, num_layers=layers, bias=bias, return_sequences=sequences)
            t.add(f"{layer}_{name}", layer, Draw(shape, -1.5, 1.5), **args)

        # [batch, T, features]
        add("t1", (3, 1, 4), 5)
        add("t5", (2, 5, 3), 4)
        add("t12", (3, 12, 5), 7)
        add("no_bias", (2, 5, 3), 4, bias=False)
        add("two_layers", (2, 5, 3), 4, layers=2)
        add("two_layers_t12", (1, 12, 2), 5, layers=2)
        add("two_layers_no_bias_last", (2, 5, 3), 3, layers=2, bias=False, sequences=False)
        add("last", (3, 5, 4), 6, sequences=False)
        add("of_one", (1, 1, 1), 1)


def cases():
    table = Table()
    for family in [linear, conv, conv_transpose, pool, upsample, norm, embedding, attention, recurrent]:
        family(table)
    return table.cases
