//! An ONNX file: the encoding of the inputs, the layers as the operators that a reader expects, and the answer that
//! `downhill predict` gives.
//!
//! The batch axis is open. Weights keep their names and layouts; those of recurrent layers are put in ONNX's order of gates.

mod at;
mod builder;
mod inputs;
mod layers;
mod norms;
mod proto;
mod sequences;
mod windows;

use prost::Message;

use super::trace::{Exported, Traced};
use crate::error::{Error, Result};
use crate::infer::Head;
use crate::plan::NamedTensor;
use crate::units::bytes;
use builder::{Builder, Element};
use proto::{GraphProto, ModelProto, OperatorSetIdProto, StringStringEntryProto};

/// The set of operators: the first with `GroupNormalization` by channels. ONNX Runtime reads it from 1.18 on.
const OPSET: i64 = 21;
/// The version of the file format that belongs to it.
const IR_VERSION: i64 = 10;
/// The most bytes of a protobuf message.
const LARGEST: usize = i32::MAX as usize;

impl Exported<'_> {
    /// The net with its weights as the bytes of an ONNX file, opset 21.
    ///
    /// The inputs are raw data, `[batch, ..]`: numbers of images and arrays as f32, numbers of characters as i64, and for a
    /// table an input for each column, `[batch, 1]` of f64 or of strings. The first output is that of `downhill predict`:
    /// `probabilities`, or `output`, which is f64 where the target was standardised; `logits` or `log_probabilities` follow
    /// the former. Names of classes, and the encoding as JSON, are among the metadata.
    ///
    /// # Errors
    /// [`Error::Weights`] where a weight is missing, or where
    /// all are too large for one file; the model's shape error.
    pub fn onnx(&self, weights: &[NamedTensor]) -> Result<Vec<u8>> {
        let model = ModelProto {
            ir_version: IR_VERSION,
            producer_name: env!("CARGO_PKG_NAME").into(),
            producer_version: env!("CARGO_PKG_VERSION").into(),
            doc_string: format!("{}: a net trained by downhill", self.title),
            graph: Some(graph(self, weights)?),
            opset_import: vec![OperatorSetIdProto { domain: String::new(), version: OPSET }],
            metadata_props: metadata(self),
        };
        match model.encoded_len() {
            0..=LARGEST => Ok(model.encode_to_vec()),
            size => Err(Error::Weights(format!(
                "an ONNX file holds at most {}, and this net's would be {}; use --format safetensors or pytorch",
                bytes(LARGEST as u64),
                bytes(size as u64)
            ))),
        }
    }
}

/// The whole graph.
fn graph(net: &Exported<'_>, weights: &[NamedTensor]) -> Result<GraphProto> {
    let mut builder = Builder::new(&net.title, weights);
    let x = inputs::write(net, &mut builder);
    let samples = Traced::samples(&net.sample, net.dtype);
    let (y, traced) = layers::sequential(&mut builder, net.model, "", x, samples)?;
    builder.at("");
    answers(net, &mut builder, &y, &traced.shape[1..]);
    Ok(builder.finish())
}

/// The outputs: the answer of `downhill predict`, then the layers' own output where that is another.
fn answers(net: &Exported<'_>, b: &mut Builder<'_>, y: &str, extents: &[usize]) {
    let (answer, own) = match net.head {
        Head::Numbers => {
            // A target may be large beside its deviation, as years are.
            let (element, y) = match net.target {
                Some((mean, std)) => (Element::Double, unscaled(b, y, mean, std)),
                None => (Element::Float, y.to_owned()),
            };
            b.output("output", element, &y, extents, "the numbers, in the unit of the target");
            return;
        }
        Head::Softmax => (b.op("Softmax", &[y], vec![builder::int("axis", -1)]), "logits"),
        Head::Exp => (b.op("Exp", &[y], Vec::new()), "log_probabilities"),
        Head::Sigmoid => (b.op("Sigmoid", &[y], Vec::new()), "logits"),
    };
    b.output("probabilities", Element::Float, &answer, extents, "the probability of each class");
    b.output(own, Element::Float, y, extents, "the output of the last layer");
}

/// Outputs in the unit of a standardised target, in f64.
fn unscaled(b: &mut Builder<'_>, y: &str, mean: f64, std: f64) -> String {
    let y = b.cast(y, Element::Double);
    let (std, mean) = (b.doubles("std", &[], &[std]), b.doubles("mean", &[], &[mean]));
    let y = b.op("Mul", &[&y, &std], Vec::new());
    b.op("Add", &[&y, &mean], Vec::new())
}

/// The names of classes as a JSON list, and the encoding as in a run's `data.json`.
fn metadata(net: &Exported<'_>) -> Vec<StringStringEntryProto> {
    let json = |key: &str, value: serde_json::Result<String>| {
        value.ok().map(|value| StringStringEntryProto { key: key.into(), value })
    };
    let classes = (!net.classes.is_empty()).then(|| json("classes", serde_json::to_string(&net.classes)));
    let encoding = net.encoding.map(|encoding| json("encoding", serde_json::to_string(encoding)));
    [classes, encoding].into_iter().flatten().flatten().collect()
}
