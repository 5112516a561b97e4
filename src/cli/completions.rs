//! `downhill completions`

use clap::{Args, Command};
use clap_complete::Shell;

use super::output::println;

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  downhill completions bash > ~/.local/share/bash-completion/completions/downhill"
)]
pub struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

impl CompletionsArgs {
    pub fn run(&self, mut program: Command) -> anyhow::Result<()> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut program, "downhill", &mut script);
        println(String::from_utf8_lossy(&script).trim_end());
        Ok(())
    }
}
