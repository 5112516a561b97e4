//! The command line: one file a command. Exit code 0; 1 the run failed; 2 the command line or config is wrong.

mod args;
mod bench;
mod commands;
mod convert;
mod data;
mod data_args;
mod doctor;
mod inspect;
mod lr_find;
mod progress;
mod sample;
mod train;

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
        Command::LrFind(args) => lr_find::lr_find(&args),
        Command::Sample(args) => sample::sample(&args),
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

/// 2 where the command line or the config is wrong, else 1.
pub fn exit_code(err: &anyhow::Error) -> u8 {
    match err.downcast_ref::<downhill::Error>() {
        Some(err) if err.is_usage() => 2,
        _ => 1,
    }
}
