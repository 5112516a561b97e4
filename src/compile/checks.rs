//! What data and model agree on beyond shapes: a class for every label, a row for every index; and how often the
//! model says what the data say.

use crate::data::{Dataset, Part};
use crate::error::{Error, Result};
use crate::graph::{Graph, Node, NodeId, Op, Tensor};
use crate::shape::Shape;

/// `y` has a number for each class where `t` has a label: [n, .., classes] and [n, ..].
pub(super) fn predicts(y: &Tensor, t: &Tensor) -> bool {
    matches!(y.shape().split_last(), Some((_, lead)) if !lead.is_empty() && lead == t.shape())
}

/// How many labels of `t` the outputs `y` predict: the first of the largest is the prediction, as in `torch.argmax`, so
/// that outputs that do not differ predict class 0 and no other. NaN predicts nothing.
pub(super) fn hits(y: &Tensor, t: &Tensor) -> Tensor {
    among(y, t, 1).sum_all()
}

/// [rows]: 1 where the label's output is among the `first` largest, of equal ones the first being larger, and NaN larger
/// than any number; where its own is NaN it is not.
pub(super) fn among(y: &Tensor, t: &Tensor, first: usize) -> Tensor {
    let rows = Shape::from(t.shape()).elements();
    let classes = y.shape()[y.shape().len() - 1];
    let (y, t) = (y.reshape([rows, classes]), t.reshape([rows, 1]));
    let (said, class) = (y.gather(1, &t), y.graph().iota(1, &Shape::from([rows, classes])));
    let not_past = y.lt(&said).maximum(&y.eq(&said).mul(&class.ge(&t)));
    let behind = (classes + 1).saturating_sub(first).max(1);
    not_past.sum(&[1], false).ge(&y.graph().constant(behind as f32))
}

/// The parts of a data set.
fn parts(data: &Dataset) -> impl Iterator<Item = &Part> {
    std::iter::once(data.train()).chain(data.eval())
}

/// The output has a place for every label.
pub(super) fn check_classes(data: &Dataset, y: &Tensor, t: &Tensor) -> Result<()> {
    let (Some(classes), [_, .., outputs]) = (data.classes(), y.shape()) else { return Ok(()) };
    if y.shape().len() > 2 && !predicts(y, t) {
        return Ok(()); // the loss says what does not fit
    }
    for part in parts(data) {
        part.check_labels(*outputs).map_err(|err| {
            Error::Config(format!(
                "the model's output has {outputs} classes and \"{}\" has {classes}: {err}",
                data.name()
            ))
        })?;
    }
    Ok(())
}

/// The input whose elements these are, rearranged.
fn input_of(nodes: &[Node], mut id: NodeId) -> Option<&str> {
    loop {
        let node = &nodes[id.0];
        match &node.op {
            Op::Input(name) => return Some(name),
            Op::Reshape | Op::Permute(_) | Op::Broadcast => id = node.inputs[0],
            _ => return None,
        }
    }
}

/// Every trained table that is read by an input of the data has a row for each of its indices, and for each
/// character of a vocabulary.
pub(super) fn check_tables(data: &Dataset, graph: &Graph) -> Result<()> {
    let (nodes, parameters) = (graph.nodes(), graph.parameters());
    for node in &nodes {
        let (Op::Gather(axis), &[table, index]) = (&node.op, &node.inputs[..]) else { continue };
        let (Op::Parameter(p), Some(input)) = (&nodes[table.0].op, input_of(&nodes, index)) else { continue };
        let ranges = parts(data).filter_map(|part| part.field(input)?.range_i32().transpose());
        let ranges = ranges.collect::<Result<Vec<_>>>()?.into_iter();
        let Some((low, high)) = ranges.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else { continue };
        let (table, rows) = (&parameters[*p], parameters[*p].shape[*axis]);
        let (layer, of) = (&node.scope, data.name());
        let layer = if layer.is_empty() { String::new() } else { format!("layer {layer}: ") };
        if low < 0 {
            return Err(Error::Config(format!(
                "{layer}\"{input}\" of \"{of}\" has the index {low}, and rows of {} count from 0",
                table.name
            )));
        }
        let needed = (high as usize + 1).max(data.vocabulary().map_or(0, |v| v.len()));
        if rows < needed {
            let why = match data.vocabulary() {
                Some(vocabulary) => format!("the vocabulary of \"{of}\" has {} characters", vocabulary.len()),
                None => format!("the largest index in \"{input}\" of \"{of}\" is {high}"),
            };
            return Err(Error::Config(format!(
                "{layer}{} has {rows} rows and {why}: at least {needed} are needed",
                table.name
            )));
        }
    }
    Ok(())
}
