//! The section `[schedule]`: the learning rate over the steps.

use serde::Serialize;
use toml::{Table, Value};

use super::described::section;
use super::named::{Named, require};
use super::read::{kind, read as read_options, read_by};
use crate::error::{Error, Result};
use crate::optim::schedule::Sequence;
use crate::optim::{Interval, Schedule, Update};

/// Tables that are schedules.
const SCHEDULE: Named =
    Named { what: "schedule", names: &Schedule::NAMES, keys: Schedule::keys, example: "cosine" };

section! {
    /// The schedule of the learning rate by its `name`, with the keys of that name and this. The rate is constant without the
    /// section.
    pub(super) struct Timing {
        /// The unit of the schedule's steps; "step" without it, and "epoch" for a plateau.
        pub interval: Option<Interval> = None,
    }
}

/// Reads `[schedule]`, which may be missing, into `update`.
pub(super) fn read(mut table: Table, update: &mut Update) -> Result<()> {
    if table.is_empty() {
        return Ok(());
    }
    require("schedule", &table, "name", "\"cosine\"")?;
    let own = table.remove("interval").map(|value| ("interval".to_owned(), value));
    let Timing { interval } = read_options("schedule", Value::Table(own.into_iter().collect()))?;
    let schedule = schedule("schedule", table, &["interval"])?;
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

/// The schedule at `path`. The keys `beside` its own are suggested where one is unknown.
fn schedule(path: &str, mut table: Table, beside: &[&str]) -> Result<Schedule> {
    match SCHEDULE.take(path, &mut table, beside)?.as_str() {
        "sequence" => sequence(path, table).map(Schedule::Sequence),
        name => read_by(path, Value::Table(table), |reader| Schedule::read(name, reader)),
    }
}

/// A sequence, whose schedules are such tables again.
fn sequence(path: &str, mut table: Table) -> Result<Sequence> {
    let example = "[{ name = \"linear\", start_factor = 0.1 }, { name = \"cosine\" }]";
    require(path, &table, "milestones", "[100], where the second schedule begins")?;
    require(path, &table, "schedules", example)?;
    let milestones = table.remove("milestones").unwrap_or(false.into());
    let milestones = read_options(&format!("{path}.milestones"), milestones)?;
    let path = format!("{path}.schedules");
    let one = |(i, value)| match value {
        Value::Table(table) => schedule(&format!("{path}[{i}]"), table, &[]),
        other => {
            let what = kind(&other);
            Err(Error::Config(format!("{path}[{i}] = {other}: a table is needed, and this is {what}")))
        }
    };
    let schedules = match table.remove("schedules") {
        Some(Value::Array(list)) => list.into_iter().enumerate().map(one).collect::<Result<_>>()?,
        other => {
            let other = other.unwrap_or(false.into());
            let text = format!("{path} = {other}: a list is needed, and this is {}", kind(&other));
            return Err(Error::Config(format!("{text}; for example {example}")));
        }
    };
    Ok(Sequence { schedules, milestones })
}

/// `[schedule]` with every default, where there is one.
pub(super) fn to_toml(update: &Update) -> Option<Value> {
    #[derive(Serialize)]
    struct Written<'a> {
        #[serde(flatten)]
        schedule: &'a Schedule,
        interval: Interval,
    }

    let (schedule, interval) = (update.schedule.as_ref()?, update.interval);
    Value::try_from(Written { schedule, interval }).ok()
}
