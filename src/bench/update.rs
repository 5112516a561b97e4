//! The engine's own update kernel, bound to places of the benchmark's choice.
//!
//! All that the benchmark knows of how the engine lays an update out is in this file.

use super::call::{Place, bind};
use crate::error::Result;
use crate::gpu::{Buffer, Dispatch, Gpu, ShaderKey};
use crate::kernel::feed::{STATE, STATE_BYTES};
use crate::kernel::update::{self, Around, GRADIENTS, PARAMETERS, TABLE};
use crate::kernel::{Family, Kernel, Operand};
use crate::optim::{Optimizer, UpdateKernel, table_row};

/// Numbers of which a tensor of the arena is a multiple.
pub(super) const GRAIN: usize = 256;

/// An optimizer's kernel, with the row of one step.
#[derive(Debug)]
pub(super) struct Update {
    pub kernel: UpdateKernel,
    family: Family,
    table: Buffer,
    state: Buffer,
}

impl Update {
    /// The update of step `t`, the first being 1.
    pub fn new(gpu: &Gpu, optimizer: &Optimizer, t: u64) -> Result<Update> {
        let row = table_row(&optimizer.scalars(t, optimizer.lr()), 0.0, 0.0);
        let table = gpu.storage("bench table", 4 * row.len() as u64)?;
        gpu.write(&table, 0, bytemuck::cast_slice(&row));
        let state = gpu.storage("bench state", STATE_BYTES)?;
        // A step is open, the first of its window, so that the kernel finds its row every time.
        gpu.write(&state, 0, bytemuck::cast_slice(&[0u32, 1]));
        let kernel = optimizer.kernel();
        Ok(Update { kernel, family: gpu.family(), table, state })
    }

    fn plan(&self, elements: usize) -> Kernel {
        let bytes = 4 * elements as u64;
        let around = Around {
            gradients: GRADIENTS,
            bytes,
            ends: &[],
            blocks: update::blocks(&self.kernel, self.family),
            checked: false,
            clip_value: false,
            average: false,
        };
        update::kernel(&self.kernel, &around, elements)
    }

    /// The update of `elements` numbers whose parameters, gradients and slots (by name) lie at `place(name)`.
    pub fn dispatch(&self, gpu: &Gpu, elements: usize, place: impl Fn(&str) -> Place) -> Result<Dispatch> {
        let kernel = self.plan(elements);
        let places: Vec<(u32, Place)> = kernel
            .operands
            .iter()
            .map(|&(slot, _, operand)| {
                let Operand::Named(name) = operand else { unreachable!("an update binds names only") };
                let place = match name {
                    TABLE => Place::whole(&self.table),
                    STATE => Place::whole(&self.state),
                    name => place(name),
                };
                (slot, place)
            })
            .collect();
        let key = ShaderKey {
            entry: kernel.entry.into(),
            wgsl: kernel.wgsl.as_str().into(),
            constants: kernel.constants.clone(),
            bindings: kernel.operands.iter().map(|&(slot, access, _)| (slot, access)).collect(),
        };
        let bindings: Vec<_> = places.iter().map(|(slot, place)| bind(*slot, place)).collect();
        Ok(gpu.dispatch(&gpu.pipeline(&key)?, &bindings, kernel.grid))
    }

    /// Every array of the update: parameters, gradients, then the slots.
    pub fn arrays(&self) -> Vec<&'static str> {
        [PARAMETERS, GRADIENTS].into_iter().chain(self.kernel.slots.iter().copied()).collect()
    }
}
