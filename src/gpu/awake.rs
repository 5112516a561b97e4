//! A companion that keeps the processor awake while a software adapter works.
//!
//! A software adapter's kernels run on this machine's threads, which the driver wakes and awaits for each dispatch. On
//! a virtual machine a processor that has gone idle takes about 70 µs to wake, longer than a small kernel runs. A
//! thread that does nothing but give its turn away keeps one from idling, and takes next to nothing from threads that
//! have work: it halves the step of a small net and leaves a large one's alone (`benches/RESULTS.md`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, Thread};

#[derive(Debug, Default)]
struct Shared {
    working: AtomicUsize,
    closed: AtomicBool,
}

/// The companion. It has no thread where that would not help.
#[derive(Debug)]
pub(super) struct Awake {
    shared: Arc<Shared>,
    companion: Option<Thread>,
}

impl Awake {
    /// A companion that has a thread only for a software adapter on several processors.
    pub(super) fn new(software: bool) -> Self {
        let shared = Arc::<Shared>::default();
        let several = thread::available_parallelism().is_ok_and(|n| n.get() > 1);
        let its = Arc::clone(&shared);
        let run = move || {
            while !its.closed.load(Ordering::Acquire) {
                if its.working.load(Ordering::Acquire) > 0 {
                    thread::yield_now();
                } else {
                    thread::park();
                }
            }
        };
        let spawn = || thread::Builder::new().name("downhill-awake".into()).spawn(run).ok();
        let companion = (software && several).then(spawn).flatten().map(|handle| handle.thread().clone());
        Awake { shared, companion }
    }

    /// Runs `work` with the processor kept awake.
    pub(super) fn during<T>(&self, work: impl FnOnce() -> T) -> T {
        let Some(companion) = &self.companion else { return work() };
        self.shared.working.fetch_add(1, Ordering::AcqRel);
        companion.unpark();
        let out = work();
        self.shared.working.fetch_sub(1, Ordering::AcqRel);
        out
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::Release);
        if let Some(companion) = &self.companion {
            companion.unpark();
        }
    }
}
