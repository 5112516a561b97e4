//! A sweep: runs of one config with other numbers, trained at once, each in a folder as a run alone leaves it.
//!
//! `points` reads the runs and gathers those that can train at once into fleets; `folder` has the files of the sweep,
//! `replica` those of a run; `watch` writes what a fleet reports; `row` is a line of the table at the end.

mod folder;
mod points;
mod replica;
mod row;
mod watch;

use std::path::{Path, PathBuf};

use folder::{Event, SweepDir};
use points::{Group, Points};
use replica::Replica;
pub use row::{Ended, Row, ranked};
use watch::Watch;
pub use watch::{SweepObserver, SweepStart};

use super::checkpoint::Identity;
use super::dir::RunDir;
use super::init::merged_into;
use super::numbered::make_next;
use crate::config::{Config, Sweep as Keys};
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::gpu::{Gpu, GpuOptions};
use crate::train::{Fleet, FleetEnd, FleetOptions, Monitor, RunHandle};

/// What a sweep is made of: a config file, settings for all runs, and the section `[sweep]` with what the command line adds.
#[derive(Debug, Clone)]
pub struct SweepSource<'s> {
    /// The config file.
    pub config: &'s Path,
    /// Settings for all runs, as `train.epochs=5`.
    pub settings: &'s [String],
    /// The folder of the data's files, where they are not where the config has them.
    pub data_root: Option<&'s Path>,
    /// The section.
    pub keys: Keys,
}

/// A sweep in its folder.
#[derive(Debug)]
pub struct Sweep {
    dir: SweepDir,
    /// The keys that differ, in the order of the table.
    swept: Vec<String>,
    keys: Keys,
    replicas: Vec<Replica>,
    groups: Vec<Group>,
    gpu: Gpu,
    monitor: Monitor,
    handle: RunHandle,
    notes: Vec<String>,
}

impl Sweep {
    /// Reads the runs, plans them, and makes the folder with a folder for each of them. Every fault of a config is found
    /// before.
    ///
    /// # Errors
    /// Errors of the configs, which name the run; those of data and device; [`Error::Config`] where `path` holds a sweep.
    pub fn start(source: &SweepSource<'_>, path: &Path, options: &GpuOptions) -> Result<Sweep> {
        Self::start_in(source, || Ok(path.to_owned()), options)
    }

    /// [`Sweep::start`] in `runs/<name>-sweep-<number>`, whose number is above every other.
    ///
    /// # Errors
    /// As there.
    pub fn start_next(source: &SweepSource<'_>, name: &str, options: &GpuOptions) -> Result<Sweep> {
        Self::start_in(source, || make_next(&format!("{name}-sweep")), options)
    }

    fn start_in(
        source: &SweepSource<'_>,
        path: impl FnOnce() -> Result<PathBuf>,
        options: &GpuOptions,
    ) -> Result<Sweep> {
        let points = Points::read(source)?;
        let (gpu, groups, replicas) = points.planned(options)?;
        let dir = SweepDir::create(&path()?, &points.to_toml())?;
        for replica in &replicas {
            replica.make(dir.path())?;
        }
        Self::of(dir, &points, gpu, groups, replicas)
    }

    /// Resumes a sweep: runs that have ended stay as they are, others go on from their checkpoints, or from their beginning.
    ///
    /// # Errors
    /// As [`Sweep::start`]; [`Error::Config`] where `path` holds no sweep.
    pub fn resume(path: &Path, options: &GpuOptions) -> Result<Sweep> {
        let dir = SweepDir::reopen(path)?;
        let points = Points::stored(dir.path())?;
        let (gpu, groups, replicas) = points.planned(options)?;
        Self::of(dir, &points, gpu, groups, replicas)
    }

    /// True where a folder holds a sweep.
    pub fn exists(path: &Path) -> bool {
        SweepDir::exists(path)
    }

    /// The rows of a sweep that is there, and the number that says which runs are best. Nothing is opened or locked.
    ///
    /// # Errors
    /// [`Error::Config`] where `path` holds no sweep.
    pub fn table(path: &Path) -> Result<(Vec<Row>, Monitor)> {
        SweepDir::check(path)?;
        let points = Points::stored(path)?;
        let mut replicas = points.replicas();
        recall(&mut replicas, &folder::events(path)?)?;
        let rows: Vec<Row> = replicas.iter().map(Replica::row).collect();
        let evaluates = rows.iter().any(|row| row.last().is_some_and(|last| last.eval_loss.is_some()));
        Ok((rows, points.sweep.monitor(evaluates)))
    }

    /// Refuses to resume a sweep as another one.
    ///
    /// # Errors
    /// [`Error::Config`] with the first thing that differs.
    pub fn check_same(source: &SweepSource<'_>, path: &Path) -> Result<()> {
        let (asked, stored) = (Points::read(source)?, Points::stored(path)?);
        asked.check_same(&stored, path)
    }

    fn of(
        dir: SweepDir,
        points: &Points,
        gpu: Gpu,
        groups: Vec<Group>,
        replicas: Vec<Replica>,
    ) -> Result<Sweep> {
        let evaluates = groups.iter().all(|group| group.data.eval().is_some());
        Ok(Sweep {
            dir,
            swept: points.keys(),
            monitor: points.sweep.monitor(evaluates),
            keys: points.sweep.clone(),
            replicas,
            groups,
            gpu,
            handle: RunHandle::default(),
            notes: Vec::new(),
        })
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Its device.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// The keys that differ between runs.
    pub fn swept(&self) -> &[String] {
        &self.swept
    }

    /// The number that says which runs are best.
    pub fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// How many runs there are, and in how many fleets they train.
    pub fn counts(&self) -> (usize, usize) {
        (self.replicas.len(), self.groups.len())
    }

    /// What the user should know beforehand.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// A handle that stops the sweep, from any thread.
    pub fn handle(&self) -> RunHandle {
        self.handle.clone()
    }

    /// The rows of the table, in the order of the runs.
    pub fn rows(&self) -> Vec<Row> {
        self.replicas.iter().map(Replica::row).collect()
    }

    /// Trains every run to its end, one fleet after the other.
    ///
    /// # Errors
    /// A lost device; files that cannot be written; the observer's own.
    pub fn run(&mut self, observer: &mut dyn SweepObserver) -> Result<FleetEnd> {
        let events = folder::events(self.dir.path())?;
        recall(&mut self.replicas, &events)?;
        observer.start(&SweepStart {
            runs: self.replicas.len(),
            fleets: self.groups.len(),
            ended: self.replicas.iter().filter(|replica| replica.ended.is_some()).count(),
        })?;
        for group in std::mem::take(&mut self.groups) {
            if group.members.iter().all(|&i| self.replicas[i].ended.is_some()) {
                continue;
            }
            if self.run_fleet(group, &events, observer)? == FleetEnd::Stopped {
                self.dir.write_table(&self.swept, &self.rows())?;
                return Ok(FleetEnd::Stopped);
            }
        }
        self.dir.write_table(&self.swept, &self.rows())?;
        Ok(FleetEnd::Finished)
    }

    fn run_fleet(
        &mut self,
        group: Group,
        events: &[Event],
        observer: &mut dyn SweepObserver,
    ) -> Result<FleetEnd> {
        let Group { members, plan, data } = group;
        let halving = self.keys.halving(data.eval().is_some())?;
        let own_plan = plan.plan().clone();
        let options =
            FleetOptions { orders: self.keys.order, at_once: self.keys.at_once, halving, forget_ended: true };
        let mut fleet = Fleet::from_plan(&self.gpu, plan, &data, &options)?;
        fleet.use_handle(&self.handle);
        let identity = |config: &Config| {
            let adapter = self.gpu.adapter();
            let driver = [&*adapter.name, &adapter.driver, &adapter.backend].join(", ");
            let driver = format!("{driver}, kernels: {:?}", self.gpu.family());
            Identity::new(config.to_toml(), driver, &own_plan)
        };
        let mut fingerprint = None;
        for (net, &i) in members.iter().enumerate() {
            let own = &mut self.replicas[i];
            own.identity = Some(identity(&own.config));
            if own.ended.is_some() {
                fleet.ended_before(net);
                continue;
            }
            match own.reopen(self.dir.path(), &self.keys, &data, &mut fingerprint)? {
                Some(saved) => fleet.restore(net, &saved)?,
                None => begin_from(&mut fleet, net, own, self.dir.path(), &own_plan)?,
            }
        }
        fleet.recall(&folder::judgements(events, &members))?;
        observer.fleet(&fleet, &members)?;
        let mut watch = Watch::new(self, &members, &data, observer, fingerprint)?;
        fleet.run(&mut watch)
    }
}

/// Has runs that ended before count as ended.
fn recall(replicas: &mut [Replica], events: &[Event]) -> Result<()> {
    let many = replicas.len();
    for event in events {
        if let Event::End { replica, ended } = event {
            let own = replicas.get_mut(*replica).ok_or_else(|| {
                Error::Config(format!(
                    "sweep.jsonl tells the end of run {replica}, and there are {many} runs"
                ))
            })?;
            own.ended = Some(ended.clone());
        }
    }
    Ok(())
}

/// Has a run begin from the weights of its `[init]`, where it names some; its folder keeps them.
fn begin_from(
    fleet: &mut Fleet,
    net: usize,
    replica: &mut Replica,
    folder: &Path,
    plan: &crate::compile::TrainPlan,
) -> Result<()> {
    let seed = replica.config.options.init_seed();
    let Some((weights, report)) = merged_into(plan.initial_state(seed), &replica.config.init)? else {
        return Ok(());
    };
    let path = folder.join(&replica.folder);
    super::weights::save(&RunDir::first_weights(&path), &weights)?;
    replica.init = Some(report);
    fleet.load_state_dict(net, &std::sync::Arc::new(weights))
}

/// The fingerprint of data, read once.
fn fingerprint_of(data: &Dataset, known: &mut Option<String>) -> Result<String> {
    if known.is_none() {
        *known = Some(format!("{:016x}", data.fingerprint()?));
    }
    Ok(known.clone().unwrap_or_default())
}
