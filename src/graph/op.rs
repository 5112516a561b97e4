//! The primitive operations. All others are composed of these, so that gradients and kernels follow.

use crate::shape::Shape;

/// Element type of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DType {
    /// 32-bit float; every value that has a gradient.
    F32,
    /// 32-bit integer: class targets and indices.
    I32,
}

/// An f32 that can be hashed and compared by its bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bits(u32);

impl Bits {
    /// The float these bits stand for.
    pub fn get(self) -> f32 {
        f32::from_bits(self.0)
    }
}

impl From<f32> for Bits {
    fn from(value: f32) -> Self {
        Bits(value.to_bits())
    }
}

/// Functions of one element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the functions")]
pub enum Unary {
    Neg,
    Exp,
    Log,
    Sqrt,
    Recip,
    Abs,
    Sign,
    Sin,
    Cos,
    Tanh,
    Sigmoid,
    Erf,
    Relu,
    LeakyRelu(Bits),
    Elu(Bits),
    /// log(1 + exp(beta x)) / beta, and x itself where beta x > threshold.
    Softplus(Bits, Bits),
    /// x to a constant power.
    PowConst(Bits),
    /// From i32 to f32.
    ToF32,
    /// From f32 to i32, towards 0.
    ToI32,
}

/// Functions of two elements; comparisons give 0 or 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the functions")]
pub enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    Min,
    Max,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

/// The function of a reduction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the functions")]
pub enum Fold {
    Sum,
    Max,
}

/// Options of the fused cross-entropy rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CrossEntropyAttrs {
    /// Weight of the uniform distribution in the target.
    pub label_smoothing: Bits,
    /// Rows with this target count neither in the loss nor in the gradient.
    pub ignore_index: Option<i32>,
}

/// Options of attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AttentionAttrs {
    /// A query attends to keys up to its own position only.
    pub causal: bool,
    /// Factor of q·k.
    pub scale: Bits,
    /// An input [n, heads, queries, keys] is added to the scores.
    pub masked: bool,
    /// An input [n, heads, queries, keys], the last, is multiplied with the weights.
    pub kept: bool,
}

/// Windows along an axis: element j of the window at position o is the input's coordinate
/// o·stride + j·dilation − padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Window {
    /// The axis of positions, or of the coordinates they stand for.
    pub axis: usize,
    /// The axis of a window's elements.
    pub element: usize,
    /// Distance from window to window.
    pub stride: usize,
    /// Distance from element to element.
    pub dilation: usize,
    /// The number of elements before the input at which the first window begins.
    pub padding: usize,
}

/// A view through windows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Windowed {
    /// From coordinates to positions, with a new last axis of elements. Elements outside the input are this number.
    Unfold(Bits),
    /// From positions to coordinates: each element at the coordinate it came from, 0 where there is none.
    Fold,
    /// From coordinates to positions, the transpose of `Fold`.
    FoldTranspose,
}

/// The words of the engine's step state, by index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// Steps done in this window.
    Done = 0,
    /// The open step within this window, from 1.
    Open = 1,
    /// Steps of the run before this window.
    Before = 2,
    /// The run's seed, low word.
    SeedLow = 3,
    /// The run's seed, high word.
    SeedHigh = 4,
    /// Training steps that the weights had seen before this window.
    Tracked = 5,
    /// Where steps may be skipped: the index in the optimizer's table of the row for the window's first update, if no step of
    /// the run is skipped.
    Lead = 6,
    /// Updates of this window, skipped ones included, where steps may be skipped.
    Updates = 7,
    /// The loss scale, a power of two. The device alone keeps this word and those up to `Row` from the first step on.
    Scale = 8,
    /// Steps since the scale last changed.
    Good = 9,
    /// Steps skipped so far because their gradients were not finite.
    Skipped = 10,
    /// Not 0 where the open step is skipped.
    Overflow = 11,
    /// The factor of the open step's gradients, as the bits of an f32.
    Factor = 12,
    /// The row of the table that the open step uses.
    Row = 13,
    /// The norm that gradients are clipped to, as the bits of an f32. The host writes it for each window of a clipped run.
    MaxNorm = 14,
}

impl Clock {
    /// Words in all.
    pub const WORDS: usize = 16;
    /// Words that the host writes for each window, beside [`Clock::MaxNorm`]; the device keeps the rest.
    pub const HOST_WORDS: usize = Clock::Scale as usize;
}

/// A node's operation. Shapes are in the node; inputs are already broadcast to them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Op {
    /// Data from outside, by name.
    Input(String),
    /// The i-th trainable tensor.
    Parameter(usize),
    /// The i-th running buffer.
    Buffer(usize),
    /// i32 \[16\], the words of the open step; see [`Clock`].
    Clock,
    /// inputs (clock): uniform in [0, 1), from seed, step, this stream's number and the element's index alone.
    Random(u32),
    /// The same number everywhere.
    Constant(Bits),
    /// The index along an axis, i32.
    Iota(usize),
    /// f(x)
    Unary(Unary),
    /// f(x, y)
    Binary(Binary),
    /// inputs (c, a, b): a where c is not 0, else b.
    Select,
    /// Folds axes, which stay as extents of 1.
    Reduce(Fold, Vec<usize>),
    /// [.., m, k] by [.., k, n], batch axes equal; the flags say that an operand is stored transposed.
    Matmul {
        /// The first operand is [.., k, m].
        trans_a: bool,
        /// The second operand is [.., n, k].
        trans_b: bool,
    },
    /// Same elements in the same order, other shape.
    Reshape,
    /// Output axis i is input axis `perm[i]`.
    Permute(Vec<usize>),
    /// NumPy broadcasting to the node's shape.
    Broadcast,
    /// A window that starts at these coordinates.
    Slice(Vec<usize>),
    /// Zeros around the input; the numbers before it on each axis.
    Pad(Vec<usize>),
    /// Inputs one after the other along an axis.
    Concat(usize),
    /// The input seen through windows along an axis.
    Window(Window, Windowed),
    /// inputs (x, index): x at the output's coordinates, with the axis taken from `index`.
    Gather(usize),
    /// inputs (logits [n, c], targets i32 \[n\]): the loss of each row, \[n\].
    CrossEntropy(CrossEntropyAttrs),
    /// inputs (q, k, v [n, t, heads, d], mask?, keep?): [n, tq, heads, d].
    Attention(AttentionAttrs),
    /// The same inputs: the largest score of each query, then the reciprocal sum of its exponentials, [2n, tq, heads].
    AttentionStats(AttentionAttrs),
    /// inputs (q, k, v, dout, stats [3n, tq, heads], mask?, keep?): the gradient of q.
    AttentionGradQ(AttentionAttrs),
    /// The same inputs: the gradients of k and of v, [2, n, tk, heads, d].
    AttentionGradKv(AttentionAttrs),
    /// inputs (q, k, v, dout, the statistics of the forward pass, its output, mask?, keep?): the gradient of q. The planner
    /// puts it in place of the two above where one kernel makes both.
    AttentionGrad(AttentionAttrs),
    /// The same inputs: the gradients of k and of v, made by the kernel of `AttentionGrad`.
    AttentionGradBeside(AttentionAttrs),
    /// inputs (x [rows, width], head \[segments\], next \[rows\]): sums of the chains of rows, [segments, width].
    SegmentSum,
    /// inputs (logits, targets, upstream \[n\]): gradient for the logits, [n, c].
    CrossEntropyGrad(CrossEntropyAttrs),
}

impl Op {
    /// True for an op that only rearranges elements. Any kernel that reads it computes indices instead.
    pub fn is_view(&self) -> bool {
        matches!(
            self,
            Op::Reshape
                | Op::Permute(_)
                | Op::Broadcast
                | Op::Slice(_)
                | Op::Pad(_)
                | Op::Concat(_)
                | Op::Window(..)
                | Op::Gather(_)
        )
    }

    /// True for an op whose value may be materialized; a constant or an index is printed instead.
    pub fn has_value(&self) -> bool {
        !matches!(self, Op::Constant(_) | Op::Iota(_))
    }

    /// The number of first inputs that the op's own kernel reads from memory; the others are printed.
    pub fn direct_inputs(&self) -> usize {
        match self {
            Op::Matmul { .. } | Op::CrossEntropy(_) | Op::CrossEntropyGrad(_) => 2,
            Op::Attention(_) | Op::AttentionStats(_) | Op::SegmentSum => 3,
            Op::AttentionGradQ(_) | Op::AttentionGradKv(_) => 5,
            Op::AttentionGrad(_) | Op::AttentionGradBeside(_) => 6,
            _ => 0,
        }
    }

    /// True for an op that computes each element from the inputs' elements at the same place.
    pub fn is_elementwise(&self) -> bool {
        matches!(self, Op::Unary(_) | Op::Binary(_) | Op::Select)
    }

    /// A short name for tables.
    pub fn name(&self) -> String {
        match self {
            Op::Input(name) => format!("input {name}"),
            Op::Unary(u) => format!("{u:?}").split('(').next().unwrap_or_default().to_lowercase(),
            Op::Binary(b) => format!("{b:?}").to_lowercase(),
            Op::Reduce(Fold::Sum, _) => "sum".into(),
            Op::Reduce(Fold::Max, _) => "amax".into(),
            Op::Attention(_) => "attention".into(),
            Op::AttentionStats(_) => "attention softmax statistics".into(),
            Op::AttentionGradQ(_) => "attention gradient q".into(),
            Op::AttentionGradKv(_) => "attention gradient k v".into(),
            Op::AttentionGrad(_) | Op::AttentionGradBeside(_) => "attention gradient".into(),
            Op::SegmentSum => "segment_sum".into(),
            Op::CrossEntropy(_) => "cross_entropy".into(),
            Op::CrossEntropyGrad(_) => "cross_entropy_grad".into(),
            other => {
                let text = format!("{other:?}");
                text.split(['(', ' ']).next().unwrap_or_default().to_lowercase()
            }
        }
    }
}

/// Index of a node in its graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(pub usize);

/// An operation with its inputs and its result's shape and type.
#[derive(Debug, Clone)]
pub struct Node {
    /// The operation.
    pub op: Op,
    /// The nodes it reads.
    pub inputs: Vec<NodeId>,
    /// Shape of the result.
    pub shape: Shape,
    /// Element type of the result.
    pub dtype: DType,
    /// The layer that made it, e.g. `3 (linear)`; empty outside layers.
    pub scope: String,
    /// The node must be materialized in memory.
    pub materialized: bool,
    /// The node lies in memory as f16. The planner decides it in its own copy of the nodes.
    pub half: bool,
}
