//! The file of an atlas: what was measured on one adapter, in plain SI numbers.

use std::collections::BTreeMap;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::bench::{Roof, Sheet};
use crate::error::{Error, Result};

/// The version of the file's form. A file of another one is refused.
pub const ATLAS_SCHEMA: u32 = 1;

/// An adapter's measurements.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Atlas {
    /// [`ATLAS_SCHEMA`].
    pub schema: u32,
    /// The day of the measurement in UTC, as `2026-11-29`.
    pub date: String,
    /// Made with `--quick`: a check that it works, not a result to report.
    pub quick: bool,
    /// Seconds that all measurements took.
    pub seconds: f64,
    /// The adapter.
    pub adapter: AtlasAdapter,
    /// The program and the machine.
    pub versions: AtlasVersions,
    /// Dispatches and loads, as `bench launch` has them.
    pub launches: Vec<AtlasLaunch>,
    /// The limits.
    pub roof: Roof,
    /// Fused updates of one tensor, as `bench optim` has them.
    pub optimizers: Vec<AtlasOptimizer>,
    /// Products of square matrices, as `bench matmul` has them.
    pub products: Vec<AtlasProduct>,
    /// How sizes were chosen.
    pub sizing: String,
    /// Sizes that would have taken too long.
    pub left_out: Vec<String>,
}

/// An adapter, as its driver describes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AtlasAdapter {
    /// Its name.
    pub name: String,
    /// Driver and version.
    pub driver: String,
    /// `Vulkan`, `Metal` or `Dx12`.
    pub backend: String,
    /// Discrete GPU, integrated GPU, software, ...
    pub kind: String,
    /// The kernels' family.
    pub family: String,
    /// How kernels read their operands.
    pub reads: String,
    /// Smallest and largest subgroup; zeros without subgroups.
    pub subgroups: [u32; 2],
    /// Bytes of the largest heap of its own, where the driver says so.
    pub memory: Option<u64>,
    /// The last-level cache that buffers are rotated past, in bytes.
    pub cache: u64,
    /// Optional features, and whether they are there.
    pub features: BTreeMap<String, bool>,
    /// Limits that kernels depend on.
    pub limits: BTreeMap<String, u64>,
}

/// The program and the machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AtlasVersions {
    /// downhill's version.
    pub downhill: String,
    /// The operating system.
    pub os: String,
    /// The processor's architecture.
    pub arch: String,
    /// The processor's name, where the system says so.
    pub processor: Option<String>,
    /// Threads that the processor runs at once.
    pub threads: usize,
}

/// Dispatches, or loads, in one submission.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AtlasLaunch {
    /// What was timed.
    pub what: String,
    /// Bytes of the buffer.
    pub bytes: u64,
    /// Dispatches of the submission.
    pub dispatches: u64,
    /// Loads of a pointer chase.
    pub loads: Option<u64>,
    /// Median by the device's clock.
    pub device_seconds: Option<f64>,
    /// Median by the wall's clock.
    pub wall_seconds: f64,
    /// Lower quartile, by the device's clock where it has one.
    pub lower_seconds: f64,
    /// Upper quartile.
    pub upper_seconds: f64,
    /// Timed runs.
    pub runs: usize,
    /// The median over the number of dispatches or loads.
    pub each_seconds: f64,
}

/// Updates of an optimizer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AtlasOptimizer {
    /// Its name; `momentum` is SGD with a momentum of 0.9.
    pub optimizer: String,
    /// Parameters of the one tensor.
    pub parameters: u64,
    /// Median by the device's clock.
    pub device_seconds: Option<f64>,
    /// Median by the wall's clock.
    pub wall_seconds: f64,
    /// Lower quartile, by the device's clock where it has one.
    pub lower_seconds: f64,
    /// Upper quartile.
    pub upper_seconds: f64,
    /// Timed runs.
    pub runs: usize,
    /// Bytes by the book over the time.
    pub bytes_per_second: f64,
    /// The share of a triad timed beside it.
    pub of_triad: f64,
    /// The largest difference to the reference in f64, as a share of its bound.
    pub of_error_bound: f64,
}

/// Products of square matrices.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AtlasProduct {
    /// NN, NT or TN, as BLAS names it.
    pub layout: String,
    /// Rows and columns of the matrices.
    pub side: u64,
    /// The kernel.
    pub kernel: String,
    /// Median by the device's clock.
    pub device_seconds: Option<f64>,
    /// Median by the wall's clock.
    pub wall_seconds: f64,
    /// Lower quartile, by the device's clock where it has one.
    pub lower_seconds: f64,
    /// Upper quartile.
    pub upper_seconds: f64,
    /// Timed runs.
    pub runs: usize,
    /// Operations over the time.
    pub flops_per_second: f64,
    /// The share of the measured peak.
    pub of_peak: f64,
    /// The largest difference to the reference in f64, as a share of its bound.
    pub of_error_bound: f64,
}

impl Atlas {
    /// The file's text.
    ///
    /// # Errors
    /// [`Error::Data`] for numbers that JSON cannot hold.
    pub fn json(&self) -> Result<String> {
        let text = serde_json::to_string_pretty(self);
        text.map(|text| text + "\n").map_err(|err| Error::Data(format!("the atlas cannot be written: {err}")))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read; [`Error::Data`] where it is no atlas of this schema, or has times or rates
    /// that are not above 0.
    pub fn read(path: &Path) -> Result<Atlas> {
        let text = std::fs::read_to_string(path).map_err(|err| Error::io("cannot read", path, &err))?;
        let fault = |what: String| Error::Data(format!("{}: {what}", path.display()));
        let value: serde_json::Value =
            serde_json::from_str(&text).map_err(|err| fault(format!("this is no JSON: {err}")))?;
        let schema = value.get("schema");
        if schema != Some(&ATLAS_SCHEMA.into()) {
            let found = schema.map_or("none".to_owned(), ToString::to_string);
            return Err(fault(format!(
                "an atlas of schema {ATLAS_SCHEMA} is needed, and this file's is {found}; measure again with downhill bench \
                 atlas --out FILE"
            )));
        }
        let atlas: Atlas =
            serde_json::from_value(value).map_err(|err| fault(format!("this is no atlas: {err}")))?;
        atlas.check().map_err(fault)?;
        Ok(atlas)
    }

    /// Refuses sections that are empty, and numbers that no measurement gives.
    fn check(&self) -> std::result::Result<(), String> {
        let sections = [self.launches.len(), self.optimizers.len(), self.products.len()];
        for (name, count) in ["launches", "optimizers", "products"].into_iter().zip(sections) {
            if count == 0 {
                return Err(format!("{name} is empty"));
            }
        }
        let roof = [("copy", self.roof.copy), ("triad", self.roof.triad), ("flops", self.roof.flops)];
        let launches = self.launches.iter().map(|l| (l.what.as_str(), l.each_seconds));
        let optimizers = self.optimizers.iter().map(|o| (o.optimizer.as_str(), o.bytes_per_second));
        let products = self.products.iter().map(|p| (p.layout.as_str(), p.flops_per_second));
        let mut all = roof.into_iter().chain(launches).chain(optimizers).chain(products);
        match all.find(|(_, number)| !number.is_finite() || *number <= 0.0) {
            None => Ok(()),
            Some((name, number)) => Err(format!("{name} has {number}, where a number above 0 is needed")),
        }
    }
}

/// The rows of a table as entries: their fields are columns.
///
/// # Errors
/// [`Error::Data`] where a row lacks a number.
pub(super) fn entries<T: DeserializeOwned>(sheet: &Sheet) -> Result<Vec<T>> {
    serde_json::from_value(sheet.json()["rows"].take())
        .map_err(|err| Error::Data(format!("{}: a row has no place in the atlas: {err}", sheet.title)))
}
