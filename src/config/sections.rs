//! The sections of the config file that have no file of their own: `[model]`, `[train]`, `[checkpoint]`, `[watch]`,
//! `[eval]`, and the file itself.

use serde::de::{Deserializer, Error as _};
use serde::{Deserialize, Serialize, Serializer};
use toml::{Table, Value};

use super::any_of::any_of;
use super::described::{Described, section};
use super::{Init, LossSpec, Sweep, Tune};
use crate::compile::{EarlyStopping, MicroBatch, Seeds};
use crate::error::{Error, Result};
use crate::kernel::{Precision, Rounding};
use crate::metrics::Metric;
use crate::nn::Sequential;
use crate::train::CheckpointOptions;
use crate::units;

section! {
    /// The file. The order of its sections is the order in which they are written.
    pub(super) struct File {
        /// Decides initial weights, orders of samples and everything else that is random.
        pub seed: u64 = 0,
        /// Seeds of one of these alone, in place of `seed`.
        #[serde(skip_serializing_if = "Seeds::are_the_runs")]
        pub seeds: Seeds = Seeds::default(),
        /// The samples, and how they make batches.
        pub data: Table = Table::new(),
        /// The layers and the loss.
        pub model: Option<Model> = None,
        /// The weights to start from.
        #[serde(skip_serializing_if = "Init::is_random")]
        pub init: Init = Init::default(),
        /// The optimizer.
        pub optimizer: Table = Table::new(),
        /// The learning rate over the steps.
        #[serde(skip_serializing_if = "Table::is_empty")]
        pub schedule: Table = Table::new(),
        /// An average of the weights.
        #[serde(skip_serializing_if = "Table::is_empty")]
        pub average: Table = Table::new(),
        /// How long and how the model is trained.
        pub train: Train = Train::default(),
        /// When checkpoints are saved.
        pub checkpoint: Checkpoint = Checkpoint::default(),
        /// Ends a run whose epochs no longer improve.
        pub early_stopping: Option<EarlyStopping> = None,
        /// What a run records beside its metrics.
        pub watch: Watch = Watch::default(),
        /// What evaluation computes.
        #[serde(skip_serializing_if = "Eval::is_empty")]
        pub eval: Eval = Eval::default(),
        /// The runs of a sweep.
        #[serde(skip_serializing_if = "Sweep::is_absent")]
        pub sweep: Sweep = Sweep::default(),
        /// Tiles of products that were measured.
        #[serde(skip_serializing_if = "Tune::is_empty")]
        pub tune: Tune = Tune::default(),
    }
}

/// The layers and the loss. Both keys are required.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Model {
    pub layers: Sequential,
    pub loss: LossSpec,
}

impl Described for Model {
    const ABOUT: &'static str = "The layers and the loss. Both keys are required.";
    const KEYS: &'static [(&'static str, &'static str)] = &[
        ("layers", "The layers, one after the other: each is a name, or a table of a name with options."),
        ("loss", "The loss: a name, or a table of a name with options."),
    ];
}

impl Model {
    pub fn check(&self) -> Result<()> {
        if self.layers.layers.is_empty() {
            let text = "model.layers is empty; for example [\"flatten\", { linear = 10 }]";
            return Err(Error::Config(text.into()));
        }
        self.loss.check()
    }
}

section! {
    /// How long a run trains, in which precision, and in how much memory.
    pub(super) struct Train {
        /// Passes over the training samples.
        pub epochs: u64 = 10,
        /// Ends the run after this many steps, whatever `epochs` is.
        pub steps: Option<u64> = None,
        /// The type of activations and weights in memory: "f32" or "f16".
        pub precision: Precision = Precision::F32,
        /// How weights are rounded to f16: "nearest" or "stochastic".
        pub weight_rounding: Rounding = Rounding::Nearest,
        /// Samples that go through the model at once, or "auto" for as many as fit; a whole batch without it.
        #[serde(with = "micro_batch")]
        pub micro_batch: MicroBatch = MicroBatch::Whole,
        /// Parts of a batch, a power of 2, whose gradients are added in a fixed tree: the run has the same bits on each number of
        /// MPI's ranks that divides it.
        pub shards: usize = 1,
        /// Bytes that all buffers on the device may take together, as 1048576 or "256MiB"; what the adapter has without it.
        #[serde(deserialize_with = "memory")]
        pub memory: Option<u64> = None,
        /// Seconds that the device may take for a few kernels before it counts as lost; 300 without it, 3600 on a software adapter.
        pub device_timeout: Option<f64> = None,
    }
}

impl Train {
    pub fn check(&self) -> Result<()> {
        if self.epochs == 0 || self.steps == Some(0) {
            return Err(Error::Config("train: at least 1 epoch or step is needed".into()));
        }
        if !self.shards.is_power_of_two() {
            return Err(Error::Config(format!(
                "train.shards = {}: a power of 2 is needed, as 1, 2, 4 or 8",
                self.shards
            )));
        }
        if let Some(seconds) = self.device_timeout.filter(|seconds| !(1e-3..1e9).contains(seconds)) {
            return Err(Error::Config(format!(
                "train.device_timeout = {seconds:?}: a number of seconds from 0.001 on is needed, as 600"
            )));
        }
        Ok(())
    }
}

section! {
    /// When a run saves checkpoints, and which it keeps. Without an `every_` key it saves one every 5 minutes.
    pub(super) struct Checkpoint {
        /// Steps from one checkpoint to the next; 0 is never.
        pub every_steps: Option<u64> = None,
        /// Minutes from one checkpoint to the next; 0 is never.
        pub every_minutes: Option<f64> = None,
        /// Epochs from one checkpoint to the next, each after its evaluation; 0 is never.
        pub every_epochs: Option<u64> = None,
        /// How many of the last checkpoints are kept.
        pub keep_last: usize = CheckpointOptions::default().keep_last,
        /// How many of the best checkpoints are kept besides, each saved when its epoch ends; true is 1.
        #[serde(deserialize_with = "keep_best")]
        pub keep_best: usize = CheckpointOptions::default().keep_best,
        /// The number that says which checkpoints are best; the evaluation's loss, or else the training's, without it.
        pub metric: Option<String> = None,
    }
}

impl Checkpoint {
    pub fn rule(self) -> Result<CheckpointOptions> {
        let Checkpoint { every_steps, every_minutes, every_epochs, keep_last, keep_best, metric } = self;
        if let Some(minutes) = every_minutes.filter(|minutes| !(0.0..1e9).contains(minutes)) {
            return Err(Error::Config(format!(
                "checkpoint.every_minutes = {minutes}: a number of minutes above 0 is needed, or 0 for never"
            )));
        }
        let is_silent = every_steps.is_none() && every_minutes.is_none() && every_epochs.is_none();
        let usual = CheckpointOptions::default().every_minutes.filter(|_| is_silent);
        let rule = CheckpointOptions {
            every_steps: every_steps.filter(|n| *n > 0),
            every_minutes: every_minutes.filter(|minutes| *minutes > 0.0).or(usual),
            every_epochs: every_epochs.filter(|n| *n > 0),
            keep_last,
            keep_best,
            metric,
        };
        rule.check()?;
        Ok(rule)
    }
}

impl From<CheckpointOptions> for Checkpoint {
    fn from(rule: CheckpointOptions) -> Self {
        let CheckpointOptions { every_steps, every_minutes, every_epochs, keep_last, keep_best, metric } =
            rule;
        let every_minutes = Some(every_minutes.unwrap_or(0.0));
        Checkpoint { every_steps, every_minutes, every_epochs, keep_last, keep_best, metric }
    }
}

impl Described for EarlyStopping {
    const ABOUT: &'static str = "Ends a run whose epochs no longer improve. It is off without the section.";
    const KEYS: &'static [(&'static str, &'static str)] = &[
        ("metric", "The number to improve; the evaluation's loss, or else the training's, without it."),
        ("mode", "Whether less or more of it is better; by the metric's name without it."),
        ("patience", "Epochs in a row that may be no better than the best."),
        ("min_delta", "How much better a value must be to count."),
        ("restore_best", "Whether the run ends with the weights of its best epoch."),
    ];
}

impl Described for Seeds {
    const ABOUT: &'static str =
        "Seeds of one kind of randomness alone, each `seed` without it: to vary one, and hold the others.";
    const KEYS: &'static [(&'static str, &'static str)] = &[
        ("init", "Decides the initial weights."),
        ("order", "Decides the order of samples in each epoch."),
        ("chance", "Decides dropout, augmentation and stochastic rounding."),
    ];
}

/// Refuses values of `[early_stopping]` that cannot be.
pub(super) fn check_early_stopping(rule: &EarlyStopping) -> Result<()> {
    if rule.patience == 0 {
        return Err(Error::Config("early_stopping.patience = 0: at least 1 epoch is needed".into()));
    }
    if rule.min_delta < 0.0 {
        let is = rule.min_delta;
        return Err(Error::Config(format!("early_stopping.min_delta = {is}: a number from 0 on is needed")));
    }
    Ok(())
}

section! {
    /// What a run records beside its metrics.
    pub struct Watch {
        /// Writes event files for TensorBoard to the run directory.
        pub tensorboard: bool = false,
        /// Records statistics of every tensor each time after this many steps; 0 is never.
        pub statistics: u64 = 0,
    }
}

section! {
    /// How evaluation goes, and what it computes beside the loss.
    pub(super) struct Eval {
        /// Samples evaluated at once, whatever memory there is. Default: as many as take no more activations than a training
        /// batch, 512 at most. A run writes the number that it chose.
        pub batch_size: Option<usize> = None,
        /// The metrics, each by its name or as a table of its name with options.
        pub metrics: Vec<Metric> = Vec::new(),
    }
}

impl Eval {
    fn is_empty(&self) -> bool {
        self.metrics.is_empty() && self.batch_size.is_none()
    }

    pub fn check(&self) -> Result<()> {
        if self.batch_size == Some(0) {
            return Err(Error::Config("eval.batch_size = 0: at least 1 sample is evaluated at once".into()));
        }
        Metric::check(&self.metrics)
    }
}

fn whole(value: &Value) -> Option<usize> {
    value.as_integer().and_then(|n| usize::try_from(n).ok())
}

fn keep_best<'de, D: Deserializer<'de>>(deserializer: D) -> Result<usize, D::Error> {
    let wanted = "how many of the best are kept, or true for one,";
    any_of(deserializer, wanted, |value| whole(value).or(value.as_bool().map(usize::from)))
}

fn memory<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let bytes = any_of(deserializer, "a size, as \"256MiB\",", |value| match value {
        Value::String(text) => Some(units::parse_bytes(text)),
        value => whole(value).filter(|bytes| *bytes > 0).map(|bytes| Ok(bytes as u64)),
    })?;
    bytes.map(Some).map_err(D::Error::custom)
}

/// A whole number, "auto", or nothing.
mod micro_batch {
    use super::*;

    pub fn serialize<S: Serializer>(micro: &MicroBatch, serializer: S) -> Result<S::Ok, S::Error> {
        match micro {
            MicroBatch::Whole => serializer.serialize_none(),
            MicroBatch::Rows(n) => serializer.serialize_u64(*n as u64),
            MicroBatch::Auto => serializer.serialize_str("auto"),
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MicroBatch, D::Error> {
        any_of(deserializer, "a whole number of samples, or \"auto\",", |value| match value.as_str() {
            Some("auto") => Some(MicroBatch::Auto),
            _ => whole(value).map(MicroBatch::Rows),
        })
    }
}
