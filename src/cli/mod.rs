//! The command line: one file a command. Exit code 0; 1 the run failed; 2 the command line or config is wrong; 3 what was
//! asserted does not hold; 130 the run was stopped.

mod answers;
mod args;
mod bench;
mod commands;
mod compare;
mod convert;
mod data;
mod data_args;
mod doctor;
mod eval;
mod finished;
mod inspect;
mod lr_find;
mod predict;
mod profile;
mod progress;
mod resume;
mod sample;
mod train;
mod use_args;
mod view;

pub use args::{Cli, Command};

use std::io::Write;
use std::path::Path;

use downhill::Error;
use downhill::figure::Figure;

/// Prints a line to standard output; a reader that went away is no fault.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Writes a figure into the file that is asked for, if one is.
pub(crate) fn draw(path: Option<&Path>, figure: &Figure) -> Result<(), Error> {
    let Some(path) = path else { return Ok(()) };
    std::fs::write(path, figure.svg()).map_err(|err| Error::io("cannot write", path, &err))
}

/// Runs a parsed command line.
///
/// # Errors
/// What the command met; [`exit_code`] says with which code to leave.
pub fn run(cli: Cli) -> anyhow::Result<()> {
    match cli.command {
        Command::Train(args) => train::train(&args),
        Command::Resume(args) => resume::resume(&args),
        Command::LrFind(args) => lr_find::lr_find(&args),
        Command::Eval(args) => eval::eval(&args),
        Command::Predict(args) => predict::predict(&args),
        Command::Sample(args) => sample::sample(&args),
        Command::Compare(args) => compare::compare(&args),
        Command::Explain(args) => commands::explain(&args),
        Command::Adapters(args) => commands::adapters(&args),
        Command::Doctor(args) => doctor::doctor(&args),
        Command::Data(args) => data::data(&args),
        Command::Bench(args) => bench::bench(&args.what),
        Command::Optimizers(args) => {
            commands::optimizers(&args);
            Ok(())
        }
        Command::Completions { shell } => {
            commands::completions(shell);
            Ok(())
        }
    }
}

/// A run that was stopped by a signal, as shells count it for Ctrl-C.
const STOPPED: u8 = 130;

/// The run was stopped, and said so.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
pub(crate) struct Stopped;

/// True for the end of a run that was asked for: nothing is left to say.
pub fn is_said(err: &anyhow::Error) -> bool {
    err.is::<Stopped>()
}

/// 2 where the command line or the config is wrong, 3 where what was asserted does not hold, 130 for a run that was stopped,
/// else 1.
pub fn exit_code(err: &anyhow::Error) -> u8 {
    if err.is::<Stopped>() {
        return STOPPED;
    }
    match err.downcast_ref::<downhill::Error>() {
        Some(err) if err.is_usage() => 2,
        Some(Error::Assertion(_)) => 3,
        _ => 1,
    }
}
