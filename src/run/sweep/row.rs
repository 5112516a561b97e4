//! A run in the table of its sweep.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::train::{EpochRecord, Mode, Monitor, ReplicaEnd};

/// The end of a run of a sweep, as `sweep.jsonl` has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ended {
    /// `finished`, `early stopped`, `dropped`, `stopped`, `diverged` or `failed`.
    pub end: String,
    /// Steps done.
    pub steps: u64,
    /// The epochs after which halving ended it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub rung: Option<u64>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error: Option<String>,
    /// Its last epoch; where its weights are those of its best epoch, that one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last: Option<EpochRecord>,
}

impl Ended {
    pub(super) fn new(end: &ReplicaEnd, steps: u64, last: Option<&EpochRecord>) -> Ended {
        let rung = match end {
            ReplicaEnd::Dropped { rung } => Some(*rung),
            _ => None,
        };
        let error = match end {
            ReplicaEnd::Failed(err) => Some(Error::to_string(err)),
            _ => None,
        };
        Ended { end: end.word().to_owned(), steps, rung, error, last: last.cloned() }
    }

    /// True where it came to its own end or was dropped, so that its numbers can be compared.
    pub fn is_whole(&self) -> bool {
        self.error.is_none()
    }
}

/// A run in the table of its sweep.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its number, from 0.
    pub replica: usize,
    /// Its folder in that of the sweep.
    pub folder: String,
    /// Its value of each swept key, as `--set` takes it.
    pub values: Vec<String>,
    /// Its end; `None` while it has not ended.
    pub ended: Option<Ended>,
}

impl Row {
    /// The number by which it is ranked; none where it failed.
    pub fn value(&self, monitor: &Monitor) -> Option<f64> {
        let ended = self.ended.as_ref().filter(|ended| ended.is_whole())?;
        monitor.value(ended.last.as_ref()?)
    }

    /// Its last epoch.
    pub fn last(&self) -> Option<&EpochRecord> {
        self.ended.as_ref()?.last.as_ref()
    }
}

/// The rows that have a number, the best first; of two alike the first.
pub fn ranked<'r>(rows: &'r [Row], monitor: &Monitor) -> Vec<(&'r Row, f64)> {
    let mut ranked: Vec<(&Row, f64)> =
        rows.iter().filter_map(|row| Some((row, row.value(monitor)?))).collect();
    ranked.sort_by(|(_, a), (_, b)| match monitor.mode {
        Mode::Min => a.total_cmp(b),
        Mode::Max => b.total_cmp(a),
    });
    ranked
}
