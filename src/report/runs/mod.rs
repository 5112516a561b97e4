//! A table of runs: their states, their best epochs, and the settings in which they differ.

mod export;
mod order;
mod text;

pub use export::{runs_csv, runs_json};
pub use text::runs_text;

use toml::Table;

use crate::error::Result;
use crate::run::{RunSummary, Varying, varying_settings};
use order::Key;

/// Runs in an order.
#[derive(Debug)]
pub struct RunTable {
    /// The runs.
    pub runs: Vec<RunSummary>,
    /// The metric whose best epoch is shown, where any run has one.
    pub metric: Option<String>,
    /// The settings in which the runs differ. The values have the order of the runs.
    pub settings: Vec<Varying>,
}

impl RunTable {
    /// Sorts runs by a column, a metric or a setting: the best value of a metric first, the most epochs and steps, the
    /// newest, the shortest time; else from small to large. A `-` before the name turns the order round; runs without the
    /// value come last. Default: the order given.
    ///
    /// # Errors
    /// [`Error::Config`](crate::Error::Config) for a name that is in no run, with those that are.
    pub fn new(mut runs: Vec<RunSummary>, sort: Option<&str>) -> Result<RunTable> {
        let tables: Vec<&Table> =
            runs.iter().filter(|run| !run.settings.is_empty()).map(|run| &run.settings).collect();
        // A config that cannot be read differs in nothing.
        let keys: Vec<String> = varying_settings(&tables).into_iter().map(|(key, _)| key).collect();
        let tables = tables.len();
        let key = sort.filter(|_| !runs.is_empty()).map(|name| Key::parse(name, &runs)).transpose()?;
        key.iter().for_each(|key| key.sort(&mut runs));
        let has = |name: &&str| runs.iter().any(|run| run.metric(name).is_some());
        let default = ["eval_loss", "train_loss"].into_iter().find(has).map(str::to_owned);
        let metric = key.and_then(Key::into_metric).or(default);
        let all: Vec<&Table> = runs.iter().map(|run| &run.settings).collect();
        let mut settings = varying_settings(&all);
        settings.retain(|(key, _)| keys.contains(key));
        // First what every run has, and what is short.
        settings.sort_by_key(|(_, values)| {
            let of_all = values.iter().flatten().count() == tables;
            (!of_all, values.iter().flatten().any(|value| value.is_array() || value.is_table()))
        });
        Ok(RunTable { runs, metric, settings })
    }
}
