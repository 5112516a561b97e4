//! Time by the device's clock: timestamps before and after a pass.

use super::{Buffer, Dispatch, Gpu, Pending, Recorder};
use crate::error::{Error, Result};

/// The most laps of a stopwatch: each takes two of the 4,096 queries of a set.
pub const MOST_LAPS: usize = 2048;

/// Two timestamps a lap. A lap is one pass.
#[derive(Debug)]
pub struct Stopwatch {
    set: wgpu::QuerySet,
    resolved: Buffer,
    readback: Buffer,
    laps: usize,
    /// Seconds a tick.
    period: f64,
}

impl Gpu {
    /// A stopwatch for this number of laps; `None` where the adapter has no timestamps.
    ///
    /// # Errors
    /// More than 2,048 laps; past the ledger's budget.
    pub fn stopwatch(&self, laps: usize) -> Result<Option<Stopwatch>> {
        let period = f64::from(self.inner.queue.get_timestamp_period()) * 1e-9;
        if !self.inner.device.features().contains(wgpu::Features::TIMESTAMP_QUERY) || period <= 0.0 {
            return Ok(None);
        }
        if laps > MOST_LAPS {
            return Err(Error::Gpu(format!(
                "{laps} laps were asked of a stopwatch, and a set of timestamps holds {MOST_LAPS}; use several"
            )));
        }
        let set = self.inner.device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("stopwatch"),
            ty: wgpu::QueryType::Timestamp,
            count: 2 * laps as u32,
        });
        let bytes = 16 * laps as u64;
        let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
        let resolved = self.create("timestamps", bytes, usage, false)?;
        let readback = self.readback("timestamps readback", bytes)?;
        Ok(Some(Stopwatch { set, resolved, readback, laps, period }))
    }

    /// Submits the recorded work, waits, and returns the seconds of each lap.
    ///
    /// # Errors
    /// A lost device.
    pub fn stop(&self, recorder: Recorder<'_>, watch: &Stopwatch) -> Result<Vec<f64>> {
        let pending = self.submit_timed(recorder, watch)?;
        Ok(self.laps(pending, watch)?.into_iter().map(|[from, to]| to - from).collect())
    }

    /// Submits the recorded work, for [`Gpu::laps`].
    ///
    /// # Errors
    /// A lost device.
    pub fn submit_timed(&self, mut recorder: Recorder<'_>, watch: &Stopwatch) -> Result<Pending> {
        let bytes = 16 * watch.laps as u64;
        recorder.encoder.resolve_query_set(&watch.set, 0..2 * watch.laps as u32, &watch.resolved.raw, 0);
        recorder.copy(&watch.resolved, 0, &watch.readback, 0, bytes);
        let after = recorder.submit()?;
        Ok(self.map(&watch.readback, bytes, after))
    }

    /// Waits for the submitted work, and returns the beginning and end of each lap in seconds after the first beginning.
    ///
    /// # Errors
    /// A lost device.
    pub fn laps(&self, pending: Pending, watch: &Stopwatch) -> Result<Vec<[f64; 2]>> {
        let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(&pollster::block_on(self.finish(pending))?);
        let first = ticks.first().copied().unwrap_or(0);
        let seconds = |tick: u64| tick.saturating_sub(first) as f64 * watch.period;
        Ok(ticks.chunks_exact(2).map(|lap| [seconds(lap[0]), seconds(lap[1].max(lap[0]))]).collect())
    }
}

impl Recorder<'_> {
    /// The dispatches of each piece in order, the copies before them included, timed as lap `lap` of a stopwatch if there
    /// is one.
    pub fn lap(&mut self, watch: Option<&Stopwatch>, lap: usize, pieces: &[&[Dispatch]]) {
        let begin = |encoder: &mut wgpu::CommandEncoder, first: bool, last: bool| {
            let timestamp_writes =
                watch.filter(|_| first || last).map(|watch| wgpu::ComputePassTimestampWrites {
                    query_set: &watch.set,
                    beginning_of_pass_write_index: first.then_some(2 * lap as u32),
                    end_of_pass_write_index: last.then_some(2 * lap as u32 + 1),
                });
            let desc = wgpu::ComputePassDescriptor { label: None, timestamp_writes };
            encoder.begin_compute_pass(&desc).forget_lifetime()
        };
        let mut left =
            pieces.iter().copied().flatten().filter(|dispatch| !dispatch.copies.is_empty()).count();
        let mut pass = begin(&mut self.encoder, true, left == 0);
        for dispatch in pieces.iter().copied().flatten() {
            if !dispatch.copies.is_empty() {
                drop(pass);
                dispatch.copies.iter().for_each(|copy| copy.record(&mut self.encoder));
                left -= 1;
                pass = begin(&mut self.encoder, false, left == 0);
            }
            pass.set_pipeline(&dispatch.pipeline.raw);
            pass.set_bind_group(0, &dispatch.bind_group, &[]);
            pass.dispatch_workgroups(dispatch.grid[0], dispatch.grid[1], dispatch.grid[2]);
        }
    }
}
