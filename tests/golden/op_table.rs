//! Op name in a golden file -> the engine's op, and how far from f64 it may be.

use downhill::Tensor;
use downhill::nn::loss;
use serde::Deserialize;
use serde_json::{Map, Value};

/// One row of `ops.json`.
#[derive(Deserialize)]
pub struct Case {
    pub name: String,
    pub op: String,
    pub family: String,
    /// Names of the inputs in order.
    pub inputs: Vec<String>,
    pub args: Map<String, Value>,
    /// The inputs whose gradient is stored.
    pub grads: Vec<String>,
    /// Whether the gradient of the gradients is stored too.
    pub second: bool,
}

impl Case {
    fn arg(&self, key: &str) -> &Value {
        self.args.get(key).unwrap_or_else(|| panic!("{}: no argument {key}", self.name))
    }

    fn parse<T: serde::de::DeserializeOwned>(&self, key: &str) -> T {
        serde_json::from_value(self.arg(key).clone()).unwrap_or_else(|e| panic!("{}: {key}: {e}", self.name))
    }

    fn number(&self, key: &str) -> f32 {
        self.parse::<f64>(key) as f32
    }

    fn axis(&self, key: &str) -> isize {
        self.parse(key)
    }

    fn axes(&self) -> Vec<isize> {
        self.parse("axes")
    }

    fn size(&self, key: &str) -> usize {
        self.parse(key)
    }

    fn shape(&self) -> Vec<usize> {
        self.parse("shape")
    }

    fn flag(&self, key: &str) -> bool {
        self.parse(key)
    }
}

/// Every op that must have a case: the public list.
pub const OPS: &[&str] = &[
    "abs",
    "add",
    "add_scalar",
    "amax",
    "bce_with_logits",
    "broadcast_to",
    "clamp",
    "concat",
    "cos",
    "cross_entropy",
    "detach",
    "div",
    "elu",
    "eq",
    "exp",
    "gather",
    "ge",
    "gelu",
    "gelu_tanh",
    "gt",
    "huber",
    "index_select",
    "kl_div",
    "l1",
    "le",
    "leaky_relu",
    "log",
    "log_softmax",
    "logsumexp",
    "lt",
    "matmul",
    "maximum",
    "mean",
    "mean_all",
    "minimum",
    "mse",
    "mul",
    "mul_scalar",
    "ne",
    "neg",
    "nll",
    "one_hot",
    "operators",
    "permute",
    "pow",
    "pow_scalar",
    "recip",
    "relu",
    "reshape",
    "select",
    "select_lt",
    "sigmoid",
    "silu",
    "sin",
    "slice",
    "smooth_l1",
    "softmax",
    "softplus",
    "sqrt",
    "square",
    "sub",
    "sum",
    "sum_all",
    "tanh",
    "to_i32",
    "transpose",
];

/// The case's op applied to its inputs.
pub fn build(case: &Case, t: &[Tensor]) -> Tensor {
    let (x, y) = (&t[0], t.last().expect("an op has an input"));
    match case.op.as_str() {
        "add" => x.add(y),
        "sub" => x.sub(y),
        "mul" => x.mul(y),
        "div" => x.div(y),
        "pow" => x.pow(y),
        "minimum" => x.minimum(y),
        "maximum" => x.maximum(y),
        "operators" => -(2.0 - x) / (y + 1.5) * x - 0.5,
        "add_scalar" => x.add_scalar(case.number("value")),
        "mul_scalar" => x.mul_scalar(case.number("value")),
        "pow_scalar" => x.pow_scalar(case.number("value")),
        "neg" => x.neg(),
        "exp" => x.exp(),
        "log" => x.log(),
        "sqrt" => x.sqrt(),
        "abs" => x.abs(),
        "sin" => x.sin(),
        "cos" => x.cos(),
        "tanh" => x.tanh(),
        "sigmoid" => x.sigmoid(),
        "relu" => x.relu(),
        "silu" => x.silu(),
        "gelu" => x.gelu(),
        "gelu_tanh" => x.gelu_tanh(),
        "square" => x.square(),
        "recip" => x.recip(),
        "leaky_relu" => x.leaky_relu(case.number("slope")),
        "elu" => x.elu(case.number("alpha")),
        "softplus" => x.softplus(case.number("beta"), case.number("threshold")),
        "clamp" => x.clamp(case.number("min"), case.number("max")),
        "eq" => x.eq(y),
        "ne" => x.ne(y),
        "lt" => x.lt(y),
        "le" => x.le(y),
        "gt" => x.gt(y),
        "ge" => x.ge(y),
        "select" => x.select(&t[1], &t[2]),
        "select_lt" => x.lt(y).select(&x.mul_scalar(2.0), y),
        "sum" => x.sum(&case.axes(), case.flag("keepdim")),
        "mean" => x.mean(&case.axes(), case.flag("keepdim")),
        "amax" => x.amax(&case.axes(), case.flag("keepdim")),
        "logsumexp" => x.logsumexp(&case.axes(), case.flag("keepdim")),
        "sum_all" => x.sum_all(),
        "mean_all" => x.mean_all(),
        "softmax" => x.softmax(&case.axes()),
        "log_softmax" => x.log_softmax(&case.axes()),
        "reshape" => x.reshape(case.shape()),
        "transpose" => x.transpose(case.axis("a"), case.axis("b")),
        "permute" => x.permute(&case.parse::<Vec<usize>>("axes")),
        "slice" => x.slice(case.axis("axis"), case.size("start"), case.size("end")),
        "broadcast_to" => x.broadcast_to(case.shape()),
        "concat" => Tensor::concat(&t.iter().collect::<Vec<_>>(), case.axis("axis")),
        "gather" => x.gather(case.axis("axis"), y),
        "index_select" => x.index_select(case.axis("axis"), y),
        "to_i32" => x.to_i32().to_f32(),
        "one_hot" => x.one_hot(case.size("classes")),
        "detach" => x.detach().mul(x),
        "matmul" => match (case.flag("transpose_a"), case.flag("transpose_b")) {
            (false, false) => x.matmul(y),
            (false, true) => x.matmul(&y.transpose(-1, -2)),
            (true, false) => x.transpose(-1, -2).matmul(y),
            (true, true) => x.transpose(-1, -2).matmul(&y.transpose(-1, -2)),
        },
        "cross_entropy" => {
            let label_smoothing = case.number("label_smoothing");
            let ignore_index = case.parse::<Option<i32>>("ignore_index");
            loss::cross_entropy(x, y, &loss::CrossEntropy { label_smoothing, ignore_index })
        }
        "nll" => loss::nll(x, y, &loss::Nll { ignore_index: case.parse("ignore_index") }),
        "kl_div" => {
            let (reduction, log_target) = (case.parse("reduction"), case.flag("log_target"));
            loss::kl_div(x, y, &loss::KlDiv { reduction, log_target })
        }
        "smooth_l1" => loss::smooth_l1(x, y, case.number("beta")),
        "mse" => loss::mse(x, y),
        "l1" => loss::l1(x, y),
        "huber" => loss::huber(x, y, case.number("delta")),
        "bce_with_logits" => loss::bce_with_logits(x, y),
        other => panic!("{}: no op {other} in the dispatch table", case.name),
    }
}

/// How far an op may be from f64: `relative` times the stored scale, plus `floor` times the largest
/// upstream weight; both in roundoffs, 2⁻²⁴.
pub struct Tolerance {
    pub relative: f64,
    pub floor: f64,
}

/// The scale of a value is |y| + Σ |∂y/∂xⱼ| |xⱼ| over all that goes in (see `ops.py`), so one rounding of an
/// input, and one of the result, each cost at most one roundoff of it. `relative` counts the roundings:
///
/// | | why |
/// |---|---|
/// | 8 | a few exact operations; a broadcast operand's gradient sums at most 24 terms |
/// | 16 | WGSL allows a division 2.5 ulp, 5 roundoffs, and the gradient of a quotient holds three |
/// | 32 | sums of up to 259 terms in any order: √n in practice, n/2 at worst. `exp` is allowed 3 + 2\|x\| ulp, of which the scale holds the \|x\|; `log` an absolute 2⁻²¹ near 1, 8 roundoffs of a scale of 1 + \|ln x\|; `sin` and `cos` a few ulp on any adapter that is of use |
/// | 64 | two or three of these after one another, with a division |
/// | 128 | `pow` is exp2(y·log2 x): the error of the logarithm times y, on each of value and gradients |
///
/// That is 5e-7 to 8e-6; leaving out a term, or taking the wrong side of a tie, costs 1e-2 or more.
/// `floor` is for formulas that go through numbers near 1 on the way to a small result, 1 − tanh², 1 + erf
/// or ln(1 + e^−20): these have an absolute error of a few roundoffs whatever the result. `gelu`
/// multiplies that of erf (1.5e-7 in the usual polynomial) by x; a softmax subtracts a logarithm of
/// 1 + small terms.
pub fn tolerance(op: &str) -> Tolerance {
    let (relative, floor) = match op {
        "div" | "recip" | "sqrt" | "operators" => (16.0, 0.0),
        "sum" | "sum_all" | "mean" | "mean_all" | "matmul" | "exp" | "log" => (32.0, 0.0),
        "sin" | "cos" => (32.0, 8.0),
        "mse" | "l1" | "huber" | "smooth_l1" | "nll" | "kl_div" => (64.0, 0.0),
        "tanh" | "sigmoid" | "silu" | "softplus" | "elu" | "bce_with_logits" => (64.0, 8.0),
        "softmax" | "log_softmax" | "logsumexp" | "cross_entropy" | "gelu" | "gelu_tanh" => (64.0, 16.0),
        "pow" | "pow_scalar" => (128.0, 0.0),
        _ => (8.0, 0.0),
    };
    Tolerance { relative, floor }
}
