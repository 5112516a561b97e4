//! Learning rates over the steps of a run: torch's schedulers as functions of the number of steps taken.
//!
//! A schedule maps the optimizer's learning rate, `base`, and k, the number of updates (or epochs) done, to the learning rate.
//! All but [`Plateau`] are pure, so a run can resume from anywhere. Each equals torch's scheduler of the same keys.
//!
//! To add one: a struct in a file here, a row in the table of [`Schedule`], cases in `tests/golden/schedules.py`.

mod about;
mod curves;
mod one_cycle;
mod plateau;
mod rule;
mod steps;

use serde::{Deserialize, Deserializer, Serialize};

pub use about::About;
pub use one_cycle::Anneal;
pub use plateau::{Metric, Mode, PlateauState, ThresholdMode};
use rule::Rule;

use super::keys_of;
use crate::error::Result;

macro_rules! schedules {
    ($($name:literal $module:ident::$kind:ident;)*) => {
        $(pub use $module::$kind;)*

        /// A schedule with its numbers; in a config a table with the key `name`.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "name")]
        pub enum Schedule {
            $(
                #[doc = concat!("`", $name, "`")]
                #[serde(rename = $name)]
                $kind($kind),
            )*
        }

        impl Schedule {
            /// Every name a config can give.
            pub const NAMES: [&str; [$($name),*].len()] = [$($name),*];

            /// Its name in a config.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Schedule::$kind(_) => $name,)*
                }
            }

            /// The keys of schedule `name` beside `name` itself; `None` for an unknown one.
            pub fn keys(name: &str) -> Option<&'static [&'static str]> {
                match name {
                    $($name => Some(keys_of::<$kind>()),)*
                    _ => None,
                }
            }

            /// Equation and source of schedule `name`; `None` for an unknown one.
            pub fn about(name: &str) -> Option<&'static About> {
                match name {
                    $($name => Some(&$kind::ABOUT),)*
                    _ => None,
                }
            }

            /// The schedule `name` with its keys read from `options`.
            ///
            /// # Errors
            /// Those of `options`.
            pub(crate) fn read<'de, D: Deserializer<'de>>(name: &str, options: D) -> Result<Schedule, D::Error> {
                match name {
                    $($name => $kind::deserialize(options).map(Schedule::$kind),)*
                    _ => Err(serde::de::Error::unknown_variant(name, &Self::NAMES)),
                }
            }

            fn rule(&self) -> &dyn Rule {
                match self {
                    $(Schedule::$kind(rule) => rule,)*
                }
            }

            fn rule_mut(&mut self) -> &mut dyn Rule {
                match self {
                    $(Schedule::$kind(rule) => rule,)*
                }
            }
        }
    };
}

schedules! {
    "constant" steps::Constant;
    "step" steps::Step;
    "multistep" steps::MultiStep;
    "exponential" steps::Exponential;
    "linear" steps::Linear;
    "cosine" curves::Cosine;
    "cosine_restarts" curves::CosineRestarts;
    "one_cycle" one_cycle::OneCycle;
    "polynomial" curves::Polynomial;
    "plateau" plateau::Plateau;
    "inverse_sqrt" curves::InverseSqrt;
    "sequence" sequence::Sequence;
}

/// The unit of a schedule's steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interval {
    /// Updates.
    #[default]
    Step,
    /// Epochs.
    Epoch,
}

impl Schedule {
    /// Checks every number.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) with the key, its value and what is allowed.
    pub fn validate(&self) -> Result<()> {
        self.rule().validate()
    }

    /// The same with the lengths that were left out: those of a run of `total` steps (or epochs).
    pub fn resolve(&self, total: u64) -> Schedule {
        let mut resolved = self.clone();
        resolved.rule_mut().set_length(total.max(1));
        resolved
    }

    /// The learning rate after `k` steps of the schedule, `base` being the optimizer's. For [`Schedule::Plateau`] it is the
    /// rate before any reduction; see [`PlateauState`].
    pub fn lr(&self, base: f64, k: u64) -> f64 {
        self.rule().lr(base, k)
    }

    /// The momentum, or the first of the betas, after `k` steps, where the schedule cycles it.
    pub fn momentum(&self, k: u64) -> Option<f64> {
        self.rule().momentum(k)
    }

    /// True where it ever cycles momentum.
    pub fn cycles_momentum(&self) -> bool {
        self.rule().cycles_momentum()
    }
}

/// A sequence holds schedules, and a schedule may be a sequence: both stand in this file.
mod sequence {
    use serde::{Deserialize, Serialize};

    use super::{About, Rule, Schedule};
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
                    let text = format!(
                        "schedule.schedules[{i}]: a sequence has neither a plateau nor a sequence in it"
                    );
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
}

#[cfg(test)]
mod tests;
