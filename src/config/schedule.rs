//! The section `[schedule]`: the learning rate over the steps.

use serde::de::DeserializeOwned;
use toml::{Table, Value};

use super::read::read as read_options;
use super::section::{Section, kind, suggestion};
use crate::error::{Error, Result};
use crate::optim::schedule::Sequence;
use crate::optim::{Interval, Schedule, Update};

/// Reads `[schedule]`, which need not be there, into `update`.
pub(super) fn read(mut section: Section, update: &mut Update) -> Result<()> {
    if section.is_empty() {
        return Ok(());
    }
    section.misspelt("name")?;
    let interval = section.choice("interval", &[("step", Interval::Step), ("epoch", Interval::Epoch)])?;
    let schedule = schedule("schedule", section.rest(), &["interval"])?;
    update.interval = match (&schedule, interval) {
        (Schedule::Plateau(_), Some(Interval::Step)) => {
            let text = "schedule.interval = \"step\": a plateau looks at its metric once an epoch; leave interval out";
            return Err(Error::Config(text.into()));
        }
        (Schedule::Plateau(_), None) => Interval::Epoch,
        (_, interval) => interval.unwrap_or_default(),
    };
    update.schedule = Some(schedule);
    update.validate()
}

/// The schedule at `path`; keys `beside` its own may be meant where one is unknown.
fn schedule(path: &str, mut table: Table, beside: &[&str]) -> Result<Schedule> {
    let name = match table.remove("name") {
        Some(Value::String(name)) => name,
        Some(other) => {
            let text = format!("{path}.name = {other}: a name is needed, and this is {}", kind(&other));
            return Err(Error::Config(text));
        }
        None => return Err(Error::Config(format!("{path}.name is missing; for example name = \"cosine\""))),
    };
    let Some(keys) = Schedule::keys(&name) else {
        let help = suggestion(&name, &Schedule::NAMES);
        return Err(Error::Config(format!("{path}.name: unknown schedule \"{name}\"; {help}")));
    };
    if let Some(key) = table.keys().find(|key| !keys.contains(&key.as_str())) {
        let known: Vec<&str> = keys.iter().chain(beside).copied().collect();
        let help = suggestion(key, &known);
        return Err(Error::Config(format!("unknown key {path}.{key} for {name}; {help}")));
    }
    match name.as_str() {
        "constant" => options(path, table, Schedule::Constant),
        "step" => options(path, table, Schedule::Step),
        "multistep" => options(path, table, Schedule::MultiStep),
        "exponential" => options(path, table, Schedule::Exponential),
        "linear" => options(path, table, Schedule::Linear),
        "cosine" => options(path, table, Schedule::Cosine),
        "cosine_restarts" => options(path, table, Schedule::CosineRestarts),
        "one_cycle" => options(path, table, Schedule::OneCycle),
        "polynomial" => options(path, table, Schedule::Polynomial),
        "plateau" => options(path, table, Schedule::Plateau),
        "inverse_sqrt" => options(path, table, Schedule::InverseSqrt),
        "sequence" => sequence(Section::new(path, table)),
        _ => Err(Error::Config(format!("{path}.name = \"{name}\" cannot be read from a config"))),
    }
}

fn options<T: DeserializeOwned>(path: &str, table: Table, of: fn(T) -> Schedule) -> Result<Schedule> {
    read_options(path, Value::Table(table)).map(of)
}

fn sequence(mut section: Section) -> Result<Schedule> {
    let example = "[{ name = \"linear\", start_factor = 0.1 }, { name = \"cosine\" }]";
    let milestones = section.required("milestones", "[100], where the second schedule begins")?;
    let milestones = read_options(&section.name("milestones"), milestones)?;
    let path = section.name("schedules");
    let list = match section.required("schedules", example)? {
        Value::Array(list) => list,
        other => {
            let text = format!("{path} = {other}: a list is needed, and this is {}", kind(&other));
            return Err(Error::Config(format!("{text}; for example {example}")));
        }
    };
    let one = |(i, value)| match value {
        Value::Table(table) => schedule(&format!("{path}[{i}]"), table, &[]),
        other => {
            let what = kind(&other);
            Err(Error::Config(format!("{path}[{i}] = {other}: a table is needed, and this is {what}")))
        }
    };
    let schedules = list.into_iter().enumerate().map(one).collect::<Result<_>>()?;
    Ok(Schedule::Sequence(Sequence { schedules, milestones }))
}

/// `[schedule]` with every default, where there is one.
pub(super) fn to_toml(update: &Update) -> Option<Value> {
    let mut value = Value::try_from(update.schedule.as_ref()?).ok()?;
    if let Value::Table(table) = &mut value {
        table.insert("interval".into(), Value::try_from(update.interval).ok()?);
    }
    Some(value)
}
