//! Devices, which a process opens once each.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use downhill::config::Config;
use downhill::gpu::{self, AdapterDescription};
use downhill::{Error, Gpu, GpuOptions};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::errors::unlocked;

/// A device that is open, the options that it was opened with, and the process that did.
struct Opened {
    adapter: String,
    config: Limits,
    process: u32,
    gpu: Gpu,
}

/// The part of a config that a device is opened with.
type Limits = (Option<u64>, Option<std::time::Duration>);

static OPENED: Mutex<Vec<Opened>> = Mutex::new(Vec::new());

/// The process that has first looked for adapters.
static PROCESS: Mutex<Option<u32>> = Mutex::new(None);

/// The options to open a device with: an adapter by name, index, or `auto`.
pub fn options(adapter: &str) -> GpuOptions {
    GpuOptions { adapter: adapter.to_owned(), pipeline_cache: cache_folder(), ..GpuOptions::default() }
}

/// The folder of compiled kernels, as the program `downhill` has it.
fn cache_folder() -> Option<PathBuf> {
    match std::env::var_os("DOWNHILL_PIPELINE_CACHE").filter(|name| !name.is_empty()) {
        Some(folder) if folder == "off" => None,
        Some(folder) => Some(folder.into()),
        None => gpu::user_cache_folder(),
    }
}

/// Refuses to use drivers in a process that was forked from one that has used them: they would hang.
pub fn check_process() -> Result<(), Error> {
    let mut first = PROCESS.lock().unwrap_or_else(PoisonError::into_inner);
    let own = std::process::id();
    match *first.get_or_insert(own) {
        before if before == own => Ok(()),
        before => Err(Error::Gpu(format!(
            "this process was forked from process {before}, which has used the device, and drivers do not survive that; start \
             processes by \"spawn\", as multiprocessing.get_context(\"spawn\") does, or use the device in the children alone"
        ))),
    }
}

/// The open device for a config, or a new one.
pub fn open(adapter: &str, config: &Config) -> Result<Gpu, Error> {
    check_process()?;
    let limits = (config.memory, config.device_timeout);
    let process = std::process::id();
    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    let is_same = |own: &&Opened| own.adapter == adapter && own.config == limits && own.process == process;
    if let Some(own) = opened.iter().find(is_same) {
        return Ok(own.gpu.clone());
    }
    let gpu = Gpu::open(&config.gpu_options(&options(adapter)))?;
    opened.push(Opened { adapter: adapter.to_owned(), config: limits, process, gpu: gpu.clone() });
    Ok(gpu)
}

/// Forgets every device after one was lost, so that the next use opens it again.
pub fn forget(err: &Error) {
    if matches!(err, Error::DeviceLost(_)) {
        OPENED.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Every adapter as a dict: index, name, kind, backend, driver, bytes of memory.
#[pyfunction]
pub fn adapters(py: Python<'_>) -> PyResult<Vec<Bound<'_, PyDict>>> {
    let list = unlocked(py, || {
        check_process()?;
        Ok(pollster::block_on(gpu::adapters()))
    })?;
    let row = |own: AdapterDescription| {
        let dict = PyDict::new(py);
        dict.set_item("index", own.index)?;
        dict.set_item("name", own.name)?;
        dict.set_item("kind", own.kind.name())?;
        dict.set_item("backend", own.backend)?;
        dict.set_item("driver", own.driver)?;
        dict.set_item("memory", own.memory)?;
        Ok(dict)
    };
    list.into_iter().map(row).collect()
}
