//! The text of `mlp_rows.wgsl`: the stages, one function each.

use std::fmt::Write;

use super::{Mlp, Place, Stage, TARGETS, VALUES};
use crate::gpu::{Access, wgsl};
use crate::graph::{CrossEntropyAttrs, NodeId};
use crate::kernel::expr::{Coordinates, Printer};
use crate::kernel::feed::{FROM, Gather, ORDER, STATE};
use crate::kernel::matmul::MatrixView;
use crate::kernel::update::PARAMETERS;
use crate::kernel::{Kernel, Operand};

/// Invocations of a workgroup.
const THREADS: usize = 256;
/// Samples of a workgroup.
pub const ROWS: usize = 8;

/// A field that the kernel gathers, and the input of the graph that it becomes.
#[derive(Debug, Clone, Copy)]
pub struct Fed<'a> {
    /// The name of the input.
    pub name: &'a str,
    /// The numbers.
    pub gather: Gather<'a>,
}

/// Columns of a pass over a product of `n` columns, and vec4s of K of a slab.
fn tile(n: usize) -> (usize, usize) {
    match n {
        0..=16 => (16, 16),
        17..=32 => (32, 16),
        33..=64 => (64, 8),
        _ => (128, 4),
    }
}

/// The stores of `each` rows of an invocation, one for each accumulator.
fn store_rows(i: usize, each: usize) -> String {
    let store = |r: usize| {
        format!(
            "            let at{r} = row0 + part * {each}u + {r}u;\n\
             \x20           if (at{r} < BATCH) {{ end_{i}(at{r}, col, acc{r}); }}\n"
        )
    };
    (0..each).map(store).collect()
}

/// The kernel for batches whose rows of the order table are `stride` long.
pub fn rows(net: &Mlp, fields: &[Fed<'_>], stride: usize) -> Kernel {
    let mut text = Text::new(net);
    let mut bindings = Bindings::default();
    bindings.add("state", "array<u32>", Access::Write, Operand::Named(STATE));
    bindings.add("values", "array<f32>", Access::Write, Operand::Named(VALUES));
    bindings.add("parameters", "array<f32>", Access::Read, Operand::Named(PARAMETERS));
    bindings.add("parameters_four", "array<vec4<f32>>", Access::Read, Operand::Named(PARAMETERS));
    bindings.add("order", "array<u32>", Access::Read, Operand::Named(ORDER));
    if net.places.values().any(|place| *place == Place::Targets) {
        bindings.add("targets_in", "array<i32>", Access::Write, Operand::Named(TARGETS));
    }
    for (i, field) in fields.iter().enumerate() {
        let (name, source) = (["x", "t"][i], ["inputs", "targets"][i]);
        let (types, function) = field.gather.text(name, source);
        let _ = writeln!(bindings.text, "{types}");
        bindings.add(
            source,
            &format!("array<{}From>", name.to_uppercase()),
            Access::Read,
            Operand::Named(FROM[i]),
        );
        text.values += &function;
        text.values.push('\n');
        text.feed(i, name, field, stride);
    }
    text.values += "fn open_step(row0: u32, lane: u32) {\n    if (row0 == 0u && lane == 0u) { state[1] = state[0] + 1u; }\n}\n";
    text.call("open_step(row0, lane);", true);
    text.stages();
    text.kernel(bindings)
}

#[derive(Default)]
pub(super) struct Bindings {
    text: String,
    operands: Vec<(u32, Access, Operand)>,
}

impl Bindings {
    pub(super) fn add(&mut self, name: &str, ty: &str, access: Access, role: Operand) {
        let slot = self.operands.len() as u32;
        // Others of a workgroup read after a barrier what one invocation writes.
        let mode =
            if access == Access::Write { "@coherent var<storage, read_write>" } else { "var<storage, read>" };
        let _ = writeln!(self.text, "@group(0) @binding({slot}) {mode} {name}: {ty};");
        self.operands.push((slot, access, role));
    }
}

pub(super) struct Text<'a> {
    net: &'a Mlp,
    values: String,
    calls: String,
    flops: u64,
    iterations: usize,
    /// Turns that wait for a load, in sixths: about as long takes one that reads workgroup memory.
    sixths: usize,
}

/// The number of the open step, where no kernel before this one has written it.
const OPEN: &str = "(state[0] + 1u)";

impl<'a> Text<'a> {
    pub(super) fn new(net: &'a Mlp) -> Self {
        Text { net, values: String::new(), calls: String::new(), flops: 0, iterations: 0, sixths: 0 }
    }

    /// The stages of the net, and their calls.
    pub(super) fn stages(&mut self) {
        for (i, stage) in self.net.stages.iter().enumerate() {
            match stage {
                Stage::Product { node, root, side_output, a, b, n, k } => {
                    let end = self.epilogue(i, *node, *root, *side_output, *n);
                    if b.row == 1 {
                        self.along_k(i, a, b, *n, *k);
                    } else {
                        self.along_n(i, a, b, *n, *k);
                    }
                    self.flops += (self.net.batch * n) as u64 * (2 * *k as u64 + end);
                }
                Stage::Chain(root) => self.chain(i, *root),
                Stage::CrossEntropy { loss, grad, logits, targets, attrs } => {
                    self.cross_entropy(i, *loss, *grad, *logits, *targets, attrs);
                }
            }
            self.call(&format!("stage_{i}(row0, lane);"), i + 1 < self.net.stages.len());
        }
    }

    /// The kernel of all that was printed.
    pub(super) fn kernel(self, bindings: Bindings) -> Kernel {
        let batch = self.net.batch;
        let stages = format!("{}\nfn stages(row0: u32, lane: u32) {{\n{}}}\n", self.values, self.calls);
        Kernel {
            entry: "mlp_rows",
            wgsl: wgsl::compose("mlp_rows", &[("bindings", bindings.text), ("stages", stages)]),
            constants: vec![("BATCH", batch as u32)],
            operands: bindings.operands,
            reads_old: false,
            parts: vec![],
            waits: Some(self.sixths / 6),
            grid: [batch.div_ceil(ROWS) as u32, 1, 1],
            flops: self.flops,
            iterations: self.iterations,
        }
    }

    /// Counts the turns of loops: those that load from memory, and those that only read workgroup memory.
    fn turns(&mut self, loads: usize, reads: usize) {
        self.iterations += loads + reads;
        self.sixths += 6 * loads + reads;
    }

    fn call(&mut self, call: &str, barrier: bool) {
        let _ = writeln!(self.calls, "    {call}");
        if barrier {
            self.calls += "    storageBarrier();\n    workgroupBarrier();\n";
        }
    }

    /// Gathers the rows' samples of a field.
    fn feed(&mut self, i: usize, name: &str, field: &Fed<'_>, stride: usize) {
        let g = field.gather;
        let unit = g.unit();
        let (words, first, hop) = (g.words / unit, g.first / unit, g.hop / unit);
        let place =
            self.net.inputs.iter().find(|(input, _)| input == field.name).map(|(_, id)| self.net.places[id]);
        let store = |at: String, word: &str| match place {
            Some(Place::Values(offset)) => format!("values[{offset}u + {at}] = bitcast<f32>({word});"),
            Some(Place::Targets) => format!("targets_in[{at}] = bitcast<i32>({word});"),
            _ => String::new(),
        };
        let stores: String = match unit {
            1 => store("at".into(), "word"),
            _ => (0..4)
                .map(|c| store(format!("at + {c}u"), &format!("word[{c}]")))
                .collect::<Vec<_>>()
                .join(" "),
        };
        let _ = write!(
            self.values,
            "fn feed_{i}(row0: u32, lane: u32) {{\n    let step = state[0] * {stride}u;\n\
             \x20   for (var i = lane; i < ROWS * {words}u; i += {THREADS}u) {{\n\
             \x20       let row = row0 + i / {words}u;\n        let unit = i % {words}u;\n\
             \x20       if (row < BATCH) {{\n\
             \x20           let word = {name}_at({first}u + order[step + row] * {hop}u + unit, unit);\n\
             \x20           let at = (row * {words}u + unit) * {unit}u;\n            {stores}\n        }}\n    }}\n}}\n"
        );
        self.turns((ROWS * words).div_ceil(THREADS), 0);
        self.call(&format!("feed_{i}(row0, lane);"), false);
    }

    /// What follows from a product, element by element, and its store; returns its operations for each element.
    fn epilogue(&mut self, i: usize, node: NodeId, root: NodeId, side: Option<NodeId>, n: usize) -> u64 {
        let net = self.net;
        let stored = |id: NodeId| id != root && Some(id) != side && net.places.contains_key(&id);
        let load = |id: NodeId, index: &str| net.load(id, index, OPEN);
        let store = side.map(|side| load(side, "i"));
        let printed = Printer::new(&net.nodes, &stored, Some(node), vec![])
            .loads(&load)
            .side_output_at(side, store)
            .finish(root, Coordinates::Linear("i".into()));
        let _ = write!(
            self.values,
            "fn end_{i}(row: u32, col: u32, acc: f32) {{\n    let i = row * {n}u + col;\n{}    {} = {};\n}}\n",
            printed.body,
            load(root, "i"),
            printed.value
        );
        printed.flops
    }

    /// The function that loads four numbers of a row of A, 0 past its end.
    fn load_rows(&mut self, i: usize, a: &MatrixView, k: usize) {
        let (first, row, col) = (a.offset, a.row, a.col);
        let load = |index: String| self.net.load(a.node, &index, OPEN);
        let each: Vec<String> = (0..4)
            .map(|c| match k.is_multiple_of(4) {
                true => load(format!("at + {}u", c * col)),
                false => {
                    let number = load(format!("at + min({c}u, {k}u - 1u - k) * {col}u"));
                    format!("select(0.0, {number}, k + {c}u < {k}u)")
                }
            })
            .collect();
        let _ = write!(
            self.values,
            "fn rows_{i}(row: u32, k: u32) -> vec4<f32> {{\n    if (row >= BATCH || k >= {k}u) {{ return vec4<f32>(); }}\n\
             \x20   let at = {first}u + row * {row}u + k * {col}u;\n    return vec4<f32>({});\n}}\n",
            each.join(", ")
        );
    }

    fn parameter(&self, b: &MatrixView) -> usize {
        match self.net.places.get(&b.node) {
            Some(Place::Parameters(first)) => first + b.offset,
            _ => unreachable!("the second operand is a parameter"),
        }
    }

    /// Columns of a pass, invocations that share a column, and rows of each.
    fn share(n: usize) -> (usize, usize, usize, usize) {
        let (columns, fours) = tile(n);
        let parts = (THREADS / columns).min(ROWS);
        (columns, fours, parts, ROWS / parts)
    }

    /// A product whose weights lie along K: slabs of them go through workgroup memory.
    fn along_k(&mut self, i: usize, a: &MatrixView, b: &MatrixView, n: usize, k: usize) {
        self.load_rows(i, a, k);
        let (first, stride) = (self.parameter(b), b.col);
        let whole = [first, stride, k].iter().all(|x| x.is_multiple_of(4));
        let load = if whole {
            format!("parameters_four[({first}u + col * {stride}u + k) / 4u]")
        } else {
            let each = |c: usize| {
                format!(
                    "select(0.0, parameters[{first}u + col * {stride}u + min(k + {c}u, {k}u - 1u)], k + {c}u < {k}u)"
                )
            };
            format!("vec4<f32>({})", (0..4).map(each).collect::<Vec<_>>().join(", "))
        };
        let (columns, fours, parts, each) = Self::share(n);
        let (slab, padded) = (columns * fours, fours + 1);
        // All loads of a slab are on their way before the first is stored.
        let place = |c: usize| format!("lane + {}u", c * THREADS);
        let load_of = |c: usize| {
            let at = place(c);
            format!(
                "            let w{c} = weights_{i}(col0 + ({at}) / {fours}u, k0 + ({at}) % {fours}u * 4u);\n"
            )
        };
        let store_of = |c: usize| {
            let at = place(c);
            format!("            slab[({at}) / {fours}u * {padded}u + ({at}) % {fours}u] = w{c};\n")
        };
        let turns = slab / THREADS;
        let loads: String = (0..turns).map(load_of).chain((0..turns).map(store_of)).collect();
        let sums: String = (0..each).map(|r| format!("        var acc{r} = 0.0;\n")).collect();
        let adds: String = (0..each)
            .map(|r| {
                format!("                acc{r} += dot(w, rows[(part * {each}u + {r}u) * {fours}u + q]);\n")
            })
            .collect();
        let stores = store_rows(i, each);
        let step = 4 * fours;
        let _ = write!(
            self.values,
            "fn weights_{i}(col: u32, k: u32) -> vec4<f32> {{\n    if (col >= {n}u || k >= {k}u) {{ return vec4<f32>(); }}\n    return {load};\n}}\n\
             fn stage_{i}(row0: u32, lane: u32) {{\n    let column = lane % {columns}u;\n    let part = lane / {columns}u;\n\
             \x20   for (var col0 = 0u; col0 < {n}u; col0 += {columns}u) {{\n{sums}\
             \x20       for (var k0 = 0u; k0 < {k}u; k0 += {step}u) {{\n            workgroupBarrier();\n\
{loads}\
             \x20           if (lane < ROWS * {fours}u) {{ rows[lane] = rows_{i}(row0 + lane / {fours}u, k0 + lane % {fours}u * 4u); }}\n\
             \x20           workgroupBarrier();\n            if (part < {parts}u) {{\n\
             \x20           for (var q = 0u; q < {fours}u; q++) {{\n                let w = slab[column * {padded}u + q];\n{adds}            }}\n            }}\n        }}\n\
             \x20       let col = col0 + column;\n        if (part < {parts}u && col < {n}u) {{\n{stores}        }}\n    }}\n}}\n"
        );
        let slabs = n.div_ceil(columns) * k.div_ceil(step);
        self.turns(slabs, slabs * fours);
    }

    /// A product whose weights lie along N: neighbouring invocations read neighbours.
    fn along_n(&mut self, i: usize, a: &MatrixView, b: &MatrixView, n: usize, k: usize) {
        self.load_rows(i, a, k);
        let (first, row, col) = (self.parameter(b), b.row, b.col);
        let (columns, fours, parts, each) = Self::share(n);
        let sums: String = (0..each).map(|r| format!("        var acc{r} = 0.0;\n")).collect();
        // Sixteen loads are on their way before the first is used.
        const AT_ONCE: usize = 4;
        let add = |r: usize, u: usize| {
            format!(
                "                acc{r} += dot(w{u}, rows[(part * {each}u + {r}u) * {fours}u + q + {u}u]);\n"
            )
        };
        let adds: String =
            (0..AT_ONCE).flat_map(|u| (0..each).map(move |r| (r, u))).map(|(r, u)| add(r, u)).collect();
        let stores = store_rows(i, each);
        let step = 4 * fours;
        let weight =
            |c: usize| format!("parameters[{first}u + min(k + {c}u, {k}u - 1u) * {row}u + at * {col}u]");
        let four = |u: usize| (4 * u..4 * u + 4).map(weight).collect::<Vec<_>>().join(", ");
        let weights: String =
            (0..AT_ONCE).map(|u| format!("                let w{u} = vec4<f32>({});\n", four(u))).collect();
        let _ = write!(
            self.values,
            "fn stage_{i}(row0: u32, lane: u32) {{\n    let column = lane % {columns}u;\n    let part = lane / {columns}u;\n\
             \x20   for (var col0 = 0u; col0 < {n}u; col0 += {columns}u) {{\n\
             \x20       let col = col0 + column;\n        let at = min(col, {n}u - 1u);\n{sums}\
             \x20       for (var k0 = 0u; k0 < {k}u; k0 += {step}u) {{\n            workgroupBarrier();\n\
             \x20           if (lane < ROWS * {fours}u) {{ rows[lane] = rows_{i}(row0 + lane / {fours}u, k0 + lane % {fours}u * 4u); }}\n\
             \x20           workgroupBarrier();\n            if (part < {parts}u) {{\n\
             \x20           for (var q = 0u; q < {fours}u; q += {AT_ONCE}u) {{\n                let k = k0 + 4u * q;\n\
{weights}{adds}            }}\n            }}\n        }}\n\
             \x20       if (part < {parts}u && col < {n}u) {{\n{stores}        }}\n    }}\n}}\n"
        );
        self.turns(n.div_ceil(columns) * k.div_ceil(step) * (fours / AT_ONCE + 1), 0);
    }

    fn chain(&mut self, i: usize, root: NodeId) {
        let net = self.net;
        let shape = &net.nodes[root.0].shape;
        let width = shape.elements() / net.batch;
        let store = net.load(root, "i", OPEN);
        let printed = net.print(root, None, Coordinates::Linear("i".into()), OPEN);
        let _ = write!(
            self.values,
            "fn chain_{i}(i: u32) -> f32 {{\n{}    return {};\n}}\n\
             fn stage_{i}(row0: u32, lane: u32) {{\n    let end = min(row0 + ROWS, BATCH) * {width}u;\n\
             \x20   for (var i = row0 * {width}u + lane; i < end; i += {THREADS}u) {{ {store} = chain_{i}(i); }}\n}}\n",
            printed.body, printed.value
        );
        self.flops += printed.flops * shape.elements() as u64;
        self.turns((ROWS * width).div_ceil(THREADS), 0);
    }

    fn cross_entropy(
        &mut self,
        i: usize,
        loss: Option<NodeId>,
        grad: Option<NodeId>,
        logits: NodeId,
        targets: NodeId,
        attrs: &CrossEntropyAttrs,
    ) {
        let net = self.net;
        let classes = net.nodes[logits.0].shape.elements() / net.batch;
        let at = |id: NodeId, index: &str| net.load(id, index, OPEN);
        let upstream = match grad {
            Some(grad) => {
                let printed =
                    net.print(net.nodes[grad.0].inputs[2], None, Coordinates::Linear("i".into()), OPEN);
                format!("{}    return {};\n", printed.body, printed.value)
            }
            None => "    return 0.0;\n".into(),
        };
        let store = |id: Option<NodeId>, index: &str, value: &str| match id {
            Some(id) => format!("{} = {value};", at(id, index)),
            None => String::new(),
        };
        let _ = write!(
            self.values,
            "fn logit_{i}(row: u32, c: u32) -> f32 {{ return {}; }}\nfn upstream_{i}(i: u32) -> f32 {{\n{upstream}}}\n",
            at(logits, &format!("row * {classes}u + c")),
        );
        let template = wgsl::source("shared/row_cross_entropy").unwrap_or_default();
        self.values += &template
            .replace("LOSS_STORE", &store(loss, "row", "loss"))
            .replace("GRADIENT_STORE", &store(grad, &format!("row * {classes}u + c"), "d"))
            .replace("TARGET", &at(targets, "row"))
            .replace("HAS_IGNORE", if attrs.ignore_index.is_some() { "true" } else { "false" })
            .replace("IGNORED", &format!("{}i", attrs.ignore_index.unwrap_or(0)))
            .replace("SMOOTHING", &format!("{:?}f", attrs.label_smoothing.get()))
            .replace("CLASSES", &format!("{classes}u"))
            .replace("LANES", &format!("{}u", THREADS / ROWS))
            .replace("STAGE", &i.to_string());
        self.flops += 24 * (net.batch * classes) as u64;
        // Three passes over the classes and their trees.
        self.turns(5 * classes.div_ceil(THREADS / ROWS), 20);
    }
}
