//! What a run or a sweep ran on, the choices that follow from it, and when: `system.json`.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::atomic_file::write_whole;
use crate::compile::TrainPlan;
use crate::data::{Dataset, Part};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, threads};

/// The file.
const SYSTEM: &str = "system.json";
/// The file of earlier versions, which had no counts and no times.
const MACHINE: &str = "machine.json";

/// The adapter of a run, the choices that follow from it, its sizes and its times. Of the choices only the family of kernels
/// and the tiles of products change bits of the results.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct System {
    /// That of this program.
    pub version: String,
    /// The adapter's name.
    pub adapter: String,
    /// Its driver.
    pub driver: String,
    /// The way to the driver, as `Vulkan`.
    pub backend: String,
    /// The family of kernels: `Tiled` or `Subgroup`.
    pub kernels: String,
    /// The way in which kernels read buffers.
    pub reads: String,
    /// The driver checks each access to a buffer.
    pub robust_buffers: bool,
    /// Threads of Mesa's software adapter as the environment or this program set them; 0 is the thread that submits. `None`
    /// where the driver chooses.
    pub software_threads: Option<usize>,
    /// Products of all plans whose tile the config's `[tune]` names.
    pub tuned_products: usize,
    /// Dispatches of a training step; of all runs that train at once, in a sweep.
    pub dispatches_per_step: usize,
    /// Bytes of every buffer together, as planned before the first.
    pub peak_bytes: u64,
    /// Elements of all parameters of a net.
    pub parameters: usize,
    /// Samples of a full batch.
    pub batch_size: usize,
    /// Steps of an epoch.
    pub steps_per_epoch: usize,
    /// Samples of an epoch.
    pub epoch_samples: usize,
    /// Samples of the part held out.
    pub eval_samples: usize,
    /// The stretches in which the run trained: one for each process.
    pub segments: Vec<Segment>,
}

/// The time in which one process trained a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Steps done before; above 0 where it resumed.
    pub from_step: u64,
    /// Seconds since 1970 at its start.
    pub started: u64,
    /// Seconds since 1970 at its end. `None` where the process was killed, or still trains.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended: Option<u64>,
    /// Steps done at its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to_step: Option<u64>,
    /// How it ended: `finished`, `early stopped`, `stopped`, `failed`, `diverged`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
}

impl System {
    pub(super) fn of(gpu: &Gpu, plan: &TrainPlan, data: &Dataset) -> System {
        let adapter = gpu.adapter();
        System {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            adapter: adapter.name.clone(),
            driver: adapter.driver.clone(),
            backend: adapter.backend.clone(),
            kernels: format!("{:?}", gpu.family()),
            reads: plan.read_as(),
            robust_buffers: gpu.has_robust_buffers(),
            software_threads: adapter.mesa_version().and_then(|_| threads::given()),
            tuned_products: plan.tuned_products(),
            dispatches_per_step: plan.dispatches(),
            peak_bytes: plan.peak_bytes(),
            parameters: plan.parameter_count(),
            batch_size: plan.batches.rows,
            steps_per_epoch: plan.batches.steps(),
            epoch_samples: plan.batches.samples(),
            eval_samples: data.eval().map_or(0, Part::len),
            segments: Vec::new(),
        }
    }

    /// What the folder of a run or a sweep has of it; `None` where there is nothing that can be read.
    pub fn read(folder: &Path) -> Option<System> {
        let read = |name: &str| serde_json::from_slice(&fs::read(folder.join(name)).ok()?).ok();
        read(SYSTEM).or_else(|| read(MACHINE))
    }

    /// Begins a segment after those that the folder has, and writes the file.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be written.
    pub(super) fn begin(mut self, folder: &Path, step: u64) -> Result<System> {
        self.segments = Self::read(folder).map(|system| system.segments).unwrap_or_default();
        self.segments.push(Segment { from_step: step, started: now(), ..Segment::default() });
        self.write(folder)?;
        Ok(self)
    }

    /// Ends the last segment, and writes the file.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be written.
    pub(super) fn end(&mut self, folder: &Path, step: u64, how: &str) -> Result<()> {
        if let Some(segment) = self.segments.last_mut() {
            segment.ended = Some(now());
            segment.to_step = Some(step);
            segment.end = Some(how.to_owned());
        }
        self.write(folder)
    }

    fn write(&self, folder: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self).map_err(|err| Error::Config(err.to_string()))?;
        write_whole(&folder.join(SYSTEM), (text + "\n").as_bytes())
    }

    /// Seconds in which processes trained it, without the pauses between them; `None` where an end is not known.
    pub fn seconds(&self) -> Option<u64> {
        if self.segments.is_empty() {
            return None;
        }
        self.segments.iter().map(|own| Some(own.ended?.saturating_sub(own.started))).sum()
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_resumed_run_has_a_segment_for_each_process() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path();
        assert_eq!(System::read(folder), None);
        let first = System { adapter: "card".into(), ..System::default() };
        first.clone().begin(folder, 0).unwrap();
        assert_eq!(System::read(folder).unwrap().seconds(), None, "it has not ended");
        let mut second = first.begin(folder, 40).unwrap();
        second.end(folder, 90, "finished").unwrap();
        let read = System::read(folder).unwrap();
        assert_eq!(read, second);
        let steps: Vec<_> = read.segments.iter().map(|own| (own.from_step, own.to_step)).collect();
        assert_eq!(steps, [(0, None), (40, Some(90))]);
        assert_eq!(read.segments[1].end.as_deref(), Some("finished"));

        // Earlier versions wrote another file.
        fs::remove_file(folder.join(SYSTEM)).unwrap();
        fs::write(folder.join(MACHINE), r#"{"version":"0.1.0","adapter":"old card","peak_bytes":7}"#)
            .unwrap();
        let old = System::read(folder).unwrap();
        assert_eq!((&*old.adapter, old.peak_bytes, old.seconds()), ("old card", 7, None));
    }
}
