//! `optim/*.wgsl`: one dispatch for the whole arena, or three with norms, whatever the number of tensors, groups or
//! learning rates.

use super::feed::STATE;
use super::{Family, Kernel, Operand, grid};
use crate::gpu::{Access, wgsl};
use crate::optim::{Passes, UpdateKernel};
use crate::shape::Shape;

/// The parameter arena.
pub const PARAMETERS: &str = "parameters";
/// The gradient arena, laid out as the parameters.
pub const GRADIENTS: &str = "gradients";
/// An average of the parameters over the steps, laid out as they are.
pub const AVERAGE: &str = "average of the parameters";
/// The scalars of each update, a row for each group.
pub const TABLE: &str = "optimizer table";
/// vec4s of a block: an invocation of a workgroup has one of each block it updates.
pub const BLOCK: usize = 64;
/// Bytes of a block.
pub const BLOCK_BYTES: u64 = 16 * BLOCK as u64;

/// Blocks that have one row of the table, and so belong to one group of parameters. A software adapter pays for each
/// workgroup and for its row, and its workgroups have several.
pub fn blocks(update: &UpdateKernel, family: Family) -> u32 {
    match family {
        Family::Subgroup if update.passes == Passes::One => 8,
        _ => 1,
    }
}

/// Invocations of a workgroup of GPUs' passes over the arena, and how many of them share a block: each has four vec4s.
const AHEAD: usize = 128;
const AHEAD_OF_A_BLOCK: usize = 16;
/// Invocations of a workgroup that is a subgroup.
const SUBGROUP: u32 = 8;

/// The body of a pass's entry point, with its workgroups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    /// `shared/pass_*.wgsl`: the update of every vec4.
    Update,
    /// `shared/block_sums_*.wgsl`: a sum of every block.
    Sums,
    /// Its own, in the file: a workgroup of this number of invocations for each block or line.
    Own(u32),
}

impl Body {
    /// The slot that it fills, and the file that it is in.
    fn source(self, around: &UpdateContext<'_>) -> Option<(&'static str, &'static str)> {
        match (self, around.family) {
            (Body::Update, Family::Tiled) if around.computed.is_none() => Some(("pass", "shared/pass_ahead")),
            (Body::Update, _) => Some(("pass", "shared/pass_blocks")),
            (Body::Sums, Family::Tiled) => Some(("sums", "shared/block_sums_ahead")),
            (Body::Sums, Family::Subgroup) => Some(("sums", "shared/block_sums_subgroup")),
            (Body::Own(_), _) => None,
        }
    }

    /// Invocations of a workgroup, and the blocks that it has, of a pass whose blocks share rows by `each`.
    fn workgroup(self, around: &UpdateContext<'_>, each: usize) -> (u32, usize) {
        match (self, around.family) {
            (Body::Update, Family::Tiled) if around.computed.is_some() => (BLOCK as u32, each),
            (Body::Update | Body::Sums, Family::Tiled) => (AHEAD as u32, AHEAD / AHEAD_OF_A_BLOCK),
            (Body::Update, Family::Subgroup) => (SUBGROUP, each),
            (Body::Sums, Family::Subgroup) => (SUBGROUP, 1),
            (Body::Own(lanes), _) => (lanes, 1),
        }
    }

    /// Loop iterations of an invocation.
    fn iterations(self, lanes: u32, blocks: usize) -> usize {
        match self {
            // A tree over 64 lanes, or a subgroup's over eight vec4s.
            Body::Own(_) | Body::Sums => 8,
            Body::Update => (blocks * BLOCK).div_ceil(lanes as usize),
        }
    }
}

/// The slot and the text of an entry point's body, for functions that begin with its name less `_update`.
fn body_text(update: &UpdateKernel, entry: &str, slot: &'static str, file: &str) -> (&'static str, String) {
    let pass = entry.strip_suffix("_update").unwrap_or(entry);
    let row = if update.passes.by_tensor() { "PASS_row(at, block)" } else { "open_row(at)" };
    let text = wgsl::source(file).unwrap_or_default();
    (slot, text.replace("OPEN_ROW", row).replace("PASS", pass))
}

/// The text of an optimizer's update of one pass, block after block.
#[cfg(test)]
pub(crate) fn text_by_blocks(update: &UpdateKernel) -> String {
    wgsl::compose(update.shader, &[body_text(update, update.entry, "pass", "shared/pass_blocks")])
}

/// The sums of `shared/added.wgsl` without barriers, for the slot there.
pub(super) fn subgroup_sums(around: &UpdateContext<'_>) -> Option<(&'static str, String)> {
    let text = || wgsl::source("shared/added_subgroup").unwrap_or_default().to_owned();
    (around.family == Family::Subgroup).then(|| ("added", text()))
}

/// What takes the place of a buffer of gradients.
#[derive(Debug, Clone)]
pub struct Computed {
    /// The slots of `shared/update.wgsl`.
    pub slots: Vec<(&'static str, String)>,
    /// The buffers that they bind.
    pub bound: Vec<Bound>,
    /// Floating-point operations.
    pub flops: u64,
    /// Loop iterations of an invocation.
    pub iterations: usize,
}

/// Options of an update beside its optimizer's kernel.
#[derive(Debug, Clone)]
pub struct UpdateContext<'a> {
    /// The buffer of gradients.
    pub gradients: &'static str,
    /// Bytes of the trained part of the arena, padding included.
    pub bytes: u64,
    /// Blocks before those of the pass, where it is not over all.
    pub first_block: usize,
    /// The byte at which each group of parameters but the last ends, a multiple of [`blocks`].
    pub ends: &'a [u64],
    /// The family of kernels.
    pub family: Family,
    /// True where kernels of GPUs may pass values between the lanes of a subgroup.
    pub subgroups: bool,
    /// True where a kernel before it settles the step.
    pub checked: bool,
    /// True where gradients are clipped by value.
    pub clip_value: bool,
    /// True where an average of the parameters is kept.
    pub average: bool,
    /// What computes the gradients, where they are not in memory.
    pub computed: Option<&'a Computed>,
}

/// The sums of squares of each block.
pub const BLOCK_SUMS: &str = "sums of squares";
/// The norms of each block's tensor.
pub const NORMS: &str = "norms of tensors";
/// The blocks of each tensor.
pub const SPANS: &str = "spans of tensors";

/// A trained tensor.
#[derive(Debug, Clone, Copy)]
pub struct Tensor<'a> {
    /// Its shape.
    pub shape: &'a Shape,
    /// Its first byte in the arena, the beginning of a block.
    pub offset: u64,
}

impl Tensor<'_> {
    /// The range of its blocks.
    pub fn blocks(&self) -> [u32; 2] {
        let bytes = (4 * self.shape.elements() as u64).next_multiple_of(BLOCK_BYTES);
        [self.offset, self.offset + bytes].map(|at| (at / BLOCK_BYTES) as u32)
    }
}

/// The tensor of each block.
pub(super) fn tensor_of_blocks(tensors: &[Tensor<'_>], blocks: usize) -> Vec<u32> {
    let mut of = vec![0; blocks];
    for (i, tensor) in (0..).zip(tensors) {
        let [first, end] = tensor.blocks();
        of[first as usize..end as usize].fill(i);
    }
    of
}

/// The buffers that a pass binds beside gradients, table, state and parameters.
pub type Bound = (u32, Access, &'static str);

impl UpdateKernel {
    pub(super) fn bound(&self) -> Vec<Bound> {
        (4..).zip(&self.slots).map(|(slot, &name)| (slot, Access::Write, name)).collect()
    }
}

/// The update of an optimizer of one pass; `parameters` of the arena's numbers are in use.
pub fn kernel(update: &UpdateKernel, around: &UpdateContext<'_>, parameters: usize) -> Kernel {
    pass(update, around, update.entry, &update.bound(), parameters, Body::Update)
}

/// The update of an optimizer with norms over `tensors` tensors, `entry` being the pass that sums squares.
pub fn kernels_with_norms(
    update: &UpdateKernel,
    entry: &'static str,
    around: &UpdateContext<'_>,
    parameters: usize,
    tensors: usize,
) -> Vec<Kernel> {
    let with = |name| update.bound().into_iter().chain([(6, Access::Write, name)]).collect::<Vec<Bound>>();
    vec![
        pass_before(update, around, entry, &with(BLOCK_SUMS), Body::Sums),
        tensor_norms(around, tensors),
        pass(update, around, update.entry, &with(NORMS), parameters, Body::Update),
    ]
}

/// A pass before the update; it keeps no average.
pub(super) fn pass_before(
    update: &UpdateKernel,
    around: &UpdateContext<'_>,
    entry: &'static str,
    bound: &[Bound],
    body: Body,
) -> Kernel {
    pass(update, &UpdateContext { average: false, ..around.clone() }, entry, bound, 0, body)
}

/// Computes the norms of tensors from the sums of blocks.
pub(super) fn tensor_norms(around: &UpdateContext<'_>, tensors: usize) -> Kernel {
    let blocks = around.bytes.div_ceil(BLOCK_BYTES) as usize;
    let mut text = Vec::new();
    if let Some(sums) = subgroup_sums(around) {
        let own = wgsl::source("shared/tensor_norms_subgroup").unwrap_or_default().to_owned();
        text.extend([sums, ("lanes", own)]);
    }
    Kernel {
        entry: "tensor_norms",
        wgsl: wgsl::compose("tensor_norms", &text),
        constants: vec![("TENSORS", tensors as u32)],
        operands: vec![
            (0, Access::Read, Operand::Named(SPANS)),
            (1, Access::Read, Operand::Named(BLOCK_SUMS)),
            (2, Access::Write, Operand::Named(NORMS)),
        ],
        reads_old: false,
        parts: vec![],
        waits: None,
        grid: grid(tensors),
        flops: 2 * blocks as u64,
        // Of a lane of eight, whose turns have eight blocks; those of a larger workgroup are fewer.
        iterations: 2 * blocks.div_ceil(BLOCK),
    }
}

/// One pass over the arena.
pub(super) fn pass(
    update: &UpdateKernel,
    around: &UpdateContext<'_>,
    entry: &'static str,
    bound: &[Bound],
    parameters: usize,
    body: Body,
) -> Kernel {
    let sums = (body == Body::Sums).then(|| subgroup_sums(around)).flatten();
    pass_with(update, around, entry, bound, parameters, body, sums.into_iter().collect())
}

/// [`pass`] for a shader with slots of its own, which `text` fills.
pub(super) fn pass_with(
    update: &UpdateKernel,
    around: &UpdateContext<'_>,
    entry: &'static str,
    bound: &[Bound],
    parameters: usize,
    body: Body,
    mut text: Vec<(&'static str, String)>,
) -> Kernel {
    let each = blocks(update, around.family);
    let (lanes, blocks) = body.workgroup(around, each as usize);
    if let Some((slot, file)) = body.source(around) {
        text.push(body_text(update, entry, slot, file));
    }
    let named = |slot, access, name| (slot, access, Operand::Named(name));
    let mut operands = vec![
        named(0, Access::Read, around.gradients),
        named(1, Access::Read, TABLE),
        named(2, Access::Write, STATE),
        named(3, Access::Write, PARAMETERS),
    ];
    operands.extend(bound.iter().map(|&(slot, access, name)| named(slot, access, name)));
    if let Some(computed) = around.computed {
        operands.extend(computed.bound.iter().map(|&(slot, access, name)| named(slot, access, name)));
        text.extend(computed.slots.iter().cloned());
    }
    if !around.ends.is_empty() {
        text.push(("groups", group_of(around.ends, u64::from(each) * BLOCK_BYTES)));
    }
    if around.average {
        operands.push(named(AVERAGE_SLOT, Access::Write, AVERAGE));
        let declared = wgsl::source("shared/average").unwrap_or_default();
        text.push(("averages", declared.to_owned()));
        text.push(("average", "average_put(at, i, w);".to_owned()));
    }
    let fours = around.bytes as usize / 16;
    let mut constants = update.constants.clone();
    constants.extend([
        ("LENGTH", fours as u32),
        ("GROUPS", around.ends.len() as u32 + 1),
        ("EACH", each),
        ("LANES", lanes),
        ("FIRST", around.first_block as u32),
        ("CHECKED", u32::from(around.checked)),
        ("CLIP_VALUE", u32::from(around.clip_value)),
    ]);
    Kernel {
        entry,
        wgsl: wgsl::compose(update.shader, &text),
        constants,
        operands,
        reads_old: true,
        parts: vec![],
        waits: None,
        grid: grid((fours - BLOCK * around.first_block).div_ceil(BLOCK * blocks)),
        flops: u64::from(update.flops_per_parameter) * parameters as u64
            + around.computed.map_or(0, |computed| computed.flops),
        iterations: body.iterations(lanes, blocks)
            + around.computed.map_or(0, |computed| computed.iterations),
    }
}

/// Computes the weights for evaluation, where they are not the trained ones: fills the trained `bytes` of [`AVERAGE`].
pub fn average(update: &UpdateKernel, bytes: u64) -> Option<Kernel> {
    let average = update.average.as_ref()?;
    let fours = bytes as usize / 16;
    let mut constants = average.constants.clone();
    constants.push(("LENGTH", fours as u32));
    Some(Kernel {
        entry: average.entry,
        wgsl: wgsl::compose(update.shader, &[]),
        constants,
        operands: vec![
            (0, Access::Read, Operand::Named(PARAMETERS)),
            (1, Access::Read, Operand::Named(average.base)),
            (2, Access::Write, Operand::Named(AVERAGE)),
        ],
        reads_old: false,
        parts: vec![],
        waits: None,
        grid: grid(fours.div_ceil(BLOCK)),
        flops: 3 * bytes / 4,
        iterations: 1,
    })
}

/// The binding of [`AVERAGE`].
const AVERAGE_SLOT: u32 = 7;

/// The number of groups that end before the `bytes` that a workgroup updates.
fn group_of(ends: &[u64], bytes: u64) -> String {
    let counts: Vec<String> = ends.iter().map(|end| format!("u32(block >= {}u)", end / bytes)).collect();
    format!("fn group_of(block: u32) -> u32 {{ return {}; }}", counts.join(" + "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_belongs_to_the_group_it_lies_in() {
        let text = group_of(&[8 * BLOCK_BYTES, 28 * BLOCK_BYTES], 4 * BLOCK_BYTES);
        assert_eq!(text, "fn group_of(block: u32) -> u32 { return u32(block >= 2u) + u32(block >= 7u); }");
    }
}
