//! The ops of a tensor library, in a list: one dispatch each, over whole arrays.

use crate::error::Result;
use crate::graph::{Graph, Tensor};
use crate::kernel::Target;
use crate::plan::{Plan, Ring, Sink, Step};

/// An op of `shaders/bench/elementwise.wgsl`; its number is the kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Op {
    /// x <- x s
    Mul,
    /// x <- x + s
    Add,
    /// x <- x + s (a - x)
    Lerp,
    /// x <- x + s a
    AddScaled,
    /// x <- x + s a b
    AddProduct,
    /// x <- x + s a / b
    AddQuotient,
    /// x <- sqrt(x)
    Sqrt,
    /// x <- x a
    MulBy,
    /// x <- x / a
    DivBy,
    /// x <- max(x, a)
    Max,
    /// x <- abs(a)
    AbsOf,
    /// x <- sign(x)
    Sign,
    /// x <- s / x
    Over,
    /// x <- a + s b
    SumOf,
    /// x <- sqrt(a)
    SqrtOf,
    /// x <- a + s
    ShiftOf,
    /// x <- a s
    ScaleOf,
    /// x <- a + s (b - a)
    LerpOf,
    /// x <- a / b
    QuotientOf,
    /// x <- x / s
    Div,
    /// x <- max(x, s)
    AtLeast,
    /// x <- 1 / sqrt(x)
    OverRoot,
    /// x <- x x
    Square,
}

impl Op {
    /// True for each of x, a and b that it reads.
    pub fn reads(self) -> [bool; 3] {
        match self {
            Op::Mul
            | Op::Add
            | Op::Sqrt
            | Op::Sign
            | Op::Over
            | Op::Div
            | Op::AtLeast
            | Op::OverRoot
            | Op::Square => [true, false, false],
            Op::Lerp | Op::AddScaled | Op::MulBy | Op::DivBy | Op::Max => [true, true, false],
            Op::AddProduct | Op::AddQuotient => [true, true, true],
            Op::AbsOf | Op::SqrtOf | Op::ShiftOf | Op::ScaleOf => [false, true, false],
            Op::SumOf | Op::LerpOf | Op::QuotientOf => [false, true, true],
        }
    }
}

/// Adafactor's running means, as torch names them.
pub(super) const ROW_VAR: &str = "row_var";
/// See [`ROW_VAR`].
pub(super) const COL_VAR: &str = "col_var";

/// Temporaries as long as the tensor.
pub(super) const TEMPORARIES: usize = 3;
/// g + decay w
pub(super) const DECAYED: Array = Array::Temporary(0);
/// The divisor of a step.
pub(super) const DENOM: Array = Array::Temporary(1);
/// The step.
pub(super) const STEP: Array = Array::Temporary(2);

/// An array that an op works on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Array {
    Param,
    Grad,
    /// A slot by torch's name.
    Slot(&'static str),
    /// An array that a tensor library allocates for the time of the update.
    Temporary(usize),
}

/// The number of an op.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Number {
    Plain(f32),
    /// The first number of an array, which the device computed.
    Of(Array),
}

/// One dispatch: an op, the array x that it changes, the arrays a and b that it reads, its number.
#[derive(Debug, Clone, Copy)]
pub(super) struct Call {
    pub op: Op,
    pub x: Array,
    pub a: Array,
    pub b: Array,
    pub s: Number,
}

impl Call {
    /// Bytes moved for each number of x.
    pub fn bytes(&self) -> u32 {
        let [x, a, b] = self.op.reads();
        let twice = b && self.a == self.b;
        4 * (1 + u32::from(x) + u32::from(a) + u32::from(b && !twice))
    }
}

/// An op that looks at more than one element: a norm, a mean, a product. The engine's own kernel for it.
#[derive(Debug, Clone)]
pub(super) struct Made {
    pub plan: Plan,
    /// The inputs of the plan, named by their numbers.
    pub inputs: Vec<Array>,
    pub output: Array,
}

/// The buffer of what a plan makes.
pub(super) const OUTPUT: &str = "made";

/// An entry of the list.
#[derive(Debug, Clone)]
pub(super) enum Task {
    Call(Call),
    Made(Box<Made>),
}

/// Ops in order, on the arrays of a tensor.
#[derive(Debug, Clone)]
pub(super) struct List {
    pub tasks: Vec<Task>,
    /// Rows and columns of the tensor.
    pub shape: [usize; 2],
    target: Target,
    /// Numbers of each temporary.
    lengths: Vec<usize>,
}

impl List {
    /// An empty list, with [`TEMPORARIES`] as long as the tensor.
    pub fn new(shape: [usize; 2], target: Target) -> List {
        let lengths = vec![shape[0] * shape[1]; TEMPORARIES];
        List { tasks: Vec::new(), shape, target, lengths }
    }

    /// A new temporary of this many numbers.
    pub fn temporary(&mut self, numbers: usize) -> Array {
        self.lengths.push(numbers);
        Array::Temporary(self.lengths.len() - 1)
    }

    /// Numbers of an array.
    pub fn length(&self, array: Array) -> usize {
        match array {
            Array::Temporary(i) => self.lengths[i],
            Array::Slot(ROW_VAR) => self.shape[0],
            Array::Slot(COL_VAR) => self.shape[1],
            Array::Param | Array::Grad | Array::Slot(_) => self.shape[0] * self.shape[1],
        }
    }

    /// Appends an op. An array that it does not read is x itself, for which nothing is bound.
    pub fn push<const N: usize>(&mut self, op: Op, x: Array, read: [Array; N], s: f64) {
        self.call(op, x, read, Number::Plain(s as f32));
    }

    /// The same with a number of any kind.
    pub fn call<const N: usize>(&mut self, op: Op, x: Array, read: [Array; N], s: Number) {
        let at = |i: usize| read.get(i).copied().unwrap_or(x);
        self.tasks.push(Task::Call(Call { op, x, a: at(0), b: at(1), s }));
    }

    /// v <- beta v + (1 - beta) g g
    pub fn square_average(&mut self, v: Array, g: Array, beta: f64) {
        self.push(Op::Mul, v, [], beta);
        self.push(Op::AddProduct, v, [g, g], 1.0 - beta);
    }

    /// Appends `formula` of arrays in these shapes. Its result is a temporary of its own.
    ///
    /// # Errors
    /// A shape error of the formula.
    pub fn make<const N: usize>(
        &mut self,
        inputs: [(Array, [usize; 2]); N],
        formula: impl FnOnce([Tensor; N]) -> Tensor,
    ) -> Result<Array> {
        let output = self.temporary(0);
        self.make_in(output, inputs, formula)?;
        Ok(output)
    }

    /// The same with the result in the temporary `output`, which grows to the length of the result.
    ///
    /// # Errors
    /// As [`List::make`].
    pub fn make_in<const N: usize>(
        &mut self,
        output: Array,
        inputs: [(Array, [usize; 2]); N],
        formula: impl FnOnce([Tensor; N]) -> Tensor,
    ) -> Result<()> {
        let graph = Graph::new();
        let tensors = std::array::from_fn(|i| graph.input(&i.to_string(), inputs[i].1));
        let made = formula(tensors);
        if let Array::Temporary(i) = output {
            self.lengths[i] = self.lengths[i].max(made.shape().iter().product());
        }
        let sinks = [(made, Sink::Buffer(OUTPUT.into()))];
        let plan = Plan::new(&graph, &sinks, Ring { columns: 0, rows: 0 }, self.target)?;
        let inputs = inputs.map(|(array, _)| array).to_vec();
        self.tasks.push(Task::Made(Box::new(Made { plan, inputs, output })));
        Ok(())
    }

    /// The number of dispatches.
    pub fn dispatches(&self) -> usize {
        let of = |task: &Task| match task {
            Task::Call(_) => 1,
            Task::Made(made) => made.plan.steps.len(),
        };
        self.tasks.iter().map(of).sum()
    }

    /// Bytes that all dispatches move.
    pub fn bytes(&self) -> u64 {
        let of = |task: &Task| match task {
            Task::Call(call) => u64::from(call.bytes()) * self.length(call.x) as u64,
            Task::Made(made) => made.plan.steps.iter().map(Step::bytes).sum(),
        };
        self.tasks.iter().map(of).sum()
    }

    /// Its elementwise ops; `None` where it has others.
    #[cfg(test)]
    pub fn calls(&self) -> Option<Vec<Call>> {
        let of = |task: &Task| match task {
            Task::Call(call) => Some(*call),
            Task::Made(_) => None,
        };
        self.tasks.iter().map(of).collect()
    }
}
