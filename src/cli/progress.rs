//! Progress of a run: a live bar on a terminal, plain lines in a pipe.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use downhill::train::{EpochRecord, Observer, RunStart, StepRecord};
use downhill::{error::Result, units};
use indicatif::{ProgressBar, ProgressStyle};

use super::say;

/// A plain line is printed no more often than this, but for the last epoch's.
const PLAIN: Duration = Duration::from_millis(500);

/// Shows how far a run is.
#[derive(Default)]
pub(super) struct Progress {
    bar: Option<ProgressBar>,
    total: u64,
    epochs: u64,
    samples: Rate,
    batch: u64,
    loss: f64,
    accuracy: Option<f64>,
    printed: Option<Instant>,
}

/// Samples a second of training in the current epoch, from its first window's end on; before that the last epoch's.
#[derive(Default)]
struct Rate {
    start: Option<Instant>,
    samples: u64,
    last: Option<f64>,
}

impl Rate {
    fn add(&mut self, samples: u64) {
        match self.start {
            None => self.start = Some(Instant::now()),
            Some(start) => {
                self.samples += samples;
                self.last = Some(self.samples as f64 / start.elapsed().as_secs_f64());
            }
        }
    }
}

/// A bar of `total` steps on standard error, if that is a terminal.
pub(super) fn bar(total: u64) -> Option<ProgressBar> {
    std::io::stderr().is_terminal().then(|| {
        let colour = std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
        let shape = if colour { "{wide_bar:.green/dim}" } else { "{wide_bar}" };
        let template = format!("{{prefix}} {shape} {{percent:>3}}%  {{msg}}  {{eta}} left");
        let style = ProgressStyle::with_template(&template).unwrap_or(ProgressStyle::default_bar());
        let bar = ProgressBar::new(total).with_style(style.progress_chars("━╸ "));
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    })
}

/// Does `work` under a bar, which it tells how much is done of how much.
pub(super) fn under_bar<T>(prefix: &'static str, work: impl FnOnce(&mut dyn FnMut(u64, u64)) -> T) -> T {
    let bar = bar(0);
    bar.iter().for_each(|bar| bar.set_prefix(prefix));
    let done = work(&mut |done, total| {
        bar.iter().for_each(|bar| {
            bar.set_length(total);
            bar.set_position(done);
        });
    });
    bar.iter().for_each(|bar| bar.finish_and_clear());
    done
}

impl Progress {
    pub fn new() -> Self {
        Progress::default()
    }

    /// Takes the bar off the screen.
    pub fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    fn message(&self, speed: Option<f64>) -> String {
        let accuracy = self.accuracy.map(|a| format!("  accuracy {:.2}%", 100.0 * a)).unwrap_or_default();
        let speed = speed.map(|s| format!("  {} samples/s", units::count(s))).unwrap_or_default();
        format!("loss {:.4}{accuracy}{speed}", self.loss)
    }
}

impl Observer for Progress {
    fn start(&mut self, start: &RunStart) -> Result<()> {
        self.clear();
        (self.total, self.batch) = (start.total_steps, start.batch_size as u64);
        self.epochs = start.total_steps.div_ceil(start.steps_per_epoch.max(1));
        self.bar = bar(self.total);
        if let Some(bar) = &self.bar {
            bar.set_prefix(format!(
                "epoch {}/{}",
                start.step / start.steps_per_epoch.max(1) + 1,
                self.epochs
            ));
            bar.set_position(start.step);
        }
        Ok(())
    }

    fn steps(&mut self, steps: &[StepRecord]) -> Result<()> {
        let Some(last) = steps.last() else { return Ok(()) };
        let first = self.samples.last.is_none() && self.samples.start.is_none();
        self.samples.add(self.batch * steps.len() as u64);
        self.loss = steps.iter().map(|s| f64::from(s.loss)).sum::<f64>() / steps.len() as f64;
        if let Some(bar) = &self.bar {
            bar.set_prefix(format!("epoch {}/{}", last.epoch, self.epochs));
            bar.set_message(self.message(self.samples.last));
            bar.set_position(last.step);
            if first {
                // What came before was compiling.
                bar.reset_eta();
            }
        }
        Ok(())
    }

    fn epoch(&mut self, epoch: &EpochRecord) -> Result<()> {
        self.samples = Rate { last: Some(epoch.samples_per_second), ..Rate::default() };
        self.accuracy = epoch.eval_accuracy;
        self.loss = epoch.train_loss;
        let due = self.printed.is_none_or(|at| at.elapsed() > PLAIN) || epoch.step == self.total;
        if self.bar.is_none() && due {
            self.printed = Some(Instant::now());
            let eval = epoch.eval_loss.map(|l| format!("  eval loss {l:.4}")).unwrap_or_default();
            let wait = epoch.data_wait.filter(|share| *share >= 0.01);
            let wait =
                wait.map(|share| format!("  waited {:.0}% for data", 100.0 * share)).unwrap_or_default();
            let line = format!(
                "epoch {}/{}  {}{eval}{wait}",
                epoch.epoch,
                self.epochs,
                self.message(Some(epoch.samples_per_second))
            );
            say(&line);
        }
        Ok(())
    }
}
