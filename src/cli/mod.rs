//! The command line: one file a command, its arguments inside. A new command is a file, its `mod` line and its row in
//! [`Command`].
//!
//! Exit codes: 0; 1 the run failed; 2 the command line or the config is wrong; 3 an assertion does not hold; 130 the run
//! was stopped.

mod adapters;
#[cfg(feature = "diagnostics")]
mod bench;
mod compare;
mod completions;
mod data;
#[cfg(feature = "diagnostics")]
mod doctor;
mod eval;
mod explain;
mod finished;
mod lr_find;
mod optimizers;
mod parse;
mod predict;
mod profile;
mod progress;
mod reference;
mod resume;
mod run;
mod run_args;
mod sample;
mod summary;
mod train;
mod view;

use std::io::Write;
use std::path::Path;

use clap::Parser;
use downhill::Error;
use downhill::figure::Figure;

/// Declares subcommands: each row is a name and its arguments, whose `run` executes the command and whose first line
/// of documentation is the command's line of help.
macro_rules! commands {
    ($(#[$doc:meta])* $name:ident { $($(#[$cfg:meta])* $command:ident($args:ty),)* }) => {
        $(#[$doc])*
        #[derive(Debug, clap::Subcommand)]
        pub enum $name { $($(#[$cfg])* $command($args),)* }

        impl $name {
            /// Executes the command.
            pub fn run(&self) -> anyhow::Result<()> {
                match self { $($(#[$cfg])* $name::$command(args) => args.run(),)* }
            }
        }
    };
}
use commands;

commands! {
    /// The commands, in the order of the help.
    Command {
        Train(train::TrainArgs),
        Resume(resume::ResumeArgs),
        LrFind(lr_find::LrFindArgs),
        Eval(eval::EvalArgs),
        Predict(predict::PredictArgs),
        Sample(sample::SampleArgs),
        Compare(compare::CompareArgs),
        Explain(explain::ExplainArgs),
        Adapters(adapters::AdaptersArgs),
        #[cfg(feature = "diagnostics")]
        Doctor(doctor::DoctorArgs),
        Data(data::DataArgs),
        #[cfg(feature = "diagnostics")]
        Bench(bench::BenchArgs),
        Optimizers(optimizers::OptimizersArgs),
        Reference(reference::ReferenceArgs),
        Completions(completions::CompletionsArgs),
    }
}

/// Train small neural nets on any GPU, or on none.
#[derive(Debug, Parser)]
#[command(version, about, long_about = None, after_help = "\
Examples:
  downhill train examples/digits.toml
  downhill train examples/digits.toml --set optimizer.lr=3e-3 --seed 1 --out runs/lr3
  downhill lr-find examples/digits.toml
  downhill eval runs/digits-1
  downhill predict runs/tabular-1 rows.csv
  downhill sample runs/tiny_gpt-1 --prompt \"pub fn \"
  downhill compare runs/digits-1 runs/digits-2
  downhill explain examples/digits.toml
  downhill doctor
  downhill data synth digits28 --count 60000 --out data/digits28
  downhill bench optim")]
pub struct Cli {
    /// The command to run.
    #[command(subcommand)]
    pub command: Command,
}

/// Prints a line to standard output. A reader that went away is not an error.
fn println(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Writes a figure into the file that the user asks for, if any.
fn draw(path: Option<&Path>, figure: &Figure) -> Result<(), Error> {
    let Some(path) = path else { return Ok(()) };
    std::fs::write(path, figure.svg()).map_err(|err| Error::io("cannot write", path, &err))
}

/// Exit code of a run that Ctrl-C stopped, as shells count it.
const STOPPED: u8 = 130;

/// The run was stopped and has reported it.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
struct Stopped;

/// True where the command has printed everything about its end itself.
pub fn already_reported(err: &anyhow::Error) -> bool {
    err.is::<Stopped>()
}

/// The exit code of an error: 2 for a wrong command line or config, 3 for an assertion that does not hold, 130 for a run
/// that was stopped, else 1.
pub fn exit_code(err: &anyhow::Error) -> u8 {
    if err.is::<Stopped>() {
        return STOPPED;
    }
    match err.downcast_ref::<Error>() {
        Some(err) if err.is_usage() => 2,
        Some(Error::Assertion(_)) => 3,
        _ => 1,
    }
}
