//! The section `[sweep]`: the runs that `downhill sweep` trains, all but alike.

mod points;
mod values;

use serde::Serializer;
use serde::de::{Deserializer, Error as _};
use toml::{Table, Value};

pub use points::{Axes, Point, folder, written};
pub use values::{Axis, Range, Scale, Values};

use super::any_of::any_of;
use super::described::section;
use crate::compile::Orders;
use crate::error::{Error, Result};
use crate::train::{Halving, Monitor};

section! {
    /// The runs of a sweep: `downhill sweep` trains them; other commands leave the section alone.
    pub struct Sweep {
        /// Keys of the config with their values: each value of one goes with each of the others.
        #[serde(skip_serializing_if = "Table::is_empty")]
        pub grid: Table = Table::new(),
        /// Keys whose values go together: the first of each, the second of each.
        #[serde(skip_serializing_if = "Table::is_empty")]
        pub zip: Table = Table::new(),
        /// Draws so many runs from the values of `grid`, in place of all combinations.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub random: Option<usize> = None,
        /// Seeds that each of them is repeated with, as "0..8" or [0, 1, 2].
        #[serde(skip_serializing_if = "no_seeds", serialize_with = "write_seeds", deserialize_with = "read_seeds")]
        pub seeds: Vec<u64> = Vec::new(),
        /// Whether each run goes through the samples in its "own" order, or all in a "shared" one.
        #[serde(serialize_with = "write_order", deserialize_with = "read_order")]
        pub order: Orders = Orders::Own,
        /// Ends the worse runs early, as "3:1": after 1, 3, 9 .. epochs a third goes on; "3:1:eval_accuracy" names the metric.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub halving: Option<String> = None,
        /// Judges each run as soon as it arrives, in place of waiting for all.
        pub asha: bool = false,
        /// Runs that train at once; as many as fit without it.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub at_once: Option<usize> = None,
        /// The weights that are kept: "all", "none", or those of the best so many, as "best:5".
        #[serde(serialize_with = "write_keep", deserialize_with = "read_keep")]
        pub keep: Keep = Keep::Best(5),
        /// The number that says which runs are best; the evaluation's loss, or else the training's, without it.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub metric: Option<String> = None,
        /// The steps that metrics.jsonl has of each run: "all", or "some", at most 1,000.
        #[serde(serialize_with = "write_steps", deserialize_with = "read_steps")]
        pub steps: Recorded = Recorded::Some,
    }
}

/// The runs whose weights are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// Every run's.
    All,
    /// No run's.
    None,
    /// Those of the best so many.
    Best(usize),
}

/// The steps that metrics.jsonl has of each run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// Every one.
    All,
    /// One in so many that there are at most 1,000.
    Some,
}

impl Keep {
    /// Reads "all", "none", or "best:5".
    ///
    /// # Errors
    /// The fault, and the form that is wanted.
    pub fn parse(text: &str) -> std::result::Result<Keep, String> {
        match text.split_once(':') {
            None if text == "all" => Ok(Keep::All),
            None if text == "none" => Ok(Keep::None),
            Some(("best", count)) if count.parse().is_ok_and(|count: usize| count > 0) => {
                Ok(Keep::Best(count.parse().unwrap_or(1)))
            }
            _ => Err(format!("\"{text}\": all, none, or the best so many, as best:5, is wanted")),
        }
    }
}

/// Reads the seeds of a sweep, as `0..8` or `0,1,2`.
///
/// # Errors
/// [`Error::Config`] for what are no seeds.
pub fn seeds(text: &str) -> Result<Vec<u64>> {
    let axis = Axis::parse("--seeds", &format!("seed={text}"))?;
    let seed = |value: &Value| value.as_integer().and_then(|seed| u64::try_from(seed).ok());
    let seeds: Option<Vec<u64>> = axis.values.all().iter().map(seed).collect();
    seeds.ok_or_else(|| {
        Error::Config(format!("--seeds {text}: whole numbers from 0 on are wanted, as 0..8 or 0,1,2"))
    })
}

impl Sweep {
    /// The section from its value.
    ///
    /// # Errors
    /// [`Error::Config`] for keys and values that it does not have.
    pub fn read(value: Value) -> Result<Sweep> {
        super::read::read("sweep", value)
    }

    /// The axes.
    ///
    /// # Errors
    /// [`Error::Config`] for values that cannot be read.
    pub fn axes(&self) -> Result<Axes> {
        let read = |table: &Table| -> Result<Vec<Axis>> {
            let mut all = Vec::new();
            flat("", table, &mut all);
            all.into_iter().map(|(key, value)| Axis::from_value(&key, value)).collect()
        };
        let (grid, zip) = (read(&self.grid)?, read(&self.zip)?);
        Ok(Axes { grid, zip, random: self.random, seeds: self.seeds.clone() })
    }

    /// The rule of halving. `evaluates`: there is an evaluation part.
    ///
    /// # Errors
    /// [`Error::Config`] for a rule that cannot be read or followed.
    pub fn halving(&self, evaluates: bool) -> Result<Option<Halving>> {
        let Some(text) = &self.halving else {
            return match self.asha {
                true => {
                    Err(Error::Config("asha is a way of halving, as --halving 3:1 --asha; give both".into()))
                }
                false => Ok(None),
            };
        };
        let mut parts = text.splitn(3, ':');
        let mut number = || parts.next().and_then(|part| part.trim().parse::<u64>().ok());
        let (Some(factor), Some(first)) = (number(), number()) else {
            return Err(Error::Config(format!(
                "halving = \"{text}\": the factor and the first epochs are wanted, as 3:1, or 3:1:eval_accuracy"
            )));
        };
        let monitor = match parts.next().map(str::trim) {
            Some(metric) if !metric.is_empty() => Monitor::new(metric),
            _ => self.monitor(evaluates),
        };
        let halving = Halving { factor, first, monitor, asynchronous: self.asha };
        halving.check().map_err(|err| err.renamed("halving by", &format!("halving = \"{text}\": by")))?;
        Ok(Some(halving))
    }

    /// The number that says which runs are best.
    pub fn monitor(&self, evaluates: bool) -> Monitor {
        Monitor::or_loss(self.metric.as_deref(), evaluates)
    }

    /// True for a config without the section.
    pub(super) fn is_absent(&self) -> bool {
        *self == Sweep::default()
    }
}

/// The values of a table and of those in it, by their dotted keys.
fn flat<'t>(before: &str, table: &'t Table, all: &mut Vec<(String, &'t Value)>) {
    for (key, value) in table {
        let key = if before.is_empty() { key.clone() } else { format!("{before}.{key}") };
        match value {
            Value::Table(inner) => flat(&key, inner, all),
            value => all.push((key, value)),
        }
    }
}

fn no_seeds(seeds: &[u64]) -> bool {
    seeds.is_empty()
}

fn write_seeds<S: Serializer>(seeds: &[u64], serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_seq(seeds)
}

fn read_seeds<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Vec<u64>, D::Error> {
    let read = any_of(deserializer, "seeds, as \"0..8\" or [0, 1, 2],", |value| match value {
        Value::String(text) => Some(seeds(text)),
        Value::Array(all) => {
            let text: Vec<String> = all.iter().map(Value::to_string).collect();
            Some(if text.is_empty() { Ok(Vec::new()) } else { seeds(&text.join(",")) })
        }
        _ => None,
    })?;
    read.map_err(D::Error::custom)
}

fn write_order<S: Serializer>(order: &Orders, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(match order {
        Orders::Own => "own",
        Orders::Shared => "shared",
    })
}

fn read_order<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Orders, D::Error> {
    any_of(deserializer, "\"own\" or \"shared\"", |value| match value.as_str()? {
        "own" => Some(Orders::Own),
        "shared" => Some(Orders::Shared),
        _ => None,
    })
}

fn write_keep<S: Serializer>(keep: &Keep, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    match keep {
        Keep::All => serializer.serialize_str("all"),
        Keep::None => serializer.serialize_str("none"),
        Keep::Best(count) => serializer.serialize_str(&format!("best:{count}")),
    }
}

fn read_keep<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Keep, D::Error> {
    let read =
        any_of(deserializer, "\"all\", \"none\" or \"best:5\"", |value| value.as_str().map(Keep::parse))?;
    read.map_err(D::Error::custom)
}

fn write_steps<S: Serializer>(steps: &Recorded, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(if *steps == Recorded::All { "all" } else { "some" })
}

fn read_steps<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Recorded, D::Error> {
    any_of(deserializer, "\"all\" or \"some\"", |value| match value.as_str()? {
        "all" => Some(Recorded::All),
        "some" => Some(Recorded::Some),
        _ => None,
    })
}
