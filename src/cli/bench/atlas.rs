//! `downhill bench atlas`

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use clap::Args;
use downhill::bench::{Atlas, AtlasEntry, Options, atlas, atlas_figure, atlas_page, atlas_text};
use downhill::{Error, Gpu, GpuOptions};

use crate::cli::output::{draw, eprintln, println};
use crate::cli::run_args::AdapterArg;

/// Measure an adapter into one file, or compare such files
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill bench atlas --out benches/atlas/my-adapter.json
  downhill bench atlas --adapter software --quick
  downhill bench atlas --compare benches/atlas/*.json
  downhill bench atlas --compare benches/atlas/*.json --page docs/atlas.md

Measures dispatches and loads, copy, triad and multiply-adds, updates of optimizers, and products of matrices, in about two
minutes at most: sizes that would take longer are left out, and the file says so.")]
pub struct AtlasArgs {
    /// Write the measurements into this file, and print them as tables [default: print the file]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print the tables of these files side by side, and measure nothing
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with_all = ["out", "quick", "runs", "adapter", "device_timeout"])]
    compare: Vec<PathBuf>,
    /// Write the tables as a page into this file, and a figure beside it as FILE.svg, in place of printing them
    #[arg(long, value_name = "FILE.md", requires = "compare")]
    page: Option<PathBuf>,
    /// The adapter
    #[command(flatten)]
    adapter: AdapterArg,
    /// Run for seconds with small arrays: a check that it works, not a result to report
    #[arg(long)]
    quick: bool,
    /// Timed runs of each candidate [default: 15, or 3 with --quick]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    runs: Option<u32>,
}

impl AtlasArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        if self.compare.is_empty() { self.measure() } else { Ok(self.compare()?) }
    }

    fn measure(&self) -> anyhow::Result<()> {
        // The shader checks of a debug build are not part of the measurement.
        let gpu = Gpu::open(&GpuOptions { shader_checks: false, ..self.adapter.gpu_options() })?;
        let mut options = Options::new(self.quick);
        if let Some(runs) = self.runs {
            options.effort.rounds = runs as usize;
        }
        if std::io::stderr().is_terminal() {
            options.progress = eprintln;
        }
        let text = atlas(&gpu, &options)?.json()?;
        let Some(path) = &self.out else {
            println(text.trim_end());
            return Ok(());
        };
        std::fs::write(path, text).map_err(|err| Error::io("cannot write", path, &err))?;
        // What is shown is what the file says.
        println(atlas_text(&[entry(path)?]).trim_end());
        Ok(())
    }

    fn compare(&self) -> Result<(), Error> {
        let mut entries = Vec::new();
        for path in &self.compare {
            let entry = entry(path)?;
            if entries.iter().any(|other: &AtlasEntry| other.name == entry.name) {
                return Err(Error::Config(format!(
                    "two files are named {}.json; the name is the head of a column, so give one another name",
                    entry.name
                )));
            }
            entries.push(entry);
        }
        let Some(page) = &self.page else {
            println(atlas_text(&entries).trim_end());
            return Ok(());
        };
        if page.extension().is_none_or(|end| end != "md") {
            return Err(Error::Config(format!(
                "--page {}: the name of a page ends in .md, as docs/atlas.md",
                page.display()
            )));
        }
        let figure = page.with_extension("svg");
        let name = figure.file_name().unwrap_or_default().to_string_lossy();
        std::fs::write(page, atlas_page(&entries, &name))
            .map_err(|err| Error::io("cannot write", page, &err))?;
        draw(Some(&figure), &atlas_figure(&entries))
    }
}

/// A file with its name.
fn entry(path: &Path) -> Result<AtlasEntry, Error> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(AtlasEntry { name, atlas: Atlas::read(path)? })
}
