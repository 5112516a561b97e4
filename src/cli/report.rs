//! `downhill report`

use std::path::{Path, PathBuf};

use clap::Args;
use downhill::atomic_file::write_whole;
use downhill::error::Result;
use downhill::figure::page::{Page, document};
use downhill::report::{RunRecord, Verdict, several_page, single_page, sweep_page};
use downhill::run::{RunDir, Sweep, find_runs};
use downhill::units;
use downhill::{Error, GpuOptions};

use super::output::println;
use super::run_args::{AdapterArg, DataRootArg};

/// Write a report of a run, of several, or of a sweep: one HTML file
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill report runs/digits-1
  downhill report runs/digits-1 runs/digits-2 --out compared.html
  downhill report runs/digits-sweep-1
  downhill report runs/digits-1 --no-eval --title \"Digits, first try\"

The file needs no network, no server and no script. A run: its result, curves, the confusion matrix, the worst mistakes
as pictures where inputs are images, statistics, times, the machine, the config. Several runs: their curves over each
other, the settings in which they differ, a table. A sweep: its metric against each key, all runs, rungs and ends.
The weights of a single run are evaluated again on the part held out, which takes a device; --no-eval leaves that out,
and where data or weights are missing the page says so. Curves of more points are drawn by the least and the greatest
of each bin, so that no spike is lost. Unfinished, failed and cut runs have reports too.
downhill train --report writes it at the end of a run.
Exit code: 0; 1 a file cannot be read or written; 2 the command line is wrong, or there is no run.")]
pub struct ReportArgs {
    /// Runs, folders of runs, or one sweep
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<PathBuf>,
    /// The file [default: RUN/report.html, or report.html of several runs]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The title [default: the name of the run]
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,
    /// Points of a curve, at most
    #[arg(long, value_name = "N", default_value_t = POINTS, value_parser = clap::value_parser!(u64).range(10..=100_000))]
    points: u64,
    /// Leave out the evaluation of the weights
    #[arg(long)]
    no_eval: bool,
    /// The data
    #[command(flatten)]
    data: DataRootArg,
    /// The adapter
    #[command(flatten)]
    adapter: AdapterArg,
}

/// Points of a curve, where nobody says how many.
pub(super) const POINTS: u64 = 2_000;

impl ReportArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        let title = self.title.as_deref();
        if let [only] = &self.runs[..]
            && Sweep::exists(only)
        {
            println(&write_sweep(only, self.out.as_deref(), title, self.points as usize)?);
            return Ok(());
        }
        let paths = runs(&self.runs)?;
        let points = self.points as usize;
        let records = paths.iter().map(|path| RunRecord::read(path, points)).collect::<Result<Vec<_>>>()?;
        let (page, default) = match &records[..] {
            [one] => {
                let how = (!self.no_eval).then_some((&self.data, &self.adapter));
                (single_page(one, verdict(&one.path, how).as_ref(), title), one.path.join(FILE))
            }
            _ => (several_page(&records, title), PathBuf::from(FILE)),
        };
        println(&write(self.out.as_deref().unwrap_or(&default), &page)?);
        Ok(())
    }
}

/// The file of a report.
const FILE: &str = "report.html";

/// Checks before a run that its report will have a folder.
pub(super) fn check_folder(file: Option<&Path>) -> Result<()> {
    match file.and_then(Path::parent).filter(|folder| !folder.as_os_str().is_empty() && !folder.is_dir()) {
        Some(folder) => Err(Error::Config(format!(
            "--report: {} is no folder; make it, or name a file in another",
            folder.display()
        ))),
        None => Ok(()),
    }
}

/// What the weights of a run answer, or why they do not; `None` where nobody asks.
fn verdict(run: &Path, how: Option<(&DataRootArg, &AdapterArg)>) -> Option<Result<Verdict, String>> {
    how.map(|(data, adapter)| {
        let options = GpuOptions { threads_by_work: None, ..adapter.gpu_options() };
        Verdict::of(run, data.data_root.as_deref(), &options).map_err(|err| err.to_string())
    })
}

/// Writes the report of a run to a file, or into its folder; gives the line that names it. `how` has its weights evaluated.
pub(super) fn write_run(
    run: &Path,
    file: Option<&Path>,
    how: Option<(&DataRootArg, &AdapterArg)>,
) -> Result<String> {
    let record = RunRecord::read(run, POINTS as usize)?;
    let page = single_page(&record, verdict(run, how).as_ref(), None);
    write(file.unwrap_or(&run.join(FILE)), &page)
}

/// Writes the report of a sweep to a file, or into its folder; gives the line that names it.
pub(super) fn write_sweep(
    sweep: &Path,
    file: Option<&Path>,
    title: Option<&str>,
    points: usize,
) -> Result<String> {
    write(file.unwrap_or(&sweep.join(FILE)), &sweep_page(sweep, title, points)?)
}

/// Writes a page; gives the line that names it.
fn write(path: &Path, page: &Page) -> Result<String> {
    let text = document(page);
    write_whole(path, text.as_bytes())?;
    Ok(format!("report   {} ({})", path.display(), units::bytes(text.len() as u64)))
}

/// The runs at and below these folders, each once.
pub(super) fn runs(given: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> = Vec::new();
    for folder in given {
        let found = if RunDir::exists(folder) { vec![folder.clone()] } else { find_runs(folder)? };
        if found.is_empty() {
            return Err(Error::Config(format!(
                "{}: it holds no run and no sweep; the directory of a run is needed, as train made it",
                folder.display()
            )));
        }
        paths.extend(found.into_iter().filter(|path| !paths.contains(path)).collect::<Vec<_>>());
    }
    Ok(paths)
}
