//! The output of `--json`: one object a line.

use std::path::Path;

use downhill::error::Result;
use downhill::run::Outcome;
use downhill::train::{CheckpointRecord, EpochRecord, Observer, RunEnd, RunStart};
use serde::Serialize;

use crate::cli::output::println;

/// Prints the events of a run except its steps.
pub struct Json {
    /// The run's directory.
    run: String,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Line<'a> {
    Start {
        run: &'a str,
        step: u64,
        total_steps: u64,
        steps_per_epoch: u64,
        batch_size: usize,
        parameters: usize,
        memory: u64,
        budget: Option<u64>,
    },
    Epoch {
        step: u64,
        #[serde(flatten)]
        record: &'a EpochRecord,
    },
    Checkpoint {
        step: u64,
        path: &'a Path,
        seconds: f64,
    },
    End {
        end: &'static str,
        step: u64,
        run: &'a str,
    },
}

/// The name of an end.
fn name(end: RunEnd) -> &'static str {
    match end {
        RunEnd::Finished => "finished",
        RunEnd::EarlyStopped => "early_stopped",
        RunEnd::Stopped => "stopped",
    }
}

impl Line<'_> {
    /// Prints the line. A path that is not UTF-8 is an error.
    fn print(&self) -> Result<()> {
        let text = serde_json::to_string(self);
        println(&text.map_err(|err| downhill::Error::Config(format!("a line of --json: {err}")))?);
        Ok(())
    }
}

impl Json {
    pub fn new(run: &Path) -> Json {
        Json { run: run.display().to_string() }
    }

    /// The last line, once everything is written.
    pub fn end(&self, outcome: &Outcome) -> Result<()> {
        Line::End { end: name(outcome.end), step: outcome.step, run: &self.run }.print()
    }
}

impl Observer for Json {
    fn start(&mut self, start: &RunStart) -> Result<()> {
        let RunStart { step, total_steps, steps_per_epoch, batch_size, parameters, memory, budget } = *start;
        let run = &self.run;
        Line::Start { run, step, total_steps, steps_per_epoch, batch_size, parameters, memory, budget }
            .print()
    }

    fn epoch(&mut self, epoch: &EpochRecord) -> Result<()> {
        Line::Epoch { step: epoch.step, record: epoch }.print()
    }

    fn checkpoint(&mut self, checkpoint: &CheckpointRecord) -> Result<()> {
        let CheckpointRecord { step, path, seconds } = checkpoint;
        Line::Checkpoint { step: *step, path, seconds: *seconds }.print()
    }
}
