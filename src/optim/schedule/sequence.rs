//! Schedules one after the other.

use serde::{Deserialize, Serialize};

use super::rule::Rule;
use super::{About, Schedule};
use crate::error::{Error, Result};
use crate::optim::refuse_of;

/// Schedules one after the other: the i-th from its milestone on, where it starts at 0.
///
/// Source: torch.optim.lr_scheduler.SequentialLR.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sequence {
    /// The schedules: any but `plateau` and `sequence`.
    pub schedules: Vec<Schedule>,
    /// The step at which each but the first starts, in rising order: one fewer than schedules.
    pub milestones: Vec<u64>,
}

impl Sequence {
    pub(super) const ABOUT: About = About {
        equation: "the i-th schedule from milestone i on, where it starts at k = 0",
        source: None,
        torch: Some("SequentialLR"),
        example: "milestones = [100], schedules = [{ name = \"linear\" }, { name = \"cosine\" }]",
    };

    /// The active schedule after `k` steps, and the number of its own steps.
    fn at(&self, k: u64) -> (&Schedule, u64) {
        let i = self.milestones.iter().filter(|&&m| k >= m).count();
        (&self.schedules[i], k - if i == 0 { 0 } else { self.milestones[i - 1] })
    }
}

impl Rule for Sequence {
    fn validate(&self) -> Result<()> {
        let (schedules, milestones) = (self.schedules.len(), &self.milestones);
        if schedules == 0 || milestones.len() + 1 != schedules {
            let allowed =
                format!("a sequence of {schedules} schedules has {} milestones", schedules.max(1) - 1);
            return Err(refuse_of("schedule.milestones", milestones, &allowed));
        }
        if milestones.first() == Some(&0) || milestones.windows(2).any(|pair| pair[0] >= pair[1]) {
            return Err(refuse_of("schedule.milestones", milestones, "they rise, from 1 on"));
        }
        for (i, schedule) in self.schedules.iter().enumerate() {
            if !schedule.rule().fits_a_sequence() {
                let text =
                    format!("schedule.schedules[{i}]: a sequence has neither a plateau nor a sequence in it");
                return Err(Error::Config(text));
            }
            let place = format!("schedule.schedules[{i}].");
            schedule.validate().map_err(|err| err.renamed("schedule.", &place))?;
        }
        Ok(())
    }

    fn lr(&self, base: f64, k: u64) -> f64 {
        let (schedule, since) = self.at(k);
        schedule.lr(base, since)
    }

    fn set_length(&mut self, total: u64) {
        let starts = std::iter::once(0).chain(self.milestones.iter().copied());
        let ends = self.milestones.iter().copied().chain([total]);
        for ((schedule, start), end) in self.schedules.iter_mut().zip(starts).zip(ends) {
            *schedule = schedule.resolve(end.saturating_sub(start));
        }
    }

    fn momentum(&self, k: u64) -> Option<f64> {
        let (schedule, since) = self.at(k);
        schedule.momentum(since)
    }

    fn cycles_momentum(&self) -> bool {
        self.schedules.iter().any(Schedule::cycles_momentum)
    }

    fn fits_a_sequence(&self) -> bool {
        false
    }
}
