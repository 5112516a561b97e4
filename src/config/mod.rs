//! The config file of a run: data, model, optimizer, training. Unknown keys are refused.

mod augment;
mod checkpoint;
mod data;
mod eval;
mod loss;
mod model;
mod optimizer;
mod predict;
mod read;
mod schedule;
mod section;
mod watch;

use std::cell::RefCell;
use std::path::Path;

use toml::{Table, Value};

pub use augment::{Augment, Augmentation};
pub use data::{
    ArrayFiles, ArraysSpec, CifarKeys, DATA_FORMATS, DataConfig, DataFormat, DataSpec, HoldoutKeys, IdxKeys,
    ImagesSpec, KeyGroup, NpyKeys, PackSpec, TableSpec, TextSpec,
};
pub use loss::LossSpec;
use section::{Section, kind};
pub use watch::Watch;

use crate::compile::{MicroBatch, TrainOptions, TrainPlan};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::kernel::Precision;
use crate::kernel::{Family, Rounding, Target};
use crate::nn::Sequential;
use crate::optim::Update;
use crate::train::{CheckpointOptions, Trainer};
use crate::units;

/// A run as its config file says, defaults filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Where the samples come from.
    pub data: DataSpec,
    /// What training makes of them by chance.
    pub augment: Augment,
    /// The layers.
    pub model: Sequential,
    /// The loss.
    pub loss: LossSpec,
    /// The optimizer with its hyperparameters, and what is made of the gradients besides.
    pub update: Update,
    /// Batches, epochs, seed.
    pub options: TrainOptions,
    /// Bytes that all buffers on the device may take together; what the adapter has where it is `None`.
    pub memory: Option<u64>,
    /// How often a run keeps checkpoints, and how many.
    pub checkpoints: CheckpointOptions,
    /// What is told beside the metrics; how often statistics are is in `options` as well, which is what counts.
    pub watch: Watch,
}

impl Config {
    /// Reads a config file and applies `key=value` settings to it.
    ///
    /// # Errors
    /// [`Error::Config`] with the place and the remedy: no such file, no TOML, an unknown or wrong key.
    pub fn load(path: &Path, settings: &[String]) -> Result<Config> {
        let text = std::fs::read_to_string(path)
            .map_err(|err| Error::Config(format!("cannot read the config {}: {err}", path.display())))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::parse_in(folder, &text, settings).map_err(|err| match err {
            Error::Config(text) => Error::Config(format!("{}: {text}", path.display())),
            other => other,
        })
    }

    /// [`Config::load`] from a text; paths in it are relative to the current folder.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, settings: &[String]) -> Result<Config> {
        Self::parse_in(Path::new(""), text, settings)
    }

    fn parse_in(folder: &Path, text: &str, settings: &[String]) -> Result<Config> {
        let mut table: Table = text.parse().map_err(|err| Error::Config(format!("not valid TOML: {err}")))?;
        for setting in settings {
            set(&mut table, setting)?;
        }
        Self::from_table(folder, table)
    }

    fn from_table(folder: &Path, table: Table) -> Result<Config> {
        let mut root = Section::new("", table);
        let mut options = TrainOptions::default();
        for name in [
            "data",
            "model",
            "optimizer",
            "schedule",
            "average",
            "train",
            "checkpoint",
            "early_stopping",
            "watch",
            "eval",
        ] {
            root.misspelt(name)?;
        }
        options.seed = root.whole("seed")?.unwrap_or(options.seed);
        let mut s = root.section("data")?;
        let augment = Augment::read(&mut s)?;
        let data = data::read(s.rest(), folder, &mut options)?;
        augment.check(&data)?;

        let mut s = root.section("model")?;
        let model = model::layers(s.required("layers", "[\"flatten\", { linear = 10 }]")?)?;
        let loss = LossSpec::read(s.required("loss", "\"cross_entropy\"")?)?;
        s.finish()?;

        let mut update = optimizer::read(root.section("optimizer")?)?;
        update.average = optimizer::average(root.section("average")?)?;
        schedule::read(root.section("schedule")?, &mut update)?;
        update.validate()?;

        let mut s = root.section("train")?;
        options.epochs = s.whole("epochs")?.unwrap_or(options.epochs);
        options.steps = s.whole("steps")?;
        options.micro_batch = micro_batch(&mut s)?;
        let memory = memory(&mut s)?;
        options.precision = s.one_of("precision", &[("f32", Precision::F32), ("f16", Precision::F16)])?;
        let roundings = [("nearest", Rounding::Nearest), ("stochastic", Rounding::Stochastic)];
        options.weight_rounding = s.one_of("weight_rounding", &roundings)?;
        if options.epochs == 0 || options.steps == Some(0) {
            return Err(Error::Config("train: at least 1 epoch or step is needed".into()));
        }
        s.finish()?;
        let checkpoints = checkpoint::read(root.section("checkpoint")?)?;
        if root.has("early_stopping") {
            options.early_stopping = Some(checkpoint::early_stopping(root.section("early_stopping")?)?);
        }
        options.metrics = eval::read(root.section("eval")?)?;
        options.target(Target::new(Family::Tiled)).check()?;
        let watch = Watch::read(root.section("watch")?)?;
        options.statistics = (watch.statistics > 0).then_some(watch.statistics);
        root.finish()?;
        Ok(Config { data, augment, model, loss, update, options, memory, checkpoints, watch })
    }

    /// Plans a run on `data`, which is that of [`Config::dataset`].
    ///
    /// # Errors
    /// As [`TrainPlan::new`] and [`TrainOptions::batches`].
    pub fn plan(&self, data: &Dataset, target: Target) -> Result<TrainPlan> {
        // What the inputs of a build were mixed by, for its loss.
        let mixed = RefCell::new(None);
        let train_plan = TrainPlan::builder(data, &self.update)
            .model(
                &|net, x| {
                    let (x, mix) = self.augment.apply(net, x);
                    mixed.replace(mix);
                    self.model.build(net, &x)
                },
                &|y, t| match mixed.take() {
                    Some(mix) => mix.loss(t, |t| self.loss.apply(y, t)),
                    None => self.loss.apply(y, t),
                },
            )
            .batches(self.options.batches(data)?)
            .target(self.options.target(target))
            .metrics(&self.options.metrics)
            .build()?;
        let stopping = self.options.early_stopping.as_ref().and_then(|rule| rule.metric.as_ref());
        let watched =
            [("checkpoint.metric", self.checkpoints.metric.as_ref()), ("early_stopping.metric", stopping)];
        for (key, metric) in watched {
            metric.map_or(Ok(()), |metric| train_plan.check_metric(key, metric))?;
        }
        Ok(train_plan)
    }

    /// Plans, allocates and compiles it.
    ///
    /// # Errors
    /// As [`Config::plan`] and [`Trainer::from_plan`].
    pub fn trainer(&self, gpu: &Gpu, data: &Dataset) -> Result<Trainer> {
        Trainer::from_plan(gpu, self.plan(data, Target::of(gpu))?, data, &self.options)
    }

    /// The data the config names.
    ///
    /// # Errors
    /// [`Error::Data`] where they are at fault, [`Error::Config`] where what the config says of them is.
    pub fn dataset(&self) -> Result<Dataset> {
        self.data.load(self.options.seed)
    }

    /// The whole config as TOML, every default written out; reading it back gives the same run.
    pub fn to_toml(&self) -> String {
        let integer = |n: u64| Value::Integer(i64::try_from(n).unwrap_or(i64::MAX));
        let mut train = Table::from_iter([("epochs".to_owned(), integer(self.options.epochs))]);
        train.extend(self.options.steps.map(|n| ("steps".to_owned(), integer(n))));
        let precision = Value::try_from(self.options.precision).unwrap_or("".into());
        train.insert("precision".to_owned(), precision);
        let rounding = Value::try_from(self.options.weight_rounding).unwrap_or("".into());
        train.insert("weight_rounding".to_owned(), rounding);
        match self.options.micro_batch {
            MicroBatch::Whole => None,
            MicroBatch::Rows(n) => train.insert("micro_batch".to_owned(), integer(n as u64)),
            MicroBatch::Auto => train.insert("micro_batch".to_owned(), "auto".into()),
        };
        train.extend(self.memory.map(|bytes| ("memory".to_owned(), integer(bytes))));
        let section = |entries: Vec<(&str, Value)>| {
            Value::Table(entries.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
        };
        let mut data = data::to_toml(&self.data, &self.options);
        if let (Value::Table(table), Some(augment)) = (&mut data, self.augment.to_toml()) {
            table.insert("augment".to_owned(), augment);
        }
        let mut root = Table::from_iter([
            ("seed".to_owned(), integer(self.options.seed)),
            ("data".to_owned(), data),
            (
                "model".to_owned(),
                section(vec![("layers", model::to_value(&self.model)), ("loss", self.loss.to_toml())]),
            ),
            ("optimizer".to_owned(), optimizer::to_toml(&self.update)),
        ]);
        root.extend(schedule::to_toml(&self.update).map(|schedule| ("schedule".to_owned(), schedule)));
        let average = self.update.average.and_then(|average| Value::try_from(average).ok());
        root.extend(average.map(|average| ("average".to_owned(), average)));
        root.insert("train".to_owned(), Value::Table(train));
        root.insert("checkpoint".to_owned(), checkpoint::to_toml(&self.checkpoints));
        let stopping = self.options.early_stopping.as_ref().and_then(|rule| Value::try_from(rule).ok());
        root.extend(stopping.map(|rule| ("early_stopping".to_owned(), rule)));
        root.insert("watch".to_owned(), self.watch.to_toml());
        root.extend(eval::to_toml(&self.options.metrics).map(|eval| ("eval".to_owned(), eval)));
        root.to_string()
    }
}

fn micro_batch(s: &mut Section) -> Result<MicroBatch> {
    match s.take("micro_batch") {
        None => Ok(MicroBatch::Whole),
        Some(Value::String(word)) if word == "auto" => Ok(MicroBatch::Auto),
        Some(Value::Integer(n)) if n >= 0 => Ok(MicroBatch::Rows(usize::try_from(n).unwrap_or(usize::MAX))),
        Some(other) => Err(Error::Config(format!(
            "train.micro_batch = {other}: a whole number of samples, or \"auto\", is needed"
        ))),
    }
}

fn memory(s: &mut Section) -> Result<Option<u64>> {
    match s.take("memory") {
        None => Ok(None),
        Some(Value::Integer(bytes)) if bytes > 0 => Ok(Some(bytes as u64)),
        Some(Value::String(text)) => {
            let bytes = units::parse_bytes(&text);
            bytes.map(Some).map_err(|err| Error::Config(format!("train.memory = {err}")))
        }
        Some(other) => Err(Error::Config(format!("train.memory = {other}: a size is needed, as \"256MiB\""))),
    }
}

/// Applies `a.b=value`; the value is TOML, or else a string.
fn set(table: &mut Table, setting: &str) -> Result<()> {
    let Some((path, text)) = setting.split_once('=') else {
        return Err(Error::Config(format!(
            "--set {setting}: a key and a value are needed, as --set optimizer.lr=0.01"
        )));
    };
    let (path, text) = (path.trim(), text.trim());
    let value = match format!("v = {text}").parse::<Table>() {
        Ok(mut t) => t.remove("v").unwrap_or(Value::String(text.to_owned())),
        Err(_) => Value::String(text.to_owned()),
    };
    let mut keys: Vec<&str> = path.split('.').collect();
    if keys.iter().any(|key| key.is_empty()) {
        return Err(Error::Config(format!(
            "--set {setting}: the key is not whole; for example --set optimizer.lr=0.01"
        )));
    }
    let last = keys.pop().unwrap_or_default();
    let mut table = table;
    for key in keys {
        let inner = table.entry(key.to_owned()).or_insert_with(|| Value::Table(Table::new()));
        table = match inner {
            Value::Table(t) => t,
            other => {
                return Err(Error::Config(format!("--set {setting}: {key} is {}, not a table", kind(other))));
            }
        };
    }
    table.insert(last.to_owned(), value);
    Ok(())
}

#[cfg(test)]
mod tests;
