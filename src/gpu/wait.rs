//! Waits for the device. The device may be lost meanwhile, or never answer.

use crate::clock::Instant;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::faults::lost;
use super::submissions::Submission;
use super::{Gpu, Inner, ShaderKey};
use crate::error::{Error, Result};

thread_local! {
    /// True while this thread waits for a device, where a panic of the driver's library is caught.
    static WATCHED: Cell<bool> = const { Cell::new(false) };
}

/// True while this thread waits for a device. A panic then means the loss of the device; it is caught and becomes an
/// error, so a panic hook may keep silent about it.
pub fn watched() -> bool {
    WATCHED.get()
}

impl Inner {
    /// Ends an error scope: the error that it caught, as `fault` words it.
    pub(super) fn caught(
        &self,
        scope: wgpu::ErrorScopeGuard,
        fault: impl FnOnce(wgpu::Error) -> Error + 'static,
    ) -> Result<()> {
        pollster::block_on(scope.pop()).map_or(Ok(()), |err| Err(fault(err)))
    }
}

impl Gpu {
    /// Waits until everything submitted is done.
    ///
    /// # Errors
    /// [`Error::DeviceLost`], also where one submission takes longer than [`patience`](super::GpuOptions::patience).
    pub fn wait(&self) -> Result<()> {
        self.wait_for(None)
    }

    /// Waits until a submission is done, one after the other of those before it. Default: the last one.
    pub(super) fn wait_for(&self, submission: Option<&Submission>) -> Result<()> {
        while let Some(next) = self.inner.submissions.next_until(submission) {
            let begun = Instant::now();
            self.wait_for_one(Some(next.submission.point.clone()))?;
            self.inner.submissions.done(&next, begun.elapsed());
        }
        // Another thread may have begun to wait for it.
        self.wait_for_one(submission.map(|submission| submission.point.clone()))?;
        if let Some(kept) = &self.inner.kept {
            kept.keeper.look(self.pipeline_count());
        }
        Ok(())
    }

    /// [`Gpu::wait_for`] as the asynchronous code has it: the thread waits, and the future is ready.
    pub(super) async fn arrived(&self, submission: &Submission) -> Result<()> {
        self.wait_for(Some(submission))
    }

    /// Compiles what is not compiled yet of these.
    ///
    /// # Errors
    /// A kernel that does not compile.
    pub async fn make_pipelines(&self, keys: &[ShaderKey]) -> Result<()> {
        keys.iter().try_for_each(|key| self.pipeline(key).map(drop))
    }

    fn wait_for_one(&self, submission: Option<wgpu::SubmissionIndex>) -> Result<()> {
        let Inner { device, awake, patience, .. } = &*self.inner;
        let until = wgpu::PollType::Wait { submission_index: submission, timeout: Some(*patience) };
        // wgpu panics where the device is lost during a wait.
        WATCHED.set(true);
        let waited = catch_unwind(AssertUnwindSafe(|| awake.during(|| device.poll(until))));
        WATCHED.set(false);
        match waited {
            Ok(Ok(_)) => {}
            Ok(Err(wgpu::PollError::Timeout)) => {
                self.inner.faults.keep(Error::DeviceLost(format!(
                    "the device has not answered for {}, while it had a few kernels to run: one hangs, or takes too long. \
                     --device-timeout SECONDS, or train.device_timeout, waits longer; a smaller batch makes shorter \
                     kernels; downhill doctor tests them one by one",
                    crate::units::seconds(patience.as_secs_f64())
                )));
            }
            // A lost device takes no submission, and reports it only now.
            Ok(Err(err)) => self.inner.faults.keep(lost(&format!("waiting for it failed: {err}"))),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().map(String::as_str);
                let text = text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("no reason is given");
                self.inner.faults.keep(lost(text.lines().last().unwrap_or(text).trim()));
            }
        }
        self.check()
    }
}
