//! A training step that ranks share: each does its own shards, all receive the sums of all, and each does the update.
//!
//! The sums are gathered by rank and added on the device in the upper part of the tree in which each rank has added its own
//! shards, so that a step has the bits of one rank that has all shards. The host waits for its own sum, then for the other
//! ranks, and submits the update without waiting for it. Threads read streamed samples in the meantime.

use super::core::Engine;
use super::loader::{SampleOrder, shares};
use super::record::submit_window;
use super::steps::ring_bytes;
use super::window::{InFlight, NetWindow};
use crate::compile::TrainPlan;
use crate::error::{Error, Result};
use crate::gpu::Dispatch;
use crate::graph::Clock;
use crate::kernel::feed::{ORDER, STATE};
use crate::kernel::gradients::SHARES;
use crate::kernel::shards::{SHARD_BUFFERS, SHARD_GRADIENTS};
use crate::kernel::update::TABLE;
use crate::plan::METRICS;
use crate::ranks::Matter;

/// The results of this rank's shards of a step.
struct Own {
    /// Their gradients, added.
    gradients: Vec<u8>,
    /// Their changes of running statistics, added.
    buffers: Vec<u8>,
    /// A row of the ring for each pass.
    rows: Vec<u8>,
}

impl Engine {
    /// Does the step of a window of one together with the other ranks. `stop`: this rank was asked to stop. Gives the passes
    /// of all ranks, and whether any was asked to stop.
    ///
    /// # Errors
    /// A sample that cannot be read; a kernel that does not compile; a lost device; [`Error::Rank`] for those of another rank.
    pub async fn submit_shared_step(
        &mut self,
        plan: &TrainPlan,
        net: &NetWindow,
        stop: bool,
    ) -> Result<(usize, bool)> {
        let ranks = self.gpu.ranks().clone();
        let rows = plan.batches.rows_of_step(net.window.step_in_epoch);
        let of = |rank: usize| plan.batches.rows_of_rank(rows, rank, plan.ranks);
        let passes = |rank: usize| plan.batches.parts(of(rank).len()).count();
        let all: usize = (0..plan.ranks).map(passes).sum();
        let before = (0..ranks.rank()).map(passes).sum();
        let own = self.do_own_shards(plan, net, rows, before).await?;

        let bytes = [own.gradients, own.buffers, own.rows].concat();
        let gathered = ranks.exchange(Matter::Step, &bytes, stop)?;
        let [gradients, buffers, _] = plan.exchanged().map(|(_, bytes)| bytes as usize);
        let mut ring = Vec::new();
        for (rank, part) in gathered.parts().enumerate() {
            if part.len() as u64 != (gradients + buffers) as u64 + ring_bytes(plan, passes(rank)) {
                return Err(Error::Rank(format!(
                    "rank {rank} gave {} bytes of a step: it trains another model, or on other batches",
                    part.len()
                )));
            }
            let (sums, rows) = part.split_at(gradients + buffers);
            let (gradients_of_rank, buffers_of_rank) = sums.split_at(gradients);
            self.gpu.write(self.memory.get(SHARD_GRADIENTS), (rank * gradients) as u64, gradients_of_rank);
            if buffers > 0 {
                self.gpu.write(self.memory.get(SHARD_BUFFERS), (rank * buffers) as u64, buffers_of_rank);
            }
            ring.extend(bytemuck::pod_collect_to_vec::<u8, f32>(rows));
        }

        let into = self.readback.take_ring()?;
        let mut recorder = self.gpu.recorder();
        recorder.sequence(&self.programs.update().into_iter().collect::<Vec<_>>());
        // The update files its numbers in the row of this rank's last pass.
        let row = ring_bytes(plan, passes(ranks.rank()).max(1) - 1);
        recorder.copy(self.memory.get(METRICS), row, &into, 0, ring_bytes(plan, 1));
        let submission = recorder.submit()?;
        let pending = self.gpu.map(&into, ring_bytes(plan, 1), submission);
        self.readback.put_ring(into);
        let passes = plan.batches.parts(rows).map(|rows| (rows, 0)).collect();
        self.in_flight.push_back(InFlight {
            windows: vec![net.window],
            ring: pending,
            statistics: None,
            passes,
            gathered: Some(ring),
        });
        Ok((all, gathered.stop))
    }

    /// Does the shards of this rank in a batch of `rows`, and waits for their sums. `before`: passes of the ranks before.
    async fn do_own_shards(
        &mut self,
        plan: &TrainPlan,
        net: &NetWindow,
        rows: usize,
        before: usize,
    ) -> Result<Own> {
        let ranks = self.gpu.ranks().clone();
        let own = plan.batches.rows_of_rank(rows, ranks.rank(), plan.ranks);
        let samples = match own.is_empty() {
            true => SampleOrder::default(),
            false => self.loaders.train[0].take(net.window.epoch, net.window.step_in_epoch, 1)?.0,
        };
        let passes = samples.passes;
        self.gpu.write(self.memory.get(ORDER), 0, bytemuck::cast_slice(&samples.order));
        self.gpu.write(self.memory.get(TABLE), 0, bytemuck::cast_slice(&net.table));
        // Random numbers and running statistics count the passes of all ranks.
        let mut clock = net.clock;
        clock.micro_batches += before as u64;
        clock.batches_seen = clock.batches_seen.wrapping_add(before as u64);
        self.write_clock(plan, 0, clock);
        let mut shares = shares(&plan.batches, rows, own);
        if shares.is_empty() {
            // The sum of no shards, of a step that no pass has opened.
            shares = vec![0.0; 4];
            self.gpu.write(self.memory.get(STATE), 4 * Clock::Open as u64, &1u32.to_le_bytes());
        }
        self.gpu.write(self.memory.get(SHARES), 0, bytemuck::cast_slice(&shares));

        let Engine { gpu, memory, programs, readback, loaders, .. } = self;
        let indices = programs.compile_train(gpu, plan, memory, &passes).await?;
        let mut dispatches: Vec<&[Dispatch]> = indices.iter().map(|&index| programs.train(index)).collect();
        dispatches.extend(programs.own_shards());
        let into = readback.exchanged.as_ref().ok_or_else(|| {
            Error::Config(
                "the plan was made for one rank; Target::for_gpu plans for those of the device".into(),
            )
        })?;
        let mut parts = plan.exchanged();
        parts[2].1 = ring_bytes(plan, passes.len());
        let body = |recorder: &mut crate::gpu::Recorder<'_>| {
            recorder.sequence(&dispatches);
            let mut offset = 0;
            for (name, bytes) in parts.iter().filter(|(_, bytes)| *bytes > 0) {
                recorder.copy(memory.get(name), 0, into, offset, *bytes);
                offset += bytes;
            }
        };
        let submission = submit_window(gpu, memory, &mut loaders.train[0], body, &[])?;
        let bytes = parts.iter().map(|(_, bytes)| bytes).sum();
        let waiting = crate::clock::Instant::now();
        let mut sums = gpu.finish(gpu.map(into, bytes, submission)).await?;
        self.device_wait += waiting.elapsed();
        let [gradients, buffers, _] = parts.map(|(_, bytes)| bytes as usize);
        let rows = sums.split_off(gradients + buffers);
        let buffers = sums.split_off(gradients);
        Ok(Own { gradients: sums, buffers, rows })
    }
}
