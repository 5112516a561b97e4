//! `downhill plot`

use std::path::PathBuf;

use clap::Args;
use downhill::Error;
use downhill::atomic_file::write_whole;
use downhill::error::Result;
use downhill::report::{RunRecord, plotted};

use super::output::println;
use super::report::{POINTS, runs};

/// Plot a number of runs: in the terminal, or as SVG
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill plot runs/digits-1
  downhill plot runs/digits-1 --metric eval_accuracy
  downhill plot runs/digits-1 runs/digits-2 --metric loss --smooth --log --svg loss.svg
  downhill plot runs/digits-1 --metric lr --json | jq .curves[0].points

A number of the steps (loss, lr, grad_norm, loss_scale) or of the epochs (train_loss, eval_loss, accuracy, f1, ..), as in
metrics.jsonl. Without a file it is drawn in characters.
Exit code: 0; 1 a file cannot be read or written, or there is nothing to plot; 2 the command line is wrong, or no run has
the number.")]
pub struct PlotArgs {
    /// Runs, or folders of runs
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// The number
    #[arg(long, value_name = "NAME", default_value = "loss")]
    metric: String,
    /// Write an SVG file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Write a PNG file: this program cannot, and says what can
    #[arg(long, value_name = "FILE")]
    png: Option<PathBuf>,
    /// Logarithmic axis; values that are not above 0 are left out
    #[arg(long)]
    log: bool,
    /// Draw means over about a fiftieth of the curve
    #[arg(long)]
    smooth: bool,
    /// Print the points as JSON
    #[arg(long, conflicts_with_all = ["svg", "png"])]
    json: bool,
}

impl PlotArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        if let Some(png) = &self.png {
            let svg = png.with_extension("svg");
            return Err(Error::Config(format!(
                "--png: this program has no rasteriser, which would take 35 more crates and the fonts of the machine, so that a \
                 picture would have other bytes elsewhere; write --svg {0}, then: rsvg-convert {0} -o {1}, or: chromium \
                 --headless --screenshot={1} {0}",
                svg.display(),
                png.display()
            ))
            .into());
        }
        let paths = runs(&self.runs)?;
        let records =
            paths.iter().map(|path| RunRecord::read(path, POINTS as usize)).collect::<Result<Vec<_>>>()?;
        let plotted = plotted(&records, &self.metric, self.log, self.smooth)?;
        if self.json {
            println(&plotted.json().to_string());
            return Ok(());
        }
        let Some(path) = &self.svg else {
            println(plotted.text().trim_end());
            return Ok(());
        };
        write_whole(path, plotted.figure().svg().as_bytes())?;
        println(&format!("plot     {}", path.display()));
        Ok(())
    }
}
