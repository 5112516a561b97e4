//! The section `[schedule]`: the learning rate over the steps.

use toml::{Table, Value};

use super::section::{Section, kind, suggestion};
use crate::error::{Error, Result};
use crate::optim::{Interval, Schedule, Update};

/// Reads `[schedule]`, which need not be there, into `update`.
pub(super) fn read(mut section: Section, update: &mut Update) -> Result<()> {
    if section.is_empty() {
        return Ok(());
    }
    update.interval = section.one_of("interval", &[("step", Interval::Step), ("epoch", Interval::Epoch)])?;
    let schedule = schedule("schedule", section.rest())?;
    update.schedule = Some(schedule);
    update.validate()
}

fn schedule(path: &str, table: Table) -> Result<Schedule> {
    let name = match table.get("name") {
        Some(Value::String(name)) => name.clone(),
        Some(other) => {
            let text = format!("{path}.name = {other}: a name is needed, and this is {}", kind(other));
            return Err(Error::Config(text));
        }
        None => return Err(Error::Config(format!("{path}.name is missing; for example name = \"cosine\""))),
    };
    let Some(keys) = Schedule::keys(&name) else {
        let help = suggestion(&name, &Schedule::NAMES);
        return Err(Error::Config(format!("{path}.name: unknown schedule \"{name}\"; {help}")));
    };
    if let Some(key) = table.keys().find(|key| *key != "name" && !keys.contains(&key.as_str())) {
        let known: Vec<&str> = keys.iter().copied().chain(["interval"]).collect();
        let help = suggestion(key, &known);
        return Err(Error::Config(format!("unknown key {path}.{key} for {name}; {help}")));
    }
    // Those of a sequence first, so that an error says which.
    if let Some(Value::Array(list)) = table.get("schedules") {
        for (i, value) in list.clone().into_iter().enumerate() {
            let path = format!("{path}.schedules[{i}]");
            let Value::Table(inner) = value else {
                let what = kind(&value);
                return Err(Error::Config(format!(
                    "{path} = {value}: a table is needed, and this is {what}"
                )));
            };
            schedule(&path, inner)?;
        }
    }
    let text = Value::Table(table.clone());
    let wrong = |err: toml::de::Error| Error::Config(format!("{path}: {}; it is {table}", err.message()));
    text.try_into().map_err(wrong)
}

/// `[schedule]` with every default, where there is one.
pub(super) fn to_toml(update: &Update) -> Option<Value> {
    let mut value = Value::try_from(update.schedule.as_ref()?).ok()?;
    if let Value::Table(table) = &mut value {
        table.insert("interval".into(), Value::try_from(update.interval).ok()?);
    }
    Some(value)
}
