//! A net of a fleet, as it trains.

use std::sync::Arc;

use super::Variant;
use crate::compile::TrainPlan;
use crate::engine::BufferContents;
use crate::error::{Error, Result};
use crate::optim::Groups;
use crate::plan::NamedTensor;
use crate::train::lr::LearningRate;
use crate::train::progress::{BestWeights, Progress};
use crate::train::records::EpochRecord;
use crate::train::rule::Rule;
use crate::train::trainer::total_steps;

/// The end of a net of a fleet.
#[derive(Debug, Clone)]
pub enum ReplicaEnd {
    /// All its steps are done.
    Finished,
    /// Its epochs got no better.
    EarlyStopped,
    /// Halving ended it, after so many epochs.
    Dropped {
        /// The epochs after which it was judged.
        rung: u64,
    },
    /// [`Fleet::stop`](super::Fleet::stop) ended it.
    Stopped,
    /// It ended in a run of the fleet before this one.
    Before,
    /// It failed, as its run alone would: its loss was no longer finite.
    Failed(Error),
}

impl ReplicaEnd {
    /// A word for it.
    pub fn word(&self) -> &'static str {
        match self {
            ReplicaEnd::Finished => "finished",
            ReplicaEnd::EarlyStopped => "early stopped",
            ReplicaEnd::Dropped { .. } => "dropped",
            ReplicaEnd::Stopped => "stopped",
            ReplicaEnd::Before => "ended",
            ReplicaEnd::Failed(Error::Diverged { .. }) => "diverged",
            ReplicaEnd::Failed(_) => "failed",
        }
    }
}

/// The place of a net's state.
#[derive(Debug)]
pub(super) enum Place {
    /// Nowhere yet: it begins from these weights, or from its initial ones.
    New(Option<Arc<Vec<NamedTensor>>>),
    /// In a slot of the device.
    Slot(usize),
    /// With the host, until it has a slot, or for good.
    Host(Arc<BufferContents>),
    /// Nowhere any more.
    Dropped,
}

/// A net of a fleet.
#[derive(Debug)]
pub(super) struct Net {
    pub variant: Variant,
    pub groups: Groups,
    /// Steps of its whole run.
    pub total: u64,
    pub progress: Progress,
    /// The weights of its best epoch, where early stopping keeps them.
    pub best: Option<BestWeights>,
    pub last: Option<EpochRecord>,
    pub place: Place,
    /// The error that its run alone would end by.
    pub fault: Option<Error>,
    pub end: Option<ReplicaEnd>,
    /// It is to end.
    pub is_stopped: bool,
}

impl Net {
    /// A net that has not begun. `plan` is that of its run alone.
    pub fn new(variant: Variant, plan: &TrainPlan) -> Result<Net> {
        if let Some(metric) = variant.options.early_stopping.as_ref().and_then(|rule| rule.metric.as_ref()) {
            plan.check_metric("early_stopping.metric", metric)?;
        }
        let total = total_steps(plan, &variant.options);
        let lr = LearningRate::new(&plan.rule, total, plan.batches.steps());
        Ok(Net {
            groups: plan.groups.clone(),
            total,
            progress: Progress::new(lr, plan.ring.columns),
            best: None,
            last: None,
            place: Place::New(None),
            fault: None,
            end: None,
            is_stopped: false,
            variant,
        })
    }

    /// The rule of its steps.
    pub fn rule(&self) -> Rule<'_> {
        Rule { update: &self.variant.update, groups: &self.groups, options: &self.variant.options }
    }

    /// Keeps the weights of the epoch that ended.
    pub fn keep_best(&mut self, buffers: BufferContents) {
        self.best = Some(BestWeights { buffers, batches_seen: self.progress.batches_seen() });
    }

    /// Takes the weights of its best epoch, where they are kept: it has them from now on.
    pub fn take_best(&mut self) -> Option<BufferContents> {
        let best = self.best.take()?;
        self.progress.set_batches_seen(best.batches_seen);
        Some(best.buffers)
    }

    /// Steps to its end or the end of the epoch.
    pub fn steps_left(&self, steps_per_epoch: usize) -> u64 {
        let of_epoch = (steps_per_epoch - self.progress.step_in_epoch) as u64;
        of_epoch.min(self.total.saturating_sub(self.progress.step))
    }

    /// Its step in the epoch, which nets that train at once have in common; and the epoch.
    pub fn position(&self) -> (usize, u64) {
        (self.progress.step_in_epoch, self.progress.epoch)
    }
}
