//! The process of the program: what it is called, what it keeps quiet, and how an error ends it.

use std::ffi::OsStr;
use std::sync::OnceLock;

use super::exit::{already_reported, exit_code};
use super::output::eprintln;

/// The name that the program was called by.
static NAME: OnceLock<String> = OnceLock::new();

/// The program as a person calls it, for commands that are named.
pub(super) fn name() -> &'static str {
    NAME.get().map_or("downhill", String::as_str)
}

/// Prepares the process, which was called by this name.
pub(super) fn prepare(name: Option<&OsStr>) {
    if let Some(name) = name {
        NAME.get_or_init(|| name.to_string_lossy().into_owned());
    }
    quiet_the_loader();
    quiet_lost_devices();
    report_full_files();
}

/// Prints an error and returns its exit code.
pub(super) fn report(err: &anyhow::Error) -> u8 {
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
        // SAFETY: in the program no other thread runs yet; in a process of Python, the package has set the variable before.
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
