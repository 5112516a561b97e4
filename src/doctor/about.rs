//! Describes an adapter: its features and limits, and what each means for training.

use serde::Serialize;

use super::verdict::family_name;
use crate::gpu::{AdapterKind, Family, Gpu, PipelineFile, Reads};
use crate::units;

/// A feature of an adapter and its effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Feature {
    /// Its name in WebGPU.
    pub name: &'static str,
    /// The adapter has it.
    pub has: bool,
    /// Its use, or the effect of its absence.
    pub meaning: String,
}

/// A limit and its effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// Its name in WebGPU.
    pub name: &'static str,
    /// Bytes, or a count.
    pub value: u64,
    /// Its effect on training.
    pub meaning: String,
}

/// An adapter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Adapter {
    /// The index for `--adapter INDEX`.
    pub index: usize,
    /// The device's name.
    pub name: String,
    /// Discrete, integrated, software, ...
    pub kind: &'static str,
    /// The reason for the choice.
    pub because: String,
    /// `Vulkan`, `Metal` or `Dx12`.
    pub backend: String,
    /// Driver and version; empty where unknown.
    pub driver: String,
    /// Smallest and largest subgroup; 0 without subgroups.
    pub subgroup_size: [u32; 2],
    /// The family of its kernels.
    pub family: &'static str,
    /// The reason for the family.
    pub family_because: String,
    /// The way in which its kernels read buffers.
    pub reads: String,
    /// The reason for that.
    pub reads_because: &'static str,
    /// Its driver checks each access to a buffer.
    pub robust_buffers: bool,
    /// The file of its compiled kernels; `None` where none are kept.
    pub pipeline_file: Option<std::path::PathBuf>,
    /// The reason for that, or what is in the file.
    pub pipeline_file_because: String,
    /// Its features.
    pub features: Vec<Feature>,
    /// Its limits.
    pub limits: Vec<Limit>,
}

/// Describes an open device.
pub(super) fn adapter(gpu: &Gpu) -> Adapter {
    let a = gpu.adapter();
    let feature =
        |&(name, has): &(&'static str, bool)| Feature { name, has, meaning: of_feature(name, has).into() };
    let mut limits: Vec<Limit> = a
        .limits
        .iter()
        .filter_map(|&(name, value)| of_limit(name, value).map(|meaning| Limit { name, value, meaning }))
        .collect();
    let largest = gpu.largest_buffer();
    limits.insert(0, Limit {
        name: "largest buffer",
        value: largest,
        meaning: format!(
            "all parameters lie in one buffer, so at most {} of them in f32; nor is an activation or the samples on the \
             device larger",
            units::count((largest / 4) as f64)
        ),
    });
    if let (Some(memory), Some(budget)) = (a.memory, a.budget()) {
        let meaning =
            format!("a run takes {} of it at most, unless --memory says otherwise", units::bytes(budget));
        limits.insert(0, Limit { name: "memory", value: memory, meaning });
    }
    let (pipeline_file, pipeline_file_because) = kept(gpu);
    Adapter {
        index: a.index,
        name: a.name.clone(),
        kind: a.kind.name(),
        because: gpu.chosen_because().to_owned(),
        backend: a.backend.clone(),
        driver: a.driver.clone(),
        subgroup_size: [a.subgroup_min, a.subgroup_max],
        family: family_name(gpu.family()),
        family_because: of_family(gpu),
        reads: gpu.reads().to_string(),
        reads_because: match gpu.reads() {
            Reads::Storage => "the usual way",
            Reads::Products => {
                "on a processor without AVX-512 this adapter's products are up to 1.7 times as fast so"
            }
            Reads::Images { .. } => {
                "Mesa before 25 on a processor without AVX-512 reads storage lane by lane, about ten times as slowly"
            }
        },
        robust_buffers: gpu.has_robust_buffers(),
        pipeline_file,
        pipeline_file_because,
        features: a.features.iter().map(feature).collect(),
        limits,
    }
}

/// The file of compiled kernels, after the tests have made all of them, and what is in it; or why there is none.
fn kept(gpu: &Gpu) -> (Option<std::path::PathBuf>, String) {
    let written = gpu.write_pipelines();
    let Some(PipelineFile { path, read_bytes, kept_bytes, .. }) = gpu.pipeline_file() else {
        let has = gpu.adapter().features.contains(&("pipeline-cache", true));
        let why = if has { "switched off" } else { "this backend has no cache of them" };
        return (None, why.into());
    };
    match written {
        Err(err) => (None, err.to_string()),
        Ok(_) if path.exists() => (
            Some(path),
            format!(
                "{}, of them {} from before",
                units::bytes(kept_bytes as u64),
                units::bytes(read_bytes as u64)
            ),
        ),
        Ok(_) => (None, "this driver hands none out; it may have a cache of its own".into()),
    }
}

fn of_family(gpu: &Gpu) -> String {
    let a = gpu.adapter();
    match (gpu.family(), a.kind) {
        (Family::Subgroup, _) => "a software adapter with subgroups of 8: values pass between lanes, for barriers are slow there",
        (Family::Tiled, AdapterKind::Software) => {
            "a software adapter whose subgroups are not of 8: workgroup memory and barriers, which are slow there"
        }
        _ => "a GPU: workgroup memory and barriers",
    }
    .to_owned()
}

fn of_feature(name: &str, has: bool) -> &'static str {
    match (name, has) {
        ("subgroups", true) => "values pass between lanes of a software adapter without barriers",
        ("subgroups", false) => "GPUs do without; a software adapter has to wait at barriers",
        ("shader-f16", true) => "train.precision = \"f16\" can be had: activations in half the memory",
        ("shader-f16", false) => {
            "train.precision = \"f16\" is refused; f32 is as right, in twice the memory for activations"
        }
        ("timestamp-query", true) => "downhill bench times kernels by the device's own clock",
        ("pipeline-cache", true) => "compiled kernels can be kept in a file for later starts",
        ("pipeline-cache", false) => {
            "each start compiles its kernels, or finds them in the driver's own cache"
        }
        ("timestamp-query", false) => {
            "downhill bench times kernels by the wall's clock only; training is the same"
        }
        _ => "",
    }
}

fn of_limit(name: &str, value: u64) -> Option<String> {
    Some(match name {
        "max_storage_buffers_per_shader_stage" => format!("kernels bind up to {BUFFERS} buffers at once"),
        "max_compute_workgroup_storage_size" => {
            format!("attention takes up to {} for the rows of a tile", units::bytes(WORKGROUP_BYTES))
        }
        "max_compute_invocations_per_workgroup" => {
            format!("large products run {INVOCATIONS} invocations together")
        }
        "max_compute_workgroups_per_dimension" => {
            format!("work is folded into two dimensions past {value} workgroups; {GROUPS} are counted on")
        }
        _ => return None,
    })
}

/// The limits that kernels need.
const BUFFERS: u64 = 10;
const WORKGROUP_BYTES: u64 = 16 << 10;
const INVOCATIONS: u64 = 256;
const GROUPS: u64 = 65_535;

/// The least value of a limit that kernels need, if any.
pub(super) fn least(name: &str) -> Option<u64> {
    match name {
        "max_storage_buffers_per_shader_stage" => Some(BUFFERS),
        "max_compute_workgroup_storage_size" => Some(WORKGROUP_BYTES),
        "max_compute_invocations_per_workgroup" => Some(INVOCATIONS),
        "max_compute_workgroups_per_dimension" => Some(GROUPS),
        _ => None,
    }
}
