//! Lowering: drafts a kernel for each materialized value, in topological order.

use std::collections::HashMap;

use super::buffers::{Ring, Sink, fixed, sink_buffer};
use super::fuse::Fusion;
use super::memory::Arena;
use super::tail::{Tail, tail};
use super::view::Views;
use crate::graph::{Fold, Node, NodeId, Op};
use crate::kernel::attention::{self, Attention, RowsView};
use crate::kernel::chain::{self, Sink as KernelSink};
use crate::kernel::matmul::{self, Matrix, Product, ProductTile, TunedProducts};
use crate::kernel::reduce::{PARTIAL, Reduction};
use crate::kernel::{Family, Kernel, Operand, ProductTiles, Target, cross_entropy, reduce, reduce_chain};

/// A kernel with the nodes it makes.
pub(super) struct KernelDraft {
    pub kernel: Kernel,
    pub output: NodeId,
    pub sink: Option<Sink>,
    pub second: Option<(NodeId, Option<Sink>)>,
    /// The other nodes of a kernel that makes several.
    pub also: Vec<(NodeId, Option<Sink>)>,
    /// Numbers and bytes of partial results that it leaves for later kernels.
    pub partials: Vec<(usize, u64)>,
    /// The product, where its kernel has other tiles too.
    pub product: Option<ProductDraft>,
    /// The product and its tile, of a kernel that has one.
    pub tile: Option<ProductTile>,
    pub title: String,
    /// The kernels that it runs side by side; empty for one kernel.
    pub parts: Vec<PartDraft>,
}

/// One of the kernels that a draft runs side by side.
pub(super) struct PartDraft {
    pub title: String,
    pub output: NodeId,
    pub tile: Option<ProductTile>,
}

/// A product whose kernel has other tiles too.
#[derive(Debug, Clone, Copy)]
pub(super) struct ProductDraft {
    /// The product's node; the last node of its epilogue is the draft's output.
    start: NodeId,
    /// Parts of K.
    parts: usize,
}

impl KernelDraft {
    fn new(kernel: Kernel, output: NodeId, sink: Option<Sink>, title: String) -> KernelDraft {
        KernelDraft {
            kernel,
            output,
            sink,
            second: None,
            also: vec![],
            partials: vec![],
            product: None,
            tile: None,
            title,
            parts: vec![],
        }
    }
}

/// The fusion's decisions, and the values whose own kernel writes to a sink.
pub(super) struct Places {
    pub fusion: Fusion,
    /// The sink that a node's own kernel writes to.
    pub owned: HashMap<NodeId, Sink>,
}

impl Places {
    pub fn new(nodes: &[Node], outputs: &[(NodeId, Sink)], family: Family) -> Self {
        let roots: Vec<NodeId> = outputs.iter().map(|(id, _)| *id).collect();
        let fusion = Fusion::new(nodes, &roots, family == Family::Tiled);
        let mut owned = HashMap::new();
        for (id, sink) in outputs {
            let alone = roots.iter().filter(|r| *r == id).count() == 1;
            let unread = fusion.is_unread(*id) || matches!(sink, Sink::Buffer(_));
            // The kernel of a matrix product cannot write to a ring, so its value is copied there.
            let in_ring = matches!(sink, Sink::Metric(_) | Sink::Tally { .. });
            let plain = !in_ring || makes_metrics(nodes, &fusion, *id);
            if alone && unread && plain && fixed(&nodes[id.0]).is_none() {
                owned.insert(*id, sink.clone());
            }
        }
        Places { fusion, owned }
    }
}

pub(super) struct Lowering<'a> {
    pub(super) nodes: &'a [Node],
    outputs: &'a [(NodeId, Sink)],
    pub(super) ring: Ring,
    target: Target,
    /// The tiles that are named for products.
    tuned: &'a TunedProducts,
    fusion: Fusion,
    pub(super) owned: HashMap<NodeId, Sink>,
    /// The sum over its first operand's rows that a matmul's kernel also writes.
    row_sums: HashMap<NodeId, NodeId>,
    /// The kernels of cross-entropies that make more than a loss and its gradient.
    tails: HashMap<NodeId, Tail>,
    pub(super) drafts: Vec<KernelDraft>,
    done: Vec<bool>,
}

impl<'a> Lowering<'a> {
    pub fn new(
        nodes: &'a [Node],
        outputs: &'a [(NodeId, Sink)],
        places: Places,
        ring: Ring,
        target: Target,
        arena: &Arena,
        tuned: &'a TunedProducts,
    ) -> Self {
        let mut lowering = Lowering {
            nodes,
            outputs,
            ring,
            target,
            tuned,
            fusion: places.fusion,
            owned: places.owned,
            row_sums: HashMap::new(),
            tails: HashMap::new(),
            drafts: Vec::new(),
            done: vec![false; nodes.len()],
        };
        if target.family == Family::Tiled && target.whole_nets && target.tiles != ProductTiles::Plain {
            lowering.find_tails(arena);
        }
        for start in (0..nodes.len()).map(NodeId).filter(|id| lowering.fusion.live[id.0]) {
            if let Some(sum) = lowering.row_sum(start).filter(|_| !lowering.is_of_tail(start)) {
                lowering.row_sums.insert(start, sum);
                lowering.done[sum.0] = true;
            }
        }
        lowering
    }

    /// Finds the kernels at the end of the net, whose logits are not made before.
    fn find_tails(&mut self, arena: &Arena) {
        let is_loss =
            |id: &NodeId| self.fusion.live[id.0] && matches!(self.nodes[id.0].op, Op::CrossEntropy(_));
        let losses: Vec<NodeId> = (0..self.nodes.len()).map(NodeId).filter(is_loss).collect();
        for loss in losses {
            let in_ring = matches!(self.owned.get(&loss), Some(Sink::Metric(_) | Sink::Tally { .. }));
            let grad = self.gradient_of(loss);
            if let Some(tail) = tail(self.nodes, &self.fusion, arena, loss, grad).filter(|_| !in_ring) {
                if let Some(logits) = tail.logits {
                    self.done[logits.0] = true;
                }
                self.tails.insert(loss, tail);
            }
        }
    }

    /// True for a product that a kernel at the end of the net computes.
    fn is_of_tail(&self, start: NodeId) -> bool {
        let mut made = self.tails.values().flat_map(|tail| &tail.made);
        made.any(|id| self.fusion.producer[id.0].unwrap_or(*id) == start)
    }

    /// The gradient of a cross-entropy that one kernel makes with it: what is above is there by now.
    fn gradient_of(&self, loss: NodeId) -> Option<NodeId> {
        let node = &self.nodes[loss.0];
        let twin = |other: &Node| match (&node.op, &other.op) {
            (Op::CrossEntropy(a), Op::CrossEntropyGrad(b)) => a == b && node.inputs[..2] == other.inputs[..2],
            _ => false,
        };
        let made_before = |id: NodeId| self.fusion.position(id) < loss;
        (0..self.nodes.len()).map(NodeId).find(|&g| {
            self.fusion.live[g.0]
                && twin(&self.nodes[g.0])
                && self.depends_on(self.nodes[g.0].inputs[2]).into_iter().all(made_before)
        })
    }

    /// The values in memory that a value is computed from, besides those that are always there.
    fn depends_on(&self, id: NodeId) -> Vec<NodeId> {
        if fixed(&self.nodes[id.0]).is_some() {
            return vec![];
        }
        if self.fusion.stored[id.0] {
            return vec![id];
        }
        self.nodes[id.0].inputs.iter().flat_map(|&input| self.depends_on(input)).collect()
    }

    pub fn run(mut self) -> Self {
        for i in 0..self.nodes.len() {
            if let Some(&group) = self.fusion.grouped.get(&NodeId(i)) {
                if self.fusion.groups[group].position == NodeId(i) {
                    self.emit_group(group);
                }
                continue;
            }
            let wanted = self.fusion.live[i] && self.fusion.stored[i] && !self.done[i];
            if wanted && !self.fusion.is_side_output(NodeId(i)) {
                self.emit(NodeId(i));
            }
        }
        for (id, sink) in self.outputs {
            if self.owned.get(id) != Some(sink) {
                let stored = |n: NodeId| self.fusion.stored[n.0];
                let kernel = chain::kernel(self.nodes, *id, &stored, self.kernel_sink(Some(sink)));
                let title = format!("copy to {}", sink_buffer(sink));
                self.drafts.push(KernelDraft::new(kernel, *id, Some(sink.clone()), title));
            }
        }
        self
    }

    fn kernel_sink(&self, sink: Option<&Sink>) -> KernelSink {
        match sink {
            Some(Sink::Metric(column)) => {
                KernelSink::Ring { column: *column as u32, columns: self.ring.columns as u32 }
            }
            Some(Sink::Tally { column, ring }) => {
                KernelSink::Ring { column: *column as u32, columns: ring.columns as u32 }
            }
            _ => KernelSink::Memory,
        }
    }

    fn draft(&mut self, kernel: Kernel, output: NodeId, start: NodeId) {
        let title = self.title(start);
        let sink = self.owned.get(&output).cloned();
        self.done[output.0] = true;
        self.drafts.push(KernelDraft::new(kernel, output, sink, title));
    }

    /// `layer: matmul add relu`, from the first op of the kernel to the last. Of many ops the middle ones are left out.
    fn title(&self, start: NodeId) -> String {
        let mut names = vec![self.nodes[start.0].op.name()];
        if let Some(epilogue) = self.fusion.epilogues.get(&start) {
            let computed =
                epilogue.nodes.iter().map(|n| &self.nodes[n.0].op).filter(|op| op.is_elementwise());
            names.extend(computed.map(Op::name));
        }
        titled(&self.nodes[start.0].scope, names)
    }

    fn emit(&mut self, root: NodeId) {
        let start = self.fusion.producer[root.0].unwrap_or(root);
        match &self.nodes[start.0].op {
            Op::Input(_) | Op::Parameter(_) | Op::Buffer(_) | Op::Clock => self.done[root.0] = true,
            Op::Matmul { .. } => self.emit_matmul(start, root),
            Op::Reduce(..) => self.emit_reduce(start, root),
            Op::CrossEntropy(_) | Op::CrossEntropyGrad(_) => self.emit_cross_entropy(root),
            Op::Attention(_) | Op::AttentionGradQ(_) | Op::AttentionGradKv(_) | Op::AttentionGrad(_) => {
                self.emit_attention(root);
            }
            Op::AttentionStats(_) | Op::AttentionGradBeside(_) => {
                unreachable!("the output is made first, and this with it")
            }
            Op::SegmentSum => {
                let views = Views::new(self.nodes, &self.fusion.stored);
                let at = |i: usize| views.contiguous(self.nodes[start.0].inputs[i]);
                let kernel = attention::segment_sum(self.nodes, start, [at(0), at(1), at(2)]);
                self.draft(kernel, root, root);
            }
            _ => {
                // The root itself is being made; its inputs are in memory.
                let stored = |n: NodeId| n != root && self.fusion.stored[n.0];
                let sink = self.kernel_sink(self.owned.get(&root));
                let kernel = chain::kernel(self.nodes, root, &stored, sink);
                self.draft(kernel, root, root);
            }
        }
    }

    /// The side output of the kernel of `start`.
    fn side_output(&self, start: NodeId) -> Option<NodeId> {
        self.fusion.epilogues.get(&start).and_then(|a| a.side_output)
    }

    /// True for a value in memory, unless the kernel from `start` to `root` makes it.
    fn is_before(&self, start: NodeId, root: NodeId, id: NodeId) -> bool {
        id != root && Some(id) != self.side_output(start) && self.fusion.stored[id.0]
    }

    /// Enters the side output as the second output of the kernel drafted last.
    fn draft_side_output(&mut self, start: NodeId) {
        if let (Some(side_output), Some(draft)) = (self.side_output(start), self.drafts.last_mut()) {
            draft.second = Some((side_output, None));
            self.done[side_output.0] = true;
        }
    }

    fn emit_reduce(&mut self, start: NodeId, root: NodeId) {
        let side_output = self.side_output(start);
        let stored = |n: NodeId| self.is_before(start, root, n);
        let sink = self.kernel_sink(self.owned.get(&root));
        let r = Reduction { nodes: self.nodes, node: start, root, side_output, stored: &stored, sink };
        let (kernel, more) = reduce::kernels(&r, self.target);
        self.draft(kernel, root, start);
        if let Some((second, bytes)) = more {
            self.follow(second, root, bytes);
        }
        self.draft_side_output(start);
    }

    /// The kernel of a group, which makes all of its outputs.
    fn emit_group(&mut self, group: usize) {
        let stored = |n: NodeId| self.fusion.stored[n.0] && self.fusion.grouped.get(&n) != Some(&group);
        let chain = &self.fusion.groups[group].chain;
        let kernel = reduce_chain::kernel(self.nodes, &stored, chain);
        let made = chain.outputs.iter().map(reduce_chain::Output::node);
        let mut made: Vec<_> = made.map(|node| (node, self.owned.get(&node).cloned())).collect();
        made.iter().for_each(|(node, _)| self.done[node.0] = true);
        let title = self.group_title(chain);
        let Some((output, sink)) = made.pop() else { unreachable!("a group without outputs") };
        self.drafts.push(KernelDraft { also: made, ..KernelDraft::new(kernel, output, sink, title) });
    }

    /// `layer: sum sum mul`: the reductions of a group, and the last value that it makes.
    fn group_title(&self, chain: &reduce_chain::ReduceChain) -> String {
        let mut members: Vec<NodeId> = chain.passes.iter().flatten().map(|member| member.node).collect();
        let scope = &self.nodes[members[0].0].scope;
        members.extend(chain.outputs.last().map(reduce_chain::Output::node));
        members.dedup();
        titled(scope, members.iter().map(|node| self.nodes[node.0].op.name()).collect())
    }

    /// A second kernel that folds the partial results of the one just drafted.
    fn follow(&mut self, mut kernel: Kernel, root: NodeId, bytes: u64) {
        let number = self.drafts.len();
        if let Some(first) = self.drafts.last_mut() {
            first.partials.push((number, bytes));
            number_partial(&mut first.kernel, number);
        }
        number_partial(&mut kernel, number);
        let title =
            format!("{}: fold of parts", self.nodes[root.0].scope).trim_start_matches(": ").to_owned();
        let sink = self.owned.get(&root).cloned();
        self.drafts.push(KernelDraft::new(kernel, root, sink, title));
    }

    fn matrix(&self, id: NodeId, turned: bool) -> Matrix {
        Views::new(self.nodes, &self.fusion.stored).operand(id, turned)
    }

    /// Calls `make` with the product of `start` and its epilogue up to `root`.
    fn with_product<T>(&self, start: NodeId, root: NodeId, make: impl FnOnce(&Product<'_>) -> T) -> T {
        let node = &self.nodes[start.0];
        let Op::Matmul { trans_a, trans_b } = node.op else { unreachable!("not a matmul") };
        let rank = node.shape.len();
        let a_shape = &self.nodes[node.inputs[0].0].shape;
        let side_output = self.side_output(start);
        let stored = |n: NodeId| self.is_before(start, root, n);
        make(&Product {
            nodes: self.nodes,
            node: start,
            root,
            side_output,
            stored: &stored,
            a: self.matrix(node.inputs[0], trans_a),
            b: self.matrix(node.inputs[1], trans_b),
            batch: node.shape[..rank - 2].iter().product(),
            m: node.shape[rank - 2],
            n: node.shape[rank - 1],
            k: a_shape[if trans_a { rank - 2 } else { rank - 1 }],
            row_sum: self.row_sums.contains_key(&start),
        })
    }

    /// The kernel of a draft's product with workgroups of `invocations` and K in as many parts, if there is one.
    pub(super) fn product_of(
        &self,
        draft: &KernelDraft,
        invocations: usize,
    ) -> Option<(Kernel, Option<ProductTile>)> {
        let ProductDraft { start, parts } = draft.product?;
        self.with_product(start, draft.output, |product| {
            let index = matmul::choose_among(product.sizes(), invocations, parts)?;
            let tiles = ProductTiles::Given { index, parts };
            let mut made = matmul::kernel(product, self.target.with_tiles(tiles), self.tuned);
            draft.partials.iter().for_each(|(number, _)| number_partial(&mut made.kernel, *number));
            Some((made.kernel, made.tile))
        })
    }

    /// Enters the product of the kernel drafted last, and its tile.
    fn set_product(&mut self, product: Option<ProductDraft>, tile: Option<ProductTile>) {
        if let Some(draft) = self.drafts.last_mut() {
            (draft.product, draft.tile) = (product, tile);
        }
    }

    fn emit_matmul(&mut self, start: NodeId, root: NodeId) {
        let node = &self.nodes[start.0];
        let sum = self.row_sums.get(&start).copied();
        let side_output = self.side_output(start);
        let stored = |n: NodeId| self.is_before(start, root, n);
        let target = self.target;
        let matmul::ProductKernel { kernel, parts, tile } =
            self.with_product(start, root, |product| matmul::kernel(product, target, self.tuned));
        // Another tile that a table names stays.
        let is_free = kernel.entry == "matmul_block" && tile.is_none_or(|tile| tile.is_predicted());
        let product = is_free.then_some(ProductDraft { start, parts: parts.unwrap_or(1) });
        if let Some(parts) = parts {
            let outputs = node.shape.elements();
            let sink = self.kernel_sink(self.owned.get(&root));
            let r = Reduction { nodes: self.nodes, node: start, root, side_output, stored: &stored, sink };
            let index = "r * OUTPUTS + o"; // partial results are [parts, batch, m, n]
            let second = reduce::fold_partials(&r, Fold::Sum, outputs, parts, index, self.target);
            self.draft(kernel, root, start);
            self.set_product(product, tile);
            self.follow(second, root, (outputs * parts * 4) as u64);
        } else {
            self.draft(kernel, root, start);
            self.set_product(product, tile);
        }
        self.draft_side_output(start);
        if let (Some(sum), Some(draft)) = (sum, self.drafts.last_mut()) {
            draft.second = Some((sum, self.owned.get(&sum).cloned()));
            draft.title.push_str(" + row sums");
        }
    }

    /// The sum of the rows of a product's first operand, if its kernel can write it where it belongs.
    fn row_sum(&self, start: NodeId) -> Option<NodeId> {
        let sum = self.fusion.row_sum(self.nodes, start, self.target.family)?;
        let lands = matches!(self.owned.get(&sum), Some(Sink::Gradient(_) | Sink::Buffer(_)));
        (lands && !self.done[sum.0]).then_some(sum)
    }

    fn emit_cross_entropy(&mut self, id: NodeId) {
        if let Some(tail) = self.tails.remove(&id) {
            let title = titled(&self.nodes[id.0].scope, tail.names);
            let sinks: Vec<_> = tail.made.iter().map(|n| (*n, self.owned.get(n).cloned())).collect();
            sinks.iter().for_each(|(node, _)| self.done[node.0] = true);
            let also = sinks[1..].to_vec();
            let draft = KernelDraft::new(tail.kernel, id, sinks[0].1.clone(), title);
            self.drafts.push(KernelDraft { also, ..draft });
            return;
        }
        let node = &self.nodes[id.0];
        let grad = self.gradient_of(id);
        let stored = |n: NodeId| self.fusion.stored[n.0];
        let is_loss = matches!(node.op, Op::CrossEntropy(_));
        let views = Views::new(self.nodes, &self.fusion.stored);
        let kernel = cross_entropy::kernel(&cross_entropy::Rows {
            nodes: self.nodes,
            stored: &stored,
            loss: is_loss.then_some(id),
            grad: if is_loss { grad } else { Some(id) },
            logits: views.contiguous(node.inputs[0]),
            targets: views.contiguous(node.inputs[1]),
        });
        self.draft(kernel, id, id);
        if let (Some(grad), Some(draft)) = (grad, self.drafts.last_mut()) {
            draft.second = Some((grad, self.owned.get(&grad).cloned()));
            draft.title.push_str(" + gradient");
            self.done[grad.0] = true;
        }
    }

    fn emit_attention(&mut self, id: NodeId) {
        let node = &self.nodes[id.0];
        let views = Views::new(self.nodes, &self.fusion.stored);
        let rows = |i: usize| {
            let input = node.inputs[i];
            let strides = self.nodes[input.0].shape.strides();
            let whole =
                RowsView { node: input, offset: 0, batch: strides[0], row: strides[1], head: strides[2] };
            views.rows(input).unwrap_or(whole)
        };
        let given =
            node.inputs[3..node.op.direct_inputs()].iter().map(|&input| views.contiguous(input)).collect();
        let beside = match node.op {
            Op::Attention(attrs) => Some(Op::AttentionStats(attrs)),
            Op::AttentionGrad(attrs) => Some(Op::AttentionGradBeside(attrs)),
            _ => None,
        };
        let second = beside.and_then(|op| {
            (0..self.nodes.len()).map(NodeId).find(|&l| {
                let other = &self.nodes[l.0];
                self.fusion.live[l.0] && other.op == op && other.inputs == node.inputs
            })
        });
        let stored = |n: NodeId| self.fusion.stored[n.0];
        let kernel = attention::kernel(
            &Attention {
                nodes: self.nodes,
                node: id,
                stored: &stored,
                rows: [rows(0), rows(1), rows(2)],
                given,
                second,
            },
            self.target,
        );
        self.draft(kernel, id, id);
        if let (Some(second), Some(draft)) = (second, self.drafts.last_mut()) {
            draft.second = Some((second, self.owned.get(&second).cloned()));
            self.done[second.0] = true;
        }
    }
}

/// Gives the partial results that a kernel writes or reads their number.
fn number_partial(kernel: &mut Kernel, number: usize) {
    for (.., operand) in &mut kernel.operands {
        if *operand == Operand::Named(PARTIAL) {
            *operand = Operand::Partial(number);
        }
    }
}

/// `layer: sum mul`. Of many names the middle ones are left out.
fn titled(scope: &str, mut names: Vec<String>) -> String {
    if names.len() > 5 {
        names.splice(3..names.len() - 1, ["..".to_owned()]);
    }
    let names = names.join(" ");
    if scope.is_empty() { names } else { format!("{scope}: {names}") }
}

/// True where the kernel that makes `id` can write to the ring of metrics.
fn makes_metrics(nodes: &[Node], fusion: &Fusion, id: NodeId) -> bool {
    let start = fusion.producer[id.0].unwrap_or(id);
    nodes[start.0].op.direct_inputs() == 0 && !fusion.grouped.contains_key(&id)
}
