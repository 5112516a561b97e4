//! The end of a net in one kernel (`kernel/mlp/tail.rs`): cross-entropy with its gradient, the layer before it where it is
//! narrow, and the gradient of that layer's input. All of them belong to one row, so a workgroup computes them for a few
//! rows, and three dispatches that wait for each other are one. For GPUs.

use std::collections::HashMap;

use super::buffers::fixed;
use super::fuse::Fusion;
use super::memory::Arena;
use super::view::Views;
use super::whole_net::Search;
use crate::graph::{DType, Node, NodeId, Op};
use crate::kernel::mlp::{Mlp, Place, Stage};
use crate::kernel::{Kernel, MAX_BUFFERS, MAX_GROUPS, mlp};

/// The most classes of a layer that is computed with the loss.
const MOST_CLASSES: usize = 64;
/// The most weights of such a layer: a workgroup reads all of them for few rows.
const MOST_WEIGHTS: usize = 16_384;

/// Values that one kernel makes.
pub(super) struct Tail {
    pub kernel: Kernel,
    /// The values, the loss first.
    pub made: Vec<NodeId>,
    /// The logits, where this kernel makes them.
    pub logits: Option<NodeId>,
    /// The names of its parts.
    pub names: Vec<String>,
}

/// The kernel of a net's end. `loss`: a cross-entropy; `grad`: its gradient, if that can be made with it.
pub(super) fn tail(
    nodes: &[Node],
    fusion: &Fusion,
    arena: &Arena,
    loss: NodeId,
    grad: Option<NodeId>,
) -> Option<Tail> {
    let Op::CrossEntropy(attrs) = nodes[loss.0].op else { return None };
    let views = Views::new(nodes, &fusion.stored);
    let [logits, targets] = [0, 1].map(|i| views.contiguous(nodes[loss.0].inputs[i]));
    let [rows, classes] = nodes[nodes[loss.0].inputs[0].0].shape[..] else { return None };
    let all = [Some(loss), grad, Some(logits)];
    if all.iter().flatten().any(|id| nodes[id.0].half) || rows > mlp::ROWS * MAX_GROUPS as usize {
        return None;
    }
    let mut search =
        Search { fusion, batch: rows, sinks: HashMap::new(), net: Mlp::new(nodes.to_vec(), rows, 0) };
    let mut draft = Draft { nodes, fusion, arena, loss, given: Vec::new(), made: Vec::new() };
    search.net.places.insert(targets, Place::Targets);
    let mut names = vec!["cross_entropy".to_owned()];
    let layer = grad.and_then(|grad| draft.layer(&mut search, [logits, grad], [rows, classes]));
    if layer.is_none() {
        draft.give(&mut search.net, logits)?;
    }
    let has_layer = layer.is_some();
    if let Some(stage) = layer {
        draft.make(&mut search.net, logits);
        search.net.stages.push(stage);
        names.insert(0, "matmul".into());
    }
    for id in [loss].into_iter().chain(grad) {
        draft.make(&mut search.net, id);
    }
    if let Some(grad) = grad {
        draft.give_leaves(&mut search.net, nodes[grad.0].inputs[2])?;
        if !search.is_of_samples(nodes, nodes[grad.0].inputs[2], true) {
            return None;
        }
    }
    search.net.stages.push(Stage::CrossEntropy { loss: Some(loss), grad, logits, targets, attrs });
    if let Some(grad) = grad.filter(|_| has_layer)
        && let Some(stage) = draft.input_gradient(&mut search, grad)
    {
        search.net.stages.push(stage);
        names.push("matmul".into());
    }
    let kernel = mlp::tail(&search.net, &draft.given, &draft.made);
    let mut made = draft.made;
    made.sort_unstable_by_key(|id| *id != loss);
    let logits = has_layer.then_some(logits);
    (kernel.operands.len() <= MAX_BUFFERS).then_some(Tail { kernel, made, logits, names })
}

/// The values that the kernel reads and makes so far.
struct Draft<'a> {
    nodes: &'a [Node],
    fusion: &'a Fusion,
    arena: &'a Arena,
    loss: NodeId,
    given: Vec<NodeId>,
    made: Vec<NodeId>,
}

impl Draft<'_> {
    fn make(&mut self, net: &mut Mlp, id: NodeId) {
        net.places.insert(id, Place::Made(self.made.len()));
        self.made.push(id);
    }

    /// Gives the kernel a value in memory; `None` where it cannot read it, or it is made too late.
    fn give(&mut self, net: &mut Mlp, id: NodeId) -> Option<()> {
        if net.places.contains_key(&id) {
            return Some(());
        }
        let node = &self.nodes[id.0];
        let place = match node.op {
            _ if node.half || node.dtype != DType::F32 => return None,
            Op::Parameter(p) => Place::Parameters(self.arena.offsets[p] as usize / 4),
            Op::Clock | Op::Buffer(_) => return None,
            Op::Input(_) => Place::Given(self.given.len()),
            _ if self.fusion.position(id) < self.fusion.position(self.loss) => Place::Given(self.given.len()),
            _ => return None,
        };
        if matches!(place, Place::Given(_)) {
            self.given.push(id);
        }
        net.places.insert(id, place);
        Some(())
    }

    /// Gives the kernel every value in memory that an expression is computed from.
    fn give_leaves(&mut self, net: &mut Mlp, id: NodeId) -> Option<()> {
        if net.places.contains_key(&id) {
            return Some(());
        }
        let node = &self.nodes[id.0];
        if self.fusion.stored[id.0] || fixed(node).is_some() {
            return self.give(net, id);
        }
        node.inputs.iter().try_for_each(|&input| self.give_leaves(net, input))
    }

    /// The layer that makes the logits, where only this loss and its gradient read them: others would read them earlier.
    fn layer(
        &mut self,
        search: &mut Search<'_>,
        [logits, grad]: [NodeId; 2],
        [rows, classes]: [usize; 2],
    ) -> Option<Stage> {
        let start = self.fusion.producer[logits.0].unwrap_or(logits);
        let own = self.fusion.consumers[logits.0].iter().all(|id| [self.loss, grad].contains(id));
        let beside = self.fusion.epilogues.get(&start).is_some_and(|e| e.side_output.is_some());
        let is_narrow = classes <= MOST_CLASSES && self.nodes[logits.0].shape[..] == [rows, classes];
        if !own || beside || !is_narrow {
            return None;
        }
        self.product(search, start, logits)
    }

    /// The product of the loss's gradient and the layer's weights.
    fn input_gradient(&mut self, search: &mut Search<'_>, grad: NodeId) -> Option<Stage> {
        let start = self.fusion.consumers[grad.0].iter().copied().find(|id| {
            let node = &self.nodes[id.0];
            matches!(node.op, Op::Matmul { trans_a: false, .. }) && node.inputs[0] == grad
        })?;
        let root = (start.0..self.nodes.len())
            .map(NodeId)
            .filter(|id| self.fusion.stored[id.0] && !self.fusion.is_side_output(*id))
            .find(|id| self.fusion.producer[id.0].unwrap_or(*id) == start)?;
        let stage = self.product(search, start, root)?;
        let Stage::Product { side_output, .. } = stage else { return None };
        for id in [root].into_iter().chain(side_output) {
            self.make(&mut search.net, id);
        }
        Some(stage)
    }

    /// A product of rows and a parameter with few numbers; what it reads is given to the kernel.
    fn product(&mut self, search: &mut Search<'_>, start: NodeId, root: NodeId) -> Option<Stage> {
        let (given, places) = (self.given.len(), search.net.places.clone());
        let stage = self.try_product(search, start, root);
        if stage.is_none() {
            self.given.truncate(given);
            search.net.places = places;
        }
        stage
    }

    fn try_product(&mut self, search: &mut Search<'_>, start: NodeId, root: NodeId) -> Option<Stage> {
        let node = &self.nodes[start.0];
        if !matches!(node.op, Op::Matmul { .. }) || node.shape.len() != 2 || self.nodes[root.0].half {
            return None;
        }
        let views = Views::new(self.nodes, &self.fusion.stored);
        for &input in &node.inputs {
            let node = views.operand(input, false).node();
            self.give(&mut search.net, node)?;
        }
        let computed = self.fusion.epilogues.get(&start).map_or(vec![], |e| e.nodes.clone());
        for &id in &computed {
            for &input in &self.nodes[id.0].inputs {
                if input != start && !computed.contains(&input) {
                    self.give_result(&mut search.net, input, start, &computed)?;
                }
            }
        }
        let stage = search.product(self.nodes, start, root).ok()?;
        let Stage::Product { n, k, .. } = &stage else { return None };
        (n * k <= MOST_WEIGHTS).then_some(stage)
    }

    /// [`Draft::give_leaves`] of what an epilogue reads, which may be a view of what it computes.
    fn give_result(&mut self, net: &mut Mlp, id: NodeId, start: NodeId, computed: &[NodeId]) -> Option<()> {
        if id == start || computed.contains(&id) {
            return Some(());
        }
        if self.nodes[id.0].op == Op::Reshape && !self.fusion.stored[id.0] {
            return self.give_result(net, self.nodes[id.0].inputs[0], start, computed);
        }
        self.give_leaves(net, id)
    }
}
