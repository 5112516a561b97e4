//! The runs of a sweep: their configs, and which of them can train at once.

use std::path::Path;

use toml::{Table, Value};

use super::folder::SWEEP;
use super::replica::Replica;
use crate::compile::Orders;
use crate::config::{Config, DataSpec, Point, Sweep, folder, written};
use crate::data::{Arrays, Dataset};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, GpuOptions, Reads};
use crate::kernel::{Family, Target};
use crate::run::dir::CONFIG;
use crate::run::open::{choose_threads, share_config};
use crate::train::{FleetPlan, Variant};

/// The parts of a sweep: the config of all runs, settings for all of them, and the section `[sweep]` with what the command
/// line adds.
#[derive(Debug, Clone)]
pub struct SweepSource<'s> {
    /// The config.
    pub base: SweepBase<'s>,
    /// Settings for all runs, as `train.epochs=5`.
    pub settings: &'s [String],
    /// The section.
    pub keys: Sweep,
}

/// The config that all runs of a sweep begin with.
#[derive(Debug, Clone, Copy)]
pub enum SweepBase<'s> {
    /// A file.
    File {
        /// The file.
        path: &'s Path,
        /// The folder of the data's files, where they are not where the config has them.
        data_root: Option<&'s Path>,
    },
    /// A table whose `data.source` is `"memory"`, with the program's arrays.
    Arrays {
        /// The config.
        config: &'s Table,
        /// The samples.
        arrays: &'s Arrays,
    },
}

impl<'s> SweepBase<'s> {
    /// Reads the config with these settings.
    fn read(self, settings: &[String]) -> Result<Config> {
        match self {
            SweepBase::File { path, data_root } => Config::load_from(path, settings, data_root),
            SweepBase::Arrays { config, .. } => Config::from_table(config, settings),
        }
    }

    /// The arrays, where it has some.
    pub(super) fn arrays(self) -> Option<&'s Arrays> {
        match self {
            SweepBase::File { .. } => None,
            SweepBase::Arrays { arrays, .. } => Some(arrays),
        }
    }
}

/// The runs of a sweep.
#[derive(Debug)]
pub(super) struct Points {
    pub sweep: Sweep,
    points: Vec<Point>,
    configs: Vec<Config>,
}

/// Runs that can train at once.
#[derive(Debug)]
pub(super) struct Group {
    /// Their numbers.
    pub members: Vec<usize>,
    pub plan: FleetPlan,
    pub data: Dataset,
}

/// The runs of a sweep, planned.
#[derive(Debug)]
pub(super) struct Planned {
    /// Those of this rank that can train at once.
    pub groups: Vec<Group>,
    pub replicas: Vec<Replica>,
    /// Every run has a part to evaluate on.
    pub evaluates: bool,
}

/// `sweep.toml`
const HEAD: &str = "# What downhill sweep trains here. Each run has its config in its folder.\n";

impl Points {
    /// Reads the configs of all runs.
    ///
    /// # Errors
    /// [`Error::Config`] for axes that cannot be, and for a config that cannot, with the run's settings.
    pub fn read(source: &SweepSource<'_>) -> Result<Points> {
        let base = source.base.read(source.settings)?;
        let seed = base.options.seed;
        let points = source.keys.axes()?.points(seed)?;
        let order = base.options.seeds.order.unwrap_or(seed);
        let read = |point: &Point| {
            let own = point.iter().map(|(key, value)| format!("{key}={}", written(value)));
            let settings: Vec<String> = source.settings.iter().cloned().chain(own).collect();
            let config = source.base.read(&settings).map_err(|err| told_with(err, point))?;
            let mut config = config.in_sweep_of(seed);
            if source.keys.order == Orders::Shared {
                config.options.seeds.order = Some(order);
            }
            refuse(&config).map_err(|err| told_with(err, point))?;
            Ok(config)
        };
        let configs = points.iter().map(read).collect::<Result<Vec<Config>>>()?;
        source.keys.halving(true)?;
        if source.keys.at_once == Some(0) {
            return Err(Error::Config("at once 0 runs would train: the least is 1".into()));
        }
        Ok(Points { sweep: source.keys.clone(), points, configs })
    }

    /// The runs of a sweep that is there.
    ///
    /// # Errors
    /// [`Error::Config`] where its files are not those of a sweep.
    pub fn stored(path: &Path) -> Result<Points> {
        let file = path.join(SWEEP);
        let text = std::fs::read_to_string(&file).map_err(|err| Error::io("cannot read", &file, &err))?;
        let wrong = |what: String| Error::Config(format!("{}: {what}", file.display()));
        let mut table: Table = text.parse().map_err(|err: toml::de::Error| wrong(err.to_string()))?;
        let listed = table.remove("run").and_then(|runs| runs.as_array().cloned());
        let listed = listed.ok_or_else(|| wrong("it has no [[run]]".into()))?;
        let sweep = Sweep::read(table.remove("sweep").unwrap_or(Value::Table(Table::new())))?;
        let point = |run: &Value| -> Option<Point> {
            Some(run.as_table()?.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
        };
        let points: Option<Vec<Point>> = listed.iter().map(point).collect();
        let points = points.ok_or_else(|| wrong("a [[run]] is no table".into()))?;
        let many = points.len();
        let load =
            |(i, point): (usize, &Point)| Config::load(&path.join(folder(i, many, point)).join(CONFIG), &[]);
        let configs = points.iter().enumerate().map(load).collect::<Result<Vec<Config>>>()?;
        Ok(Points { sweep, points, configs })
    }

    /// `sweep.toml`: the section, and each run's settings.
    pub fn to_toml(&self) -> String {
        let runs = self.points.iter().map(|point| Value::Table(point.iter().cloned().collect()));
        let mut table = Table::new();
        table.insert("sweep".into(), Value::try_from(&self.sweep).unwrap_or(Value::Table(Table::new())));
        table.insert("run".into(), Value::Array(runs.collect()));
        format!("{HEAD}{}", toml::to_string(&table).unwrap_or_default())
    }

    /// The keys that differ.
    pub fn keys(&self) -> Vec<String> {
        self.points.first().map_or_else(Vec::new, |point| point.iter().map(|(key, _)| key.clone()).collect())
    }

    /// Refuses to be another sweep than one that is there.
    ///
    /// # Errors
    /// [`Error::Config`] with what differs.
    pub fn check_same(&self, stored: &Points, path: &Path, base: SweepBase<'_>) -> Result<()> {
        let (option, remedy) = match base {
            SweepBase::File { .. } => {
                ("--resume", "leave the config and the options out to go on with it, or choose another --out")
            }
            SweepBase::Arrays { .. } => {
                ("resume", "give all that it was begun with to go on with it, or choose another folder")
            }
        };
        let other = |what: &str| {
            Error::Config(format!("{option}: {} holds a sweep with other {what}; {remedy}", path.display()))
        };
        if self.points != stored.points {
            return Err(other("runs"));
        }
        if self.sweep != stored.sweep {
            return Err(other("options"));
        }
        let differs = self.configs.iter().zip(&stored.configs).any(|(own, theirs)| {
            own.clone().filled_from(theirs).with_places_of(theirs).to_toml() != theirs.to_toml()
        });
        if differs { Err(other("settings of a run")) } else { Ok(()) }
    }

    /// The runs, in the order of their numbers.
    pub fn replicas(&self) -> Vec<Replica> {
        let many = self.points.len();
        let replica = |(i, (point, config)): (usize, (&Point, &Config))| {
            let values = point.iter().map(|(_, value)| written(value)).collect();
            Replica::new(i, folder(i, many, point), values, config.clone())
        };
        self.points.iter().zip(&self.configs).enumerate().map(replica).collect()
    }

    /// Opens the device, loads the data, plans every run, and gathers those that can train at once: of several ranks each
    /// gathers its own. Where runs are judged against each other, those of a fleet stay on one rank.
    ///
    /// # Errors
    /// Errors of the device, the data and the plans, with the settings of the run.
    pub fn planned(&self, arrays: Option<&Arrays>, options: &GpuOptions) -> Result<(Gpu, Planned)> {
        let first = &self.configs[0];
        let device = |config: &Config| (config.memory, config.device_timeout);
        if self.configs.iter().any(|config| device(config) != device(first)) {
            return Err(Error::Config(
                "train.memory and train.device_timeout are of the device, which all runs of a sweep share: give one for all"
                    .into(),
            ));
        }
        let data = first.dataset_of(arrays)?;
        let nets = self.sweep.at_once.unwrap_or(self.configs.len()).min(self.configs.len());
        share_config(&options.ranks, first)?;
        let gpu = open(first, &data, options, nets).map_err(|err| told_with(err, &self.points[0]))?;
        let planned = self.planned_on(&gpu, data, arrays)?;
        Ok((gpu, planned))
    }

    /// [`Points::planned`] on a device that is open. `data`: those of the first run.
    pub fn planned_on(&self, gpu: &Gpu, data: Dataset, arrays: Option<&Arrays>) -> Result<Planned> {
        let mut sets: Vec<(&DataSpec, Dataset)> = vec![(&self.configs[0].data, data)];
        let target = Target { reads: Reads::Storage, ranks: 1, ..Target::for_gpu(gpu) };
        let (rank, ranks) = (gpu.ranks().rank(), gpu.ranks().count());
        let deals_fleets = self.sweep.halving.is_some();
        let (mut groups, mut replicas, mut evaluates) = (Vec::<Group>::new(), self.replicas(), true);
        for (i, (config, point)) in self.configs.iter().zip(&self.points).enumerate() {
            let known = sets.iter().position(|(spec, _)| **spec == config.data);
            let set = match known {
                Some(set) => set,
                None => {
                    let data = config.dataset_of(arrays).map_err(|err| told_with(err, point))?;
                    sets.push((&config.data, data));
                    sets.len() - 1
                }
            };
            let data = &sets[set].1;
            evaluates &= data.eval().is_some();
            let plan = config.plan(data, target).map_err(|err| told_with(err, point))?;
            let halving = self.sweep.halving(data.eval().is_some())?;
            let metrics = [("sweep.metric", self.sweep.metric.as_ref())].into_iter();
            let metrics = metrics.chain([("halving", halving.as_ref().map(|rule| &rule.monitor.metric))]);
            for (key, metric) in metrics {
                let checked = metric.map_or(Ok(()), |metric| plan.check_metric(key, metric));
                checked.map_err(|err| told_with(err, point))?;
            }
            let mut config = config.clone();
            config.data.describe(data);
            config.options.eval_batch =
                config.options.eval_batch.or(plan.eval_batches.map(|batches| batches.rows));
            let variant = Variant::new(&replicas[i].folder, &config.update, &config.options);
            let is_set = |group: &&mut Group| self.configs[group.members[0]].data == self.configs[i].data;
            let fits = |group: &&mut Group| group.plan.difference(&variant, &plan).is_none();
            replicas[i].config = config;
            if !deals_fleets && i % ranks != rank {
                continue;
            }
            match groups.iter_mut().find(|group| is_set(group) && fits(group)) {
                Some(group) => {
                    group.plan.join(variant, &plan)?;
                    group.members.push(i);
                }
                None => {
                    let plan = FleetPlan::new(variant, plan, self.sweep.order)?;
                    groups.push(Group { members: vec![i], plan, data: data.clone() });
                }
            }
        }
        if deals_fleets {
            groups = groups
                .into_iter()
                .enumerate()
                .filter(|(i, _)| i % ranks == rank)
                .map(|(_, own)| own)
                .collect();
        }
        for Group { members, plan, .. } in &groups {
            let at_once = self.sweep.at_once.unwrap_or(members.len()).min(members.len());
            plan.plan().check_orders(at_once, self.sweep.order)?;
        }
        Ok(Planned { groups, replicas, evaluates })
    }
}

/// Opens the device of a sweep of so many nets at once, whose first run has this config.
pub(super) fn open(first: &Config, data: &Dataset, options: &GpuOptions, nets: usize) -> Result<Gpu> {
    choose_threads(first, data, options, nets)?;
    Gpu::open(&first.gpu_options(options)).or_else(|err| {
        // Reports a config that cannot work before a missing adapter.
        first.plan(data, Target::new(Family::Tiled))?;
        Err(err)
    })
}

/// Refuses what a sweep does not do.
fn refuse(config: &Config) -> Result<()> {
    if config.watch.statistics > 0 {
        return Err(Error::Config(
            "watch.statistics: a sweep takes no statistics of tensors; leave it out, and train the run of interest alone \
             with it"
                .into(),
        ));
    }
    if config.checkpoints.keep_best > 0 {
        return Err(Error::Config(
            "checkpoint.keep_best: a sweep keeps the last state of each run alone; early_stopping.restore_best keeps the \
             weights of the best epoch"
                .into(),
        ));
    }
    Ok(())
}

/// An error with the settings of the run that it is of.
fn told_with(err: Error, point: &Point) -> Error {
    let settings: Vec<String> =
        point.iter().map(|(key, value)| format!("{key}={}", written(value))).collect();
    let of_run = |text: String| format!("the run with {}: {text}", settings.join(" "));
    match err {
        Error::Config(text) => Error::Config(of_run(text)),
        Error::Budget(text) => Error::Budget(of_run(text)),
        Error::Data(text) => Error::Data(of_run(text)),
        Error::Shape { context, message } => Error::Shape { context: of_run(context), message },
        other => other,
    }
}
