//! Writes the reports of a fleet to the folders of its runs and of the sweep.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::folder::Event;
use super::observer::SweepObserver;
use super::row::Ended;
use super::runs::Runs;
use crate::config::Keep;
use crate::data::Dataset;
use crate::error::Result;
use crate::run::checkpoint::Fingerprint;
use crate::train::{EpochRecord, Fleet, FleetObserver, Judgement, ReplicaEnd, StepRecord};

/// Writes what a fleet reports.
pub(super) struct Watch<'s> {
    sweep: &'s mut Runs,
    /// The run of each net.
    members: &'s [usize],
    data: &'s Dataset,
    observer: &'s mut dyn SweepObserver,
    fingerprint: Fingerprint,
    path: PathBuf,
    saved: Instant,
    /// Stretches since the last checkpoint.
    stretches: u64,
}

impl<'s> Watch<'s> {
    pub fn new(
        sweep: &'s mut Runs,
        members: &'s [usize],
        data: &'s Dataset,
        observer: &'s mut dyn SweepObserver,
        fingerprint: Fingerprint,
    ) -> Watch<'s> {
        let path = sweep.path().to_owned();
        Watch { sweep, members, data, observer, fingerprint, path, saved: Instant::now(), stretches: 0 }
    }

    /// True where a run that ended now is to have its weights; drops those of one that it outdoes.
    fn keeps(&mut self, run: usize, ended: &Ended) -> Result<bool> {
        let most = match self.sweep.keys.keep {
            Keep::All => return Ok(true),
            Keep::None => return Ok(false),
            Keep::Best(most) => most,
        };
        let mut rows = self.sweep.rows();
        rows[run].ended = Some(ended.clone());
        let best = self.sweep.best(&rows, most);
        self.sweep.drop_weights_but(&best)?;
        Ok(best.contains(&run))
    }

    fn save_all(&mut self, fleet: &Fleet) -> Result<()> {
        for (net, &run) in self.members.iter().enumerate() {
            if fleet.end(net).is_none() && fleet.has_begun(net) {
                let own = &mut self.sweep.replicas[run];
                own.save(&self.path, fleet, net, self.data, &mut self.fingerprint)?;
            }
        }
        (self.saved, self.stretches) = (Instant::now(), 0);
        Ok(())
    }

    /// True where checkpoints are due: by time, by epochs, or by steps, at the first end of an epoch from then on.
    fn is_due(&self, fleet: &Fleet) -> bool {
        let Some(&run) = self.members.first() else { return false };
        let rule = &self.sweep.replicas[run].config.checkpoints;
        let by_time = rule.every_minutes.and_then(|minutes| Duration::try_from_secs_f64(60.0 * minutes).ok());
        let per_epoch = fleet.plan().batches.steps() as u64;
        by_time.is_some_and(|time| self.saved.elapsed() >= time)
            || rule.every_epochs.is_some_and(|every| self.stretches >= every)
            || rule.every_steps.is_some_and(|every| self.stretches * per_epoch >= every)
    }
}

impl FleetObserver for Watch<'_> {
    fn steps(&mut self, fleet: &Fleet, net: usize, steps: &[StepRecord]) -> Result<()> {
        let (run, total) = (self.members[net], fleet.total_steps(net));
        let Runs { replicas, keys, .. } = &mut *self.sweep;
        replicas[run].steps(&self.path, keys, self.data, total, steps)?;
        self.observer.steps(fleet, run, steps)
    }

    fn evaluating(&mut self) -> Result<()> {
        self.observer.evaluating()
    }

    fn epoch(&mut self, _: &Fleet, net: usize, epoch: &EpochRecord) -> Result<()> {
        let run = self.members[net];
        let Runs { replicas, dir, .. } = &mut *self.sweep;
        replicas[run].epoch(&self.path, self.data, epoch)?;
        dir.tell(&Event::Epoch { replica: run, epoch: epoch.clone() })?;
        self.observer.epoch(run, epoch)
    }

    fn judged(&mut self, judgement: &Judgement) -> Result<()> {
        let runs = |nets: &[usize]| nets.iter().map(|&net| self.members[net]).collect::<Vec<_>>();
        let Judgement { rung, kept, dropped, values } = judgement;
        let values = values.iter().map(|(net, value)| (self.members[*net], *value)).collect();
        let event = Event::Judged { rung: *rung, kept: runs(kept), dropped: runs(dropped), values };
        self.sweep.dir.tell(&event)?;
        self.observer.judged(*rung, kept.len(), dropped.len())
    }

    fn end(&mut self, fleet: &Fleet, net: usize, end: &ReplicaEnd) -> Result<()> {
        let run = self.members[net];
        let ended = Ended::new(end, fleet.steps_done(net), fleet.last_epoch(net));
        let keeps = self.keeps(run, &ended)?;
        self.sweep.replicas[run].end(&self.path, fleet, net, end, keeps)?;
        self.sweep.replicas[run].ended = Some(ended.clone());
        // Told last: it marks the run as done.
        self.sweep.dir.tell(&Event::End { replica: run, ended })?;
        let row = self.sweep.replicas[run].row();
        self.observer.end(&row)
    }

    fn rest(&mut self, fleet: &Fleet) -> Result<()> {
        if self.is_due(fleet) {
            self.save_all(fleet)?;
        }
        self.stretches += 1;
        Ok(())
    }

    fn stopped(&mut self, fleet: &Fleet) -> Result<()> {
        self.save_all(fleet)
    }
}
