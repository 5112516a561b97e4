//! Checks of data against model beyond shapes: a class for every label, a row for every index.

use crate::data::{Dataset, Part};
use crate::error::{Error, Result};
use crate::graph::{Graph, Node, NodeId, Op, Tensor};
use crate::metrics::is_classification;
use crate::optim::schedule::Metric;
use crate::optim::{Schedule, Update};
use crate::units::plural;

/// The parts of a data set.
fn parts(data: &Dataset) -> impl Iterator<Item = &Part> {
    std::iter::once(data.train()).chain(data.eval())
}

/// Checks that the output has a class for every label.
pub(super) fn check_classes(data: &Dataset, y: &Tensor, t: &Tensor) -> Result<()> {
    let (Some(classes), [_, .., outputs]) = (data.classes(), y.shape()) else { return Ok(()) };
    if y.shape().len() > 2 && !is_classification(y, t) {
        return Ok(()); // the loss says what does not fit
    }
    for part in parts(data) {
        let Err(err) = part.check_labels(*outputs) else { continue };
        let gaps = data.gaps()?.map(|gaps| format!(". Note that {gaps}")).unwrap_or_default();
        return Err(Error::Config(format!(
            "the model's output has {} and \"{}\" has {classes}: {err}{gaps}",
            plural(*outputs, "class"),
            data.name()
        )));
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

/// Checks each trained table that an input of the data indexes: it has a row for each of the indices, and for each
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
        let (layer, of) = (layer_of(node), data.name());
        if low < 0 {
            return Err(Error::Config(format!(
                "{layer}\"{input}\" of \"{of}\" has the index {low}, and rows of {} count from 0",
                table.name
            )));
        }
        let needed = (high as usize + 1).max(data.vocabulary().map_or(0, |v| v.len()));
        if rows < needed {
            let why = match data.vocabulary() {
                Some(vocabulary) => {
                    format!("the vocabulary of \"{of}\" has {}", plural(vocabulary.len(), "character"))
                }
                None => format!("the largest index in \"{input}\" of \"{of}\" is {high}"),
            };
            return Err(Error::Config(format!(
                "{layer}{} has {} and {why}: at least {needed} are needed",
                table.name,
                plural(rows, "row")
            )));
        }
    }
    Ok(())
}

/// A trained table that an input indexes.
#[derive(Debug, Clone)]
pub(crate) struct IndexedTable {
    /// Its layer and its name, for messages.
    name: String,
    rows: usize,
}

impl IndexedTable {
    /// The tables of a graph that the input `name` indexes.
    pub fn of_input(name: &str, graph: &Graph) -> Vec<IndexedTable> {
        let (nodes, parameters) = (graph.nodes(), graph.parameters());
        let table = |node: &Node| {
            let (Op::Gather(axis), &[table, index]) = (&node.op, &node.inputs[..]) else { return None };
            let Op::Parameter(p) = nodes[table.0].op else { return None };
            let own = &parameters[p];
            let is_indexed = input_of(&nodes, index) == Some(name);
            is_indexed.then(|| IndexedTable {
                name: format!("{}{}", layer_of(node), own.name),
                rows: own.shape[*axis],
            })
        };
        nodes.iter().filter_map(table).collect()
    }

    /// Refuses numbers of which one has no row.
    ///
    /// # Errors
    /// [`Error::Data`] with the first that has none.
    pub fn check(&self, indices: &[i32]) -> Result<()> {
        let Some(wrong) = indices.iter().find(|&&index| index < 0 || index as usize >= self.rows) else {
            return Ok(());
        };
        Err(Error::Data(format!(
            "{} has {}, and the inputs hold the index {wrong}: rows count from 0 to {}",
            self.name,
            plural(self.rows, "row"),
            self.rows.saturating_sub(1)
        )))
    }
}

/// The layer of a node, at the beginning of a message.
fn layer_of(node: &Node) -> String {
    if node.scope.is_empty() { String::new() } else { format!("layer {}: ", node.scope) }
}

/// Refuses a plateau schedule whose metric no epoch of the run reports.
pub(super) fn check_plateau(update: &Update, evaluates: bool, counts: bool) -> Result<()> {
    let Some(Schedule::Plateau(rule)) = &update.schedule else { return Ok(()) };
    let missing = match rule.metric {
        Metric::EvalLoss | Metric::EvalAccuracy if !evaluates => {
            "there are no samples to evaluate on; keep some (data.eval_fraction), or set metric = \"train_loss\""
        }
        Metric::EvalAccuracy if !counts => {
            "evaluation counts no right predictions: the targets are no classes, or the loss is a function of batches; \
             set metric = \"eval_loss\" and mode = \"min\""
        }
        _ => return Ok(()),
    };
    Err(Error::Config(format!("schedule.metric = \"{}\": {missing}", rule.metric.name())))
}
