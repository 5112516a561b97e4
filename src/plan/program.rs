//! A plan bound to a device: pipelines and bind groups, made once.

use std::collections::BTreeMap;

use super::buffers::image_texel;
use super::{BufferPlan, Plan, Spread, Step};
use crate::error::Result;
use crate::gpu::{Access, Binding, Buffer, Dispatch, Gpu, Image, ImageBinding, ShaderKey};

/// Buffers by name, shared by all programs of a session; each is as large as the largest plan needs it.
#[derive(Debug, Default, Clone)]
pub struct Memory {
    buffers: BTreeMap<String, Buffer>,
    images: BTreeMap<String, Image>,
}

impl Memory {
    /// The buffers that the plans need together. Each is as large as its largest use.
    pub fn plan<'p>(plans: impl IntoIterator<Item = &'p Plan>) -> Vec<BufferPlan> {
        let mut all: BTreeMap<String, u64> = BTreeMap::new();
        for buffer in plans.into_iter().flat_map(|p| &p.buffers) {
            let bytes = all.entry(buffer.name.clone()).or_default();
            *bytes = (*bytes).max(buffer.bytes.max(4).next_multiple_of(4));
        }
        all.into_iter().map(|(name, bytes)| BufferPlan { name, bytes }).collect()
    }

    /// Allocates a plan of buffers.
    ///
    /// # Errors
    /// Past the ledger's budget or the adapter's limits.
    pub fn allocate(gpu: &Gpu, plan: &[BufferPlan]) -> Result<Memory> {
        let mut memory = Memory::default();
        for buffer in plan {
            let (name, bytes) = (&buffer.name, buffer.bytes);
            match image_texel(name) {
                Some(texel) => drop(memory.images.insert(name.clone(), gpu.image(name, texel, bytes)?)),
                None => drop(memory.buffers.insert(name.clone(), gpu.storage(name, bytes)?)),
            }
        }
        Ok(memory)
    }

    /// The same buffers, with new ones for these names.
    ///
    /// # Errors
    /// As [`Memory::allocate`].
    pub fn with_own(&self, gpu: &Gpu, names: &[String]) -> Result<Memory> {
        let mut memory = self.clone();
        for name in names {
            let buffer = gpu.storage(name, self.get(name).bytes())?;
            memory.buffers.insert(name.clone(), buffer);
        }
        Ok(memory)
    }

    /// The buffer of a name, if a plan has one.
    pub fn find(&self, name: &str) -> Option<&Buffer> {
        self.buffers.get(name)
    }

    /// The buffer of a name.
    ///
    /// # Panics
    /// On a name no plan has.
    pub fn get(&self, name: &str) -> &Buffer {
        self.buffers.get(name).unwrap_or_else(|| panic!("no buffer is named {name}"))
    }
}

/// The dispatches of a plan, ready to be recorded any number of times.
#[derive(Debug)]
pub struct Program {
    /// In order.
    pub dispatches: Vec<Dispatch>,
}

impl Program {
    /// Compiles the plan's kernels (those not yet known to `gpu`) and binds them to `memory`.
    ///
    /// # Errors
    /// [`crate::Error::Gpu`] where a kernel does not compile.
    pub fn new(gpu: &Gpu, plan: &Plan, memory: &Memory) -> Result<Program> {
        Self::placed(gpu, plan, memory, |name| {
            let buffer = memory.get(name).clone();
            let bytes = buffer.bytes();
            (buffer, 0, bytes)
        })
    }

    /// [`Program::new`] that compiles the kernels beforehand, in a page all of them at once and without blocking it.
    ///
    /// # Errors
    /// As [`Program::new`].
    pub async fn make(gpu: &Gpu, plan: &Plan, memory: &Memory) -> Result<Program> {
        gpu.make_pipelines(&plan.steps.iter().map(key).collect::<Vec<_>>()).await?;
        Self::new(gpu, plan, memory)
    }

    /// [`Program::new`] with the location of each buffer of the plan by name: a real buffer, the first byte in it, and
    /// bytes. Images are those of `memory`.
    ///
    /// # Errors
    /// As [`Program::new`].
    pub(crate) fn placed(
        gpu: &Gpu,
        plan: &Plan,
        memory: &Memory,
        place: impl Fn(&str) -> (Buffer, u64, u64),
    ) -> Result<Program> {
        let mut dispatches = Vec::with_capacity(plan.steps.len());
        for (i, step) in plan.steps.iter().enumerate() {
            let pipeline = gpu.pipeline(&key(step))?;
            let places: Vec<_> =
                step.bindings.iter().map(|(_, _, l)| place(&plan.buffers[l.buffer].name)).collect();
            let bindings: Vec<Binding<'_>> = step
                .bindings
                .iter()
                .zip(&places)
                .map(|((slot, access, l), (buffer, first, bytes))| {
                    // A range that is the plan's whole buffer becomes the whole of the real range, which may be larger.
                    let whole = l.offset == 0 && l.bytes == plan.buffers[l.buffer].bytes;
                    // A uniform buffer and an image are as large as the kernel's text says.
                    let grows = whole && matches!(access, Access::Read | Access::Write);
                    let bytes = if grows { *bytes } else { l.bytes };
                    let used = step.images.iter().find(|used| used.slot == *slot);
                    let image = used.and_then(|used| {
                        let image = memory.images.get(&plan.buffers[used.image].name)?;
                        let parts = used.parts.map(|parts| (parts.count, parts.stride));
                        Some(ImageBinding { image, copied: used.copied, parts })
                    });
                    Binding { slot: *slot, buffer, offset: first + l.offset, bytes, image }
                })
                .collect();
            let dispatch = gpu.dispatch(&pipeline, &bindings, step.kernel.grid).with_work(step.work());
            dispatches.push(match plan.spread.get(i) {
                Some(Spread::Each { z }) => dispatch.of_each_replica(*z),
                Some(Spread::Once) | None => dispatch,
            });
        }
        Ok(Program { dispatches })
    }
}

/// The kernel of a step as it is compiled.
fn key(step: &Step) -> ShaderKey {
    ShaderKey {
        entry: step.kernel.entry.into(),
        wgsl: step.kernel.wgsl.as_str().into(),
        constants: step.kernel.constants.clone(),
        bindings: step.bindings.iter().map(|&(slot, access, _)| (slot, access)).collect(),
    }
}
