//! `downhill resume`

use downhill::session::Session;
use downhill::train::RunDir;

use super::args::ResumeArgs;
use super::say;
use super::train::{assert, gpu_options, run};

pub(super) fn resume(args: &ResumeArgs) -> anyhow::Result<()> {
    if RunDir::is_finished(&args.run) && args.settings.is_empty() {
        say(&format!("done     {} has its weights; there is nothing to go on with", args.run.display()));
        return Ok(assert(&args.how.assertions, RunDir::last_epoch(&args.run)?.as_ref())?);
    }
    let session = Session::resume(&args.run, &gpu_options(&args.how), &args.settings)?;
    let blueprint = session.trainer().blueprint();
    args.how.assertions.iter().try_for_each(|assertion| assertion.check_plan(blueprint))?;
    run(session, &args.how, None)
}
