//! The device of a page.

use downhill::{Gpu, GpuOptions};
use wasm_bindgen::prelude::*;

use crate::fault;
use crate::run::Run;

/// An open device.
#[wasm_bindgen]
pub struct Device {
    gpu: Gpu,
}

#[wasm_bindgen]
impl Device {
    /// Opens the browser's adapter.
    ///
    /// # Errors
    /// The browser has no WebGPU, or no adapter.
    pub async fn open() -> Result<Device, JsError> {
        let gpu = Gpu::request(&GpuOptions::default()).await;
        let gpu = gpu.map_err(|_| {
            JsError::new("this browser gives no WebGPU adapter; recent versions of Chrome, Edge, Firefox and Safari have one")
        })?;
        Ok(Device { gpu })
    }

    /// Its name, empty where the browser keeps it for itself.
    pub fn name(&self) -> String {
        self.gpu.adapter().name.clone()
    }

    /// Plans the run of a config, compiles its kernels, and puts data and initial weights on the device.
    ///
    /// # Errors
    /// As the command line has them: a config that is wrong, data that do not fit it.
    pub async fn run(&self, config: String) -> Result<Run, JsError> {
        Run::new(&self.gpu, &config).await.map_err(fault)
    }

    /// Pipelines made so far.
    pub fn pipelines(&self) -> usize {
        self.gpu.pipeline_count()
    }
}
