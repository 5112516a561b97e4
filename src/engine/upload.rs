//! The data set on its way to the device, where it lies there whole.

use crate::compile::TrainPlan;
use crate::compile::{check_sources, sources};
use crate::data::{Dataset, Values};
use crate::error::Result;
use crate::gpu::{Buffer, Gpu};
use crate::plan::Memory;

/// Checks that the plan has a buffer for every resident source of `data`.
///
/// # Errors
/// [`crate::Error::Data`] where the plan was made for another data set.
pub(super) fn check(plan: &TrainPlan, data: &Dataset) -> Result<()> {
    check_sources(&sources(data, |part| plan.is_streamed(part)), &plan.memory)
}

/// Writes the resident parts of `data` to their buffers.
///
/// # Errors
/// Values that cannot be read.
pub(super) async fn upload(gpu: &Gpu, plan: &TrainPlan, data: &Dataset, memory: &Memory) -> Result<()> {
    for source in sources(data, |part| plan.is_streamed(part)) {
        write_values(gpu, memory.get(&source.name), source.values).await?;
    }
    Ok(())
}

async fn write_values(gpu: &Gpu, buffer: &Buffer, values: &Values) -> Result<()> {
    let size = values.kind().bytes();
    gpu.upload(buffer, values.bytes() as usize, |from, into| values.read(from / size, into)).await
}
