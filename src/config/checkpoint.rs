//! The `[checkpoint]` and `[early_stopping]` tables.

use serde::Serialize;
use toml::{Table, Value};

use super::section::Section;
use crate::compile::EarlyStopping;
use crate::error::{Error, Result};
use crate::train::{CheckpointOptions, Mode};

/// Reads `[checkpoint]`. Without a key that says how often, it is every five minutes; 0 is never.
pub(super) fn read(mut s: Section) -> Result<CheckpointOptions> {
    let default = CheckpointOptions::default();
    let every = |n: u64| (n > 0).then_some(n);
    let (steps, epochs) = (s.whole("every_steps")?, s.whole("every_epochs")?);
    let minutes = s.quantity("every_minutes")?;
    if let Some(minutes) = minutes.filter(|minutes| !(0.0..1e9).contains(minutes)) {
        return Err(Error::Config(format!(
            "checkpoint.every_minutes = {minutes}: a number of minutes above 0 is needed, or 0 for never"
        )));
    }
    let is_silent = steps.is_none() && epochs.is_none() && minutes.is_none();
    let usual = default.every_minutes.filter(|_| is_silent);
    let keep_last = s.whole("keep_last")?.map_or(default.keep_last, |n| n as usize);
    let keep_best = match s.take("keep_best") {
        None | Some(Value::Boolean(false)) => 0,
        Some(Value::Boolean(true)) => 1,
        Some(Value::Integer(n)) if n >= 0 => n as usize,
        Some(other) => {
            return Err(Error::Config(format!(
                "checkpoint.keep_best = {other}: how many of the best are kept is needed, or true for one"
            )));
        }
    };
    let metric = text(&mut s, "metric")?;
    s.finish()?;
    let rule = CheckpointOptions {
        every_steps: steps.and_then(every),
        every_minutes: minutes.filter(|minutes| *minutes > 0.0).or(usual),
        every_epochs: epochs.and_then(every),
        keep_last,
        keep_best,
        metric,
    };
    rule.check()?;
    Ok(rule)
}

fn text(s: &mut Section, key: &'static str) -> Result<Option<String>> {
    let name = s.name(key);
    match s.take(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => {
            Err(Error::Config(format!("{name} = {other}: the name of a metric is needed, as \"eval_loss\"")))
        }
    }
}

/// Reads `[early_stopping]`, which is there.
pub(super) fn early_stopping(mut s: Section) -> Result<EarlyStopping> {
    let usual = EarlyStopping::default();
    let rule = EarlyStopping {
        metric: text(&mut s, "metric")?,
        mode: s.choice("mode", &[("min", Mode::Min), ("max", Mode::Max)])?,
        patience: s.whole("patience")?.unwrap_or(usual.patience),
        min_delta: s.number("min_delta", usual.min_delta)?,
        restore_best: s.boolean("restore_best", usual.restore_best)?,
    };
    if rule.patience == 0 {
        return Err(Error::Config("early_stopping.patience = 0: at least 1 epoch is needed".into()));
    }
    if !(rule.min_delta >= 0.0 && rule.min_delta.is_finite()) {
        let is = rule.min_delta;
        return Err(Error::Config(format!("early_stopping.min_delta = {is}: a number from 0 on is needed")));
    }
    s.finish()?;
    Ok(rule)
}

/// The table, every default written out.
pub(super) fn to_toml(rule: &CheckpointOptions) -> Value {
    #[derive(Serialize)]
    struct Written<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        every_steps: Option<u64>,
        every_minutes: f64,
        #[serde(skip_serializing_if = "Option::is_none")]
        every_epochs: Option<u64>,
        keep_last: usize,
        keep_best: usize,
        #[serde(skip_serializing_if = "Option::is_none")]
        metric: Option<&'a str>,
    }
    let CheckpointOptions { every_steps, every_minutes, every_epochs, keep_last, keep_best, ref metric } =
        *rule;
    let every_minutes = every_minutes.unwrap_or(0.0);
    let metric = metric.as_deref();
    Value::try_from(Written { every_steps, every_minutes, every_epochs, keep_last, keep_best, metric })
        .unwrap_or(Value::Table(Table::new()))
}
