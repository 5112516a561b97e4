//! Kernels become pipelines, each once for a device.

use std::sync::Arc;

use super::pipeline::{Parts, Pipeline, ShaderKey};
use super::{Gpu, Inner};
use crate::error::{Error, Result};

impl Gpu {
    /// The pipeline for `key`, compiled at the first call. Threads that ask for one key compile it once.
    ///
    /// # Errors
    /// A kernel that does not compile.
    pub fn pipeline(&self, key: &ShaderKey) -> Result<Arc<Pipeline>> {
        self.inner.pipelines.get(key, || compile(&self.inner, key))
    }
}

/// The error of a kernel that the driver refuses.
pub(super) fn refused(entry: &str, why: impl std::fmt::Display) -> Error {
    Error::Gpu(format!("kernel {entry} does not compile: {why}"))
}

fn compile(inner: &Inner, key: &ShaderKey) -> Result<Pipeline> {
    #[cfg(not(target_arch = "wasm32"))]
    let kept = inner.kept.as_ref().map(|kept| &kept.raw);
    #[cfg(target_arch = "wasm32")]
    let kept = None;
    let scope = inner.device.push_error_scope(wgpu::ErrorFilter::Validation);
    let pipeline = Parts::new(&inner.device, key, inner.shader_checks).assemble(&inner.device, kept);
    let entry = key.entry.clone();
    inner.caught(scope, move |err| refused(&entry, err))?;
    Ok(pipeline)
}
