//! A run in a pipe: one line an epoch.

use std::time::{Duration, Instant};

use downhill::error::Result;
use downhill::train::{EpochRecord, Observer, RunEnd, RunStart};
use downhill::units;

use crate::cli::output::println;

/// Least time between two lines, except for the last epoch's.
const PAUSE: Duration = Duration::from_millis(500);

/// Prints epochs.
#[derive(Default)]
pub struct Plain {
    epochs: u64,
    printed: Option<Instant>,
    /// The line of the last epoch, while it is not printed.
    held: Option<String>,
}

impl Observer for Plain {
    fn start(&mut self, start: &RunStart) -> Result<()> {
        self.epochs = start.total_steps.div_ceil(start.steps_per_epoch.max(1));
        Ok(())
    }

    fn epoch(&mut self, epoch: &EpochRecord) -> Result<()> {
        let line = line(epoch, self.epochs);
        if self.printed.is_none_or(|at| at.elapsed() > PAUSE) {
            println(&line);
            (self.printed, self.held) = (Some(Instant::now()), None);
        } else {
            self.held = Some(line);
        }
        Ok(())
    }

    fn end(&mut self, _: RunEnd, _: u64) -> Result<()> {
        self.held.take().iter().for_each(|line| println(line));
        Ok(())
    }
}

fn line(epoch: &EpochRecord, epochs: u64) -> String {
    let accuracy = epoch.eval_accuracy.map(|a| format!("  accuracy {:.2}%", 100.0 * a)).unwrap_or_default();
    let eval = epoch.eval_loss.map(|l| format!("  eval loss {l:.4}")).unwrap_or_default();
    let wait = epoch.data_wait.filter(|share| *share >= 0.01);
    let wait = wait.map(|share| format!("  waited {:.0}% for data", 100.0 * share)).unwrap_or_default();
    format!(
        "epoch {}/{epochs}  loss {:.4}{accuracy}  {} samples/s{eval}{wait}",
        epoch.epoch,
        epoch.train_loss,
        units::count(epoch.samples_per_second)
    )
}
