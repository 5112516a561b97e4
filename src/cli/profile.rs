//! `--profile`: times the kernels of a step after a run.

use downhill::atomic_file::write_whole;
use downhill::report::{profile_json, profile_text};
use downhill::run::Session;

use super::output::println;

/// Number of timed steps.
const STEPS: usize = 10;

/// Profiles a new trainer of the session's config, since profiling uses a trainer up. The session is dropped first, so
/// the device does not hold both.
pub(super) fn profile(session: Session, is_verbose: bool) -> anyhow::Result<()> {
    let (config, gpu, data) = (session.config().clone(), session.gpu().clone(), session.data().clone());
    let folder = session.dir().path().to_owned();
    drop(session);
    let profile = config.trainer(&gpu, &data)?.profiled(STEPS)?;
    if is_verbose {
        println(profile_text(&profile).trim_end());
    }
    let files = [("profile.json", profile_json(&profile)), ("trace.json", profile.trace.to_json())];
    for (name, json) in &files {
        write_whole(&folder.join(name), format!("{json}\n").as_bytes())?;
    }
    if is_verbose {
        let path = folder.display();
        println(&format!(
            "trace    {path}/trace.json opens at https://ui.perfetto.dev; {path}/profile.json is the table"
        ));
    }
    Ok(())
}
