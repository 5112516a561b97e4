//! The config file of a run: data, model, optimizer, training. Unknown keys are refused.

mod any_of;
mod augment;
mod data;
mod described;
mod export;
mod init;
mod loss;
mod named;
mod optimizer;
mod predict;
mod read;
pub mod reference;
mod schedule;
mod sections;
mod sweep;
mod syntax;
mod tune;

use std::cell::RefCell;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::{Table, Value};

pub use augment::{Augment, Augmentation};
pub use data::{
    ArrayFiles, ArraysSpec, CifarKeys, DATA_FORMATS, DataConfig, DataFormat, DataSpec, HoldoutKeys, IdxKeys,
    ImagesSpec, KeyGroup, MemorySpec, NpyKeys, PackSpec, Samples, TableSpec, TextSpec,
};
pub use init::Init;
pub use loss::LossSpec;
use read::{kind, read};
pub use sections::Watch;
use sections::{Checkpoint, Eval, File, Model, Train, check_early_stopping};
pub use sweep::{Axes, Axis, Keep, Point, Range, Recorded, Scale, Sweep, Values, folder, seeds, written};
pub use tune::Tune;

use crate::compile::{TrainOptions, TrainPlan};
use crate::data::{Arrays, Dataset, Encoding};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, GpuOptions};
use crate::kernel::{Family, Target};
use crate::nn::Sequential;
use crate::optim::Update;
use crate::train::{CheckpointOptions, Trainer};

/// Bytes of a config, at most.
const LONGEST: u64 = 16 << 20;

/// A run as its config file describes it, with defaults filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The source of the samples.
    pub data: DataSpec,
    /// The random augmentations of training samples.
    pub augment: Augment,
    /// The layers.
    pub model: Sequential,
    /// The loss.
    pub loss: LossSpec,
    /// The weights that a run starts from.
    pub init: Init,
    /// The optimizer with its hyperparameters, groups, clipping, schedule and average.
    pub update: Update,
    /// Batches, epochs, seed.
    pub options: TrainOptions,
    /// Bytes that all buffers on the device may take together. `None`: the adapter's memory.
    pub memory: Option<u64>,
    /// The time that the device may take for a few kernels before it counts as lost. `None`: the default of
    /// [`GpuOptions::patience`].
    pub device_timeout: Option<Duration>,
    /// How often a run keeps checkpoints, and how many.
    pub checkpoints: CheckpointOptions,
    /// The records beside the metrics. `options` also has the interval of statistics, and that one is used.
    pub watch: Watch,
    /// The runs of a sweep, which other commands leave alone.
    pub sweep: Sweep,
    /// Tiles of products, in place of the predicted ones.
    pub tune: Tune,
    /// Relative paths of `data` begin in it. Empty where there are none.
    root: PathBuf,
}

impl Config {
    /// Reads a config file and applies `key=value` settings to it.
    ///
    /// # Errors
    /// [`Error::Config`] with the place and the remedy: no such file, no TOML, an unknown or wrong key.
    pub fn load(path: &Path, settings: &[String]) -> Result<Config> {
        Self::load_from(path, settings, None)
    }

    /// [`Config::load`] with the folder that the files of its data lie in, in place of its own folder and of `data.root`.
    /// A file is looked for below it by its path in the config, and then by that path without its first folders.
    ///
    /// # Errors
    /// As [`Config::load`]; [`Error::Config`] where the folder is not there.
    pub fn load_from(path: &Path, settings: &[String], data_root: Option<&Path>) -> Result<Config> {
        let text = read_text(path)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        Self::parse_in(folder, &text, settings, data_root).map_err(|err| match err {
            Error::Config(text) => Error::Config(format!("{}: {text}", path.display())),
            other => other,
        })
    }

    /// [`Config::load`] from a text; paths in it are relative to the current folder.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn parse(text: &str, settings: &[String]) -> Result<Config> {
        Self::parse_in(Path::new(""), text, settings, None)
    }

    /// [`Config::load`] from a table; paths in it are relative to the current folder.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn from_table(table: &Table, settings: &[String]) -> Result<Config> {
        Self::read_in(Path::new(""), table.clone(), settings, None).map_err(syntax::cut)
    }

    fn parse_in(folder: &Path, text: &str, settings: &[String], data_root: Option<&Path>) -> Result<Config> {
        let read = || Self::read_in(folder, syntax::parse(text)?, settings, data_root);
        read().map_err(syntax::cut)
    }

    fn read_in(
        folder: &Path,
        mut table: Table,
        settings: &[String],
        data_root: Option<&Path>,
    ) -> Result<Config> {
        give_way(&mut table, settings);
        settings.iter().try_for_each(|setting| set(&mut table, setting))?;
        let file: File = read("", Value::Table(table))?;
        let mut data = file.data;
        let augment = data.remove("augment").map(|list| read("data.augment", list)).transpose()?;
        let augment: Augment = augment.unwrap_or_default();
        let mut options = TrainOptions::default();
        let (data, root) = data::read(data, folder, data_root, &mut options)?;
        augment.check(matches!(data, DataSpec::Inputs(_)))?;
        let model = file.model.map_or_else(|| read("model", Value::Table(Table::new())), Ok)?;
        model.check()?;
        let init = file.init.resolved(folder)?;

        let mut update = optimizer::read(file.optimizer)?;
        update.average = optimizer::average(file.average)?;
        schedule::read(file.schedule, &mut update)?;
        update.validate()?;

        file.train.check()?;
        let Train { epochs, steps, precision, weight_rounding, micro_batch, shards, memory, device_timeout } =
            file.train;
        let device_timeout = device_timeout.map(Duration::from_secs_f64);
        let checkpoints = file.checkpoint.rule()?;
        file.early_stopping.as_ref().map_or(Ok(()), check_early_stopping)?;
        file.eval.check()?;
        let options = TrainOptions {
            seed: file.seed,
            seeds: file.seeds,
            epochs,
            steps,
            precision,
            weight_rounding,
            micro_batch,
            shards,
            early_stopping: file.early_stopping,
            metrics: file.eval.metrics,
            eval_batch: file.eval.batch_size,
            statistics: Some(file.watch.statistics).filter(|every| *every > 0),
            ..options
        };
        options.target(Target::new(Family::Tiled)).check()?;
        let (Model { layers: model, loss }, watch) = (model, file.watch);
        Ok(Config {
            data,
            augment,
            model,
            loss,
            init,
            update,
            options,
            memory,
            device_timeout,
            checkpoints,
            watch,
            sweep: file.sweep,
            tune: file.tune,
            root,
        })
    }

    /// Plans a run on `data`, which is that of [`Config::dataset`].
    ///
    /// # Errors
    /// As [`TrainPlanBuilder::build`](crate::compile::TrainPlanBuilder::build) and [`TrainOptions::batches`].
    pub fn plan(&self, data: &Dataset, target: Target) -> Result<TrainPlan> {
        self.check_targets(data)?;
        // The mixup of the inputs of a build, for its loss.
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
            .options(&self.options)
            .target(target)
            .tuned(&self.tune.products)
            .build()?;
        let stopping = self.options.early_stopping.as_ref().and_then(|rule| rule.metric.as_ref());
        let watched =
            [("checkpoint.metric", self.checkpoints.metric.as_ref()), ("early_stopping.metric", stopping)];
        for (key, metric) in watched {
            metric.map_or(Ok(()), |metric| train_plan.check_metric(key, metric))?;
        }
        Ok(train_plan)
    }

    /// Refuses a loss of classes for targets that are numbers, with the key that makes classes of them.
    fn check_targets(&self, data: &Dataset) -> Result<()> {
        let takes_classes = matches!(self.loss, LossSpec::CrossEntropy(_) | LossSpec::Nll(_));
        let is_own = !matches!(self.data, DataSpec::Inputs(_));
        if !(takes_classes && is_own && data.train().targets().is_float()) {
            return Ok(());
        }
        let (loss, name) = (self.loss.name(), data.name());
        Err(Error::Config(match (&self.data, data.encoding()) {
            (DataSpec::Table(table), _) => format!(
                "model.loss = \"{loss}\" takes classes, and the column \"{}\" of {name} holds numbers; if they are \
                 classes, set data.source.classes = true; if they are numbers, take a loss of numbers: \"mse\", or \
                 \"bce_with_logits\" for 0 and 1 under one output",
                table.options.target
            ),
            (_, Some(Encoding::Table(_))) => format!(
                "model.loss = \"{loss}\" takes classes, and the targets of {name} are numbers; if they are classes, set \
                 data.source.classes = true and convert the table again; if they are numbers, take a loss of numbers, as \
                 \"mse\""
            ),
            _ => format!(
                "model.loss = \"{loss}\" takes classes, and the targets of {name} are floats; store classes as integers \
                 from 0 on, or take a loss of numbers, as \"mse\""
            ),
        }))
    }

    /// The options to open its device with: `options` with the limits of the config. A time-out in `options` goes first.
    pub fn gpu_options(&self, options: &GpuOptions) -> GpuOptions {
        let patience = options.patience.or(self.device_timeout);
        GpuOptions { memory: self.memory, patience, ..options.clone() }
    }

    /// Plans, allocates and compiles the run.
    ///
    /// # Errors
    /// As [`Config::plan`] and [`Trainer::from_plan`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn trainer(&self, gpu: &Gpu, data: &Dataset) -> Result<Trainer> {
        pollster::block_on(self.trainer_async(gpu, data))
    }

    /// [`Config::trainer`] without blocking the thread.
    ///
    /// # Errors
    /// As there.
    pub async fn trainer_async(&self, gpu: &Gpu, data: &Dataset) -> Result<Trainer> {
        let plan = self.plan(data, Target::for_gpu(gpu))?;
        Trainer::from_plan_async(gpu, plan, data, &self.options).await
    }

    /// Loads the data that the config names.
    ///
    /// # Errors
    /// [`Error::Data`] where the data are at fault, [`Error::Config`] where their options in the config are.
    pub fn dataset(&self) -> Result<Dataset> {
        self.dataset_of(None)
    }

    /// [`Config::dataset`] of a program's arrays, where they are given; `data.source` is `"memory"` then.
    ///
    /// # Errors
    /// As there.
    pub fn dataset_of(&self, arrays: Option<&Arrays>) -> Result<Dataset> {
        let data = match arrays {
            None => self.data.load(self.options.seed)?,
            Some(arrays) => self.data.load_arrays(arrays, self.options.seed)?,
        };
        data.check_classes()?;
        Ok(data)
    }

    /// The config as a run of a sweep has it: its part held out for evaluation is that of `seed`, whatever its own seed, so
    /// that runs are compared on the same samples.
    #[must_use]
    pub fn in_sweep_of(mut self, seed: u64) -> Config {
        self.data.hold_out_by(seed);
        self.sweep = Sweep::default();
        self
    }

    /// The same config with the files of its data where another config's are, if both have the same kind of source.
    #[must_use]
    pub fn with_places_of(&self, other: &Config) -> Config {
        Config { data: self.data.with_places_of(&other.data), root: other.root.clone(), ..self.clone() }
    }

    /// The same config with what its run has settled: the samples evaluated at once, where it leaves them out, the shape of
    /// a sample, where the samples are arrays of a program, and the weights that the run started from, since the run has its
    /// own copy.
    #[must_use]
    pub fn filled_from(mut self, run: &Config) -> Config {
        self.options.eval_batch = self.options.eval_batch.or(run.options.eval_batch);
        Config { init: run.init.clone(), data: self.data.with_samples_of(&run.data), ..self }
    }

    /// The same config with the tiles of its run, whatever it names itself: bits depend on them.
    #[must_use]
    pub fn with_tiles_of(self, run: &Config) -> Config {
        Config { tune: run.tune.clone(), ..self }
    }

    /// The whole config as TOML, every default written out; reading it back gives the same run.
    pub fn to_toml(&self) -> String {
        self.written_for(None)
    }

    /// [`Config::to_toml`] for a file in `folder`, which is there: `data.root` leads from it to the files, so that both
    /// can be moved together.
    pub fn to_toml_in(&self, folder: &Path) -> String {
        self.written_for(Some(folder))
    }

    fn written_for(&self, folder: Option<&Path>) -> String {
        let table = |value: Value| match value {
            Value::Table(table) => table,
            _ => Table::new(),
        };
        let options = self.options.clone();
        let mut data = table(data::to_toml(&self.data, &self.root, folder, &options));
        data.extend(self.augment.to_toml().map(|augment| ("augment".to_owned(), augment)));
        let average = self.update.average.and_then(|average| Table::try_from(average).ok());
        let file = File {
            seed: options.seed,
            seeds: options.seeds,
            data,
            model: Some(Model { layers: self.model.clone(), loss: self.loss }),
            init: self.init.written_in(folder),
            optimizer: table(optimizer::to_toml(&self.update)),
            schedule: schedule::to_toml(&self.update).map_or(Table::new(), table),
            average: average.unwrap_or_default(),
            train: Train {
                epochs: options.epochs,
                steps: options.steps,
                precision: options.precision,
                weight_rounding: options.weight_rounding,
                micro_batch: options.micro_batch,
                shards: options.shards,
                memory: self.memory,
                device_timeout: self.device_timeout.map(|time| time.as_secs_f64()),
            },
            checkpoint: Checkpoint::from(self.checkpoints.clone()),
            early_stopping: options.early_stopping,
            watch: self.watch.clone(),
            eval: Eval { batch_size: options.eval_batch, metrics: options.metrics },
            // A run is no sweep.
            sweep: Sweep::default(),
            tune: self.tune.clone(),
        };
        // Every value of a config is one that TOML has.
        toml::to_string(&file).unwrap_or_default()
    }
}

/// The text of a config's file, which may be a pipe.
fn read_text(path: &Path) -> Result<String> {
    let fault =
        |err: std::io::Error| Error::Config(format!("cannot read the config {}: {err}", path.display()));
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(fault)?;
    file.take(LONGEST + 1).read_to_string(&mut text).map_err(fault)?;
    if text.len() as u64 > LONGEST {
        let path = path.display();
        return Err(Error::Config(format!(
            "{path}: it goes on after {LONGEST} bytes, and no config is so long"
        )));
    }
    Ok(text)
}

/// Takes a key out of the file where a setting names its short or its long form. Two settings of both remain an error.
fn give_way(table: &mut Table, settings: &[String]) {
    let Some(Value::Table(data)) = table.get_mut("data") else { return };
    let named =
        |key: &str| settings.iter().any(|s| s.split('=').next().is_some_and(|path| path.trim() == key));
    for (key, other) in [("data.sampling", "shuffle"), ("data.shuffle", "sampling")] {
        if named(key) {
            data.remove(other);
        }
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
