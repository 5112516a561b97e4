//! A sweep: runs of one config with other numbers, trained at once, each in a folder as a run alone leaves it.
//!
//! `points` reads the runs and gathers those that can train at once into fleets; `folder` has the files of the sweep,
//! `replica` those of a run; `runs` is what all have in common; `watch` writes what a fleet reports; `row` is a line of the
//! table at the end.

mod folder;
mod observer;
mod points;
mod replica;
mod row;
mod runs;
mod watch;

use std::path::{Path, PathBuf};

use folder::{Event, SweepDir};
pub use observer::{SweepObserver, SweepStart};
use points::{Group, Planned, Points};
pub use points::{SweepBase, SweepSource};
use replica::Replica;
pub use row::{Ended, Row, ranked};
use runs::Runs;
use watch::Watch;

use super::checkpoint::Fingerprint;
use super::dir::RunDir;
use super::init::merged_into;
use super::numbered::make_next;
use super::open::identity;
use super::system::System;
use crate::compile::TrainPlan;
use crate::config::Config;
use crate::data::Arrays;
use crate::error::{Error, Result};
use crate::gpu::{Gpu, GpuOptions};
use crate::ranks::{Matter, Ranks};
use crate::train::{EpochRecord, Fleet, FleetEnd, FleetOptions, Monitor, RunHandle};

/// A sweep in its folder.
#[derive(Debug)]
pub struct Sweep {
    runs: Runs,
    groups: Vec<Group>,
    gpu: Gpu,
    handle: RunHandle,
    /// The machine that it runs on, from its first fleet on.
    system: Option<System>,
}

/// The history of a sweep.
#[derive(Debug, Clone)]
pub struct SweepHistory {
    /// Its runs.
    pub rows: Vec<Row>,
    /// The keys that differ between them.
    pub swept: Vec<String>,
    /// The number that says which are best.
    pub monitor: Monitor,
    /// The epochs of its runs, by their numbers, in the order in which they came.
    pub epochs: Vec<(usize, EpochRecord)>,
    /// Its judgements. A rung may be judged more than once.
    pub judged: Vec<Judged>,
}

/// Runs that were judged by halving.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Epochs done.
    pub rung: u64,
    /// The runs that went on.
    pub kept: Vec<usize>,
    /// Those that were ended.
    pub dropped: Vec<usize>,
    /// The numbers by which they were judged.
    pub values: Vec<(usize, Option<f64>)>,
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
        let (gpu, planned) = points.planned(source.base.arrays(), options)?;
        let dir = SweepDir::create(&path()?, &points.to_toml())?;
        for replica in &planned.replicas {
            replica.make(dir.path())?;
        }
        share_folder(&options.ranks, dir.path())?;
        Ok(Self::of(dir, &points, gpu, planned))
    }

    /// Resumes a sweep: runs that have ended stay as they are, others go on from their checkpoints, or from their beginning.
    ///
    /// # Errors
    /// As [`Sweep::start`]; [`Error::Config`] where `path` holds no sweep.
    pub fn resume(path: &Path, options: &GpuOptions) -> Result<Sweep> {
        Self::resume_with(path, None, options)
    }

    /// [`Sweep::resume`] of a sweep on arrays of a program, which are given again.
    ///
    /// # Errors
    /// As there.
    pub fn resume_on(path: &Path, arrays: &Arrays, options: &GpuOptions) -> Result<Sweep> {
        Self::resume_with(path, Some(arrays), options)
    }

    fn resume_with(path: &Path, arrays: Option<&Arrays>, options: &GpuOptions) -> Result<Sweep> {
        let dir = SweepDir::reopen(path)?;
        let points = Points::stored(dir.path())?;
        let (gpu, planned) = points.planned(arrays, options)?;
        share_folder(&options.ranks, dir.path())?;
        Ok(Self::of(dir, &points, gpu, planned))
    }

    /// Joins the sweep that rank 0 starts or resumes: this rank trains its share of the runs, in their folders, and rank 0
    /// writes the table. The folder has to be where all ranks see it.
    ///
    /// # Errors
    /// As [`Sweep::resume`]; [`Error::Rank`] for the errors of another rank.
    pub fn join(options: &GpuOptions) -> Result<Sweep> {
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        let first = text(options.ranks.broadcast(Matter::Config, &[])?);
        let first = Config::parse(&first, &[])?;
        let data = first.dataset()?;
        let gpu = points::open(&first, &data, options, 1)?;
        let folder = text(options.ranks.broadcast(Matter::Sweep, &[])?);
        let dir = SweepDir::join(Path::new(&folder), options.ranks.rank())?;
        let points = Points::stored(dir.path())?;
        let planned = points.planned_on(&gpu, data, None)?;
        Ok(Self::of(dir, &points, gpu, planned))
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

    /// The history of a sweep that is there: the rows of its table, its epochs and judgements. Nothing is opened or
    /// locked.
    ///
    /// # Errors
    /// As [`Sweep::table`].
    pub fn history(path: &Path) -> Result<SweepHistory> {
        let (rows, monitor) = Self::table(path)?;
        let swept = Points::stored(path)?.keys();
        let mut history = SweepHistory { rows, swept, monitor, epochs: Vec::new(), judged: Vec::new() };
        for event in folder::events(path)? {
            match event {
                Event::Epoch { replica, epoch } => history.epochs.push((replica, epoch)),
                Event::Judged { rung, kept, dropped, values } => {
                    history.judged.push(Judged { rung, kept, dropped, values });
                }
                Event::End { .. } => {}
            }
        }
        Ok(history)
    }

    /// Refuses to resume a sweep as another one.
    ///
    /// # Errors
    /// [`Error::Config`] with the first thing that differs.
    pub fn check_same(source: &SweepSource<'_>, path: &Path) -> Result<()> {
        let (asked, stored) = (Points::read(source)?, Points::stored(path)?);
        asked.check_same(&stored, path, source.base)
    }

    fn of(dir: SweepDir, points: &Points, gpu: Gpu, planned: Planned) -> Sweep {
        let Planned { groups, replicas, evaluates } = planned;
        let (swept, keys, monitor) = (points.keys(), points.sweep.clone(), points.sweep.monitor(evaluates));
        let runs = Runs { dir, swept, keys, replicas, monitor };
        Sweep { runs, groups, gpu, handle: RunHandle::default(), system: None }
    }

    /// Its folder.
    pub fn path(&self) -> &Path {
        self.runs.path()
    }

    /// Its device.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// The keys that differ between runs.
    pub fn swept(&self) -> &[String] {
        &self.runs.swept
    }

    /// The number that says which runs are best.
    pub fn monitor(&self) -> &Monitor {
        &self.runs.monitor
    }

    /// How many runs there are, and in how many fleets they train.
    pub fn counts(&self) -> (usize, usize) {
        (self.runs.replicas.len(), self.groups.len())
    }

    /// A handle that stops the sweep, from any thread.
    pub fn handle(&self) -> RunHandle {
        self.handle.clone()
    }

    /// The rows of the table, in the order of the runs.
    pub fn rows(&self) -> Vec<Row> {
        self.runs.rows()
    }

    /// Trains every run to its end, one fleet after the other.
    ///
    /// # Errors
    /// A lost device; files that cannot be written; the observer's own.
    pub fn run(&mut self, observer: &mut dyn SweepObserver) -> Result<FleetEnd> {
        // Every rank has planned its runs and sees the folder before one trains.
        self.gpu.ranks().exchange(Matter::Sweep, &[], false)?;
        let result = self.run_fleets(observer);
        let end = match &result {
            Ok(FleetEnd::Finished) => "finished",
            Ok(FleetEnd::Stopped) => "stopped",
            Err(_) => "failed",
        };
        let result = result.and_then(|end| self.gather(end, observer));
        let (folder, rows) = (self.runs.path().to_owned(), self.runs.rows());
        let steps = rows.iter().filter_map(|row| row.ended.as_ref()).map(|ended| ended.steps).sum();
        let kept = self.system.as_mut().map_or(Ok(()), |system| system.end(&folder, steps, end));
        let end = result?;
        kept.map(|()| end)
    }

    fn run_fleets(&mut self, observer: &mut dyn SweepObserver) -> Result<FleetEnd> {
        let events = folder::events(self.runs.path())?;
        recall(&mut self.runs.replicas, &events)?;
        observer.start(&SweepStart {
            runs: self.runs.replicas.len(),
            fleets: self.groups.len(),
            ended: self.runs.replicas.iter().filter(|replica| replica.ended.is_some()).count(),
        })?;
        for group in std::mem::take(&mut self.groups) {
            if group.members.iter().all(|&i| self.runs.replicas[i].ended.is_some()) {
                continue;
            }
            if self.run_fleet(group, &events, observer)? == FleetEnd::Stopped {
                return Ok(FleetEnd::Stopped);
            }
        }
        Ok(FleetEnd::Finished)
    }

    /// Waits for the runs of all ranks. Rank 0 gathers their events, drops weights that were kept by a rank alone, and writes
    /// the table.
    fn gather(&mut self, end: FleetEnd, observer: &mut dyn SweepObserver) -> Result<FleetEnd> {
        let ranks = self.gpu.ranks().clone();
        let met = ranks.exchange(Matter::Sweep, &[], end == FleetEnd::Stopped);
        if ranks.is_first() {
            if !ranks.is_alone() {
                let events = self.runs.dir.merge()?;
                recall(&mut self.runs.replicas, &events)?;
                self.runs.keep_best()?;
                self.report_events(events, observer)?;
            }
            self.runs.write_table()?;
        }
        Ok(if met?.stop { FleetEnd::Stopped } else { end })
    }

    /// Reports the events of other ranks' runs.
    fn report_events(&self, events: Vec<Event>, observer: &mut dyn SweepObserver) -> Result<()> {
        events.into_iter().try_for_each(|event| match event {
            Event::Epoch { replica, epoch } => observer.epoch(replica, &epoch),
            Event::Judged { rung, kept, dropped, .. } => observer.judged(rung, kept.len(), dropped.len()),
            Event::End { replica, .. } => observer.end(&self.runs.replicas[replica].row()),
        })
    }

    fn run_fleet(
        &mut self,
        group: Group,
        events: &[Event],
        observer: &mut dyn SweepObserver,
    ) -> Result<FleetEnd> {
        let Group { members, plan, data } = group;
        let halving = self.runs.keys.halving(data.eval().is_some())?;
        let own_plan = plan.plan().clone();
        let options = FleetOptions {
            orders: self.runs.keys.order,
            at_once: self.runs.keys.at_once,
            halving,
            forget_ended: true,
        };
        let mut fleet = Fleet::from_plan(&self.gpu, plan, &data, &options)?;
        if self.system.is_none() && self.gpu.ranks().is_first() {
            let system = System::of(&self.gpu, fleet.plan(), &data);
            self.system = Some(system.begin(self.runs.path(), 0)?);
        }
        fleet.use_handle(&self.handle);
        let mut fingerprint = Fingerprint::Unknown;
        for (net, &i) in members.iter().enumerate() {
            let Runs { dir, keys, replicas, .. } = &mut self.runs;
            let own = &mut replicas[i];
            if own.ended.is_some() {
                fleet.ended_before(net);
                continue;
            }
            own.identity = Some(identity(&own.config, &self.gpu, &own_plan));
            match own.reopen(dir.path(), keys, &data, &mut fingerprint)? {
                Some(saved) => fleet.restore(net, &saved)?,
                None => begin_from(&mut fleet, net, own, dir.path(), &own_plan)?,
            }
        }
        fleet.recall(&folder::judgements(events, &members))?;
        observer.fleet(&fleet, &members)?;
        let mut watch = Watch::new(&mut self.runs, &members, &data, observer, fingerprint);
        fleet.run(&mut watch)
    }
}

/// Gives the other ranks the folder, where there are some.
fn share_folder(ranks: &Ranks, path: &Path) -> Result<()> {
    if ranks.is_alone() {
        return Ok(());
    }
    let path = std::path::absolute(path).map_err(|err| Error::io("cannot find", path, &err))?;
    ranks.broadcast(Matter::Sweep, path.to_string_lossy().as_bytes()).map(drop)
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
    plan: &TrainPlan,
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
