//! The report of a benchmark: the machine, its roof, tables, a figure.

use std::fmt::Write;

use serde::Serialize;
use serde_json::{Value, json};

use super::torch::TorchDevice;
use super::{Figure, Roof, Sheet, cache};
use crate::gpu::{AdapterDescription, Gpu};
use crate::units;

/// The machine of a measurement.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Machine {
    /// The adapter's name.
    pub adapter: String,
    /// Its driver.
    pub driver: String,
    /// `Vulkan`, `Metal` or `Dx12`.
    pub backend: String,
    /// Discrete, integrated, software, ...
    pub kind: &'static str,
    /// The kernels' family.
    pub family: String,
    /// The device has timestamps.
    pub timestamps: bool,
    /// The last-level cache that buffers are rotated past, in bytes.
    pub cache: u64,
}

pub(super) fn machine(gpu: &Gpu) -> Machine {
    let AdapterDescription { name, driver, backend, kind, features, .. } = gpu.adapter();
    Machine {
        adapter: name.clone(),
        driver: driver.clone(),
        backend: backend.clone(),
        kind: kind.name(),
        family: format!("{:?}", gpu.family()).to_lowercase(),
        timestamps: features.contains(&("timestamp-query", true)),
        cache: cache::last_level(gpu),
    }
}

/// The results of a benchmark.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// `launch`, `optim`, `matmul` or `train`.
    pub bench: &'static str,
    /// The machine.
    pub machine: Machine,
    /// The limits of the adapter; `None` where nothing is compared with them.
    pub roof: Option<Roof>,
    /// The PyTorch in the tables; `None` where there is none.
    pub torch: Option<TorchDevice>,
    /// The tables.
    pub sheets: Vec<Sheet>,
    /// The figure.
    pub figure: Figure,
}

impl Report {
    /// The machine, then the tables.
    pub fn markdown(&self) -> String {
        let Machine { adapter, driver, backend, kind, family, timestamps, cache } = &self.machine;
        let clock = if *timestamps { "device timestamps" } else { "the wall's clock only" };
        let mut out = format!(
            "## downhill bench {}\n\n\
             - adapter: {adapter} ({kind}, {backend}, {driver}), {family} kernels, {clock}\n",
            self.bench
        );
        if let Some(Roof { copy, triad, flops, array, .. }) = self.roof {
            let _ = writeln!(
                out,
                "- measured at most: copy {:.2} GB/s, triad {:.2} GB/s (arrays of {}; last-level cache {}), {:.1} GFLOP/s \
                 in f32",
                copy / 1e9,
                triad / 1e9,
                units::bytes(array),
                units::bytes(*cache),
                flops / 1e9
            );
        }
        if let Some(TorchDevice { python, version, device, threads, .. }) = &self.torch {
            let python = python.display();
            let threads = units::plural(*threads as u64, "thread");
            let _ = writeln!(out, "- torch: PyTorch {version} of {python}, on {device}, {threads}");
        }
        for sheet in &self.sheets {
            out.push('\n');
            out.push_str(&sheet.markdown());
        }
        out
    }

    /// Everything but the figure.
    pub fn json(&self) -> Value {
        json!({
            "bench": self.bench,
            "version": env!("CARGO_PKG_VERSION"),
            "machine": self.machine,
            "roof": self.roof,
            "torch": self.torch,
            "tables": self.sheets.iter().map(Sheet::json).collect::<Vec<_>>(),
        })
    }

    /// The tables, with an empty line between them.
    pub fn csv(&self) -> String {
        self.sheets.iter().map(Sheet::csv).collect::<Vec<_>>().join("\n\n")
    }
}
