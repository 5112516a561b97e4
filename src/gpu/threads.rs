//! The threads of Mesa's software adapter.
//!
//! The adapter wakes its threads for each dispatch and waits for them, 20 us where two processors share the work. A small
//! kernel is done sooner in the thread that submits it, which `LP_NUM_THREADS=0` asks for. Mesa reads the variable when
//! the first Vulkan instance is made, and it holds for the whole process: so only a program that trains one net may
//! choose.

/// The variable that Mesa reads.
const VARIABLE: &str = "LP_NUM_THREADS";

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
}

/// The threads of Mesa's software adapter where the environment says how many.
pub fn given() -> Option<usize> {
    std::env::var(VARIABLE).ok()?.trim().parse().ok()
}

/// The promise that a program trains one net, which [`GpuOptions::threads_by_work`](super::GpuOptions) asks for.
#[derive(Debug, Clone, Copy)]
pub struct OneNet(());

impl OneNet {
    /// Makes the promise.
    ///
    /// # Safety
    /// While a run's session starts, no other thread of the program reads or writes environment variables.
    pub unsafe fn promise() -> OneNet {
        OneNet(())
    }
}
