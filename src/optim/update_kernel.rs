//! The kernel of an update: shader, slots, costs and passes.

use super::newton_schulz::NewtonSchulz;

/// Numbers of the optimizer in a row of the table: one row for each update and group of parameters.
pub const SCALARS: usize = 12;
/// Numbers of a row: the optimizer's, then those of [`Update`](super::Update).
pub const ROW: usize = 16;

/// Slots that an update can bind beside an average: WebGPU guarantees eight storage buffers, and gradients, table, state,
/// parameters and the average are five of them.
pub(super) const SLOTS_BESIDE_AVERAGE: usize = 3;

/// A row: the optimizer's scalars, the bound of clipping by value, and the share of the averaged weights that is kept.
pub fn table_row(scalars: &[f32; SCALARS], clip_value: f64, keep: f64) -> [f32; ROW] {
    let mut row = [0.0; ROW];
    row[..SCALARS].copy_from_slice(scalars);
    row[SCALARS] = clip_value as f32;
    row[SCALARS + 1] = keep as f32;
    row
}

/// The kernel of an update and its requirements.
#[derive(Debug, Clone, PartialEq)]
pub struct UpdateKernel {
    /// The file under `shaders/`, for [`crate::gpu::wgsl::compose`].
    pub shader: &'static str,
    /// Its entry point.
    pub entry: &'static str,
    /// Override constants of this variant; the caller adds `LENGTH`, the vec4s of an arena.
    pub constants: Vec<(&'static str, u32)>,
    /// At most four slots by torch's names, bound from 4 on in this order. A slot is an arena like the parameters', unless it is in
    /// 8 bits, and starts at zero.
    pub slots: Vec<&'static str>,
    /// Bytes read and written for each parameter: the gradient, the parameter and every slot.
    pub bytes_per_parameter: u32,
    /// Operations for each parameter; a division or a root counts as one.
    pub flops_per_parameter: u32,
    /// The kernel of the weights to evaluate and save, where they are not the trained ones.
    pub average: Option<AverageKernel>,
    /// The passes over the parameters.
    pub passes: Passes,
}

/// The passes of an update.
#[derive(Debug, Clone, PartialEq)]
pub enum Passes {
    /// One pass, element by element.
    One,
    /// One pass over two moments in blocks of 8 bits, with [`ABSMAX`](super::ABSMAX).
    EightBit,
    /// Three passes: this entry point sums the squares of each block, then follow the norms of each tensor and the update.
    Norms(&'static str),
    /// Adafactor's five passes: means of squares along rows and columns, their means, sums, norms, the update.
    Factored,
    /// Muon's passes: the momentum, products for each shape of matrix, the update. Other parameters have a pass of their own.
    Orthogonal(NewtonSchulz),
}

impl Passes {
    /// True where each tensor has blocks of its own.
    pub fn by_tensor(&self) -> bool {
        !matches!(self, Passes::One | Passes::EightBit)
    }
}

/// The kernel that computes the weights to evaluate from the trained weights and a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AverageKernel {
    /// Its entry point, in the update's file.
    pub entry: &'static str,
    /// Override constants; the caller adds `LENGTH`.
    pub constants: Vec<(&'static str, u32)>,
    /// The slot. It starts at the weights, not at zero.
    pub base: &'static str,
}

impl UpdateKernel {
    pub(super) fn new(shader: &'static str, entry: &'static str, slots: &[&'static str], flops: u32) -> Self {
        let bytes_per_parameter = 4 * (1 + 2 + 2 * slots.len() as u32);
        let (constants, slots) = (Vec::new(), slots.to_vec());
        UpdateKernel {
            shader,
            entry,
            constants,
            slots,
            bytes_per_parameter,
            flops_per_parameter: flops,
            average: None,
            passes: Passes::One,
        }
    }

    /// Bytes of all slots for each parameter.
    pub fn state_bytes(&self) -> u32 {
        if self.passes == Passes::EightBit { 2 } else { 4 * self.slots.len() as u32 }
    }

    /// The same with moments in 8 bits: each is read and written as one byte. The blocks' scales add a sixteenth of a byte.
    pub(super) fn in_8_bits(self) -> Self {
        UpdateKernel { passes: Passes::EightBit, bytes_per_parameter: 4 * (1 + 2) + 4, ..self }
    }

    /// The same with norms over tensors, from the sums of `entry`. Both passes together move `bytes` for each parameter.
    pub(super) fn by_tensor(self, entry: &'static str, bytes: u32) -> Self {
        UpdateKernel { passes: Passes::Norms(entry), bytes_per_parameter: bytes, ..self }
    }
}
