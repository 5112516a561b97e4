//! `downhill runs`

use std::io::IsTerminal;
use std::path::PathBuf;

use clap::Args;
use downhill::report::{self, RunTable};
use downhill::run::{self, RunSummary};

use super::output::println;

/// List runs: their states, best epochs, times, and the settings in which they differ
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill runs
  downhill runs --sort accuracy
  downhill runs sweep-* --sort optimizer.lr
  downhill runs --sort -started --csv > runs.csv
  downhill runs --json | jq '.[] | select(.state == \"finished\") | .run'

States: running; finished; stopped (by Ctrl-C, or killed); failed, by an error; diverged, by a loss that is infinite or
NaN. downhill resume continues all but a finished run. \"loss\" is the training loss of the last step. \"eval_loss\", or the
metric sorted by, is that of the last epoch, and \"best\" that of the best epoch. The time is from the first file of a run
to the last line of its metrics; a pause of a run that was stopped counts.
--sort takes run, state, epochs, steps, loss, time, started, a metric (eval_loss, accuracy, f1; the run with the best
epoch comes first), or a setting (optimizer.lr). A minus before the name turns the order round.
Folders that hold no run are passed over. A run with a file that cannot be read is listed, with the fault below.
On a terminal, columns that have no room are left out and named.
Exit code: 0; 1 a folder cannot be read; 2 the command line is wrong.")]
pub struct RunsArgs {
    /// Folders of runs, also nested ones, or runs [default: runs]
    #[arg(value_name = "DIR")]
    folders: Vec<PathBuf>,
    /// The column, metric or setting to sort by, as eval_loss; -NAME turns the order round [default: the name of the run]
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    sort: Option<String>,
    /// Print JSON: a list of the runs, with every metric
    #[arg(long, conflicts_with = "csv")]
    json: bool,
    /// Print CSV: a line for each run, with every metric
    #[arg(long)]
    csv: bool,
}

impl RunsArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        let default = [PathBuf::from("runs")];
        let folders = if self.folders.is_empty() { &default[..] } else { &self.folders };
        let mut paths: Vec<PathBuf> = Vec::new();
        for folder in folders {
            let found = run::find_runs(folder)?;
            paths.extend(found.into_iter().filter(|path| !paths.contains(path)).collect::<Vec<_>>());
        }
        let runs = paths.iter().map(|path| RunSummary::read(path)).collect();
        let table = RunTable::new(runs, self.sort.as_deref())?;
        if self.json {
            println(&serde_json::to_string_pretty(&report::runs_json(&table))?);
        } else if self.csv {
            println(report::runs_csv(&table)?.trim_end());
        } else if table.runs.is_empty() {
            let names: Vec<String> = folders.iter().map(|folder| folder.display().to_string()).collect();
            println(&format!("no runs in {}", names.join(", ")));
        } else {
            println(report::runs_text(&table, columns()).trim_end());
        }
        Ok(())
    }
}

/// Columns of the terminal. `None` where output goes elsewhere.
fn columns() -> Option<usize> {
    let terminal = std::io::stdout().is_terminal();
    let size = terminal.then(|| console::Term::stdout().size_checked()).flatten();
    size.map(|(_, columns)| usize::from(columns)).filter(|columns| *columns > 0)
}
