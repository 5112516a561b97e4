//! `downhill plot`

use std::path::PathBuf;

use clap::Args;
use downhill::Error;
use downhill::atomic_file::write_whole;
use downhill::error::Result;
use downhill::report::{RunRecord, plotted};

use super::output::println;
use super::report::{POINTS, runs};

/// Plot a number of runs: in the terminal, as SVG or as PNG
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill plot runs/digits-1
  downhill plot runs/digits-1 --metric eval_accuracy
  downhill plot runs/digits-1 runs/digits-2 --metric loss --smooth --log --svg loss.svg
  downhill plot runs/digits-1 --metric accuracy --png accuracy.png
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
    /// Write a PNG file, with the system's fonts; needs a program built with the feature raster
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
        // What cannot be written is known before runs are read.
        #[cfg(not(feature = "raster"))]
        if let Some(png) = &self.png {
            return Err(without_raster(png).into());
        }
        let paths = runs(&self.runs)?;
        let records =
            paths.iter().map(|path| RunRecord::read(path, POINTS as usize)).collect::<Result<Vec<_>>>()?;
        let plotted = plotted(&records, &self.metric, self.log, self.smooth)?;
        if self.json {
            println(&plotted.json().to_string());
            return Ok(());
        }
        let figure = plotted.figure();
        if let Some(path) = &self.svg {
            write_whole(path, figure.svg().as_bytes())?;
            println(&format!("plot     {}", path.display()));
        }
        #[cfg(feature = "raster")]
        if let Some(path) = &self.png {
            write_whole(path, &figure.png().map_err(Error::Config)?)?;
            println(&format!("plot     {}", path.display()));
        }
        if self.svg.is_none() && self.png.is_none() {
            println(plotted.text().trim_end());
        }
        Ok(())
    }
}

/// The error of a program without a rasteriser, with what to do instead.
#[cfg(not(feature = "raster"))]
fn without_raster(png: &std::path::Path) -> Error {
    let svg = png.with_extension("svg");
    Error::Config(format!(
        "--png: this program was built without the feature raster; build it with --features raster, or write --svg {0}, then: \
         rsvg-convert {0} -o {1}",
        svg.display(),
        png.display()
    ))
}
