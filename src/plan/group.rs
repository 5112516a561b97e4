//! Groups: reductions over the same axes, and what is computed from them, in one kernel. For GPUs, where a dispatch costs
//! more than a pass over a row.
//!
//! A normalisation is two sums, one of which needs the other, a few numbers a row and a value for each element; its
//! gradient is two sums and a value for each element. Kernel by kernel that is four and seven dispatches; as a group it is
//! one each (`kernel/reduce_chain.rs`).
//!
//! A group begins with a reduction and takes later values in order: a reduction with as many rows, each as long, that needs
//! the group's or reads what it reads; and a value in memory that is computed element by element from the group's numbers
//! a row. A value joins where its rows are the group's: following views down to the group's reductions gives for each the
//! axes of the value that number its rows, and they must be the same axes in the same order.
//!
//! Kernels are emitted in the order of nodes. A group is emitted in place of its last member. So what it reads must be
//! made before, and what reads it must come later.

use std::collections::{HashMap, HashSet};

use super::axes::{Axes, own, through};
use super::fuse::{Fusion, Group};
use crate::graph::{DType, Node, NodeId, Op};
use crate::kernel::MAX_BUFFERS;
use crate::kernel::reduce_chain::{Member, Output, ReduceChain, width};

/// Rows shorter than this leave most of a workgroup idle.
const SHORTEST: usize = 32;
/// The longest rows.
const LONGEST: usize = 16_384;
/// Workgroups that occupy a card.
const ENOUGH_ROWS: usize = 128;
/// Nanoseconds of a dispatch on a GPU, and of a round of loads (`bench launch`).
const DISPATCH: usize = 3200;
const ROUND: usize = 145;

/// True where a normalisation over `count` rows of `length` would be a group.
pub(super) fn may_group(count: usize, length: usize) -> bool {
    // Three passes in place of at least five kernels.
    has_rows(count, length) && is_quick(count, length, 3, 4)
}

/// True for rows that a group takes.
fn has_rows(count: usize, length: usize) -> bool {
    count >= 2 && (SHORTEST..=LONGEST).contains(&length)
}

/// True where so many passes over the rows by one kernel take no longer than the dispatches that they save.
fn is_quick(count: usize, length: usize, passes: usize, saved: usize) -> bool {
    count >= ENOUGH_ROWS || length.div_ceil(width(length)) * passes * ROUND <= saved * DISPATCH
}

/// What a value is computed from.
#[derive(Default)]
struct Found {
    /// The numbers a row, each with the axes that number its rows.
    rows: Vec<(NodeId, Vec<usize>)>,
    /// A number a row is reached at unknown axes.
    hidden: bool,
    /// It is read through windows.
    windowed: bool,
    leaves: Vec<NodeId>,
}

impl Found {
    fn merge(&mut self, other: Found) {
        self.rows.extend(other.rows);
        self.hidden |= other.hidden;
        self.windowed |= other.windowed;
        for leaf in other.leaves {
            if !self.leaves.contains(&leaf) {
                self.leaves.push(leaf);
            }
        }
    }

    /// The axes that number the rows, if all numbers a row agree.
    fn kept(&self) -> Option<&[usize]> {
        let (_, first) = self.rows.first()?;
        (!self.hidden && self.rows.iter().all(|(_, axes)| axes == first)).then_some(first)
    }
}

/// The values of a group, as far as it is known.
#[derive(Clone)]
struct Draft {
    /// The first reduction.
    seed: NodeId,
    /// Reductions and values in memory, in order.
    members: Vec<NodeId>,
    count: usize,
    length: usize,
}

/// Finds out how the members of a draft are computed.
struct Analysis<'a> {
    fusion: &'a Fusion,
    nodes: &'a [Node],
    draft: &'a Draft,
    /// The pass after which each number a row is there.
    passes: HashMap<NodeId, usize>,
    /// Numbers a row besides reductions, in order.
    rows: Vec<NodeId>,
    /// The values that are computed, and not read from memory.
    between: Vec<NodeId>,
}

impl Analysis<'_> {
    fn walk(&mut self, id: NodeId, axes: &Axes, found: &mut Found) {
        if self.passes.contains_key(&id) {
            match axes {
                Some(axes) => found.rows.push((id, axes.concat())),
                None => found.hidden = true,
            }
            return;
        }
        if self.fusion.stored[id.0] && !self.draft.members.contains(&id) {
            if !found.leaves.contains(&id) {
                found.leaves.push(id);
            }
            return;
        }
        let node = &self.nodes[id.0];
        self.between.push(id);
        if node.op.is_elementwise() {
            let mut own = Found::default();
            node.inputs.iter().for_each(|&input| self.walk(input, axes, &mut own));
            if self.is_row(id, axes, &own) {
                let pass = own.rows.iter().map(|(row, _)| self.passes[row]).max().unwrap_or(0);
                self.passes.insert(id, pass);
                self.rows.push(id);
                own.rows = vec![(id, axes.as_ref().map_or(vec![], |axes| axes.concat()))];
            }
            found.merge(own);
            return;
        }
        found.windowed |= matches!(node.op, Op::Window(..));
        for &input in &node.inputs {
            // Of several reshapes the last counts: one between may join axes that it parts again.
            let mut input = input;
            while node.op == Op::Reshape
                && self.nodes[input.0].op == Op::Reshape
                && !self.fusion.stored[input.0]
            {
                input = self.nodes[input.0].inputs[0];
            }
            let inner = through(node, axes, &self.nodes[input.0].shape);
            self.walk(input, &inner, found);
        }
    }

    /// True for a number a row: it runs along the axes that number the rows, and no others.
    fn is_row(&self, id: NodeId, axes: &Axes, own: &Found) -> bool {
        let (Some(axes), Some(kept)) = (axes, own.kept()) else { return false };
        self.nodes[id.0].shape.elements() == self.draft.count && axes.concat() == kept
    }

    /// The axes of a member over rows numbered by `kept`, if there are as many rows.
    fn member(&self, node: NodeId, shape: &[usize], kept: Vec<usize>) -> Option<Member> {
        let rows: usize = kept.iter().map(|&axis| shape[axis]).product();
        let folded = (0..shape.len()).filter(|axis| shape[*axis] != 1 && !kept.contains(axis)).collect();
        let elements: usize = shape.iter().product();
        let fits = rows == self.draft.count && elements == rows * self.draft.length;
        fits.then_some(Member { node, kept, folded })
    }
}

/// Rows and length of a reduction.
fn sizes(nodes: &[Node], id: NodeId) -> (usize, usize) {
    let node = &nodes[id.0];
    let count = node.shape.elements();
    (count, nodes[node.inputs[0].0].shape.elements() / count)
}

impl Fusion {
    /// Puts reductions and what is computed from them in groups. `taken`: reductions that other kernels compute.
    pub(super) fn group(&mut self, nodes: &[Node], outputs: &[NodeId], taken: &HashSet<NodeId>) {
        for seed in (0..nodes.len()).map(NodeId) {
            let is_reduction = matches!(nodes[seed.0].op, Op::Reduce(..));
            if !is_reduction || !self.is_free(seed) || taken.contains(&seed) {
                continue;
            }
            let (count, length) = sizes(nodes, seed);
            if !has_rows(count, length) {
                continue;
            }
            let mut draft = Draft { seed, members: vec![seed], count, length };
            let Some(mut group) = self.analyse(nodes, outputs, &draft) else { continue };
            for next in (seed.0 + 1..nodes.len()).map(NodeId) {
                if next > group.before {
                    break;
                }
                if !self.is_free(next) || taken.contains(&next) || !draft.may_take(nodes, next) {
                    continue;
                }
                let mut larger = draft.clone();
                larger.members.push(next);
                if let Some(found) = self.analyse(nodes, outputs, &larger) {
                    (draft, group) = (larger, found);
                }
            }
            self.take_operands(nodes, outputs, &mut draft, &mut group);
            if draft.is_worth(nodes, &group) {
                self.close(&draft, group);
            }
        }
    }

    /// Takes values in memory that only members read: they are computed again where they are read.
    fn take_operands(&self, nodes: &[Node], outputs: &[NodeId], draft: &mut Draft, group: &mut Group) {
        while let Some((larger, found)) = group.leaves.iter().find_map(|&leaf| {
            let inner = self.is_free(leaf) && nodes[leaf.0].op.is_elementwise() && !outputs.contains(&leaf);
            if !inner || !self.readers(nodes, outputs, draft, leaf).is_empty() {
                return None;
            }
            let mut larger = draft.clone();
            let at = larger.members.partition_point(|&member| member < leaf);
            larger.members.insert(at, leaf);
            self.analyse(nodes, outputs, &larger).map(|found| (larger, found))
        }) {
            (*draft, *group) = (larger, found);
        }
    }

    /// In memory, and its kernel is not decided yet.
    fn is_free(&self, id: NodeId) -> bool {
        self.live[id.0]
            && self.stored[id.0]
            && !self.claimed[id.0]
            && self.producer[id.0].is_none()
            && !self.grouped.contains_key(&id)
    }

    /// The group of a draft, if its members fit together.
    fn analyse(&self, nodes: &[Node], outputs: &[NodeId], draft: &Draft) -> Option<Group> {
        let position = *draft.members.last()?;
        let mut analysis = Analysis {
            fusion: self,
            nodes,
            draft,
            passes: HashMap::new(),
            rows: Vec::new(),
            between: Vec::new(),
        };
        let (mut leaves, mut inner): (Vec<NodeId>, Vec<NodeId>) = (Vec::new(), Vec::new());
        let mut all_readers: Vec<NodeId> = Vec::new();
        let mut chain = ReduceChain {
            passes: vec![],
            rows: vec![],
            outputs: vec![],
            count: draft.count,
            length: draft.length,
        };
        for &id in &draft.members {
            let node = &nodes[id.0];
            let readers = self.readers(nodes, outputs, draft, id);
            if readers.iter().any(|reader| *reader <= position) {
                return None;
            }
            all_readers.extend(&readers);
            if readers.is_empty() {
                inner.push(id);
            }
            let written = !readers.is_empty() || outputs.contains(&id);
            let mut found = Found::default();
            if let Op::Reduce(_, axes) = &node.op {
                let shape = &nodes[node.inputs[0].0].shape;
                analysis.walk(node.inputs[0], &own(shape), &mut found);
                let kept: Vec<usize> =
                    (0..shape.len()).filter(|axis| shape[*axis] != 1 && !axes.contains(axis)).collect();
                let agrees = found.rows.is_empty() || found.kept() == Some(&kept);
                let shares = found.leaves.iter().any(|leaf| leaves.contains(leaf));
                let related = id == draft.seed || !found.rows.is_empty() || shares;
                if found.hidden || found.windowed || !agrees || !related {
                    return None;
                }
                let pass = found.rows.iter().map(|(row, _)| analysis.passes[row] + 1).max().unwrap_or(0);
                chain.passes.resize(chain.passes.len().max(pass + 1), vec![]);
                chain.passes[pass].push(analysis.member(id, shape, kept)?);
                analysis.passes.insert(id, pass);
                if written {
                    chain.outputs.push(Output::Row(id));
                }
            } else if written {
                analysis.walk(id, &own(&node.shape), &mut found);
                if analysis.passes.contains_key(&id) {
                    chain.outputs.push(Output::Row(id));
                } else {
                    let kept = found.kept()?.to_vec();
                    chain.outputs.push(Output::Full(analysis.member(id, &node.shape, kept)?));
                }
            } else {
                // Only members read it: they compute it again.
                continue;
            }
            found.leaves.iter().for_each(|leaf| {
                if !leaves.contains(leaf) {
                    leaves.push(*leaf);
                }
            });
        }
        chain.rows = vec![vec![]; chain.passes.len()];
        analysis.rows.iter().for_each(|row| chain.rows[analysis.passes[row]].push(*row));
        // A member after a reader of another kernel would come too late for it.
        let before = all_readers.into_iter().min().unwrap_or(NodeId(usize::MAX));
        let made_before = leaves.iter().all(|&leaf| self.position(leaf) < position);
        let bound = leaves.len() + chain.outputs.len();
        (made_before && bound <= MAX_BUFFERS).then_some(Group {
            chain,
            leaves,
            inner,
            between: analysis.between,
            before,
            position,
        })
    }

    /// The node in whose place the kernel of a value in memory is emitted.
    pub(super) fn position(&self, id: NodeId) -> NodeId {
        if let Some(&group) = self.grouped.get(&id) {
            return self.groups[group].position;
        }
        let beside = self.epilogues.values().find(|e| e.side_output == Some(id));
        beside.and_then(|e| e.nodes.last().copied()).unwrap_or(id)
    }

    /// The values outside the draft whose kernels read a value, or compute it again.
    fn readers(&self, nodes: &[Node], outputs: &[NodeId], draft: &Draft, id: NodeId) -> Vec<NodeId> {
        let (mut open, mut seen, mut readers) = (vec![id], HashSet::new(), Vec::new());
        while let Some(at) = open.pop() {
            for &reader in &self.consumers[at.0] {
                if draft.members.contains(&reader) || !seen.insert(reader) {
                    continue;
                }
                let op = &nodes[reader.0].op;
                let inline = !self.stored[reader.0]
                    && !self.claimed[reader.0]
                    && (op.is_elementwise() || op.is_view())
                    && !outputs.contains(&reader);
                if inline { open.push(reader) } else { readers.push(reader) }
            }
        }
        readers
    }

    fn close(&mut self, draft: &Draft, group: Group) {
        let number = self.groups.len();
        let written: Vec<NodeId> = group.chain.outputs.iter().map(Output::node).collect();
        for &id in &draft.members {
            self.claimed[id.0] = true;
            self.grouped.insert(id, number);
            self.stored[id.0] = written.contains(&id);
        }
        // No other kernel takes them for values that follow from its own.
        group.between.iter().for_each(|id| self.claimed[id.0] = true);
        self.groups.push(group);
    }
}

impl Draft {
    /// True for a value that the draft could take by its kind and size.
    fn may_take(&self, nodes: &[Node], id: NodeId) -> bool {
        let node = &nodes[id.0];
        match node.op {
            Op::Reduce(..) => sizes(nodes, id) == (self.count, self.length),
            _ => {
                let elements = node.shape.elements();
                node.op.is_elementwise()
                    && node.dtype == DType::F32
                    && (elements == self.count || elements == self.count * self.length)
            }
        }
    }

    /// True where one kernel is faster than one for each member.
    fn is_worth(&self, nodes: &[Node], group: &Group) -> bool {
        let chain = &group.chain;
        let full = chain.outputs.iter().any(|output| matches!(output, Output::Full(_)));
        let reductions = self.members.iter().filter(|id| matches!(nodes[id.0].op, Op::Reduce(..))).count();
        if reductions == 1 && !full {
            return false;
        }
        let passes = chain.passes.len() + usize::from(full);
        is_quick(self.count, self.length, passes, self.members.len() - 1)
    }
}
