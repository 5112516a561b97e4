"""The table of op cases: what goes into each. What comes out is worked out in ops.py."""

from dataclasses import dataclass

import numpy as np

from common import f32, rng


@dataclass
class R:
    """Random input: uniform in [lo, hi], on a grid of `step` (for ties), or integers."""

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


def values(*xs):
    return np.array(xs, np.float32)


def ints(*xs):
    return np.array(xs, np.int32)


class Table:
    def __init__(self):
        self.cases = []
        self.family = None

    def add(self, name, op, inputs, grads=None, second=False, **args):
        """`inputs`: list (named a, b, c, ...). `grads`: by default every float input."""
        arrays = {}
        for key, x in zip("abcdef", inputs):
            arrays[key] = x.draw(rng(f"{name}/{key}")) if isinstance(x, R) else x
        floats = [key for key, x in arrays.items() if x.dtype == np.float32]
        args = {k: f32(v) if isinstance(v, float) else v for k, v in args.items()}
        self.cases.append(
            dict(
                name=name,
                op=op,
                family=self.family,
                inputs=arrays,
                args=args,
                grads=floats if grads is None else list(grads),
                second=second,
            )
        )


def elementwise(t):
    t.family = "elementwise"
    middle = R((3, 7), -3, 3)
    positive = R((3, 7), 0.1, 4)
    for op in ["neg", "abs", "relu", "square", "tanh", "sigmoid", "silu", "gelu", "gelu_tanh"]:
        t.add(op, op, [middle], second=op not in ("neg", "abs", "relu"))
    t.add("recip", "recip", [R((3, 7), 0.3, 3)], second=True)
    t.add("exp", "exp", [R((3, 7), -5, 5)], second=True)
    t.add("log", "log", [positive], second=True)
    t.add("sqrt", "sqrt", [positive], second=True)
    t.add("sin", "sin", [R((3, 7), -6, 6)], second=True)
    t.add("cos", "cos", [R((3, 7), -6, 6)], second=True)

    zeros = values(-1.5, -1e-6, -0.0, 0.0, 1e-6, 2.5)
    for op in ["abs", "relu", "square", "tanh", "sigmoid", "silu", "gelu", "gelu_tanh", "sin"]:
        t.add(f"{op}_zero", op, [zeros])
    far = values(-100, -50, -30, -20, -10, -9, 9, 10, 20, 30, 50, 100)
    for op in ["tanh", "sigmoid", "silu"]:
        t.add(f"{op}_far", op, [far])
    tails = values(-50, -10, -8, -6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6, 8, 10, 50)
    for op in ["gelu", "gelu_tanh"]:
        t.add(f"{op}_tails", op, [tails])
    t.add("exp_far", "exp", [values(-80, -40, -20, 0, 20, 40, 80)])
    small = values(1e-20, 1e-10, 1e-6, 1e-3, 0.5, 0.999, 1.0, 1.001, 2, 1e6, 1e20)
    t.add("log_small", "log", [small])
    t.add("sqrt_small", "sqrt", [small])
    t.add("recip_negative", "recip", [values(-1e6, -3, -1, -1e-3, 1e-3, 1e6)])
    t.add("neg_rank0", "neg", [values(1.25).reshape(())])

    for slope in [0.01, 0.2, -0.5]:
        t.add(f"leaky_relu_{slope}", "leaky_relu", [R((3, 7))], slope=slope)
    t.add("leaky_relu_zero", "leaky_relu", [zeros], slope=0.25)
    for alpha in [1.0, 0.6]:
        t.add(f"elu_{alpha}", "elu", [R((3, 7), -4, 2)], second=True, alpha=alpha)
        t.add(f"elu_{alpha}_points", "elu", [np.r_[zeros, values(-100, -20, 50)]], alpha=alpha)
    t.add("softplus", "softplus", [R((3, 7), -4, 4)], second=True, beta=1.0, threshold=20.0)
    t.add("softplus_far", "softplus", [np.r_[far, values(19.5, 20.5)]], beta=1.0, threshold=20.0)
    # Below, at and past a threshold low enough for the jump to show: 2 * 0.5 is not past 1.
    steep = values(-3, -0.5, 0, 0.25, 0.5, 0.5625, 1, 4)
    t.add("softplus_threshold", "softplus", [steep], beta=2.0, threshold=1.0)
    t.add("clamp", "clamp", [R((3, 7))], min=-0.7, max=0.9)
    on_bounds = values(-2, -0.75, -0.5, -0.25, 0, 0.5, 0.75, 1, 3)
    t.add("clamp_bounds", "clamp", [on_bounds], min=-0.5, max=0.75)
    t.add("add_scalar", "add_scalar", [R((3, 7))], value=0.3)
    t.add("mul_scalar", "mul_scalar", [R((3, 7))], value=-1.7)
    for exponent in [2.0, 3.0, -1.0]:
        x = np.r_[values(-2.5, -1, -0.5), R((8,), -2, -0.3).draw(rng("pow")), values(0.5, 1, 3)]
        t.add(f"pow_scalar_{exponent:g}", "pow_scalar", [x], value=exponent)
    t.add("pow_scalar_2_zero", "pow_scalar", [values(-1, 0, 1)], value=2.0)
    t.add("pow_scalar_0.5", "pow_scalar", [positive], value=0.5)
    t.add("pow_scalar_2.7", "pow_scalar", [positive], second=True, value=2.7)
    t.add("detach", "detach", [R((3, 7))])


def binary(t):
    t.family = "binary"
    shapes = {
        "same": ((3, 7), (3, 7)),
        "row": ((3, 5), (5,)),
        "column": ((3, 5), (3, 1)),
        "outer": ((4, 1), (1, 5)),
        "rank": ((3, 1), (2, 3, 4)),
        "middle": ((3, 1, 4), (1, 5, 1)),
        "one": ((1,), (2, 3)),
        "rank0": ((2, 3), ()),
    }
    for op in ["add", "sub", "mul", "div", "pow", "minimum", "maximum"]:
        for key, (a, b) in shapes.items():
            left = R(a, 0.2, 2.5) if op == "pow" else R(a)
            right = R(b, 0.4, 2.5) if op == "div" else R(b)
            second = op in ("mul", "div", "pow") and key in ("row", "middle")
            t.add(f"{op}_{key}", op, [left, right], second=second)
    for op in ["minimum", "maximum"]:
        t.add(f"{op}_ties", op, [R((4, 6), -1, 1, 1.0), R((6,), -1, 1, 1.0)])
    t.add("div_negative", "div", [R((3, 5)), R((3, 5), -3, -0.4)])
    t.add("pow_special", "pow", [values(1, 1, 2, 0.5, 4, 3), values(0, 2, 0, 1, -1, 0.5)])
    # The exponent's gradient is ln(negative): torch gives NaN, so it is not asked for.
    negative = [values(-2, -1.5, -1, -0.5, 3, -3), values(2, 3, -1, -2, 2, 0)]
    t.add("pow_negative_base", "pow", negative, grads="a")
    t.add("operators", "operators", [R((3, 5)), R((5,), -1, 1)], second=True)

    for op in ["eq", "ne", "lt", "le", "gt", "ge"]:
        t.add(op, op, [R((4, 6), -1, 1, 0.5), R((4, 1), -1, 1, 0.5)], grads="")
    condition = values(0, 1, -2.5, -0.0, 1e-30, 0, 1)
    t.add("select", "select", [condition, R((3, 7)), R((3, 1))], grads="bc")
    t.add("select_lt", "select_lt", [R((4, 6), -1, 1, 0.5), R((6,), -1, 1, 0.5)])


def reductions(t):
    t.family = "reduction"
    axes_3d = [[], [0], [1], [-1], [0, 2], [1, 2], [0, 1, 2]]
    for op in ["sum", "mean", "amax", "logsumexp"]:
        for axes in axes_3d:
            for keepdim in [False, True] if axes in ([], [1], [0, 2]) else [False]:
                name = f"{op}_{'_'.join(map(str, axes)) or 'every'}{'_keepdim' * keepdim}"
                second = op == "logsumexp" and axes in ([1], [0, 2])
                args = dict(axes=axes, keepdim=keepdim)
                t.add(name, op, [R((3, 4, 5))], second=second, **args)
        args = dict(axes=[0], keepdim=False)
        t.add(f"{op}_long", op, [R((259,), -1, 1.5)], **args)
        t.add(f"{op}_tall", op, [R((131, 2), -1, 1.5)], **args)
        t.add(f"{op}_wide", op, [R((2, 131), -1, 1.5)], axes=[-1], keepdim=False)
        t.add(f"{op}_of_one", op, [R((1, 6, 1))], axes=[0, 2], keepdim=False)
        t.add(f"{op}_keeps_one", op, [R((4, 1))], axes=[1], keepdim=True)
    for op in ["sum_all", "mean_all"]:
        t.add(op, op, [R((3, 5, 7))])
        t.add(f"{op}_rank0", op, [R(())])
    ties = R((4, 6), -1, 1, 1.0)
    t.add("amax_ties", "amax", [ties], axes=[1], keepdim=False)
    t.add("amax_ties_axes", "amax", [R((2, 5, 3), -1, 1, 1.0)], axes=[0, 2], keepdim=True)
    t.add("amax_all_equal", "amax", [values(*[-3.5] * 7)], axes=[], keepdim=False)
    t.add("amax_negative", "amax", [R((3, 5), -1e30, -1e20)], axes=[1], keepdim=False)

    big = R((4, 9), -80, 80)
    t.add("logsumexp_big", "logsumexp", [big], axes=[1], keepdim=False)
    t.add("logsumexp_big_axes", "logsumexp", [R((3, 4, 3), -80, 80)], axes=[0, 2], keepdim=True)
    for op in ["softmax", "log_softmax"]:
        t.add(f"{op}_last", op, [R((4, 9), -3, 3)], second=True, axes=[-1])
        t.add(f"{op}_first", op, [R((9, 4), -3, 3)], axes=[0])
        t.add(f"{op}_middle", op, [R((2, 7, 3), -3, 3)], axes=[1])
        t.add(f"{op}_two", op, [R((3, 4, 5), -3, 3)], second=True, axes=[1, 2])
        t.add(f"{op}_apart", op, [R((3, 4, 5), -3, 3)], axes=[0, -1])
        t.add(f"{op}_big", op, [big], axes=[1])
        t.add(f"{op}_shifted", op, [R((3, 6), 79, 80)], axes=[1])
        t.add(f"{op}_wide", op, [R((2, 131), -3, 3)], axes=[1])
        t.add(f"{op}_of_one", op, [R((5, 1))], axes=[1])


def movement(t):
    t.family = "movement"
    t.add("reshape", "reshape", [R((3, 4, 5))], shape=[5, 12])
    t.add("reshape_rank0", "reshape", [R((1, 1))], shape=[])
    t.add("transpose", "transpose", [R((3, 7))], a=0, b=1)
    t.add("transpose_ends", "transpose", [R((2, 3, 5))], a=0, b=-1)
    t.add("transpose_same", "transpose", [R((2, 3))], a=1, b=-1)
    t.add("permute", "permute", [R((2, 3, 5))], axes=[2, 0, 1])
    t.add("permute_4d", "permute", [R((2, 3, 1, 5))], axes=[3, 1, 0, 2])
    t.add("slice_first", "slice", [R((7, 3))], axis=0, start=2, end=5)
    t.add("slice_last", "slice", [R((3, 7))], axis=-1, start=6, end=7)
    t.add("slice_middle", "slice", [R((2, 5, 3))], axis=1, start=0, end=4)
    t.add("slice_whole", "slice", [R((5,))], axis=0, start=0, end=5)
    t.add("concat_first", "concat", [R((1, 3)), R((4, 3)), R((2, 3))], axis=0)
    t.add("concat_last", "concat", [R((3, 2)), R((3, 5))], axis=-1)
    t.add("concat_middle", "concat", [R((2, 1, 3)), R((2, 4, 3)), R((2, 2, 3))], axis=1)
    t.add("concat_one", "concat", [R((3, 2))], axis=0)
    t.add("broadcast_to_rows", "broadcast_to", [R((5,))], shape=[3, 5])
    t.add("broadcast_to_both", "broadcast_to", [R((3, 1, 4, 1))], shape=[2, 3, 2, 4, 3])
    t.add("broadcast_to_rank0", "broadcast_to", [R(())], shape=[2, 3])
    t.add("broadcast_to_same", "broadcast_to", [R((2, 3))], shape=[2, 3])

    t.add("gather_rows", "gather", [R((5, 3)), R((7, 3), 0, 5, integer=True)], axis=0)
    t.add("gather_columns", "gather", [R((4, 6)), R((4, 9), 0, 6, integer=True)], axis=-1)
    # torch.gather lets the index be smaller than the source along the other axes.
    t.add("gather_part", "gather", [R((4, 6, 3)), R((2, 5, 2), 0, 6, integer=True)], axis=1)
    t.add("gather_repeated", "gather", [R((3,)), ints(1, 1, 1, 1, 2, 1, 1)], axis=0)
    picks = ints(3, 0, 3, 3, 1, 0)
    t.add("index_select_rows", "index_select", [R((5, 3)), picks], axis=0)
    t.add("index_select_last", "index_select", [R((2, 4)), picks], axis=-1)
    t.add("index_select_middle", "index_select", [R((2, 4, 3)), picks], axis=1)
    halves = values(-7.999, -2.5, -1, -0.999, -0.5, -0.0, 0, 0.5, 0.99999994, 1, 1.5, 2.999, 123456.78)
    t.add("to_i32", "to_i32", [halves], grads=[])
    t.add("to_i32_many", "to_i32", [R((5, 7), -9, 9)], grads=[])
    t.add("one_hot", "one_hot", [ints(2, 0, 6, 2, 5)], classes=7)
    t.add("one_hot_2d", "one_hot", [R((3, 2), 0, 4, integer=True)], classes=4)


def matmuls(t):
    t.family = "matmul"

    def add(name, a, b, transpose_a=False, transpose_b=False, second=False):
        """`a` and `b`: the shapes multiplied; what is stored is their transpose where asked."""
        stored = [
            s[:-2] + (s[-1], s[-2]) if turned else s
            for s, turned in ((a, transpose_a), (b, transpose_b))
        ]
        args = dict(transpose_a=transpose_a, transpose_b=transpose_b)
        t.add(name, "matmul", [R(s, -1, 1) for s in stored], second=second, **args)

    for name, turns in {"nn": (0, 0), "nt": (0, 1), "tn": (1, 0), "tt": (1, 1)}.items():
        turns = [bool(turn) for turn in turns]
        add(f"matmul_{name}", (3, 17), (17, 5), *turns, second=True)
        add(f"matmul_{name}_wide", (3, 1), (1, 33), *turns)
        add(f"matmul_{name}_deep", (1, 65), (65, 3), *turns)
        add(f"matmul_{name}_batched", (2, 3, 5), (2, 5, 4), *turns)
    for m, k, n in [(1, 1, 1), (65, 3, 1), (1, 3, 65), (17, 1, 17), (33, 5, 3), (4, 4, 4)]:
        add(f"matmul_{m}x{k}x{n}", (m, k), (k, n))
    add("matmul_batch_left", (2, 3, 5), (5, 4))
    add("matmul_batch_right", (3, 5), (2, 5, 4))
    add("matmul_batch_ones", (1, 3, 5), (4, 5, 2), second=True)
    add("matmul_batch_outer", (2, 1, 3, 5), (3, 5, 2))
    add("matmul_batch_outer_nt", (2, 1, 3, 5), (3, 5, 2), False, True)
    add("matmul_batch_both", (2, 1, 1, 3), (1, 3, 3, 2), True, True)
    add("matmul_65x130x70", (65, 130), (130, 70))
    add("matmul_35x67x66_tt", (35, 67), (67, 66), True, True)


def losses(t):
    t.family = "loss"
    logits = R((7, 5), -3, 3)
    targets = R((7,), 0, 5, integer=True)
    some_ignored = ints(2, -100, 0, 4, -100, 4, 1)
    for name, args in {
        "plain": dict(label_smoothing=0.0, ignore_index=None),
        "smooth": dict(label_smoothing=0.1, ignore_index=None),
        "ignore": dict(label_smoothing=0.0, ignore_index=-100),
        "both": dict(label_smoothing=0.1, ignore_index=-100),
    }.items():
        wanted = some_ignored if args["ignore_index"] is not None else targets
        t.add(f"cross_entropy_{name}", "cross_entropy", [logits, wanted], second=True, **args)
        t.add(f"cross_entropy_{name}_big", "cross_entropy", [R((7, 5), -80, 80), wanted], **args)
    # A class may be the ignored one, and a batch may be a single row.
    real_class = dict(label_smoothing=0.3, ignore_index=2)
    t.add("cross_entropy_class", "cross_entropy", [logits, ints(2, 1, 0, 2, 2, 4, 3)], **real_class)
    one_row = dict(label_smoothing=0.1, ignore_index=None)
    t.add("cross_entropy_one_row", "cross_entropy", [R((1, 3)), ints(1)], **one_row)
    t.add("cross_entropy_wide", "cross_entropy", [R((2, 131), -3, 3), ints(130, 0)], **one_row)

    # Classes last, whatever lies between them and the batch; torch has them second.
    for name, args in {
        "plain": dict(label_smoothing=0.0, ignore_index=None),
        "both": dict(label_smoothing=0.1, ignore_index=-100),
    }.items():
        wanted = np.array([[2, -100, 0], [3, 3, -100]], np.int32)
        if args["ignore_index"] is None:
            wanted = R((2, 3), 0, 4, integer=True)
        t.add(f"cross_entropy_3d_{name}", "cross_entropy", [R((2, 3, 4), -3, 3), wanted], **args)
    log_probs = R((7, 5), -6, -0.01)
    t.add("nll", "nll", [log_probs, targets], second=True, ignore_index=None)
    t.add("nll_ignore", "nll", [log_probs, some_ignored], ignore_index=-100)
    t.add("nll_class", "nll", [log_probs, ints(2, 1, 0, 2, 2, 4, 3)], ignore_index=2)
    t.add("nll_3d", "nll", [R((2, 3, 4), -6, -0.01), R((2, 3), 0, 4, integer=True)], ignore_index=None)
    t.add("nll_one_row", "nll", [R((1, 3), -6, -0.01), ints(1)], ignore_index=None)
    for reduction in ["batchmean", "mean", "sum"]:
        plain = dict(reduction=reduction, log_target=False)
        t.add(f"kl_div_{reduction}", "kl_div", [R((4, 6), -6, -0.01), R((4, 6), 0.05, 1)], **plain)
        log = dict(reduction=reduction, log_target=True)
        t.add(f"kl_div_{reduction}_log", "kl_div", [R((4, 6), -6, -0.01), R((4, 6), -6, 0)], **log)
    # A probability of 0 has a term of 0; its gradient, log 0, is not asked for.
    some_zero = values(0, 1, 0.5, 0, 0.25, 0.25, 1, 0).reshape(4, 2)
    plain = dict(reduction="batchmean", log_target=False)
    t.add("kl_div_zero", "kl_div", [R((4, 2), -6, -0.01), some_zero], grads="a", **plain)

    pair = [R((4, 6)), R((4, 6))]
    close = [R((4, 6), -1, 1, 0.5), R((4, 6), -1, 1, 0.5)]
    t.add("mse", "mse", pair, second=True)
    t.add("mse_equal", "mse", close)
    t.add("l1", "l1", pair)
    t.add("l1_equal", "l1", close)
    for delta in [1.0, 0.5]:
        t.add(f"huber_{delta}", "huber", pair, delta=delta)
        t.add(f"huber_{delta}_points", "huber", close, delta=delta)
    for beta in [1.0, 0.5, 0.0]:
        t.add(f"smooth_l1_{beta}", "smooth_l1", pair, beta=beta)
        t.add(f"smooth_l1_{beta}_points", "smooth_l1", close, beta=beta)
    t.add("bce_with_logits", "bce_with_logits", [R((4, 6), -3, 3), R((4, 6), 0, 1)], second=True)
    far = values(-100, -50, -50, -20, -1, 0, 0, 1, 20, 50, 50, 100)
    hard = values(0, 0, 1, 1, 0, 1, 0.5, 0.25, 1, 1, 0, 1)
    t.add("bce_with_logits_far", "bce_with_logits", [far, hard])


def cases():
    table = Table()
    for family in [elementwise, binary, reductions, movement, matmuls, losses]:
        family(table)
    return table.cases
