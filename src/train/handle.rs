//! The handle of a run: reports how far the run is, and stops it, from any thread.

use super::records::{EpochRecord, RunStart, StepRecord};
use crate::error::{Error, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// The progress of a run, as other threads see it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RunProgress {
    /// Steps done and read back.
    pub step: u64,
    /// Steps of the whole run; 0 before it begins.
    pub total_steps: u64,
    /// The epoch of the last step, counted from 1; 0 before it.
    pub epoch: u64,
    /// The last step's loss.
    pub loss: Option<f32>,
    /// The last evaluation's loss.
    pub eval_loss: Option<f64>,
    /// The last evaluation's accuracy.
    pub eval_accuracy: Option<f64>,
    /// Time spent in steps since the run began in this process, or since its device was opened again; evaluation is not
    /// counted.
    pub training: Duration,
    /// The part of `training` in which the host waited for the device: nearly all of it where a GPU limits the run. A
    /// software adapter may work while it receives a submission, which is not counted as waiting.
    pub device_wait: Duration,
    /// The part of `training` in which the device waited for samples, where they are streamed.
    pub data_wait: Option<Duration>,
}

/// Reports how far a run is, and stops it. Clones are of the same run, and go to any thread.
///
/// ```no_run
/// # fn run(mut trainer: downhill::train::Trainer) -> Result<(), downhill::Error> {
/// let handle = trainer.handle();
/// std::thread::spawn(move || {
///     std::thread::sleep(std::time::Duration::from_secs(60));
///     println!("{} of {} steps", handle.progress().step, handle.progress().total_steps);
///     handle.stop();
/// });
/// let outcome = trainer.run(&mut ())?; // `RunEnd::Stopped` after a minute
/// # Ok::<(), downhill::Error>(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct RunHandle(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    stopped: AtomicBool,
    progress: Mutex<RunProgress>,
}

impl RunHandle {
    /// Stops the run after the steps in flight, within a tenth of a second where steps are short. Where checkpoints are
    /// kept, one is saved. The run ends well, as [`RunEnd::Stopped`](super::RunEnd::Stopped), and can be run again from there.
    pub fn stop(&self) {
        self.0.stopped.store(true, Ordering::Release);
    }

    /// True from [`RunHandle::stop`] until the run has ended.
    pub fn is_stopped(&self) -> bool {
        self.0.stopped.load(Ordering::Acquire)
    }

    /// [`Error::Cancelled`] where the run is stopped, or `answer`, an observer's, is that.
    pub(super) fn goes_on(&self, answer: Result<()>) -> Result<()> {
        answer?;
        if self.is_stopped() { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Clears the stop: the run has ended by it.
    pub(super) fn clear(&self) {
        self.0.stopped.store(false, Ordering::Release);
    }

    /// The progress of the run.
    pub fn progress(&self) -> RunProgress {
        *self.0.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut RunProgress)) {
        change(&mut self.0.progress.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn start(&self, run: &RunStart) {
        self.change(|now| {
            (now.step, now.total_steps) = (run.step, run.total_steps);
            (now.training, now.device_wait, now.data_wait) = (Duration::ZERO, Duration::ZERO, None);
        });
    }

    /// Records steps that were received, after this time of training.
    pub(super) fn steps(&self, steps: &[StepRecord], training: Duration) {
        let Some(last) = steps.last() else { return };
        self.change(|now| {
            (now.step, now.epoch, now.loss) = (last.step, last.epoch, Some(last.loss));
            now.training = training;
        });
    }

    /// Records the time waited so far.
    pub(super) fn waited(&self, device: Duration, data: Option<Duration>) {
        self.change(|now| (now.device_wait, now.data_wait) = (device, data));
    }

    pub(super) fn epoch(&self, epoch: &EpochRecord) {
        self.change(|now| {
            now.eval_loss = epoch.eval_loss.or(now.eval_loss);
            now.eval_accuracy = epoch.eval_accuracy.or(now.eval_accuracy);
        });
    }
}
