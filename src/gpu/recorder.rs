//! Recording: one compute pass for many steps, few submits; and reading back without stalling.

use crate::clock::Instant;

use super::point::hand_over;
use super::submissions::Submission;
use super::{Buffer, Dispatch, Gpu, Inner};
use crate::error::{Error, Result};

/// Records passes and copies, and submits them: at the end, and between kernels before, where their work is more than one
/// submission may hold.
#[derive(Debug)]
pub struct Recorder<'g> {
    gpu: &'g Gpu,
    pub(super) encoder: wgpu::CommandEncoder,
    /// Work and kernels recorded since the last submission, and the most work of one.
    work: u64,
    kernels: u64,
    most: u64,
    /// Replicas that run; all where it is `None`.
    only: Option<u32>,
}

/// A copy on its way to the host.
#[derive(Debug)]
pub struct Pending {
    buffer: Buffer,
    bytes: u64,
    after: Submission,
    receiver: futures_intrusive::channel::shared::OneshotReceiver<Result<(), wgpu::BufferAsyncError>>,
}

impl Gpu {
    /// A new, empty recorder.
    pub fn recorder(&self) -> Recorder<'_> {
        let most = self.inner.submissions.limit();
        Recorder { gpu: self, encoder: self.encoder(), work: 0, kernels: 0, most, only: None }
    }

    fn encoder(&self) -> wgpu::CommandEncoder {
        self.inner.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
    }

    /// Requests `bytes` of a readback buffer. They arrive once the submission `after` is done.
    pub fn map(&self, buffer: &Buffer, bytes: u64, after: Submission) -> Pending {
        let (sender, receiver) = futures_intrusive::channel::shared::oneshot_channel();
        buffer.raw.slice(..bytes).map_async(wgpu::MapMode::Read, move |result| {
            let _ = sender.send(result);
        });
        Pending { buffer: buffer.clone(), bytes, after, receiver }
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
        self.arrived(&pending.after).await?;
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
    /// Runs the first `replicas` alone, in every dispatch from here on that each replica has a part of.
    pub fn only(&mut self, replicas: usize) {
        self.only = u32::try_from(replicas).ok();
    }

    /// The dispatches in order, `times` over.
    pub fn pass(&mut self, dispatches: &[Dispatch], times: usize) {
        self.sequence(&vec![dispatches; times]);
    }

    /// The dispatches of each program in order: one compute pass, another one after each copy into an image, and several
    /// submissions where they are much work.
    pub fn sequence(&mut self, programs: &[&[Dispatch]]) {
        let mut dispatches = programs.iter().copied().flatten().peekable();
        while let Some(first) = dispatches.peek() {
            if self.kernels > 0 && self.work + first.work > self.most {
                self.cut();
            }
            let (mut work, mut kernels) = (self.work, self.kernels);
            first.copies.iter().for_each(|copy| copy.record(&mut self.encoder));
            let mut pass = self.encoder.begin_compute_pass(&wgpu::ComputePassDescriptor::default());
            let mut is_first = true;
            while let Some(dispatch) = dispatches.next_if(|next| {
                (kernels == 0 || work + next.work <= self.most) && (is_first || next.copies.is_empty())
            }) {
                is_first = false;
                pass.set_pipeline(&dispatch.pipeline.raw);
                pass.set_bind_group(0, &dispatch.bind_group, &[]);
                let [x, y, z] = dispatch.grid_of(self.only);
                pass.dispatch_workgroups(x, y, z);
                (work, kernels) = (work + dispatch.work, kernels + 1);
            }
            drop(pass);
            (self.work, self.kernels) = (work, kernels);
        }
    }

    /// Submits what is recorded so far. A fault is reported at the end.
    fn cut(&mut self) -> Submission {
        let Inner { queue, awake, submissions, .. } = &*self.gpu.inner;
        let encoder = std::mem::replace(&mut self.encoder, self.gpu.encoder());
        let begun = Instant::now();
        // Mesa's software adapter runs the work in this very call.
        let point = awake.during(|| hand_over(queue, encoder));
        let submission = submissions.enter(point, self.work, self.kernels, begun);
        (self.work, self.kernels) = (0, 0);
        submission
    }

    /// Copies `bytes` from one buffer to another.
    pub fn copy(&mut self, from: &Buffer, from_offset: u64, to: &Buffer, to_offset: u64, bytes: u64) {
        self.encoder.copy_buffer_to_buffer(&from.raw, from_offset, &to.raw, to_offset, bytes);
    }

    /// Submits everything recorded.
    pub fn submit(mut self) -> Result<Submission> {
        let submission = self.cut();
        self.gpu.check().map(|()| submission)
    }
}
