//! The engine's own update, bound to the benchmark's buffers. Only this file knows how the engine lays an update out.

use super::call::{Place, Planned};
use super::list::{COL_VAR, ROW_VAR};
use crate::compile::of_equal_tensors;
use crate::error::Result;
use crate::gpu::{Buffer, Dispatch, Family, Gpu};
use crate::kernel::feed::{STATE, STATE_BYTES};
use crate::kernel::update::{GRADIENTS, PARAMETERS, TABLE};
use crate::optim::{Optimizer, Passes, UpdateKernel, table_row};
use crate::plan::{Plan, Step};
use crate::shape::Shape;

/// The grain of a tensor's length in numbers, and its columns.
pub(super) const GRAIN: usize = 256;

/// The engine's slot of Adafactor's running means: those of a tensor's rows, of its columns, then the mean of the rows'.
pub(super) const VARIANCE: &str = "variance";

/// An optimizer's kernels, with the row of one step.
#[derive(Debug)]
pub(super) struct Update {
    pub kernel: UpdateKernel,
    family: Family,
    table: Buffer,
    state: Buffer,
}

/// An array of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Array {
    pub name: &'static str,
    /// Numbers of a tensor.
    pub each: usize,
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
        Ok(Update { kernel: optimizer.kernel(), family: gpu.family(), table, state })
    }

    /// The plan of an update of `tensors` tensors of `shape`, one after the other.
    pub fn plan(&self, shape: [usize; 2], tensors: usize) -> Result<Plan> {
        of_equal_tensors(&self.kernel, &Shape::from(shape), tensors, self.family)
    }

    /// The same with memory for the buffers between its passes.
    pub fn of(&self, gpu: &Gpu, shape: [usize; 2], tensors: usize) -> Result<Planned> {
        let plan = self.plan(shape, tensors)?;
        let arrays = self.arrays(shape);
        let outside = |name: &str| [TABLE, STATE].contains(&name) || arrays.iter().any(|a| a.name == name);
        Planned::new(gpu, plan, outside)
    }

    /// Its dispatches where the arrays lie at `place(name)`.
    pub fn dispatches(
        &self,
        gpu: &Gpu,
        planned: &Planned,
        place: impl Fn(&str) -> Place,
    ) -> Result<Vec<Dispatch>> {
        planned.dispatches(gpu, |name| match name {
            TABLE => Place::whole(&self.table),
            STATE => Place::whole(&self.state),
            name => place(name),
        })
    }

    /// Bytes that it moves: those of the passes over the parameters by the book, and of the steps between them.
    pub fn bytes(&self, planned: &Planned, parameters: usize) -> u64 {
        let is_pass = |step: &&Step| {
            step.bindings.iter().any(|(_, _, at)| planned.plan.buffers[at.buffer].name == TABLE)
        };
        let between = planned.plan.steps.iter().filter(|step| !is_pass(step)).map(Step::bytes);
        u64::from(self.kernel.bytes_per_parameter) * parameters as u64 + between.sum::<u64>()
    }

    /// Every array of the update of a tensor: parameters, gradients, then the slots.
    pub fn arrays(&self, [rows, columns]: [usize; 2]) -> Vec<Array> {
        let each = rows * columns;
        let mut names = vec![PARAMETERS, GRADIENTS];
        match self.kernel.passes {
            // The other slots are for parameters that are no matrices.
            Passes::Orthogonal(_) => names.push("momentum_buffer"),
            Passes::Factored => {}
            _ => names.extend(&self.kernel.slots),
        }
        let mut arrays: Vec<Array> = names.into_iter().map(|name| Array { name, each }).collect();
        if self.kernel.passes == Passes::Factored {
            let parts = [(VARIANCE, rows + columns + 1), (ROW_VAR, rows), (COL_VAR, columns)];
            arrays.extend(parts.map(|(name, each)| Array { name, each }));
        }
        arrays
    }
}
