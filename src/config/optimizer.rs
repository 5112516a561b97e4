//! The sections `[optimizer]`, with its groups of parameters, and `[average]`.

use std::fmt;

use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use toml::{Table, Value};

use super::described::section;
use super::named::{Named, require};
use super::read::{kind, read as read_options, read_by};
use crate::error::{Error, Result};
use crate::optim::{Average, Clip, Optimizer, ParamGroup, Update, keys_of};

/// Tables that are optimizers.
const OPTIMIZER: Named =
    Named { what: "optimizer", names: &Optimizer::NAMES, keys: Optimizer::keys, example: "adamw" };

section! {
    /// The optimizer by its `name`, with the keys of that name and these.
    pub(super) struct Beside {
        /// Scales gradients down where their norm over all parameters is larger than this.
        #[serde(deserialize_with = "some_number")]
        pub clip_norm: Option<f64> = None,
        /// Bounds every gradient to this, up and down.
        #[serde(deserialize_with = "some_number")]
        pub clip_value: Option<f64> = None,
        /// Skips an update whose gradients are not all finite, instead of ending the run; true with `clip_norm` and in f16
        /// without it.
        pub skip_nonfinite: Option<bool> = None,
        /// Whether weight decay applies to biases and to the factors of norms.
        pub decay_biases_and_norms: bool = true,
        /// Parameters with settings of their own: tables with their names in `params`, and `lr_factor`, `frozen` or keys of the
        /// optimizer.
        pub groups: Option<Value> = None,
    }
}

/// Reads `[optimizer]`.
pub(super) fn read(table: Table) -> Result<Update> {
    let beside = keys_of::<Beside>();
    let (others, mut own): (Table, Table) =
        table.into_iter().partition(|(key, _)| beside.contains(&key.as_str()));
    require("optimizer", &own, "name", "\"adamw\"")?;
    let others: Beside = read_options("optimizer", Value::Table(others))?;
    let clip = match (others.clip_norm, others.clip_value) {
        (Some(_), Some(_)) => {
            let text = "optimizer.clip_norm and optimizer.clip_value: one of them, not both";
            return Err(Error::Config(text.into()));
        }
        (norm, value) => norm.map(Clip::Norm).or(value.map(Clip::Value)),
    };
    let groups = others.groups.map_or(Ok(Vec::new()), read_groups)?;
    let name = OPTIMIZER.take("optimizer", &mut own, beside)?;
    let optimizer = read_by("optimizer", Value::Table(own), |reader| Optimizer::read(&name, reader))?;
    optimizer.validate()?;
    for (i, group) in groups.iter().enumerate() {
        check_group(&format!("optimizer.groups[{i}]"), &optimizer, group)?;
    }
    let Beside { skip_nonfinite, decay_biases_and_norms, .. } = others;
    let update = Update { groups, decay_biases_and_norms, clip, skip_nonfinite, ..Update::new(optimizer) };
    update.validate()?;
    Ok(update)
}

fn read_groups(value: Value) -> Result<Vec<ParamGroup>> {
    let Value::Array(list) = value else {
        let what = kind(&value);
        return Err(Error::Config(format!(
            "optimizer.groups = {value}: a list of tables is needed, as [{{ params = [\"*.bias\"], weight_decay = 0.0 \
             }}], and this is {what}"
        )));
    };
    let read = |(i, value): (usize, Value)| {
        let path = format!("optimizer.groups[{i}]");
        match &value {
            Value::Table(table) => require(&path, table, "params", "[\"*.bias\"]")?,
            other => {
                let text = format!("{path} = {other}: a table is needed, and this is {}", kind(other));
                return Err(Error::Config(text));
            }
        }
        read_options(&path, value)
    };
    list.into_iter().enumerate().map(read).collect()
}

/// Checks the types of the optimizer's keys in a group. [`Update::validate`] refuses its other keys.
fn check_group(path: &str, optimizer: &Optimizer, group: &ParamGroup) -> Result<()> {
    let keys = Optimizer::keys(optimizer.name()).unwrap_or_default();
    let mut table = Table::try_from(optimizer).unwrap_or_default();
    table.remove("name");
    let own = group.keys.iter().filter(|(key, _)| keys.contains(&key.as_str()));
    table.extend(own.map(|(key, value)| (key.clone(), value.clone())));
    read_by(path, Value::Table(table), |reader| Optimizer::read(optimizer.name(), reader)).map(drop)
}

/// The kinds of averages.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Ema,
    Swa,
}

section! {
    /// An exponential moving average of the weights. There is no average without the section.
    pub(super) struct Ema {
        /// "ema" for this average.
        pub kind: Kind = Kind::Ema,
        /// The share of the average that each update keeps, from 0 to below 1.
        #[serde(deserialize_with = "number")]
        pub decay: f64 = Average::DECAY,
        /// Whether evaluation uses the average.
        pub eval: bool = true,
    }
}

section! {
    /// The mean of the weights at the ends of epochs.
    pub(super) struct Swa {
        /// "swa" for this average.
        pub kind: Kind = Kind::Swa,
        /// The epochs that end before the mean begins.
        pub start_epoch: u64 = 0,
        /// Whether evaluation uses the average.
        pub eval: bool = true,
    }
}

/// Reads `[average]`, which may be missing.
pub(super) fn average(table: Table) -> Result<Option<Average>> {
    if table.is_empty() {
        return Ok(None);
    }
    require("average", &table, "kind", "\"ema\"")?;
    let kind = read_options("average.kind", table["kind"].clone())?;
    let average = match kind {
        Kind::Ema => {
            let Ema { decay, eval, .. } = read_options("average", Value::Table(table))?;
            Average::Ema { decay, eval }
        }
        Kind::Swa => {
            let Swa { start_epoch, eval, .. } = read_options("average", Value::Table(table))?;
            Average::Swa { start_epoch, eval }
        }
    };
    average.validate()?;
    Ok(Some(average))
}

/// Reads a number that may be infinite or NaN. The check of its range names what is allowed.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    struct Number;

    impl Visitor<'_> for Number {
        type Value = f64;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a number")
        }

        fn visit_f64<E: de::Error>(self, number: f64) -> Result<f64, E> {
            Ok(number)
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<f64, E> {
            Ok(number as f64)
        }
    }

    deserializer.deserialize_any(Number)
}

fn some_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    number(deserializer).map(Some)
}

/// `[optimizer]` with every default. Keys that are off are left out.
pub(super) fn to_toml(update: &Update) -> Value {
    #[derive(Serialize)]
    struct Written<'a> {
        #[serde(flatten)]
        optimizer: &'a Optimizer,
        #[serde(flatten)]
        others: Beside,
    }

    let (clip_norm, clip_value) = match update.clip {
        Some(Clip::Norm(max)) => (Some(max), None),
        Some(Clip::Value(max)) => (None, Some(max)),
        None => (None, None),
    };
    let groups = if update.groups.is_empty() { None } else { Value::try_from(&update.groups).ok() };
    let Update { optimizer, skip_nonfinite, decay_biases_and_norms, .. } = update;
    let (skip_nonfinite, decay_biases_and_norms) = (*skip_nonfinite, *decay_biases_and_norms);
    let others = Beside { clip_norm, clip_value, skip_nonfinite, decay_biases_and_norms, groups };
    Value::try_from(Written { optimizer, others }).unwrap_or(Value::Table(Table::new()))
}
