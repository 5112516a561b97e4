//! A run in a pipe: one line an epoch.

use std::time::{Duration, Instant};

use downhill::error::Result;
use downhill::train::{EpochRecord, Observer, RunEnd, RunStart};
use downhill::units;

use super::render::number;
use super::state::named_metrics;
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
    let evaluated: String = evaluated(epoch).iter().map(|text| format!("  {text}")).collect();
    let wait = epoch.data_wait.filter(|share| *share >= 0.01);
    let wait = wait.map(|share| format!("  waited {:.0}% for data", 100.0 * share)).unwrap_or_default();
    format!(
        "epoch {}/{epochs}  loss {}{evaluated}  {} samples/s{wait}",
        epoch.epoch,
        shown(epoch.train_loss),
        units::count(epoch.samples_per_second)
    )
}

/// A number, finite or not.
fn shown(value: f64) -> String {
    number(value).unwrap_or_else(|| value.to_string())
}

/// The numbers of an evaluation with their names: `eval loss 0.3865`, `eval accuracy 91.67%`, `eval f1 0.9160`.
pub fn evaluated(epoch: &EpochRecord) -> Vec<String> {
    let loss = epoch.eval_loss.map(|loss| format!("eval loss {}", shown(loss)));
    let accuracy = epoch.eval_accuracy.map(|share| format!("eval accuracy {:.2}%", 100.0 * share));
    let metrics = named_metrics(epoch);
    let metrics = metrics.iter().map(|(name, value)| format!("{name} {}", shown(*value)));
    loss.into_iter().chain(accuracy).chain(metrics).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_every_metric_and_says_what_it_is_of() {
        let mut epoch: EpochRecord = serde_json::from_value(serde_json::json!({
            "epoch": 2, "train_loss": 0.5, "eval_loss": 0.25, "eval_accuracy": 0.9694,
            "eval_metrics": { "accuracy": 0.9694, "f1": 0.125 }, "samples_per_second": 1500.0
        }))
        .unwrap();
        let want = "epoch 2/5  loss 0.5000  eval loss 0.2500  eval accuracy 96.94%  eval f1 0.1250  1.50 k samples/s";
        assert_eq!(line(&epoch, 5), want);
        (epoch.train_metrics, epoch.eval_metrics) = (epoch.eval_metrics, Default::default());
        (epoch.eval_loss, epoch.eval_accuracy) = (None, None);
        let want = "epoch 2/5  loss 0.5000  accuracy 0.9694  f1 0.1250  1.50 k samples/s";
        assert_eq!(line(&epoch, 5), want);
    }
}
