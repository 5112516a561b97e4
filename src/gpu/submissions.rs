//! The submissions of a device: each is bounded, by the work that a learnt pace says the device does in a quarter of a
//! second, and each is waited for by itself. So a driver's watchdog, which ends a submission after two seconds on some
//! systems, does not end long steps, and a slow device that still makes progress is not taken for a lost one.
//!
//! A submission ends between two kernels. Kernels and their order are the same whatever the bound is, and so are the
//! bits. A kernel that is longer than the bound has a submission to itself.

use super::point::Point;
use crate::clock::Instant;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The time that a submission may take. Its pace is learnt such that it usually takes half of it at most.
const BOUND: Duration = Duration::from_millis(250);
/// Work of a submission before anything is measured: a slow processor does it in about half a second.
const FIRST_LIMIT: u64 = 500_000_000;
/// The least that a slow device is given at once.
const LEAST_LIMIT: u64 = 1 << 20;
/// A wait that is no shorter than this is one for the device.
const AWAITED: Duration = Duration::from_micros(100);
/// Submissions that are remembered. Waiting for one waits for all before it.
const REMEMBERED: usize = 256;

/// A point in the device's queue.
#[derive(Debug, Clone)]
pub struct Submission {
    pub(super) point: Point,
    number: u64,
}

/// The submissions of a device so far. Work counts floating-point operations and bytes written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SubmissionCounts {
    /// Submissions with kernels.
    pub submissions: u64,
    /// Kernels in them.
    pub kernels: u64,
    /// The most work of a submission that has several kernels.
    pub most_work: u64,
}

/// A submission that was not waited for.
#[derive(Debug, Clone)]
pub(super) struct Outstanding {
    pub submission: Submission,
    work: u64,
    submitted: Instant,
    /// The time that submitting it took. Mesa's software adapter does the work in it.
    submitting: Duration,
}

#[derive(Debug)]
struct State {
    outstanding: VecDeque<Outstanding>,
    next: u64,
    limit: u64,
    /// The last time a submission was seen to be done, and whether the host saw it at once, for it was waiting.
    last_done: Instant,
    was_awaited: bool,
    counts: SubmissionCounts,
}

/// The submissions of a device, and the work that one may hold.
#[derive(Debug)]
pub(super) struct Submissions {
    state: Mutex<State>,
    is_fixed: bool,
}

impl Submissions {
    /// With a limit that is learnt, or a fixed one.
    pub fn new(limit: Option<u64>) -> Self {
        let state = State {
            outstanding: VecDeque::new(),
            next: 0,
            limit: limit.unwrap_or(FIRST_LIMIT),
            last_done: Instant::now(),
            was_awaited: false,
            counts: SubmissionCounts::default(),
        };
        Submissions { state: Mutex::new(state), is_fixed: limit.is_some() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The most work of a submission.
    pub fn limit(&self) -> u64 {
        self.state().limit
    }

    pub fn counts(&self) -> SubmissionCounts {
        self.state().counts
    }

    /// Enters a submission that was begun at `submitted`.
    pub fn enter(&self, point: Point, work: u64, kernels: u64, submitted: Instant) -> Submission {
        let mut state = self.state();
        let submission = Submission { point, number: state.next };
        state.next += 1;
        let counts = &mut state.counts;
        counts.submissions += u64::from(kernels > 0);
        counts.kernels += kernels;
        if kernels > 1 {
            counts.most_work = counts.most_work.max(work);
        }
        let (submission_of, submitting) = (submission.clone(), submitted.elapsed());
        state.outstanding.push_back(Outstanding { submission: submission_of, work, submitted, submitting });
        if state.outstanding.len() > REMEMBERED {
            state.outstanding.pop_front();
        }
        submission
    }

    /// The oldest submission that was not waited for, if it is not behind `until`.
    pub fn next_until(&self, until: Option<&Submission>) -> Option<Outstanding> {
        let mut state = self.state();
        let next = state.outstanding.front()?.submission.number;
        if until.is_some_and(|until| next > until.number) {
            return None;
        }
        state.outstanding.pop_front()
    }

    /// Learns from a submission that was done now, after a wait of `waited`.
    pub fn done(&self, of: &Outstanding, waited: Duration) {
        let mut state = self.state();
        // The device began with it when it was submitted, or when the one before was done.
        let began = if of.submitted > state.last_done {
            Some(of.submitted)
        } else {
            Some(state.last_done).filter(|_| state.was_awaited)
        };
        let since = began.map(|began| began.elapsed());
        (state.last_done, state.was_awaited) = (Instant::now(), waited > AWAITED);
        if !self.is_fixed && of.work > 0 {
            state.limit = next_limit(state.limit, of.work, of.submitting + waited, since);
        }
    }
}

/// The next limit, after `work` that took at least `least` and at most `most`, if that is known. It halves, or more,
/// where the work took too long for sure, and doubles where it took a quarter of the bound for sure.
fn next_limit(limit: u64, work: u64, least: Duration, most: Option<Duration>) -> u64 {
    if least > BOUND {
        let fitting = work as f64 * (BOUND.as_secs_f64() / 2.0) / least.as_secs_f64();
        return limit.min((fitting as u64).max(LEAST_LIMIT));
    }
    if most.is_some_and(|most| most < BOUND / 4) && work > limit / 2 {
        limit.saturating_mul(2)
    } else {
        limit
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_follows_the_pace() {
        let seconds = Duration::from_secs_f64;
        // A device of 1e10 a second: the limit grows while that takes less than a quarter of the bound.
        let mut limit = FIRST_LIMIT;
        for _ in 0..50 {
            let took = seconds(limit as f64 / 1e10);
            limit = next_limit(limit, limit, took, Some(took));
            assert!(limit as f64 / 1e10 < BOUND.as_secs_f64(), "{limit}");
        }
        assert!(limit > FIRST_LIMIT, "{limit}");
        // It becomes 100 times slower: after one submission the next is within the bound.
        let took = seconds(limit as f64 / 1e8);
        limit = next_limit(limit, limit, took, Some(took));
        assert!(limit as f64 / 1e8 <= BOUND.as_secs_f64(), "{limit}");
        // A host that came late knows nothing, and little work says nothing.
        for most in [None, Some(seconds(5.0))] {
            assert_eq!(next_limit(limit, limit, seconds(0.0), most), limit);
        }
        assert_eq!(next_limit(limit, limit / 4, seconds(0.0), Some(seconds(0.001))), limit);
        assert_eq!(next_limit(LEAST_LIMIT, 1, seconds(9.0), Some(seconds(9.0))), LEAST_LIMIT);
    }
}
