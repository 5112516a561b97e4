//! `downhill resume`

use downhill::session::{Outcome, Session};
use downhill::train::{RunDir, RunEnd};

use super::args::ResumeArgs;
use super::say;
use super::train::{assert, gpu_options, run};
use super::view::Json;

pub(super) fn resume(args: &ResumeArgs) -> anyhow::Result<()> {
    if RunDir::is_finished(&args.run) && args.settings.is_empty() {
        let last = RunDir::last_epoch(&args.run)?;
        if args.how.json {
            let step = last.as_ref().map_or(0, |last| last.step);
            Json::of(&args.run).end(&Outcome { end: RunEnd::Finished, step, last: None })?;
        } else if args.how.talks() {
            say(&format!("done     {} has its weights; there is nothing to go on with", args.run.display()));
        }
        return Ok(assert(&args.how, last.as_ref())?);
    }
    let session = Session::resume(&args.run, &gpu_options(&args.how), &args.settings)?;
    let blueprint = session.trainer().blueprint();
    args.how.assertions.iter().try_for_each(|assertion| assertion.check_plan(blueprint))?;
    run(session, &args.how, None)
}
