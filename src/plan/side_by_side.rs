//! Decides which of the drafted kernels run side by side in a dispatch. For GPUs, where a dispatch costs more than the
//! work of most kernels of a small net.
//!
//! Kernels are taken in order. One joins an earlier dispatch that comes after all that it reads, where that is predicted
//! to be faster than a dispatch of its own. So the gradient of a layer's weights joins that of its inputs, and the
//! gradient of a norm's factors that of its inputs. A product whose workgroups have another size takes the best of the
//! tiles whose size fits. A value that is made earlier is alive for longer. So its kernel joins one of the last few
//! dispatches only, unless the value lies in an arena, or is small and reads nothing that kernels make.

use std::collections::HashMap;

use super::lower::{KernelDraft, Lowering, PartDraft};
use crate::gpu::Access;
use crate::kernel::matmul::ProductTile;
use crate::kernel::side_by_side::{MOST_KERNELS, Part, kernel};
use crate::kernel::{Kernel, Operand, prediction};

/// Bytes of values that may be made long before they are read.
const SMALL: u64 = 64 << 10;

/// Dispatches that a small value may come earlier where it reads what kernels make. With recomputed activations it could
/// else be made again long before it is needed.
const SMALL_AHEAD: usize = 8;
/// Dispatches that a larger value may come earlier.
const AHEAD: usize = 2;

/// Drafts that become one dispatch.
struct Joint {
    drafts: Vec<KernelDraft>,
    /// Empty for a kernel that runs alone.
    parts: Vec<Part>,
    microseconds: f64,
    kernel: Option<Kernel>,
}

/// A joint with one kernel more.
struct Found {
    at: usize,
    part: Part,
    /// The tile of the part, of a product.
    tile: Option<ProductTile>,
    kernel: Kernel,
    microseconds: f64,
}

/// The dispatches so far.
struct SideBySide<'a> {
    lowering: &'a Lowering<'a>,
    joints: Vec<Joint>,
    /// The dispatch that makes a value, or leaves partial results.
    makers: HashMap<Operand, usize>,
}

/// Puts the drafted kernels together that run side by side.
pub(super) fn join(mut lowering: Lowering<'_>) -> Lowering<'_> {
    let drafts = std::mem::take(&mut lowering.drafts);
    lowering.drafts = SideBySide::new(&lowering).join(drafts);
    lowering
}

impl<'a> SideBySide<'a> {
    fn new(lowering: &'a Lowering<'a>) -> Self {
        SideBySide { lowering, joints: Vec::new(), makers: HashMap::new() }
    }

    /// The drafts in order, those put together that run side by side.
    fn join(mut self, drafts: Vec<KernelDraft>) -> Vec<KernelDraft> {
        for draft in drafts {
            self.add(draft);
        }
        self.joints.into_iter().map(Joint::draft).collect()
    }

    fn add(&mut self, draft: KernelDraft) {
        // A kernel that copies a value to its sink does not make it.
        let is_copy = draft.sink.as_ref() != self.lowering.owned.get(&draft.output);
        let part = if is_copy { None } else { named(&draft, &draft.kernel) };
        let microseconds = self.predicted(&[&draft.kernel]);
        let found = part.as_ref().and_then(|part| self.find(&draft, part, microseconds));
        let at = found.as_ref().map_or(self.joints.len(), |found| found.at);
        if !is_copy {
            let others = draft.second.iter().chain(&draft.also).map(|(node, _)| *node);
            let made = [draft.output].into_iter().chain(others).map(Operand::Node);
            let left = draft.partials.iter().map(|(number, _)| Operand::Partial(*number));
            self.makers.extend(made.chain(left).map(|operand| (operand, at)));
        }
        match found {
            Some(found) => {
                let joint = &mut self.joints[at];
                (joint.kernel, joint.microseconds) = (Some(found.kernel), found.microseconds);
                joint.parts.push(found.part);
                joint.drafts.push(KernelDraft { tile: found.tile, ..draft });
            }
            None => {
                let parts = part.into_iter().collect();
                self.joints.push(Joint { drafts: vec![draft], parts, microseconds, kernel: None });
            }
        }
    }

    /// The first dispatch that a kernel can join.
    fn find(&self, draft: &KernelDraft, part: &Part, microseconds: f64) -> Option<Found> {
        let read = part.kernel().operands.iter().filter(|(_, access, _)| *access == Access::Read);
        let after = read.filter_map(|(.., operand)| self.makers.get(operand)).max();
        let first = after.map_or(0, |at| at + 1);
        let bytes = self.made_bytes(draft, part);
        let ahead = match bytes {
            0 => usize::MAX,
            _ if bytes <= SMALL && after.is_none() => usize::MAX,
            _ if bytes <= SMALL => SMALL_AHEAD,
            _ => AHEAD,
        };
        let earliest = self.joints.len().saturating_sub(ahead);
        (first.max(earliest)..self.joints.len()).find_map(|at| self.joined(at, draft, part, microseconds))
    }

    fn joined(&self, at: usize, draft: &KernelDraft, part: &Part, microseconds: f64) -> Option<Found> {
        let joint = &self.joints[at];
        let invocations = joint.parts.iter().map(Part::invocations).max()?;
        if joint.parts.len() >= MOST_KERNELS {
            return None;
        }
        let fits = part.fits(invocations) || joint.parts.iter().all(|other| other.fits(part.invocations()));
        let (part, tile) = if fits {
            (part.clone(), draft.tile)
        } else {
            let (kernel, tile) = self.lowering.product_of(draft, invocations)?;
            (named(draft, &kernel)?, tile)
        };
        let parts: Vec<&Part> = joint.parts.iter().chain([&part]).collect();
        let kernels: Vec<&Kernel> = parts.iter().map(|part| part.kernel()).collect();
        let together = self.predicted(&kernels);
        if together >= joint.microseconds + microseconds {
            return None;
        }
        Some(Found { at, kernel: kernel(&parts)?, part, tile, microseconds: together })
    }

    /// Bytes of what a kernel makes for other kernels. What it writes to an arena is alive all the time.
    fn made_bytes(&self, draft: &KernelDraft, part: &Part) -> u64 {
        let partial: u64 = draft.partials.iter().map(|(_, bytes)| bytes).sum();
        let made = part.kernel().operands.iter().filter_map(|(.., operand)| match operand {
            Operand::Made(node) if !self.lowering.owned.contains_key(node) => Some(self.bytes(*operand)),
            _ => None,
        });
        made.sum::<u64>() + partial
    }

    fn bytes(&self, operand: Operand) -> u64 {
        match operand {
            Operand::Node(node) | Operand::Made(node) => {
                4 * self.lowering.nodes[node.0].shape.elements() as u64
            }
            _ => 0,
        }
    }

    fn predicted(&self, kernels: &[&Kernel]) -> f64 {
        let operands = kernels.iter().flat_map(|kernel| &kernel.operands);
        let bytes = operands.map(|(.., operand)| self.bytes(*operand)).sum();
        prediction::side_by_side(kernels.iter().copied(), bytes).unwrap_or(0.0)
    }
}

/// A draft's kernel taken apart. Its operands are nodes, since an output of several kernels is not "the output".
fn named(draft: &KernelDraft, kernel: &Kernel) -> Option<Part> {
    let mut kernel = kernel.clone();
    for (.., operand) in &mut kernel.operands {
        *operand = match *operand {
            Operand::Output => Operand::Made(draft.output),
            Operand::Second => Operand::Made(draft.second.as_ref().map_or(draft.output, |(node, _)| *node)),
            other => other,
        };
    }
    Part::new(kernel)
}

impl Joint {
    fn draft(mut self) -> KernelDraft {
        let Some(kernel) = self.kernel else { return self.drafts.remove(0) };
        let title = self.drafts.iter().map(|draft| draft.title.as_str()).collect::<Vec<_>>().join(" | ");
        let part = |draft: &KernelDraft| PartDraft {
            title: draft.title.clone(),
            output: draft.output,
            tile: draft.tile,
        };
        let parts = self.drafts.iter().map(part).collect();
        let mut joint = self.drafts.remove(0);
        for other in self.drafts {
            joint.partials.extend(other.partials);
            joint.also.extend([(other.output, other.sink)].into_iter().chain(other.second).chain(other.also));
        }
        KernelDraft { kernel, title, parts, product: None, tile: None, ..joint }
    }
}
