//! Prints an expression of the graph as WGSL: elementwise ops become statements, views become index
//! arithmetic, materialised nodes become loads.

use std::collections::HashMap;
use std::fmt::Write;

use crate::graph::{Binary, DType, Node, NodeId, Op, Unary};
use crate::shape::Shape;

/// Where in a tensor an element lies.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// By its row-major index, an expression in u32.
    Linear(String),
    /// By a coordinate for each axis, expressions in u32.
    Axes(Vec<String>),
}

/// Prints statements into one WGSL function.
pub struct Printer<'a> {
    nodes: &'a [Node],
    stored: &'a dyn Fn(NodeId) -> bool,
    accumulator: Option<NodeId>,
    beside: Option<NodeId>,
    inputs: Vec<NodeId>,
    body: String,
    next: usize,
    known: HashMap<(NodeId, Place), String>,
    splits: HashMap<(String, Shape), Vec<String>>,
    flops: u64,
}

/// A printed function body, with what it reads.
pub struct Printed {
    /// WGSL statements, ending without a return.
    pub body: String,
    /// The value.
    pub value: String,
    /// Nodes read, in the order of their bindings `in0`, `in1`, …
    pub inputs: Vec<NodeId>,
    /// Floating-point operations for each element.
    pub flops: u64,
}

/// A float as a WGSL literal; what is not finite goes through bits that the compiler does not fold.
fn literal(x: f32) -> String {
    if x.is_finite() {
        format!("{x:?}f")
    } else if x.is_nan() {
        "bitcast<f32>(nan_bits)".into()
    } else {
        format!("{}bitcast<f32>(infinity_bits)", if x < 0.0 { "-" } else { "" })
    }
}

impl<'a> Printer<'a> {
    /// A printer over `nodes`; those for which `stored` holds are loaded, `accumulator` is the variable `acc`.
    pub fn new(
        nodes: &'a [Node],
        stored: &'a dyn Fn(NodeId) -> bool,
        accumulator: Option<NodeId>,
        inputs: Vec<NodeId>,
    ) -> Self {
        Printer {
            nodes,
            stored,
            accumulator,
            beside: None,
            inputs,
            body: String::new(),
            next: 0,
            known: HashMap::new(),
            splits: HashMap::new(),
            flops: 0,
        }
    }

    /// Writes the value of `node`, at the index `i`, to the second output on the way.
    pub fn beside(mut self, node: Option<NodeId>) -> Self {
        self.beside = node;
        if node.is_some() && node == self.accumulator {
            self.write_beside("acc");
        }
        self
    }

    fn write_beside(&mut self, value: &str) {
        self.beside = None;
        let _ = writeln!(self.body, "    out2[i] = {value};");
    }

    /// Prints the value of `node` at `place` and gives back what was printed.
    pub fn finish(mut self, node: NodeId, place: Place) -> Printed {
        let value = self.value(node, &place);
        Printed { body: self.body, value, inputs: self.inputs, flops: self.flops }
    }

    fn bind(&mut self, expr: &str) -> String {
        let name = format!("v{}", self.next);
        self.next += 1;
        let _ = writeln!(self.body, "    let {name} = {expr};");
        name
    }

    fn axes(&mut self, place: &Place, shape: &Shape) -> Vec<String> {
        match place {
            Place::Axes(axes) => axes.clone(),
            Place::Linear(index) => self.split(index, shape),
        }
    }

    /// Coordinates of a row-major index.
    pub fn split(&mut self, index: &str, shape: &Shape) -> Vec<String> {
        let key = (index.to_owned(), shape.clone());
        if let Some(axes) = self.splits.get(&key) {
            return axes.clone();
        }
        let strides = shape.strides();
        let mut outermost = true;
        let mut axes = Vec::with_capacity(shape.len());
        for (&dim, stride) in shape.iter().zip(strides) {
            if dim == 1 {
                axes.push("0u".to_owned());
                continue;
            }
            let mut expr = index.to_owned();
            if stride != 1 {
                expr = format!("{expr} / {stride}u");
            }
            if !outermost {
                expr = format!("({expr}) % {dim}u");
            }
            outermost = false;
            axes.push(if expr == index { expr } else { self.bind(&expr) });
        }
        self.splits.insert(key, axes.clone());
        axes
    }

    fn linear(&mut self, place: &Place, shape: &Shape) -> String {
        match place {
            Place::Linear(index) => index.clone(),
            Place::Axes(axes) => {
                let strides = shape.strides();
                let terms: Vec<String> = axes
                    .iter()
                    .zip(shape.iter().zip(strides))
                    .filter(|(c, (d, _))| **d != 1 && *c != "0u")
                    .map(|(c, (_, s))| if s == 1 { c.clone() } else { format!("{c} * {s}u") })
                    .collect();
                if terms.is_empty() { "0u".into() } else { terms.join(" + ") }
            }
        }
    }

    fn value(&mut self, id: NodeId, place: &Place) -> String {
        if self.accumulator == Some(id) {
            return "acc".into();
        }
        let key = (id, place.clone());
        if let Some(name) = self.known.get(&key) {
            return name.clone();
        }
        let name = self.print(id, place);
        if self.beside == Some(id) {
            self.write_beside(&name);
        }
        self.known.insert(key, name.clone());
        name
    }

    fn print(&mut self, id: NodeId, place: &Place) -> String {
        let nodes = self.nodes;
        let node = &nodes[id.0];
        if (self.stored)(id) {
            let slot = match self.inputs.iter().position(|&n| n == id) {
                Some(slot) => slot,
                None => {
                    self.inputs.push(id);
                    self.inputs.len() - 1
                }
            };
            let index = self.linear(place, &node.shape);
            return self.bind(&format!("in{slot}[{index}]"));
        }
        let input = |i: usize| node.inputs[i];
        match &node.op {
            Op::Constant(bits) => literal(bits.get()),
            Op::Iota(axis) => {
                let axes = self.axes(place, &node.shape);
                format!("i32({})", axes[*axis])
            }
            Op::Unary(op) => {
                let x = self.value(input(0), place);
                self.flops += unary_cost(*op);
                self.bind(&unary(*op, &x))
            }
            Op::Binary(op) => {
                let a = self.value(input(0), place);
                let b = self.value(input(1), place);
                self.flops += 1;
                self.bind(&binary(*op, &a, &b))
            }
            Op::Select => {
                let c = self.value(input(0), place);
                let a = self.value(input(1), place);
                let b = self.value(input(2), place);
                self.flops += 1;
                self.bind(&format!("select({b}, {a}, {c} != 0.0f)"))
            }
            Op::Reshape => {
                let inner = &nodes[input(0).0].shape;
                let place = match place {
                    Place::Linear(_) => place.clone(),
                    Place::Axes(axes) => self.reshaped(axes, &node.shape, inner),
                };
                self.value(input(0), &place)
            }
            Op::Permute(perm) => {
                let axes = self.axes(place, &node.shape);
                let mut inner = vec![String::new(); perm.len()];
                for (i, &p) in perm.iter().enumerate() {
                    inner[p] = axes[i].clone();
                }
                self.value(input(0), &Place::Axes(inner))
            }
            Op::Broadcast => {
                let inner = &nodes[input(0).0].shape;
                if inner.elements() == 1 {
                    return self.value(input(0), &Place::Linear("0u".into()));
                }
                let axes = self.axes(place, &node.shape);
                let extra = axes.len() - inner.len();
                let inner = inner
                    .iter()
                    .zip(&axes[extra..])
                    .map(|(&d, c)| if d == 1 { "0u".into() } else { c.clone() })
                    .collect();
                self.value(input(0), &Place::Axes(inner))
            }
            Op::Slice(starts) => {
                let axes = self.axes(place, &node.shape);
                let inner = axes
                    .iter()
                    .zip(starts)
                    .map(|(c, &s)| if s == 0 { c.clone() } else { format!("({c} + {s}u)") })
                    .collect();
                self.value(input(0), &Place::Axes(inner))
            }
            Op::Pad(before) => {
                let axes = self.axes(place, &node.shape);
                let inner = &nodes[input(0).0].shape;
                let mut inside = Vec::new();
                let mut coords = Vec::new();
                for (i, c) in axes.iter().enumerate() {
                    let (clamped, test) = self.window(c, before[i], inner[i], node.shape[i]);
                    coords.push(clamped);
                    inside.extend(test);
                }
                let v = self.value(input(0), &Place::Axes(coords));
                if inside.is_empty() {
                    v
                } else {
                    self.bind(&format!("select(0.0f, {v}, {})", inside.join(" && ")))
                }
            }
            Op::Concat(axis) => {
                let axes = self.axes(place, &node.shape);
                let mut start = 0;
                let mut value = String::new();
                for &part in &node.inputs {
                    let extent = nodes[part.0].shape[*axis];
                    let (clamped, test) = self.window(&axes[*axis], start, extent, node.shape[*axis]);
                    let mut coords = axes.clone();
                    coords[*axis] = clamped;
                    let v = self.value(part, &Place::Axes(coords));
                    value = match (value.is_empty(), test) {
                        (false, Some(test)) => self.bind(&format!("select({value}, {v}, {test})")),
                        _ => v,
                    };
                    start += extent;
                }
                value
            }
            Op::Gather(axis) => {
                let axes = self.axes(place, &node.shape);
                let index = self.value(input(1), place);
                let last = nodes[input(0).0].shape[*axis] - 1;
                let mut coords = axes;
                coords[*axis] = self.bind(&format!("u32(clamp({index}, 0i, {last}i))"));
                self.value(input(0), &Place::Axes(coords))
            }
            Op::Input(_)
            | Op::Parameter(_)
            | Op::Reduce(..)
            | Op::Matmul { .. }
            | Op::CrossEntropy(_)
            | Op::CrossEntropyGrad(_) => unreachable!("{} is stored before it is read", node.op.name()),
        }
    }

    /// Coordinate `c` seen from a window of `extent` at `start`: clamped into it, and the test for being inside.
    fn window(&mut self, c: &str, start: usize, extent: usize, outer: usize) -> (String, Option<String>) {
        if start == 0 && extent == outer {
            return (c.to_owned(), None);
        }
        // Before the window the difference wraps to a huge number, which the minimum brings back.
        let shifted = if start == 0 { c.to_owned() } else { self.bind(&format!("{c} - {start}u")) };
        let clamped = self.bind(&format!("min({shifted}, {}u)", extent - 1));
        (clamped, Some(format!("{shifted} < {extent}u")))
    }

    /// Coordinates of the same element under another shape; extents of 1 come and go for free.
    fn reshaped(&mut self, axes: &[String], outer: &Shape, inner: &Shape) -> Place {
        let wide = |s: &Shape| s.iter().copied().filter(|&d| d != 1).collect::<Vec<_>>();
        if wide(outer) != wide(inner) {
            let index = self.linear(&Place::Axes(axes.to_vec()), outer);
            let index = self.bind(&index);
            return Place::Linear(index);
        }
        let mut kept = axes.iter().zip(outer.iter()).filter(|(_, d)| **d != 1).map(|(c, _)| c.clone());
        let inner = inner
            .iter()
            .map(|&d| if d == 1 { "0u".to_owned() } else { kept.next().unwrap_or_default() })
            .collect();
        Place::Axes(inner)
    }
}

/// The type aliases of the inputs: `alias T0 = f32;` …
pub fn input_types(nodes: &[Node], inputs: &[NodeId]) -> String {
    (0..super::MAX_INPUTS)
        .map(|i| {
            let integer = inputs.get(i).is_some_and(|n| nodes[n.0].dtype == DType::I32);
            format!("alias T{i} = {};\n", if integer { "i32" } else { "f32" })
        })
        .collect()
}

/// Rough cost of a function in floating-point operations.
pub fn unary_cost(op: Unary) -> u64 {
    match op {
        Unary::Neg | Unary::Abs | Unary::Sign | Unary::Relu | Unary::LeakyRelu(_) | Unary::ToF32 => 1,
        Unary::Sqrt | Unary::Recip => 2,
        _ => 8,
    }
}

fn unary(op: Unary, x: &str) -> String {
    match op {
        Unary::Neg => format!("-({x})"),
        Unary::Exp => format!("exp_({x})"),
        Unary::Log => format!("log_({x})"),
        Unary::Sqrt => format!("sqrt({x})"),
        Unary::Recip => format!("1.0f / {x}"),
        Unary::Abs => format!("abs({x})"),
        Unary::Sign => format!("sign({x})"),
        Unary::Sin => format!("sin_({x})"),
        Unary::Cos => format!("cos_({x})"),
        Unary::Tanh => format!("tanh_({x})"),
        Unary::Sigmoid => format!("sigmoid({x})"),
        Unary::Erf => format!("erf({x})"),
        Unary::Relu => format!("select({x}, 0.0f, {x} <= 0.0f)"),
        Unary::LeakyRelu(s) => format!("select({x} * {}, {x}, {x} > 0.0f)", literal(s.get())),
        Unary::Elu(a) => format!("elu({x}, {})", literal(a.get())),
        Unary::Softplus(b, t) => format!("softplus({x}, {}, {})", literal(b.get()), literal(t.get())),
        Unary::PowConst(c) => match c.get() {
            3.0 => format!("{x} * {x} * {x}"),
            4.0 => format!("({x} * {x}) * ({x} * {x})"),
            -2.0 => format!("1.0f / ({x} * {x})"),
            -0.5 => format!("1.0f / sqrt({x})"),
            c => format!("pow_({x}, {})", literal(c)),
        },
        Unary::ToF32 => format!("f32({x})"),
    }
}

fn binary(op: Binary, a: &str, b: &str) -> String {
    let compare = |sign: &str| format!("select(0.0f, 1.0f, {a} {sign} {b})");
    match op {
        Binary::Add => format!("{a} + {b}"),
        Binary::Sub => format!("{a} - {b}"),
        Binary::Mul => format!("{a} * {b}"),
        Binary::Div => format!("{a} / {b}"),
        Binary::Pow => format!("pow_({a}, {b})"),
        Binary::Min => format!("minimum({a}, {b})"),
        Binary::Max => format!("maximum({a}, {b})"),
        Binary::Eq => compare("=="),
        Binary::Ne => compare("!="),
        Binary::Lt => compare("<"),
        Binary::Le => compare("<="),
        Binary::Gt => compare(">"),
        Binary::Ge => compare(">="),
    }
}
