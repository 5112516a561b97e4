//! Recording: one compute pass for many steps, few submits; and reading back without stalling.

use super::{Buffer, Dispatch, Gpu, Inner};
use crate::error::{Error, Result};

/// Records passes and copies, and submits them at once.
#[derive(Debug)]
pub struct Recorder<'g> {
    gpu: &'g Gpu,
    pub(super) encoder: wgpu::CommandEncoder,
}

/// A copy on its way to the host.
#[derive(Debug)]
pub struct Pending {
    buffer: Buffer,
    bytes: u64,
    after: wgpu::SubmissionIndex,
    receiver: futures_intrusive::channel::shared::OneshotReceiver<Result<(), wgpu::BufferAsyncError>>,
}

/// A point in the device's queue.
#[derive(Debug, Clone)]
pub struct Submission(wgpu::SubmissionIndex);

impl Gpu {
    /// A new, empty recorder.
    pub fn recorder(&self) -> Recorder<'_> {
        let encoder = self.inner.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
        Recorder { gpu: self, encoder }
    }

    /// Requests `bytes` of a readback buffer. They arrive once the submission `after` is done.
    pub fn map(&self, buffer: &Buffer, bytes: u64, after: Submission) -> Pending {
        let (sender, receiver) = futures_intrusive::channel::shared::oneshot_channel();
        buffer.raw.slice(..bytes).map_async(wgpu::MapMode::Read, move |result| {
            let _ = sender.send(result);
        });
        Pending { buffer: buffer.clone(), bytes, after: after.0, receiver }
    }

    /// Reads `bytes` of a storage buffer from `offset` on, after all work submitted before.
    pub async fn read(&self, buffer: &Buffer, offset: u64, bytes: u64) -> Result<Vec<u8>> {
        let target = self.readback("readback", bytes)?;
        let mut recorder = self.recorder();
        recorder.copy(buffer, offset, &target, 0, bytes);
        let after = recorder.submit()?;
        let pending = self.map(&target, bytes, after);
        self.finish(pending).await
    }

    /// [`Gpu::read`] through an existing readback buffer, in parts of at most its size.
    ///
    /// # Errors
    /// A lost device.
    pub async fn read_by(&self, way: &Buffer, buffer: &Buffer, offset: u64, bytes: u64) -> Result<Vec<u8>> {
        let mut all = Vec::with_capacity(bytes as usize);
        while (all.len() as u64) < bytes {
            let from = all.len() as u64;
            let part = (bytes - from).min(way.bytes());
            let mut recorder = self.recorder();
            recorder.copy(buffer, offset + from, way, 0, part);
            let after = recorder.submit()?;
            all.extend(self.finish(self.map(way, part, after)).await?);
        }
        Ok(all)
    }

    /// Waits for a mapped copy, takes its bytes and unmaps the buffer for its next use.
    pub async fn finish(&self, pending: Pending) -> Result<Vec<u8>> {
        self.wait_for(Some(pending.after))?;
        match pending.receiver.receive().await {
            Some(Ok(())) => {}
            Some(Err(err)) => {
                self.check()?;
                return Err(Error::Gpu(format!("reading back failed: {err}")));
            }
            None => {
                self.check()?;
                return Err(Error::DeviceLost("the device went away while it was read from".into()));
            }
        }
        let bytes = {
            let range = pending.buffer.raw.slice(..pending.bytes);
            let view =
                range.get_mapped_range().map_err(|err| Error::Gpu(format!("reading back failed: {err}")))?;
            view.to_vec()
        };
        pending.buffer.raw.unmap();
        Ok(bytes)
    }
}

impl Recorder<'_> {
    /// One compute pass with the dispatches in order, `times` over.
    pub fn pass(&mut self, dispatches: &[Dispatch], times: usize) {
        self.sequence(&vec![dispatches; times]);
    }

    /// One compute pass with the dispatches of each program in order.
    pub fn sequence(&mut self, programs: &[&[Dispatch]]) {
        let mut pass = self.encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
        for dispatch in programs.iter().copied().flatten() {
            pass.set_pipeline(&dispatch.pipeline.raw);
            pass.set_bind_group(0, &dispatch.bind_group, &[]);
            pass.dispatch_workgroups(dispatch.grid[0], dispatch.grid[1], dispatch.grid[2]);
        }
    }

    /// Copies `bytes` from one buffer to another.
    pub fn copy(&mut self, from: &Buffer, from_offset: u64, to: &Buffer, to_offset: u64, bytes: u64) {
        self.encoder.copy_buffer_to_buffer(&from.raw, from_offset, &to.raw, to_offset, bytes);
    }

    /// Submits everything recorded.
    pub fn submit(self) -> Result<Submission> {
        let Inner { queue, awake, .. } = &*self.gpu.inner;
        // Mesa's software adapter runs the work in this very call.
        let index = awake.during(|| queue.submit([self.encoder.finish()]));
        self.gpu.check().map(|()| Submission(index))
    }
}
