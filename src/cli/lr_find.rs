//! `downhill lr-find`

use std::path::PathBuf;

use clap::Args;
use downhill::run::initialise;
use downhill::train::{LrFinder, Observer, StepRecord};
use downhill::{Error, Gpu, error::Result, report};
use indicatif::ProgressBar;

use super::output::{draw, eprintln, println};
use super::run_args::{AdapterArg, DataRootArg};
use super::{parse, progress};

/// Find a learning rate for a config: a short training whose rate grows until the loss does
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill lr-find examples/digits.toml
  downhill lr-find examples/digits.toml --set optimizer.name=lion --from 1e-6 --to 1 --steps 200
  downhill lr-find examples/digits_cnn.toml --svg lr.svg

Trains from the initial weights while the learning rate grows by a constant factor each step, and finds where the
smoothed loss falls. The test ends early once the loss passes four times its best. The weights are not kept.
The suggestion is \"valley\", the middle of the longest descent; \"steep\" is where the descent is steepest.
Exit code: 0, with a suggestion or without; 1 the run failed; 2 the command line or the config is wrong.")]
pub struct LrFindArgs {
    /// The config file
    #[arg(value_name = "CONFIG.toml")]
    config: PathBuf,
    /// Override a setting, as optimizer.name=sgd (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Learning rate of the first step
    #[arg(long, value_name = "LR", default_value = "1e-7", value_parser = parse::learning_rate, allow_negative_numbers = true)]
    from: f64,
    /// Learning rate of the last step
    #[arg(long, value_name = "LR", default_value = "10", value_parser = parse::learning_rate, allow_negative_numbers = true)]
    to: f64,
    /// Number of steps, at least 2; the test goes through several epochs where one has fewer
    #[arg(long, value_name = "N", default_value_t = 100)]
    steps: u64,
    /// Decay of the running mean of the loss, below 1; 0 does not smooth
    #[arg(long, value_name = "BETA", default_value_t = 0.98, allow_negative_numbers = true)]
    smooth: f64,
    /// Seed of the initial weights and of the order of samples, in place of the config's
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    seed: Option<u64>,
    /// The data
    #[command(flatten)]
    data: DataRootArg,
    /// The adapter
    #[command(flatten)]
    adapter: AdapterArg,
    /// Print JSON: every point, and the suggestion
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV: every point
    #[arg(long)]
    csv: bool,
    /// Draw the curve into this file
    #[arg(long, value_name = "FILE.svg")]
    svg: Option<PathBuf>,
}

impl LrFindArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        let finder = LrFinder { from: self.from, to: self.to, steps: self.steps, smooth: self.smooth };
        finder.validate().map_err(flagged)?;
        let mut config = self.data.load(&self.config, &self.settings)?;
        config.options.seed = self.seed.unwrap_or(config.options.seed);
        let data = config.dataset()?;
        let gpu = Gpu::open(&config.gpu_options(&self.adapter.gpu_options()))?;
        let mut trainer = config.trainer(&gpu, &data)?;
        initialise(&mut trainer, &config.init)?;

        let mut bar = Bar(progress::bar(self.steps));
        let found = finder.run(trainer, &mut bar);
        bar.0.into_iter().for_each(|bar| bar.finish_and_clear());
        let sweep = found?;

        let name = self.config.file_stem().unwrap_or_default().to_string_lossy();
        draw(self.svg.as_deref(), &report::lr_find_figure(&sweep, &name))?;
        let note = (!sweep.left_out.is_empty())
            .then(|| format!("note     the test ignores the config's {}", sweep.left_out.join(", ")));
        if self.json || self.csv {
            note.iter().for_each(|note| eprintln(note));
        }
        let text = match (self.json, self.csv) {
            (true, _) => serde_json::to_string_pretty(&report::lr_find_json(&sweep))?,
            (_, true) => report::lr_find_csv(&sweep),
            _ => {
                let file = self.config.display();
                note.iter().for_each(|note| println(note));
                let (from, to, steps) = (self.from, self.to, self.steps);
                println(&format!(
                    "test     {file}: {} from {from:?} to {to:?}, {steps} steps\n",
                    config.update.optimizer.name()
                ));
                report::lr_find_text(&sweep)
            }
        };
        println(text.trim_end());
        Ok(())
    }
}

/// Names the finder's numbers by their options.
fn flagged(err: Error) -> Error {
    match err {
        Error::Config(text) => Error::Config(format!("--{}", text.replacen(" and to", " and --to", 1))),
        other => other,
    }
}

/// The progress of the test.
struct Bar(Option<ProgressBar>);

impl Observer for Bar {
    fn steps(&mut self, steps: &[StepRecord]) -> Result<()> {
        if let (Some(bar), Some(last)) = (&self.0, steps.last()) {
            bar.set_prefix("range test");
            bar.set_message(format!("lr {:.1e}  loss {:.4}", last.lr, last.loss));
            bar.set_position(last.step);
        }
        Ok(())
    }
}
