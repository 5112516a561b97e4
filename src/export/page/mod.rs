//! A folder of static files that runs the net in a browser by WebGPU: the plan's kernels and weights, a short
//! runner, and a page with an input that suits the data.
//!
//! The plan is that of a GPU without subgroups, kernel by kernel: it stays within the limits that every WebGPU adapter has,
//! but for the size of a buffer, which the program asks for by name.

use serde::Serialize;
use serde_json::{Value, json};

use super::trace::{Exported, listed_numbers};
use crate::data::{Encoding, InputColumn, InputKind};
use crate::error::{Error, Result};
use crate::figure::escaped;
use crate::gpu::{Access, Family};
use crate::graph::{DType, Graph};
use crate::infer::Head;
use crate::kernel::Target;
use crate::nn::{Layer, Net};
use crate::plan::{NamedTensor, Plan, Ring, Sink, TensorLocation, WeightLayout, input_buffer};
use crate::units::bytes;

const INDEX: &str = include_str!("index.html");
/// Files that are the same for every net.
const FIXED: [(&str, &str); 3] = [
    ("net.js", include_str!("net.js")),
    ("page.js", include_str!("page.js")),
    ("page.css", include_str!("page.css")),
];

/// The name of the model's input.
const INPUT: &str = "x";
/// The buffer of the answer.
const OUTPUT: &str = "output";
/// Limits that every WebGPU adapter has: of a binding, of a buffer.
const BINDING: u64 = 128 << 20;
const BUFFER: u64 = 256 << 20;

/// A kernel with its bindings.
#[derive(Serialize)]
struct Step {
    /// Index of its text.
    text: usize,
    entry: &'static str,
    constants: serde_json::Map<String, Value>,
    /// Binding number, type, buffer, first byte, bytes.
    bindings: Vec<(u32, &'static str, usize, u64, u64)>,
    grid: [u32; 3],
}

impl Exported<'_> {
    /// The files of the page by name.
    ///
    /// # Errors
    /// The model's shape error; [`Error::Weights`] where a weight is missing; [`Error::Config`] where the answer is not an
    /// f32 for each sample, where it depends on the other samples of a batch, or where a buffer is larger than WebGPU allows.
    pub fn page(&self, weights: &[NamedTensor]) -> Result<Vec<(&'static str, Vec<u8>)>> {
        let (program, params) = program(self, weights)?;
        let title = escaped(&self.title);
        let about = escaped(&format!(
            "{}, trained by downhill. It runs in this page, on this machine.",
            match self.classes.len() {
                0 => "A net".to_owned(),
                n => format!("A net that tells {n} classes apart"),
            }
        ));
        let index = INDEX.replace("{about}", &about).replace("{title}", &title);
        let mut files = vec![
            ("index.html", index.into_bytes()),
            ("program.json", program.to_string().into_bytes()),
            ("params.bin", params),
        ];
        files.extend(FIXED.map(|(name, text)| (name, text.as_bytes().to_vec())));
        Ok(files)
    }
}

/// The plan as JSON, and the contents of its buffers.
fn program(net: &Exported<'_>, weights: &[NamedTensor]) -> Result<(Value, Vec<u8>)> {
    let graph = Graph::new();
    let shape = [&[1], &net.sample[..]].concat();
    let x = match net.dtype {
        DType::I32 => graph.input_i32(INPUT, shape),
        DType::F32 => graph.input(INPUT, shape),
    };
    let y = net.head.apply(&net.model.build(&Net::new(&graph, false), &x));
    graph.check()?;
    if graph.has_batch_statistics() {
        return Err(Error::Config(
            "a batch_norm with track_running_stats = false normalises over the samples of a batch, and a page answers one \
             at a time; export as pytorch or onnx"
                .into(),
        ));
    }
    if y.dtype() != DType::F32 || y.shape().first() != Some(&1) {
        return Err(Error::Config(format!(
            "the model's output for one sample is {:?} {:?}; f32 [1, ..] is needed",
            y.dtype(),
            y.shape()
        )));
    }
    let outputs = [(y.clone(), Sink::Buffer(OUTPUT.into()))];
    let target = Target::new(Family::Tiled).kernel_by_kernel();
    let mut plan = Plan::new(&graph, &outputs, Ring { columns: 0, rows: 0 }, target)?;
    let input = plan.buffer(&input_buffer(INPUT), (net.sample.elements() as u64 * 4).next_multiple_of(16));
    let output = plan.buffer(OUTPUT, y.shape().iter().product::<usize>() as u64 * 4);

    let mut texts: Vec<&str> = Vec::new();
    let steps: Vec<Step> = plan.steps.iter().map(|step| self::step(step, &mut texts)).collect();
    let (contents, params) = contents(&graph, &plan, weights)?;
    let limits = limits(&plan, &steps)?;
    let program = json!({
        "about": net.title,
        "limits": limits,
        "buffers": plan.buffers.iter().map(|buffer| buffer.bytes.max(4).next_multiple_of(4)).collect::<Vec<_>>(),
        "contents": contents,
        "input": self::input(net, input),
        "output": {
            "buffer": output,
            "shape": y.shape()[1..],
            "probabilities": net.head != Head::Numbers,
            "names": names(net),
            "target": net.target,
        },
        "steps": steps,
        "texts": texts,
    });
    Ok((program, params))
}

/// A step of the plan, whose text is added to `texts` where it is new.
fn step<'a>(step: &'a crate::plan::Step, texts: &mut Vec<&'a str>) -> Step {
    let wgsl = step.kernel.wgsl.as_str();
    let text = texts.iter().position(|text| *text == wgsl).unwrap_or_else(|| {
        texts.push(wgsl);
        texts.len() - 1
    });
    let kind = |access: &Access| match access {
        Access::Write => "storage",
        Access::Uniform => "uniform",
        Access::Read | Access::Image(_) => "read-only-storage",
    };
    let bindings = step.bindings.iter();
    Step {
        text,
        entry: step.kernel.entry,
        constants: step
            .kernel
            .constants
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).into()))
            .collect(),
        bindings: bindings
            .map(|(slot, access, at)| (*slot, kind(access), at.buffer, at.offset, at.bytes))
            .collect(),
        grid: step.kernel.grid,
    }
}

/// The bytes of buffers that do not begin with 0, one after the other, and where they belong: buffer, first byte, bytes.
fn contents(graph: &Graph, plan: &Plan, weights: &[NamedTensor]) -> Result<(Vec<[usize; 3]>, Vec<u8>)> {
    let mut buffers: Vec<Vec<u8>> = vec![Vec::new(); plan.buffers.len()];
    let find = |name: &str| plan.buffers.iter().position(|buffer| buffer.name == name);
    let mut write = |name: &str, offset: u64, numbers: &[u8]| {
        // A buffer is missing where the answer does not need it.
        let Some(buffer) = find(name) else { return };
        let (from, whole) = (offset as usize, plan.buffers[buffer].bytes as usize);
        let own = &mut buffers[buffer];
        own.resize(whole.max(from + numbers.len()).next_multiple_of(4), 0);
        own[from..from + numbers.len()].copy_from_slice(numbers);
    };
    for (name, _, location) in WeightLayout::new(&graph.parameters(), &graph.buffers(), plan).iter() {
        let weight = weights
            .iter()
            .find(|own| own.name == *name)
            .ok_or_else(|| Error::Weights(format!("there is no weight named {name}")))?;
        if let TensorLocation::Device(buffer, offset) = location {
            let numbers: Vec<u8> = weight.values.iter().flat_map(|value| value.to_le_bytes()).collect();
            write(buffer, *offset, &numbers);
        }
    }
    for (name, values) in &plan.constants {
        let numbers: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        write(name, 0, &numbers);
    }
    let (mut places, mut all) = (Vec::new(), Vec::new());
    for (i, own) in buffers.iter().enumerate().filter(|(_, own)| !own.is_empty()) {
        places.push([i, all.len(), own.len()]);
        all.extend_from_slice(own);
    }
    Ok((places, all))
}

/// Limits above those that every adapter has, by WebGPU's names.
fn limits(plan: &Plan, steps: &[Step]) -> Result<serde_json::Map<String, Value>> {
    let binding = steps.iter().flat_map(|step| &step.bindings).map(|(.., bytes)| *bytes).max().unwrap_or(0);
    let buffer = plan.buffers.iter().map(|buffer| buffer.bytes).max().unwrap_or(0);
    if binding > u64::from(u32::MAX) {
        return Err(Error::Config(format!(
            "a kernel reads {} at once, and WebGPU allows less than 4 GiB",
            bytes(binding)
        )));
    }
    let above = [("maxStorageBufferBindingSize", binding, BINDING), ("maxBufferSize", buffer, BUFFER)];
    let above = above.into_iter().filter(|(_, bytes, every)| bytes > every);
    Ok(above.map(|(name, bytes, _)| (name.to_owned(), bytes.into())).collect())
}

/// The names of the answers: those of the classes, or of the one label that a table has.
fn names(net: &Exported<'_>) -> Vec<String> {
    match net.encoding {
        Some(Encoding::Table(table)) if net.classes.is_empty() && net.head == Head::Sigmoid => {
            vec![table.target.name.clone()]
        }
        _ => net.classes.clone(),
    }
}

/// The number of rows of the first embedding, which whole numbers stay below.
fn rows_of_embedding(layers: &[Layer]) -> Option<usize> {
    layers.iter().find_map(|layer| match layer {
        Layer::Embedding(o) => Some(o.num_embeddings),
        Layer::Residual(o) => rows_of_embedding(&o.layers.layers),
        Layer::Parallel(o) => o.branches.iter().find_map(|branch| rows_of_embedding(&branch.layers)),
        Layer::Repeat(o) => rows_of_embedding(&o.layers.layers),
        Layer::Block(o) => rows_of_embedding(&o.layers.layers),
        _ => None,
    })
}

/// The input's buffer, shape, scale, and the kind of widget that makes it.
fn input(net: &Exported<'_>, buffer: usize) -> Value {
    let mut input = json!({
        "buffer": buffer,
        "shape": net.sample[..],
        "count": net.sample.elements(),
        "type": if net.dtype == DType::I32 { "i32" } else { "f32" },
        "kind": "numbers",
    });
    if net.dtype == DType::I32 {
        input["below"] = json!(rows_of_embedding(&net.model.layers));
    }
    if let Some(scale) = net.scale() {
        input["factor"] = json!(scale.factor);
        input["offset"] = json!(scale.offset);
    }
    // The number of a white pixel.
    let white = match net.encoding {
        Some(Encoding::Images(_)) => Some(255.0),
        Some(Encoding::Array(array)) => Some(array.divisor).filter(|divisor| *divisor > 1.0),
        _ => None,
    };
    match (net.encoding, white, &net.sample[..]) {
        (_, Some(white), [1 | 3, _, _]) => {
            input["kind"] = json!("image");
            input["white"] = json!(white);
        }
        (Some(Encoding::Table(table)), ..) => {
            input["kind"] = json!("table");
            input["columns"] = table.columns.iter().map(column).collect();
            input["missing"] = json!(listed_numbers(table));
        }
        (Some(Encoding::Text { vocabulary }), ..) => {
            input["kind"] = json!("text");
            input["characters"] = json!(vocabulary.chars().iter().collect::<String>());
        }
        _ => {}
    }
    input
}

/// A column of a table: its name, how a cell becomes numbers, and what stands for a missing one.
fn column(InputColumn { name, kind }: &InputColumn) -> Value {
    let mut column = match kind {
        InputKind::Numeric { mean, std, .. } => json!({ "name": name, "mean": mean, "std": std }),
        InputKind::Categorical { categories, .. } => json!({ "name": name, "categories": categories }),
    };
    match kind {
        InputKind::Numeric { fill: Some(fill), .. } => column["fill"] = json!(fill),
        InputKind::Categorical { fill: Some(fill), .. } => column["fill"] = json!(fill),
        _ => {}
    }
    column
}
