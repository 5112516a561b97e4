//! `--profile`: after a run, where the time of its steps goes.

use downhill::atomic_file::write_whole;
use downhill::report::{profile_json, profile_text};
use downhill::run::Session;

use super::say;

/// Steps that are timed.
const STEPS: usize = 10;

/// Profiles a trainer of the session's config, for one that was profiled is good for nothing else; the run's has gone, so
/// that both are not held at once.
pub(super) fn profile(session: Session, talks: bool) -> anyhow::Result<()> {
    let (config, gpu, data) = (session.config().clone(), session.gpu().clone(), session.data().clone());
    let folder = session.dir().path().to_owned();
    drop(session);
    let profile = config.trainer(&gpu, &data)?.profiled(STEPS)?;
    if talks {
        say(profile_text(&profile).trim_end());
    }
    let files = [("profile.json", profile_json(&profile)), ("trace.json", profile.trace.to_json())];
    for (name, json) in &files {
        write_whole(&folder.join(name), format!("{json}\n").as_bytes())?;
    }
    if talks {
        let path = folder.display();
        say(&format!(
            "trace    {path}/trace.json opens at https://ui.perfetto.dev; {path}/profile.json is the table"
        ));
    }
    Ok(())
}
