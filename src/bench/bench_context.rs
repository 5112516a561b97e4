//! What the cases of a benchmark share: the device, the options, and the limits that results are compared with.

use super::Roof;
use super::options::Options;
use super::roof::Streams;
use crate::error::Result;
use crate::gpu::Gpu;

/// See the module.
#[derive(Debug)]
pub(super) struct BenchContext<'b> {
    pub gpu: &'b Gpu,
    pub options: &'b Options,
    /// The triad that updates are timed beside.
    pub streams: Streams,
    pub roof: Roof,
}

impl<'b> BenchContext<'b> {
    /// Measures the limits.
    ///
    /// # Errors
    /// As [`super::roof()`].
    pub fn new(gpu: &'b Gpu, options: &'b Options) -> Result<BenchContext<'b>> {
        options.progress("copy, triad and multiply-adds");
        let streams = Streams::new(gpu, options)?;
        let roof = streams.roof(gpu, options.effort)?;
        Ok(BenchContext { gpu, options, streams, roof })
    }
}
