//! The threads of Mesa's software adapter.
//!
//! The adapter wakes its threads for each dispatch and waits for them, 20 us where two processors share the work. A small
//! kernel is done sooner in the thread that submits it, which `LP_NUM_THREADS=0` asks for. Mesa reads the variable when
//! the first Vulkan instance is made, and it holds for the whole process: so only a program that trains one net may
//! choose.

use std::sync::OnceLock;

/// The variable that Mesa reads.
const VARIABLE: &str = "LP_NUM_THREADS";

static CHOSEN: OnceLock<bool> = OnceLock::new();

/// Lets Mesa's software adapter run kernels in the thread that submits them. Does nothing where the variable is set already,
/// or where the first adapter has been looked for.
///
/// # Safety
/// No other thread may read or write environment variables meanwhile.
pub unsafe fn without_threads() {
    if super::adapter::is_instance_made() || std::env::var_os(VARIABLE).is_some() {
        return;
    }
    // SAFETY: the caller's promise.
    unsafe { std::env::set_var(VARIABLE, "0") };
    let _ = CHOSEN.set(true);
}

/// The threads of Mesa's software adapter where the environment says how many.
pub(super) fn given() -> Option<usize> {
    std::env::var(VARIABLE).ok()?.trim().parse().ok()
}

/// True where [`without_threads`] made the choice.
pub fn were_left_out() -> bool {
    CHOSEN.get().copied().unwrap_or(false)
}
