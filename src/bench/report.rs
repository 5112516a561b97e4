//! What every benchmark gives: the machine, its roof, tables, a figure.

use serde::Serialize;
use serde_json::{Value, json};

use super::{Effort, Figure, Roof, Sheet, cache};
use crate::gpu::{AdapterDescription, Gpu};
use crate::units;

/// How a benchmark is run.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// How often and how long.
    pub effort: Effort,
    /// Small arrays and few sets of them: enough to see that it works, not to report.
    pub quick: bool,
    /// Called with what is measured next.
    pub progress: fn(&str),
}

/// Bytes of the arrays in turn in a quick run.
const QUICK: u64 = 8 << 20;

impl Options {
    /// The usual run, or a quick one, without words on the way.
    pub fn new(quick: bool) -> Options {
        let effort = if quick { Effort::QUICK } else { Effort::FULL };
        Options { effort, quick, progress: |_| {} }
    }

    pub(super) fn progress(&self, what: &str) {
        (self.progress)(what);
    }

    /// Bytes that buffers in turn come to, so that none is still in the cache at its next turn.
    pub(super) fn rotation(&self, gpu: &Gpu) -> u64 {
        if self.quick { QUICK } else { cache::rotation(gpu) }
    }
}

/// Where it was measured.
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
    /// Device timestamps are there.
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
    /// `optim`, `matmul` or `train`.
    pub bench: &'static str,
    /// Where.
    pub machine: Machine,
    /// What the adapter can do at most.
    pub roof: Roof,
    /// The tables.
    pub sheets: Vec<Sheet>,
    /// The figure.
    pub figure: Figure,
}

impl Report {
    /// The machine, then the tables.
    pub fn markdown(&self) -> String {
        let Machine { adapter, driver, backend, kind, family, timestamps, cache } = &self.machine;
        let Roof { copy, triad, flops, array, .. } = self.roof;
        let clock = if *timestamps { "device timestamps" } else { "the wall's clock only" };
        let mut out = format!(
            "## downhill bench {}\n\n\
             - adapter: {adapter} ({kind}, {backend}, {driver}), {family} kernels, {clock}\n\
             - measured at most: copy {:.2} GB/s, triad {:.2} GB/s (arrays of {}; last-level cache {}), \
             {:.1} GFLOP/s in f32\n",
            self.bench,
            copy / 1e9,
            triad / 1e9,
            units::bytes(array),
            units::bytes(*cache),
            flops / 1e9
        );
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
            "tables": self.sheets.iter().map(Sheet::json).collect::<Vec<_>>(),
        })
    }

    /// The tables, with an empty line between them.
    pub fn csv(&self) -> String {
        self.sheets.iter().map(Sheet::csv).collect::<Vec<_>>().join("\n\n")
    }
}
