//! Exit codes.

use downhill::Error;

/// Exit code of a run that Ctrl-C stopped, as shells count it.
pub(super) const STOPPED: u8 = 130;

/// The run was stopped and has reported it.
#[derive(Debug, thiserror::Error)]
#[error("stopped")]
pub(super) struct Stopped;

/// True where the command has printed everything about its end itself.
pub fn already_reported(err: &anyhow::Error) -> bool {
    err.is::<Stopped>()
}

/// The exit code of an error: 2 for a wrong command line or config, 3 for an assertion that does not hold, 130 for a run
/// that was stopped, else 1.
pub fn exit_code(err: &anyhow::Error) -> u8 {
    if err.is::<Stopped>() {
        return STOPPED;
    }
    match err.downcast_ref::<Error>() {
        Some(err) if err.is_usage() => 2,
        Some(Error::Assertion(_)) => 3,
        _ => 1,
    }
}
