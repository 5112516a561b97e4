//! The command line of `downhill`.

use std::process::ExitCode;

use clap::Parser;

mod cli;

fn main() -> ExitCode {
    quiet_the_loader();
    quiet_lost_devices();
    let cli = match cli::Cli::try_parse() {
        Ok(cli) => cli,
        Err(err) => {
            let _ = err.print();
            return ExitCode::from(err.exit_code() as u8);
        }
    };
    match cli::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            if !cli::is_said(&err) {
                eprintln!("error: {err:#}");
            }
            ExitCode::from(cli::exit_code(&err))
        }
    }
}

/// Mesa's Vulkan drivers print an error about a variable that only a desktop sets, which is of no consequence.
fn quiet_the_loader() {
    if cfg!(target_os = "linux") && std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // SAFETY: no other thread runs yet.
        unsafe { std::env::set_var("XDG_RUNTIME_DIR", std::env::temp_dir()) };
    }
}

/// A device that is lost while it is waited for makes the driver's library panic, which is caught and becomes an error with
/// words of its own.
fn quiet_lost_devices() {
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !downhill::gpu::watched() {
            usual(info);
        }
    }));
}
