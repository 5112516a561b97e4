//! The command line: one file a command, its arguments inside. A new command is a file, its `mod` line and its row in
//! [`Command`].
//!
//! Exit codes: 0; 1 the run failed; 2 the command line or the config is wrong; 3 an assertion does not hold; 130 the run
//! was stopped.

mod adapters;
#[cfg(feature = "diagnostics")]
mod bench;
mod commands;
mod compare;
mod completions;
mod data;
#[cfg(feature = "diagnostics")]
mod doctor;
mod eval;
mod exit;
mod explain;
mod export;
mod finished;
#[cfg(feature = "diagnostics")]
mod lab;
mod lr_find;
mod next;
mod optimizers;
mod output;
mod parse;
mod plot;
mod predict;
mod profile;
mod program;
mod progress;
mod ranks;
mod reference;
mod report;
mod resume;
mod run;
mod run_args;
mod runs;
mod sample;
mod summary;
mod sweep;
mod targets;
mod train;
#[cfg(feature = "diagnostics")]
mod tune;
mod view;

use std::ffi::OsString;

use clap::{CommandFactory, Parser};
use commands::commands;

commands! {
    /// The commands, in the order of the help.
    Command {
        Train(train::TrainArgs),
        Resume(resume::ResumeArgs),
        Sweep(sweep::SweepArgs),
        LrFind(lr_find::LrFindArgs),
        Eval(eval::EvalArgs),
        Predict(predict::PredictArgs),
        Sample(sample::SampleArgs),
        Runs(runs::RunsArgs),
        Report(report::ReportArgs),
        Plot(plot::PlotArgs),
        Export(export::ExportArgs),
        Compare(compare::CompareArgs),
        Explain(explain::ExplainArgs),
        #[cfg(feature = "diagnostics")]
        Tune(tune::TuneArgs),
        Adapters(adapters::AdaptersArgs),
        #[cfg(feature = "diagnostics")]
        Doctor(doctor::DoctorArgs),
        Data(data::DataArgs),
        #[cfg(feature = "diagnostics")]
        Lab(lab::LabArgs),
        #[cfg(feature = "diagnostics")]
        Bench(bench::BenchArgs),
        Optimizers(optimizers::OptimizersArgs),
        Reference(reference::ReferenceArgs) with Cli::command(),
        Completions(completions::CompletionsArgs) with Cli::command(),
    }
}

/// Train small neural nets on any GPU, or on none.
#[derive(Debug, Parser)]
#[command(name = "downhill", version, about, long_about = None, after_help = "\
Examples:
  downhill train examples/digits.toml
  downhill train examples/digits.toml --set optimizer.lr=3e-3 --seed 1 --out runs/lr3
  downhill sweep examples/digits.toml --grid optimizer.lr=1e-4..1e-1:log:8 --seeds 0..8
  downhill lr-find examples/digits.toml
  downhill eval runs/digits-1
  downhill predict runs/tabular-1 rows.csv
  downhill sample runs/tiny_gpt-1 --prompt \"pub fn \"
  downhill runs --sort accuracy
  downhill report runs/digits-1
  downhill plot runs/digits-1 --metric accuracy
  downhill export runs/digits-1 --format pytorch
  downhill compare runs/digits-1 runs/digits-2
  downhill explain examples/digits.toml
  downhill tune examples/tiny_gpt.toml
  downhill doctor
  downhill data synth digits28 --count 60000 --out data/digits28
  downhill bench optim
  downhill lab")]
pub struct Cli {
    /// The command to run.
    #[command(subcommand)]
    pub command: Command,
}

/// Runs the program with these arguments, the first its own name, and gives back its exit code. A process runs it once, before
/// it has other threads.
pub fn run(args: Vec<OsString>) -> u8 {
    program::prepare(args.first().map(OsString::as_os_str));
    let code = match Cli::try_parse_from(args) {
        Ok(cli) => run_command(&cli.command).map_or_else(|err| program::report(&err), |()| 0),
        Err(err) => {
            output::print_usage(&err);
            err.exit_code() as u8
        }
    };
    // Output that is lost is an error too; an earlier one decides the exit code.
    let lost = output::finish().map_or_else(|err| program::report(&err.into()), |()| 0);
    if code == 0 { lost } else { code }
}

/// Runs a command, together with the other processes of an `mpirun`.
fn run_command(command: &Command) -> anyhow::Result<()> {
    let is_shared =
        matches!(command, Command::Train(_) | Command::Resume(_) | Command::Eval(_) | Command::Sweep(_));
    ranks::run(is_shared, || command.run())
}
