//! Nets whose training step fits two dispatches (`kernel/mlp`): every value but the gradients of the parameters belongs to
//! one sample, products have a parameter as their second operand, and the gradient of each parameter is one sum over
//! samples. What does not fit is named, so that `explain` can say why.

use std::collections::HashMap;

use super::buffers::{Ring, Sink};
use super::fuse::Fusion;
use super::memory::{ALIGNMENT, Arena};
use super::view::Views;
use crate::graph::{DType, Fold, Graph, Node, NodeId, Op, Tensor};
use crate::kernel::matmul::{Matrix, MatrixView};
use crate::kernel::mlp::{Gradient, LARGEST_BATCH, MOST_PARAMETERS, Metric, Mlp, Place, Stage, WIDEST};

/// The most numbers that a metric adds: one workgroup does it, beside the others' updates.
const LONGEST_METRIC: usize = 16_384;

/// Why a net is trained kernel by kernel.
pub(crate) type Reason = String;

/// The two kernels of a training step on `batch` samples, or the reason why it takes more.
pub(crate) fn whole_net(
    graph: &Graph,
    outputs: &[(Tensor, Sink)],
    ring: Ring,
    arena: &Arena,
    batch: usize,
) -> Result<Mlp, Reason> {
    let nodes = graph.nodes();
    let parameters: usize = graph.parameters().iter().map(|p| p.shape.elements()).sum();
    if parameters > MOST_PARAMETERS {
        return Err(format!("it has {parameters} parameters, and at most {MOST_PARAMETERS} fit"));
    }
    if batch > LARGEST_BATCH {
        return Err(format!("a batch has {batch} samples, and at most {LARGEST_BATCH} fit"));
    }
    let sinks: Vec<(NodeId, &Sink)> =
        outputs.iter().map(|(t, sink)| (super::view::strip(&nodes, t.id()), sink)).collect();
    let roots: Vec<NodeId> = sinks.iter().map(|(id, _)| *id).collect();
    let fusion = Fusion::new(&nodes, &roots, false);
    let mut search = Search {
        fusion: &fusion,
        batch,
        sinks: HashMap::new(),
        net: Mlp::new(nodes.clone(), batch, ring.columns),
    };
    for (id, sink) in sinks {
        if search.sinks.insert(id, sink).is_some() {
            return Err("two of its outputs are one value".into());
        }
    }
    let made: Vec<NodeId> = (0..nodes.len())
        .map(NodeId)
        .filter(|id| fusion.live[id.0] && fusion.stored[id.0] && !fusion.is_side_output(*id))
        .collect();
    for &id in &made {
        search.take(&nodes, id, arena)?;
    }
    search.net.gradients.sort_by_key(|(first, _)| *first);
    let trained = search.sinks.values().filter(|sink| matches!(sink, Sink::Gradient(_))).count();
    if search.net.gradients.len() != trained || trained == 0 {
        return Err("a gradient is no sum over samples".into());
    }
    Ok(search.net)
}

pub(super) struct Search<'a> {
    pub fusion: &'a Fusion,
    pub batch: usize,
    pub sinks: HashMap<NodeId, &'a Sink>,
    pub net: Mlp,
}

impl Search<'_> {
    /// Gives a value in memory its place, and the kernel that makes it.
    fn take(&mut self, nodes: &[Node], root: NodeId, arena: &Arena) -> Result<(), Reason> {
        let start = self.fusion.producer[root.0].unwrap_or(root);
        let node = &nodes[start.0];
        let is_given = matches!(node.op, Op::Parameter(_) | Op::Clock | Op::Input(_));
        if is_given && self.sinks.contains_key(&root) {
            return Err(format!("{} is an output of its own", self.title(nodes, root)));
        }
        let place = match &node.op {
            Op::Parameter(p) => Some(Place::Parameters(arena.offsets[*p] as usize / 4)),
            Op::Clock => Some(Place::Clock),
            Op::Input(name) => {
                if node.shape.first() != Some(&self.batch) {
                    return Err(format!("the input {name} has no axis of samples"));
                }
                self.net.inputs.push((name.clone(), root));
                (node.dtype == DType::I32).then_some(Place::Targets)
            }
            _ => return self.compute(nodes, start, root, arena),
        };
        let place = place.unwrap_or_else(|| self.reserve(nodes, root));
        if place == Place::Targets && self.net.places.values().any(|other| *other == Place::Targets) {
            return Err("it has two inputs of whole numbers".into());
        }
        self.net.places.insert(root, place);
        Ok(())
    }

    fn reserve(&mut self, nodes: &[Node], id: NodeId) -> Place {
        let first = self.net.values;
        let alignment = ALIGNMENT as usize / 4;
        self.net.values += nodes[id.0].shape.elements().next_multiple_of(alignment);
        Place::Values(first)
    }

    fn compute(&mut self, nodes: &[Node], start: NodeId, root: NodeId, arena: &Arena) -> Result<(), Reason> {
        let node = &nodes[start.0];
        match (self.sinks.get(&root).copied(), &node.op) {
            (Some(Sink::Gradient(p)), op) => {
                let gradient = match op {
                    _ if start != root => None,
                    Op::Matmul { .. } => self.gradient_product(nodes, start),
                    Op::Reduce(Fold::Sum, axes) => self.gradient_sum(nodes, start, axes),
                    _ => None,
                };
                let gradient = gradient
                    .ok_or_else(|| format!("{} is no plain sum over samples", self.title(nodes, root)))?;
                if !self.fusion.consumers[root.0].is_empty() {
                    return Err(format!("{} is read again", self.title(nodes, root)));
                }
                self.net.gradients.push((arena.offsets[*p] as usize / 16, gradient));
                return Ok(());
            }
            (Some(Sink::Metric(column)), Op::Reduce(Fold::Sum, _)) if nodes[root.0].shape.elements() == 1 => {
                let beside = self.fusion.epilogues.get(&start).is_some_and(|e| e.side_output.is_some());
                if beside || !self.fusion.consumers[root.0].is_empty() {
                    return Err(format!("{} is read again", self.title(nodes, root)));
                }
                let input = node.inputs[0];
                let elements = nodes[input.0].shape.elements();
                if elements > LONGEST_METRIC {
                    return Err(format!(
                        "{} adds {elements} numbers, and one workgroup adds at most {LONGEST_METRIC}",
                        self.title(nodes, root)
                    ));
                }
                if self.reads_parameters(nodes, input, None)
                    || self.reads_parameters(nodes, root, Some(start))
                {
                    return Err(format!("{} reads a parameter", self.title(nodes, root)));
                }
                self.net.metrics.push(Metric { node: start, root, column: *column });
                return Ok(());
            }
            (Some(_), _) => return Err(format!("{} is an output of its own", self.title(nodes, root))),
            (None, _) => {}
        }
        let shape = &nodes[root.0].shape;
        if nodes[root.0].dtype != DType::F32 {
            return Err(format!("{} is of whole numbers", self.title(nodes, root)));
        }
        if shape.first() != Some(&self.batch) {
            return Err(format!("{} has no axis of samples", self.title(nodes, root)));
        }
        let widest = shape.elements() / self.batch;
        if widest > WIDEST {
            return Err(format!(
                "{} has {widest} numbers a sample, and at most {WIDEST} fit",
                self.title(nodes, root)
            ));
        }
        let stage = match &node.op {
            Op::Matmul { .. } => self.product(nodes, start, root)?,
            Op::CrossEntropy(attrs) | Op::CrossEntropyGrad(attrs) => {
                if self.net.places.contains_key(&root) {
                    return Ok(()); // made with its twin
                }
                let is_loss = matches!(node.op, Op::CrossEntropy(_));
                let twin = (0..nodes.len()).map(NodeId).find(|&g| {
                    is_loss
                        && self.fusion.live[g.0]
                        && nodes[g.0].op == Op::CrossEntropyGrad(*attrs)
                        && nodes[g.0].inputs[..2] == node.inputs[..2]
                        && self.is_of_samples(nodes, nodes[g.0].inputs[2], true)
                });
                let views = Views::new(nodes, &self.fusion.stored);
                let [logits, targets] = [0, 1].map(|i| views.contiguous(node.inputs[i]));
                let grad = if is_loss { twin } else { Some(root) };
                let fits = self.is_value(logits)
                    && self.net.places.get(&targets) == Some(&Place::Targets)
                    && grad.is_none_or(|grad| self.is_of_samples(nodes, nodes[grad.0].inputs[2], true));
                if !fits {
                    return Err(format!("{} is not computed sample by sample", self.title(nodes, root)));
                }
                if let Some(twin) = twin {
                    let place = self.reserve(nodes, twin);
                    self.net.places.insert(twin, place);
                }
                Stage::CrossEntropy { loss: is_loss.then_some(root), grad, logits, targets, attrs: *attrs }
            }
            _ if self.is_of_samples(nodes, root, true) => Stage::Chain(root),
            _ => return Err(format!("{} is not computed sample by sample", self.title(nodes, root))),
        };
        let beside = match &stage {
            Stage::Product { side_output, .. } => *side_output,
            _ => None,
        };
        for id in [root].into_iter().chain(beside) {
            let place = self.reserve(nodes, id);
            self.net.places.insert(id, place);
        }
        self.net.stages.push(stage);
        Ok(())
    }

    fn is_value(&self, id: NodeId) -> bool {
        matches!(self.net.places.get(&id), Some(Place::Values(_) | Place::Made(_)))
    }

    fn title(&self, nodes: &[Node], id: NodeId) -> String {
        let start = self.fusion.producer[id.0].unwrap_or(id);
        let node = &nodes[start.0];
        if node.scope.is_empty() { node.op.name() } else { format!("{}: {}", node.scope, node.op.name()) }
    }

    /// True where the expression of `id`, down to `end`, reads a parameter, which the update changes meanwhile.
    fn reads_parameters(&self, nodes: &[Node], id: NodeId, end: Option<NodeId>) -> bool {
        match self.net.places.get(&id) {
            _ if Some(id) == end => false,
            Some(place) => matches!(place, Place::Parameters(_)),
            None => nodes[id.0].inputs.iter().any(|&input| self.reads_parameters(nodes, input, end)),
        }
    }

    /// True where element (row, ..) of `id` needs no other row. `lead`: its first axis is that of samples.
    pub(super) fn is_of_samples(&self, nodes: &[Node], id: NodeId, lead: bool) -> bool {
        if let Some(place) = self.net.places.get(&id) {
            return lead || !matches!(place, Place::Values(_) | Place::Made(_) | Place::Targets);
        }
        let node = &nodes[id.0];
        match &node.op {
            Op::Constant(_) | Op::Iota(_) => true,
            Op::Random(_) => self.net.places.contains_key(&node.inputs[0]),
            op if op.is_elementwise() => {
                node.inputs.iter().all(|&input| self.is_of_samples(nodes, input, lead))
            }
            op if op.is_view() => self.is_view_of_samples(nodes, id, lead),
            _ => false,
        }
    }

    fn is_view_of_samples(&self, nodes: &[Node], id: NodeId, lead: bool) -> bool {
        let node = &nodes[id.0];
        let whole = |input: NodeId| nodes[input.0].shape.first() == Some(&self.batch);
        let first = node.inputs[0];
        let keeps = match &node.op {
            Op::Reshape => whole(first) && node.shape.first() == Some(&self.batch),
            Op::Permute(perm) => perm.first() == Some(&0),
            Op::Broadcast => nodes[first.0].shape.len() == node.shape.len() && whole(first),
            Op::Slice(_) | Op::Pad(_) => whole(first) && node.shape.first() == Some(&self.batch),
            Op::Concat(axis) | Op::Gather(axis) => *axis != 0,
            Op::Window(w, _) => w.axis != 0,
            _ => false,
        };
        node.inputs.iter().all(|&input| self.is_of_samples(nodes, input, lead && keeps))
    }

    /// A matrix whose `rows` are samples: its stride from sample to sample is a sample's numbers.
    fn is_by_sample(&self, nodes: &[Node], view: &MatrixView, stride: usize) -> bool {
        if matches!(self.net.places.get(&view.node), Some(Place::Given(_))) {
            return view.batch == 0; // made before, so any number may be read
        }
        let width = nodes[view.node.0].shape.elements() / self.batch;
        self.is_value(view.node) && view.batch == 0 && stride == width && (view.offset < width || width == 0)
    }

    fn operands(&self, nodes: &[Node], start: NodeId) -> Option<[MatrixView; 2]> {
        let node = &nodes[start.0];
        let Op::Matmul { trans_a, trans_b } = node.op else { return None };
        let views = Views::new(nodes, &self.fusion.stored);
        let strided = |i: usize, turned: bool| match views.operand(node.inputs[i], turned) {
            Matrix::Strided(view) => Some(view),
            Matrix::Mapped { .. } => None,
        };
        (node.shape.len() == 2).then_some(())?;
        Some([strided(0, trans_a)?, strided(1, trans_b)?])
    }

    pub(super) fn product(&self, nodes: &[Node], start: NodeId, root: NodeId) -> Result<Stage, Reason> {
        let node = &nodes[start.0];
        let title = || self.title(nodes, start);
        let Some([a, b]) = self.operands(nodes, start) else {
            return Err(format!("{} is no product of two matrices in memory", title()));
        };
        let Op::Matmul { trans_a, .. } = node.op else { unreachable!("a product") };
        let shape = &nodes[node.inputs[0].0].shape;
        let k = shape[if trans_a { shape.len() - 2 } else { shape.len() - 1 }];
        let is_parameter = matches!(self.net.places.get(&b.node), Some(Place::Parameters(_)));
        if node.shape[0] != self.batch || !self.is_by_sample(nodes, &a, a.row) || !is_parameter {
            return Err(format!("{} is no product of samples and a parameter", title()));
        }
        let epilogue = self.fusion.epilogues.get(&start);
        let side_output = epilogue.and_then(|e| e.side_output);
        let computed: &[NodeId] = epilogue.map_or(&[], |e| &e.nodes);
        let fits = computed.iter().all(|id| {
            let inputs = nodes[id.0].inputs.iter().filter(|n| **n != start && !computed.contains(n));
            inputs.copied().all(|input| self.is_of_result(nodes, input, start, computed))
        });
        if !fits {
            return Err(format!("what follows from {} is not computed sample by sample", title()));
        }
        Ok(Stage::Product { node: start, root, side_output, a, b, n: node.shape[1], k })
    }

    /// [`Search::is_of_samples`] for what an epilogue reads; it may be a view of what the epilogue computes.
    fn is_of_result(&self, nodes: &[Node], id: NodeId, start: NodeId, computed: &[NodeId]) -> bool {
        if id == start || computed.contains(&id) {
            return true;
        }
        match nodes[id.0].op {
            Op::Reshape if !self.net.places.contains_key(&id) => {
                let input = nodes[id.0].inputs[0];
                let same = nodes[id.0].shape.first() == Some(&self.batch)
                    && nodes[input.0].shape.first() == Some(&self.batch);
                same && self.is_of_result(nodes, input, start, computed)
                    || self.is_of_samples(nodes, id, true)
            }
            _ => self.is_of_samples(nodes, id, true),
        }
    }

    fn gradient_product(&self, nodes: &[Node], start: NodeId) -> Option<Gradient> {
        let [a, b] = self.operands(nodes, start)?;
        let shape = &nodes[start.0].shape;
        let fits = self.is_by_sample(nodes, &a, a.col) && self.is_by_sample(nodes, &b, b.row);
        let node = &nodes[start.0];
        let Op::Matmul { trans_a, .. } = node.op else { return None };
        let of_a = &nodes[node.inputs[0].0].shape;
        let k = of_a[if trans_a { of_a.len() - 2 } else { of_a.len() - 1 }];
        (fits && k == self.batch).then(|| Gradient::Product { a, b, m: shape[0], n: shape[1] })
    }

    fn gradient_sum(&self, nodes: &[Node], start: NodeId, axes: &[usize]) -> Option<Gradient> {
        let value = nodes[start.0].inputs[0];
        let shape = &nodes[value.0].shape;
        let over_samples = shape.first() == Some(&self.batch)
            && axes.iter().all(|&axis| axis == 0 || shape[axis] == 1)
            && axes.contains(&0);
        let own = self.is_of_samples(nodes, value, true) && !self.reads_parameters(nodes, value, None);
        (over_samples && own).then(|| Gradient::Sum { value, width: shape.elements() / self.batch })
    }
}
