//! Dead units of relu: a plan that runs the model again on the last batch, and counts them.

use super::step::{EvalModel, StepBuilder};
use crate::error::Result;
use crate::graph::{Graph, Node, NodeId, Tensor};
use crate::kernel::Rounding;
use crate::plan::{Plan, Sink};

/// A layer of relu.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Units {
    pub name: String,
    pub units: usize,
}

/// The buffer that stores the count of a layer's dead units.
pub(crate) fn buffer(layer: usize) -> String {
    format!("dead units {layer}")
}

impl StepBuilder<'_> {
    /// Plans the count of dead units on batches of `batch` samples, read where training's are fed; and lists the layers.
    pub(super) fn units(&self, batch: usize, model: &EvalModel) -> Result<(Plan, Vec<Units>)> {
        let (graph, ..) = self.forward(batch, false)?;
        model.check(&graph)?;
        let (mut layers, mut outputs) = (Vec::new(), Vec::new());
        for (units, dead) in dead_units(&graph) {
            outputs.push((dead, Sink::Buffer(buffer(layers.len()))));
            layers.push(units);
        }
        if layers.is_empty() {
            return Ok((Plan::default(), layers));
        }
        let target = self.target.with_rounding(Rounding::Nearest);
        let plan = Plan::with_arena(&graph, &outputs, self.ring(), target, model.arena.clone(), self.tuned)?;
        Ok((plan, layers))
    }
}

/// Every relu of a graph, and the number of its units that are 0 over the whole batch, as an f32 scalar.
fn dead_units(graph: &Graph) -> Vec<(Units, Tensor)> {
    let nodes = graph.nodes();
    let mut all: Vec<(Units, Tensor)> = Vec::new();
    for y in graph.relu_outputs() {
        let rank = y.shape().len();
        if rank < 2 {
            continue;
        }
        let axis = unit_axis(&nodes, y.id());
        let others: Vec<isize> = (0..rank).filter(|&a| a != axis).map(|a| a as isize).collect();
        let dead = y.amax(&others, false).eq(&graph.constant(0.0)).sum_all();
        let name = name(&nodes, y.id(), all.iter().map(|(units, _)| units.name.as_str()));
        all.push((Units { name, units: y.shape()[axis] }, dead));
    }
    all
}

/// The axis of the units: the channels, where the last layer before was a convolution, else the last one.
fn unit_axis(nodes: &[Node], relu: NodeId) -> usize {
    let kind = before(nodes, relu).find_map(|node| {
        let conv = node.scope.contains("(conv");
        (conv || node.scope.contains("(linear")).then_some(conv)
    });
    let rank = nodes[relu.0].shape.len();
    if kind.unwrap_or(rank >= 4) { 1 } else { rank - 1 }
}

/// Names a relu: its layer, or `relu after` the last layer before it. Adds a number where the name is taken.
fn name<'n>(nodes: &[Node], relu: NodeId, taken: impl Iterator<Item = &'n str> + Clone) -> String {
    let own = match nodes[relu.0].scope.as_str() {
        "" => match before(nodes, relu).find(|node| !node.scope.is_empty()) {
            Some(node) => format!("relu after {}", node.scope),
            None => "relu".into(),
        },
        scope => scope.to_owned(),
    };
    let free = |name: &String| taken.clone().all(|other| other != name);
    let numbered = (2..).map(|n| format!("{own} #{n}"));
    std::iter::once(own.clone()).chain(numbered).find(free).unwrap_or(own)
}

/// The nodes that a node is computed from, the latest first.
fn before(nodes: &[Node], of: NodeId) -> impl Iterator<Item = &Node> {
    let mut wanted = vec![false; of.0 + 1];
    wanted[of.0] = true;
    (0..=of.0).rev().filter_map(move |id| {
        if !wanted[id] {
            return None;
        }
        nodes[id].inputs.iter().for_each(|input| wanted[input.0] = true);
        (id != of.0).then_some(&nodes[id])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Conv1d, Net};

    /// Of [batch, 4, 6] by 3 channels, by 5 features, and by 4 as it is.
    #[test]
    fn units_are_channels_after_a_convolution_and_features_else() {
        let graph = Graph::new();
        let net = Net::new(&graph, false);
        let x = graph.input("x", [2, 4, 6]);
        let a = net.conv1d("c", &x, &Conv1d::new(3, [1])).relu();
        let b = net.linear("l", &a, 5).relu();
        let _ = graph.scoped("9 (relu)", || b.reshape([2, 15]).mul_scalar(2.0).relu()).relu();
        let found: Vec<Units> = dead_units(&graph).into_iter().map(|(units, _)| units).collect();
        let is = |name: &str, units| Units { name: name.into(), units };
        let want = [
            is("relu after c (conv1d)", 3),
            is("relu after l (linear)", 5),
            is("9 (relu)", 15),
            is("relu after 9 (relu)", 15),
        ];
        assert_eq!(found, want);
        graph.check().unwrap();
    }
}
