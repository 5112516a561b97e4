//! `downhill resume`

use downhill::session::Session;
use downhill::train::RunDir;

use super::args::ResumeArgs;
use super::say;
use super::train::{gpu_options, run};

pub(super) fn resume(args: &ResumeArgs) -> anyhow::Result<()> {
    if RunDir::is_finished(&args.run) && args.settings.is_empty() {
        say(&format!("done     {} has its weights; there is nothing to go on with", args.run.display()));
        return Ok(());
    }
    let session = Session::resume(&args.run, &gpu_options(&args.how), &args.settings)?;
    run(session, &args.how, None)
}
