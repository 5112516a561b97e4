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
mod sequence;
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

#[cfg(test)]
mod tests;
