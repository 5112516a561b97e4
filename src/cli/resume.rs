//! `downhill resume`

use std::path::Path;

use downhill::config::Config;
use downhill::run::RunDir;
use downhill::run::{Outcome, Session};
use downhill::train::RunEnd;

use super::args::{ResumeArgs, RunArgs};
use super::say;
use super::train::{assert, check, gpu_options, run};
use super::view::Json;

pub(super) fn resume(args: &ResumeArgs) -> anyhow::Result<()> {
    go_on(&args.run, &args.settings, None, &args.how)
}

/// Goes on with the run at `path`, with settings, or with a whole config in place of its own.
pub(super) fn go_on(
    path: &Path,
    settings: &[String],
    config: Option<Config>,
    how: &RunArgs,
) -> anyhow::Result<()> {
    let stored = path.join("config.toml");
    let is_new = match &config {
        Some(config) => *config != Config::load(&stored, &[])?,
        None => !settings.is_empty(),
    };
    if RunDir::is_finished(path) && !is_new {
        let last = RunDir::last_epoch(path)?;
        if how.json {
            let step = last.as_ref().map_or(0, |last| last.step);
            Json::of(path).end(&Outcome { end: RunEnd::Finished, step, last: None })?;
        } else if how.talks() {
            say(&format!("done     {} has its weights; there is nothing to go on with", path.display()));
        }
        return Ok(assert(how, last.as_ref())?);
    }
    let (options, check) = (gpu_options(how), check(how));
    let session = match config {
        Some(config) => Session::resume_as(path, &options, config, &check)?,
        None => Session::resume(path, &options, settings, &check)?,
    };
    run(session, how, None)
}
