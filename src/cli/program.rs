//! The program: its arguments in, its exit code out.

use std::ffi::OsString;
use std::sync::OnceLock;

use clap::Parser;

use super::Cli;
use super::exit::{already_reported, exit_code};
use super::output::{eprintln, finish, print_usage};

/// What the program was called as.
static NAME: OnceLock<String> = OnceLock::new();

/// The program as a person calls it, for commands that are named.
pub(super) fn name() -> &'static str {
    NAME.get().map_or("downhill", String::as_str)
}

/// Runs the program with these arguments, the first its own name, and gives back its exit code. A process runs it once, before
/// it has other threads.
pub fn run(args: Vec<OsString>) -> u8 {
    if let Some(name) = args.first() {
        NAME.get_or_init(|| name.to_string_lossy().into_owned());
    }
    quiet_the_loader();
    quiet_lost_devices();
    report_full_files();
    let code = match Cli::try_parse_from(args) {
        Ok(cli) => cli.command.run().map_or_else(|err| report(&err), |()| 0),
        Err(err) => {
            print_usage(&err);
            err.exit_code() as u8
        }
    };
    // Output that is lost is an error too; an earlier one decides the exit code.
    let lost = finish().map_or_else(|err| report(&err.into()), |()| 0);
    if code == 0 { lost } else { code }
}

/// Prints an error and returns its exit code.
fn report(err: &anyhow::Error) -> u8 {
    if !already_reported(err) {
        eprintln(&format!("error: {err:#}"));
    }
    exit_code(err)
}

/// Makes a file beyond the limit of its size (`ulimit -f`) an error of the write, in place of a signal that ends the
/// process.
fn report_full_files() {
    #[cfg(unix)]
    {
        use nix::sys::signal::{SigHandler, Signal, signal};
        // SAFETY: to ignore a signal runs no code.
        let _ = unsafe { signal(Signal::SIGXFSZ, SigHandler::SigIgn) };
    }
}

/// Keeps Mesa's Vulkan drivers from printing a harmless error about a variable that only a desktop sets.
fn quiet_the_loader() {
    if cfg!(target_os = "linux") && std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // SAFETY: no other thread runs yet.
        unsafe { std::env::set_var("XDG_RUNTIME_DIR", std::env::temp_dir()) };
    }
}

/// Silences the panic of a library that loses its device while it waits. `downhill` catches it and returns an error.
fn quiet_lost_devices() {
    let default_hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !downhill::gpu::watched() {
            default_hook(info);
        }
    }));
}
