//! `downhill resume`

use std::path::PathBuf;

use clap::Args;

use super::ranks::ranks;
use super::run::{resume, work};
use super::run_args::RunArgs;

/// Resume a run that was stopped, as if it had never stopped
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill resume runs/digits-1
  downhill resume runs/digits-1 --set checkpoint.every_steps=100
  downhill resume runs/digits-1 --set train.epochs=60
  downhill resume runs/garden-1 --data-root /mnt/sets

Resumes from the newest checkpoint that is whole, or from the beginning where there is none. The result has the bits of
a run that never stopped. A changed config or changed data are refused; checkpoint, watch, data.workers,
train.device_timeout, and more epochs or steps may change. Tiles of products ([tune]) are those of the run's config.toml,
whatever --set names. Data that were moved with the run are found; others are
named by their folder (--data-root), and taken if their fingerprint is that of the run.
Exit code: 0; 1 the run failed or cannot resume; 2 the command line is wrong; 130 it was stopped by Ctrl-C or SIGTERM.")]
pub struct ResumeArgs {
    /// The run directory
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Change a setting of the run, as checkpoint.every_minutes=1 (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// How to run and report
    #[command(flatten)]
    how: RunArgs,
}

impl ResumeArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        if !ranks().is_first() {
            return work(&self.how);
        }
        resume(&self.run, &self.settings, None, &self.how)
    }
}
