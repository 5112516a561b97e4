//! Optimizers: one file each, with defaults, slots, the scalars of a step and the kernel that reads them.
//!
//! Parameters, gradients and every slot are flat arenas, so a step is one dispatch for the whole model. Numbers that depend
//! on the step alone (learning rate, bias corrections) are computed here in f64, and the kernel reads them as a row of a
//! table; nothing in a kernel branches on the step. Slots start at zero.
//!
//! To add one: a WGSL file in `shaders/optim/`, a file here, a row in the table of [`Optimizer`], a rule in
//! `src/check/reference.rs`, a golden trace.

mod about;
mod adadelta;
mod adafactor;
mod adagrad;
mod adam;
mod adamax;
mod adan;
mod average;
mod keys;
mod lamb;
mod lars;
mod lion;
mod muon;
mod nadam;
mod newton_schulz;
mod radam;
mod rmsprop;
mod rule;
pub mod schedule;
mod schedule_free;
mod sgd;
#[cfg(test)]
mod tests;
mod update;
mod update_kernel;

use serde::{Deserialize, Deserializer, Serialize};
use toml::Table;

pub use about::{About, Form, Trials};
pub use adam::ABSMAX;
pub use average::Average;
pub(crate) use keys::keys_of;
pub use muon::MuonAdamW;
pub use newton_schulz::{AdjustLr, NewtonSchulz};
use rule::{
    Rule, Scalars, adam_numbers, at_least_zero, at_least_zero_of, below_one, below_one_of, correction,
    decays, look_ahead, moving, refuse, refuse_of, row,
};
pub use schedule::{Interval, Schedule};
pub use sgd::MomentumForm;
pub use update::{Clip, Group, Groups, ParamGroup, Update};
pub use update_kernel::{AverageKernel, Passes, ROW, SCALARS, UpdateKernel, table_row};

use crate::error::{Error, Result, suggestion};

macro_rules! optimizers {
    ($($name:literal $module:ident::$kind:ident;)*) => {
        $(pub use $module::$kind;)*

        /// An optimizer with its hyperparameters; in a config a table with the key `name`.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(tag = "name")]
        pub enum Optimizer {
            $(
                #[doc = concat!("`", $name, "`")]
                #[serde(rename = $name)]
                $kind($kind),
            )*
        }

        impl Optimizer {
            /// Every name a config can give.
            pub const NAMES: [&str; [$($name),*].len()] = [$($name),*];

            /// The class of each name, in the order of [`Optimizer::NAMES`].
            pub const CLASSES: [&str; [$($name),*].len()] = [$(stringify!($kind)),*];

            /// Its name in a config.
            pub fn name(&self) -> &'static str {
                match self {
                    $(Optimizer::$kind(_) => $name,)*
                }
            }

            /// The keys of optimizer `name` beside `name` itself; `None` for an unknown one.
            pub fn keys(name: &str) -> Option<&'static [&'static str]> {
                match name {
                    $($name => Some(keys_of::<$kind>()),)*
                    _ => None,
                }
            }

            /// Equation, source and trials of optimizer `name`; `None` for an unknown one.
            pub fn about(name: &str) -> Option<&'static About> {
                match name {
                    $($name => Some(&$kind::ABOUT),)*
                    _ => None,
                }
            }

            /// The optimizer `name` with its keys read from `options`.
            ///
            /// # Errors
            /// Those of `options`.
            pub(crate) fn read<'de, D: Deserializer<'de>>(name: &str, options: D) -> Result<Optimizer, D::Error> {
                match name {
                    $($name => $kind::deserialize(options).map(Optimizer::$kind),)*
                    _ => Err(serde::de::Error::unknown_variant(name, &Self::NAMES)),
                }
            }

            fn rule(&self) -> &dyn Rule {
                match self {
                    $(Optimizer::$kind(rule) => rule,)*
                }
            }

            fn rule_mut(&mut self) -> &mut dyn Rule {
                match self {
                    $(Optimizer::$kind(rule) => rule,)*
                }
            }
        }
    };
}

optimizers! {
    "sgd" sgd::Sgd;
    "rmsprop" rmsprop::RmsProp;
    "adam" adam::Adam;
    "adamw" adam::AdamW;
    "nadam" nadam::NAdam;
    "radam" radam::RAdam;
    "adamax" adamax::Adamax;
    "adagrad" adagrad::Adagrad;
    "adadelta" adadelta::Adadelta;
    "adan" adan::Adan;
    "lion" lion::Lion;
    "lamb" lamb::Lamb;
    "lars" lars::Lars;
    "adafactor" adafactor::Adafactor;
    "muon" muon::Muon;
    "schedule_free_adamw" schedule_free::ScheduleFreeAdamW;
    "schedule_free_sgd" schedule_free::ScheduleFreeSgd;
}

impl Optimizer {
    /// The optimizer `name` with settings as in a config: `momentum = 0.9, nesterov = true`.
    ///
    /// # Errors
    /// [`Error::Config`] for an unknown name or key, and for a value that is not allowed.
    pub fn parse(name: &str, settings: &str) -> Result<Optimizer> {
        let wrong = |err: toml::de::Error| {
            Error::Config(format!("optimizer \"{name}\" with {settings:?}: {}", err.message()))
        };
        let table: Table = toml::from_str(&format!("options = {{ {settings} }}")).map_err(wrong)?;
        let options = table.get("options").cloned().unwrap_or(Table::new().into());
        let optimizer = Optimizer::read(name, options).map_err(wrong)?;
        optimizer.validate()?;
        Ok(optimizer)
    }

    /// The same optimizer with some of its keys set otherwise, as a config would.
    ///
    /// # Errors
    /// [`Error::Config`] for a key it does not have, and for a value that is not allowed.
    pub fn with(&self, keys: &Table) -> Result<Optimizer> {
        let mut table = self.table();
        for (key, value) in keys {
            if !table.contains_key(key) {
                let known: Vec<&str> =
                    table.keys().map(String::as_str).filter(|key| *key != "name").collect();
                return Err(Error::Config(format!(
                    "unknown key optimizer.{key}; {}",
                    suggestion(key, &known)
                )));
            }
            table.insert(key.clone(), value.clone());
        }
        let wrong = |err: toml::de::Error| Error::Config(format!("optimizer.{keys}: {}", err.message()));
        let optimizer: Optimizer = table.try_into().map_err(wrong)?;
        optimizer.validate()?;
        Ok(optimizer)
    }

    /// The same optimizer without weight decay.
    fn without_decay(&self) -> Optimizer {
        let mut optimizer = self.clone();
        optimizer.rule_mut().remove_decay();
        optimizer
    }

    /// The optimizer for parameters of this many axes.
    fn for_axes(mut self, axes: usize) -> Optimizer {
        self.rule_mut().set_axes(axes);
        self
    }

    /// True where parameters are updated as matrices. They lie before the others.
    pub fn of_matrices(&self) -> bool {
        self.rule().of_matrices()
    }

    /// The same optimizer without its own warm-up or decay of the learning rate.
    pub fn steady(&self) -> Optimizer {
        let mut optimizer = self.clone();
        optimizer.rule_mut().make_steady();
        optimizer
    }

    /// The same optimizer with `momentum` in place of its own, or of the first of its betas. `None` where it has neither.
    pub fn with_momentum(&self, momentum: f64) -> Option<Optimizer> {
        let mut optimizer = self.clone();
        *optimizer.rule_mut().momentum()? = momentum;
        optimizer.validate().is_ok().then_some(optimizer)
    }

    /// The keys whose values differ from those of `other`, as `weight_decay = 0.0`.
    pub fn differing(&self, other: &Optimizer) -> Vec<String> {
        let theirs = other.table();
        let own = self.table().into_iter().filter(|(key, value)| theirs.get(key) != Some(value));
        own.map(|(key, value)| format!("{key} = {value}")).collect()
    }

    /// Every key with its value, `name` too.
    fn table(&self) -> Table {
        Table::try_from(self).unwrap_or_default()
    }

    /// The learning rate, before any schedule.
    pub fn lr(&self) -> f64 {
        self.rule().lr()
    }

    /// Checks every hyperparameter, as torch does.
    ///
    /// # Errors
    /// [`Error::Config`] with the key, its value and what is allowed.
    pub fn validate(&self) -> Result<()> {
        self.rule().validate()
    }

    /// The kernel of this variant.
    pub fn kernel(&self) -> UpdateKernel {
        self.rule().kernel()
    }

    /// The row of step `t`, the first being 1, at learning rate `lr`. Computed in f64, rounded once.
    pub fn scalars(&self, t: u64, lr: f64) -> [f32; SCALARS] {
        debug_assert!(t > 0, "steps count from 1");
        self.rule().scalars(t, lr).map(|x| x as f32)
    }
}
