//! The program `downhill`.

mod cli;

use std::process::ExitCode;

use clap::Parser;

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
    match cli.command.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            if !cli::already_reported(&err) {
                eprintln!("error: {err:#}");
            }
            ExitCode::from(cli::exit_code(&err))
        }
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
