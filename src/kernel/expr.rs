//! Prints any expression of elementwise ops and views as WGSL statements: the only place where kernels' text is assembled.
//!
//! An elementwise op becomes a statement, a view (reshape, permute, broadcast, slice, pad, concat, gather, iota) becomes
//! index arithmetic, and a value in memory becomes a load. The same text fills the body of a chain (`chain.wgsl`), the
//! input and the end of a reduction, the epilogue of a matmul and the upstream gradient of cross-entropy. A `place` slot
//! sends a scalar to the ring of step metrics. So bias, activation, the activation's derivative and `x - max` never cost a
//! dispatch of their own, and a new elementwise op fuses everywhere once it can be printed. Every loop is hand-written
//! WGSL.

use std::collections::HashMap;

use super::functions::{binary, literal, unary, unary_cost};
use crate::graph::{Clock, DType, Node, NodeId, Op, Window, Windowed};
use crate::shape::Shape;

/// The position of an element in a tensor.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Coordinates {
    /// Its row-major index, an expression in u32.
    Linear(String),
    /// A coordinate for each axis, expressions in u32.
    Axes(Vec<String>),
}

/// A line of a printed body.
#[derive(Debug, Clone)]
pub struct Statement {
    /// The name it binds, if it binds one.
    pub name: Option<String>,
    /// True for a u32 from which addresses are computed.
    pub index: bool,
    /// Its right side.
    pub text: String,
}

impl Statement {
    /// The statement as a line of WGSL.
    pub fn line(&self) -> String {
        match &self.name {
            Some(name) => format!("    let {name} = {};\n", self.text),
            None => format!("    {};\n", self.text),
        }
    }
}

/// The text that loads the number of a node in memory at an index.
pub type Load<'a> = dyn Fn(NodeId, &str) -> String + 'a;

/// Prints statements into one WGSL function.
pub struct Printer<'a> {
    nodes: &'a [Node],
    stored: &'a dyn Fn(NodeId) -> bool,
    accumulator: Option<NodeId>,
    variables: HashMap<NodeId, String>,
    loads: Option<&'a Load<'a>>,
    side_output: Option<NodeId>,
    side_place: Option<String>,
    inputs: Vec<NodeId>,
    statements: Vec<Statement>,
    known: HashMap<(NodeId, Coordinates), String>,
    splits: HashMap<(String, Shape), Vec<String>>,
    flops: u64,
}

/// A printed function body and the nodes it reads.
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

impl<'a> Printer<'a> {
    /// A printer over `nodes`. Nodes for which `stored` holds are loaded; `accumulator` is the variable `acc`.
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
            variables: HashMap::new(),
            loads: None,
            side_output: None,
            side_place: None,
            inputs,
            statements: Vec::new(),
            known: HashMap::new(),
            splits: HashMap::new(),
            flops: 0,
        }
    }

    /// Also writes the value of `node`, at the index `i`, to the second output.
    pub fn side_output(mut self, node: Option<NodeId>) -> Self {
        self.side_output = node;
        if node.is_some() && node == self.accumulator {
            self.write_side_output("acc");
        }
        self
    }

    /// Reads the values of these nodes from variables of these names, at any coordinates.
    pub fn variables(mut self, variables: HashMap<NodeId, String>) -> Self {
        self.variables = variables;
        self
    }

    /// Loads numbers in another way than from the bindings `in0`, `in1`, ...
    pub fn loads(mut self, loads: &'a Load<'a>) -> Self {
        self.loads = Some(loads);
        self
    }

    /// [`Printer::side_output`] to a place of this text.
    pub fn side_output_at(mut self, node: Option<NodeId>, place: Option<String>) -> Self {
        self.side_place = place;
        self.side_output(node)
    }

    /// The row-major index of `coordinates` in `shape`.
    pub fn index(&mut self, coordinates: &Coordinates, shape: &Shape) -> String {
        self.linear(coordinates, shape)
    }

    fn write_side_output(&mut self, value: &str) {
        self.side_output = None;
        let text = match &self.side_place {
            Some(place) => format!("{place} = {value}"),
            None => format!("out2[i] = T7({value})"),
        };
        self.statements.push(Statement { name: None, index: false, text });
    }

    /// Prints the value of `node` at `coordinates`, statement by statement.
    pub fn statements(
        mut self,
        node: NodeId,
        coordinates: &Coordinates,
    ) -> (Vec<Statement>, String, Vec<NodeId>) {
        let value = self.value(node, coordinates);
        (self.statements, value, self.inputs)
    }

    /// Prints the value of `node` at `coordinates` and returns the body.
    pub fn finish(mut self, node: NodeId, coordinates: Coordinates) -> Printed {
        let value = self.value(node, &coordinates);
        let lines = self.statements.iter().map(Statement::line);
        Printed { body: lines.collect(), value, inputs: self.inputs, flops: self.flops }
    }

    fn statement(&mut self, text: &str, index: bool) -> String {
        let name = format!("v{}", self.statements.len());
        self.statements.push(Statement { name: Some(name.clone()), index, text: text.to_owned() });
        name
    }

    /// Names a number of the graph.
    fn bind(&mut self, expr: &str) -> String {
        self.statement(expr, false)
    }

    /// Names an index, which is a u32.
    fn bind_index(&mut self, expr: &str) -> String {
        self.statement(expr, true)
    }

    fn axes(&mut self, coordinates: &Coordinates, shape: &Shape) -> Vec<String> {
        match coordinates {
            Coordinates::Axes(axes) => axes.clone(),
            Coordinates::Linear(index) => self.split(index, shape),
        }
    }

    /// Coordinates of a row-major index.
    pub fn split(&mut self, index: &str, shape: &Shape) -> Vec<String> {
        let key = (index.to_owned(), shape.clone());
        if let Some(axes) = self.splits.get(&key) {
            return axes.clone();
        }
        let index = &self.atom(index);
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
            axes.push(if expr == *index { expr } else { self.bind_index(&expr) });
        }
        self.splits.insert(key, axes.clone());
        axes
    }

    /// An index that can be a factor: a sum is bound to a name first.
    fn atom(&mut self, index: &str) -> String {
        if index.contains(" + ") { self.bind_index(index) } else { index.to_owned() }
    }

    fn linear(&mut self, coordinates: &Coordinates, shape: &Shape) -> String {
        match coordinates {
            Coordinates::Linear(index) => index.clone(),
            Coordinates::Axes(axes) => {
                let strides = shape.strides();
                let terms: Vec<String> = axes
                    .iter()
                    .zip(shape.iter().zip(strides))
                    .filter(|(c, (d, _))| **d != 1 && *c != "0u")
                    .map(|(c, (_, s))| match s {
                        1 => c.clone(),
                        // A sum is multiplied term by term, so that its terms can be computed apart.
                        s => c.split(" + ").map(|t| format!("{t} * {s}u")).collect::<Vec<_>>().join(" + "),
                    })
                    .collect();
                if terms.is_empty() { "0u".into() } else { terms.join(" + ") }
            }
        }
    }

    fn value(&mut self, id: NodeId, coordinates: &Coordinates) -> String {
        if self.accumulator == Some(id) {
            return "acc".into();
        }
        if let Some(name) = self.variables.get(&id) {
            return name.clone();
        }
        let key = (id, coordinates.clone());
        if let Some(name) = self.known.get(&key) {
            return name.clone();
        }
        let name = self.print(id, coordinates);
        if self.side_output == Some(id) {
            self.write_side_output(&name);
        }
        self.known.insert(key, name.clone());
        name
    }

    /// The text that loads a number of a node in memory.
    fn load(&mut self, id: NodeId, index: &str) -> String {
        match self.loads {
            Some(loads) => loads(id, index),
            None => format!("in{}[{index}]", self.slot(id)),
        }
    }

    /// The binding of a node in memory.
    fn slot(&mut self, id: NodeId) -> usize {
        if let Some(slot) = self.inputs.iter().position(|&n| n == id) {
            return slot;
        }
        self.inputs.push(id);
        self.inputs.len() - 1
    }

    fn print(&mut self, id: NodeId, coordinates: &Coordinates) -> String {
        let nodes = self.nodes;
        let node = &nodes[id.0];
        if (self.stored)(id) {
            let index = self.linear(coordinates, &node.shape);
            let load = self.load(id, &index);
            return self.bind(&if node.half { format!("f32({load})") } else { load });
        }
        let input = |i: usize| node.inputs[i];
        match &node.op {
            Op::Constant(bits) => literal(bits.get()),
            Op::Iota(axis) => {
                let axes = self.axes(coordinates, &node.shape);
                format!("i32({})", axes[*axis].clone())
            }
            Op::Random(stream) => {
                let at = self.linear(coordinates, &node.shape);
                let clock = input(0);
                let mut word =
                    |c: Clock| format!("bitcast<u32>({})", self.load(clock, &(c as u32).to_string()));
                let step = format!("{} + {}", word(Clock::Before), word(Clock::Open));
                let (low, high) = (word(Clock::SeedLow), word(Clock::SeedHigh));
                self.flops += 16;
                self.bind(&format!("uniform_({at}, {stream}u, {step}, {low}, {high})"))
            }
            Op::Unary(op) => {
                let x = self.value(input(0), coordinates);
                self.flops += unary_cost(*op);
                self.bind(&unary(*op, &x))
            }
            Op::Binary(op) => {
                let a = self.value(input(0), coordinates);
                let b = self.value(input(1), coordinates);
                self.flops += 1;
                self.bind(&binary(*op, &a, &b))
            }
            Op::Select => {
                let c = self.value(input(0), coordinates);
                let a = self.value(input(1), coordinates);
                let b = self.value(input(2), coordinates);
                self.flops += 1;
                self.bind(&format!("select({b}, {a}, {c} != 0.0f)"))
            }
            Op::Reshape => {
                let inner = &nodes[input(0).0].shape;
                let coordinates = match coordinates {
                    // Memory is read by its row-major index in any shape.
                    Coordinates::Axes(_) if (self.stored)(input(0)) => {
                        Coordinates::Linear(self.linear(coordinates, &node.shape))
                    }
                    Coordinates::Axes(axes) => self.reshaped(axes, &node.shape, inner),
                    Coordinates::Linear(_) => coordinates.clone(),
                };
                self.value(input(0), &coordinates)
            }
            Op::Permute(perm) => {
                let axes = self.axes(coordinates, &node.shape);
                let mut inner = vec![String::new(); perm.len()];
                for (i, &p) in perm.iter().enumerate() {
                    inner[p] = axes[i].clone();
                }
                self.value(input(0), &Coordinates::Axes(inner))
            }
            Op::Broadcast => {
                let inner = &nodes[input(0).0].shape;
                if inner.elements() == 1 {
                    return self.value(input(0), &Coordinates::Linear("0u".into()));
                }
                let axes = self.axes(coordinates, &node.shape);
                let extra = axes.len() - inner.len();
                let inner = inner
                    .iter()
                    .zip(&axes[extra..])
                    .map(|(&d, c)| if d == 1 { "0u".into() } else { c.clone() })
                    .collect();
                self.value(input(0), &Coordinates::Axes(inner))
            }
            Op::Slice(starts) => {
                let axes = self.axes(coordinates, &node.shape);
                let inner = axes
                    .iter()
                    .zip(starts)
                    .map(|(c, &s)| if s == 0 { c.clone() } else { format!("{c} + {s}u") })
                    .collect();
                self.value(input(0), &Coordinates::Axes(inner))
            }
            Op::Pad(before) => {
                let axes = self.axes(coordinates, &node.shape);
                let inner = &nodes[input(0).0].shape;
                let mut inside = Vec::new();
                let mut coords = Vec::new();
                for (i, c) in axes.iter().enumerate() {
                    let (clamped, test) = self.window(c, before[i], inner[i], node.shape[i]);
                    coords.push(clamped);
                    inside.extend(test);
                }
                let v = self.value(input(0), &Coordinates::Axes(coords));
                if inside.is_empty() {
                    v
                } else {
                    self.bind(&format!("select(0.0f, {v}, {})", inside.join(" && ")))
                }
            }
            Op::Concat(axis) => {
                let axes = self.axes(coordinates, &node.shape);
                let mut start = 0;
                let mut value = String::new();
                for &part in &node.inputs {
                    let extent = nodes[part.0].shape[*axis];
                    let (clamped, test) = self.window(&axes[*axis], start, extent, node.shape[*axis]);
                    let mut coords = axes.clone();
                    coords[*axis] = clamped;
                    let v = self.value(part, &Coordinates::Axes(coords));
                    value = match (value.is_empty(), test) {
                        (false, Some(test)) => self.bind(&format!("select({value}, {v}, {test})")),
                        _ => v,
                    };
                    start += extent;
                }
                value
            }
            Op::Window(window, seen) => {
                let axes = self.axes(coordinates, &node.shape);
                let inner = &nodes[input(0).0].shape;
                let (coords, inside) = self.windowed(*window, *seen, axes, inner, &node.shape);
                let v = self.value(input(0), &Coordinates::Axes(coords));
                let fill = if let Windowed::Unfold(fill) = seen { fill.get() } else { 0.0 };
                match inside {
                    Some(test) => self.bind(&format!("select({}, {v}, {test})", literal(fill))),
                    None => v,
                }
            }
            Op::Gather(axis) => {
                let axes = self.axes(coordinates, &node.shape);
                let index = self.value(input(1), coordinates);
                let last = nodes[input(0).0].shape[*axis] - 1;
                let mut coords = axes;
                coords[*axis] = self.bind_index(&format!("u32(clamp({index}, 0i, {last}i))"));
                self.value(input(0), &Coordinates::Axes(coords))
            }
            Op::Input(_)
            | Op::Parameter(_)
            | Op::Buffer(_)
            | Op::Clock
            | Op::Reduce(..)
            | Op::Matmul { .. }
            | Op::Attention(_)
            | Op::AttentionStats(_)
            | Op::AttentionGradQ(_)
            | Op::AttentionGradKv(_)
            | Op::AttentionGrad(_)
            | Op::AttentionGradBeside(_)
            | Op::SegmentSum
            | Op::CrossEntropy(_)
            | Op::CrossEntropyGrad(_) => unreachable!("{} is stored before it is read", node.op.name()),
        }
    }

    /// Coordinate `c` relative to a window of `extent` at `start`, clamped into it, and the test for being inside.
    fn window(&mut self, c: &str, start: usize, extent: usize, outer: usize) -> (String, Option<String>) {
        if start == 0 && extent == outer {
            return (c.to_owned(), None);
        }
        // Before the window the difference wraps to a huge number, and `min` clamps it.
        let shifted = if start == 0 { self.atom(c) } else { self.bind_index(&format!("{c} - {start}u")) };
        let clamped = self.bind_index(&format!("min({shifted}, {}u)", extent - 1));
        (clamped, Some(format!("{shifted} < {extent}u")))
    }

    /// The coordinates in the input of a view through windows, and the test for being inside the input.
    fn windowed(
        &mut self,
        w: Window,
        seen: Windowed,
        mut axes: Vec<String>,
        inner: &Shape,
        outer: &Shape,
    ) -> (Vec<String>, Option<String>) {
        let times = |c: &str, n: usize| match n {
            1 => c.to_owned(),
            n => format!("{c} * {n}u"),
        };
        for axis in [w.axis, w.element] {
            axes[axis] = self.atom(&axes[axis].clone());
        }
        let element = times(&axes[w.element], w.dilation);
        let extent = inner[w.axis];
        if seen == Windowed::Fold {
            // Coordinates before the window wrap to huge numbers, which stay past the end when divided.
            let from = match w.padding {
                0 => axes[w.axis].clone(),
                p => format!("{} + {p}u", axes[w.axis]),
            };
            let from = if element == "0u" { from } else { format!("{from} - {element}") };
            let from = self.bind_index(&from);
            let at = if w.stride == 1 {
                from.clone()
            } else {
                self.bind_index(&format!("{from} / {}u", w.stride))
            };
            axes[w.axis] = self.bind_index(&format!("min({at}, {}u)", extent - 1));
            let whole =
                if w.stride == 1 { String::new() } else { format!(" && {at} * {}u == {from}", w.stride) };
            return (axes, Some(format!("{at} < {extent}u{whole}")));
        }
        let position = times(&axes[w.axis], w.stride);
        let mut at = match (position.as_str(), element.as_str()) {
            ("0u", _) => element.clone(),
            (_, "0u") => position.clone(),
            _ => format!("{position} + {element}"),
        };
        let size = outer[w.element];
        if seen != Windowed::FoldTranspose {
            axes.remove(w.element);
        }
        let reach = (outer[w.axis] - 1) * w.stride + (size - 1) * w.dilation;
        if w.padding == 0 && reach < extent {
            axes[w.axis] = at;
            return (axes, None);
        }
        if w.padding > 0 {
            at = format!("{at} - {}u", w.padding);
        }
        let at = self.bind_index(&at);
        axes[w.axis] = self.bind_index(&format!("min({at}, {}u)", extent - 1));
        (axes, Some(format!("{at} < {extent}u")))
    }

    /// Coordinates of the same element under another shape. Axes are joined in the smallest groups that hold the same
    /// elements in both shapes, so axes that do not change cost nothing.
    fn reshaped(&mut self, axes: &[String], outer: &Shape, inner: &Shape) -> Coordinates {
        let wide = |s: &Shape| (0..s.len()).filter(|&k| s[k] != 1).collect::<Vec<_>>();
        let (from, to) = (wide(outer), wide(inner));
        let (mut from, mut to) = (from.as_slice(), to.as_slice());
        let mut coords = vec!["0u".to_owned(); inner.len()];
        while let ([first, ..], [target, ..]) = (from, to) {
            let (mut a, mut b) = (outer[*first], inner[*target]);
            let (mut i, mut j) = (1, 1);
            while a != b && i <= from.len() && j <= to.len() {
                if a < b {
                    a *= from.get(i).map_or(1, |&k| outer[k]);
                    i += 1;
                } else {
                    b *= to.get(j).map_or(1, |&k| inner[k]);
                    j += 1;
                }
            }
            let (group, targets) = (&from[..i.min(from.len())], &to[..j.min(to.len())]);
            if let ([k], [t]) = (group, targets) {
                coords[*t] = axes[*k].clone();
            } else {
                let pick =
                    |keys: &[usize], s: &Shape| Shape::from(keys.iter().map(|&k| s[k]).collect::<Vec<_>>());
                let at: Vec<String> = group.iter().map(|&k| axes[k].clone()).collect();
                let index = self.linear(&Coordinates::Axes(at), &pick(group, outer));
                let index = if group.len() > 1 { self.bind_index(&index) } else { index };
                let parts =
                    if targets.len() > 1 { self.split(&index, &pick(targets, inner)) } else { vec![index] };
                for (&t, part) in targets.iter().zip(parts) {
                    coords[t] = part;
                }
            }
            (from, to) = (&from[group.len()..], &to[targets.len()..]);
        }
        Coordinates::Axes(coords)
    }
}

/// The type of a node's numbers in memory.
pub(super) fn scalar(node: &Node) -> &'static str {
    match node {
        node if node.dtype == DType::I32 => "i32",
        node if node.half => "f16",
        _ => "f32",
    }
}

/// The type aliases of the printed inputs and of other bindings by number: `alias T0 = f32;` … An entry of `others`
/// takes the place of the input with its number.
pub fn types(nodes: &[Node], inputs: &[NodeId], others: &[(u32, Option<NodeId>)]) -> String {
    let inputs = (0..super::MAX_INPUTS).map(|i| (i as u32, inputs.get(i).copied()));
    let inputs = inputs.filter(|(slot, _)| others.iter().all(|(other, _)| other != slot));
    let alias = |(slot, node): (u32, Option<NodeId>)| {
        format!("alias T{slot} = {};\n", node.map_or("f32", |node| scalar(&nodes[node.0])))
    };
    inputs.chain(others.iter().copied()).map(alias).collect()
}
