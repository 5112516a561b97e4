//! The number of steps in a submission, from the time that the last one took.

use crate::clock::Instant;
use std::time::Duration;

/// The target duration of a submission: short enough to show progress and not to trigger a driver's watchdog.
const SUBMISSION: Duration = Duration::from_millis(100);

/// Chooses the number of steps in the next window.
#[derive(Debug)]
pub(super) struct WindowPacing {
    steps: usize,
    /// The most steps that a submission can hold.
    most: usize,
    last: Instant,
}

impl WindowPacing {
    /// Begins with one step.
    pub fn new(most: usize) -> Self {
        WindowPacing { steps: 1, most, last: Instant::now() }
    }

    /// The number of steps of the next window.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Measures from now on: the device was idle.
    pub fn restart(&mut self) {
        self.last = Instant::now();
    }

    /// Learns from a window of `steps` steps that was received now. The next window is at most twice as long as the last.
    pub fn received(&mut self, steps: usize) {
        let each = self.last.elapsed().as_secs_f64() / steps as f64;
        self.last = Instant::now();
        let fitting = (SUBMISSION.as_secs_f64() / each.max(1e-9)) as usize;
        self.steps = fitting.clamp(1, 2 * self.steps).min(self.most);
    }
}
