//! Training steps: a window is submitted ahead of its results, and received.

use crate::clock::Instant;

use super::core::Engine;
use super::loader::SampleOrder;
use super::record::{Copy, parts_read_back, submit_window};
use super::window::{CompletedWindow, GradientCheck, InFlight, NetWindow, StepResult, Window};
use crate::compile::TrainPlan;
use crate::error::Result;
use crate::gpu::Dispatch;
use crate::kernel::Precision;
use crate::kernel::feed::ORDER;
use crate::kernel::gradients::{COLUMNS, SHARES};
use crate::kernel::update::TABLE;
use crate::plan::METRICS;

impl Engine {
    /// Takes the samples of the steps of each net's window; waits until they are there. Gives how many steps there are
    /// samples for, and an order for each net, or one for all.
    ///
    /// # Errors
    /// A sample that cannot be read, at the step it belongs to.
    pub fn take_samples(&mut self, windows: &[Window]) -> Result<(usize, Vec<SampleOrder>)> {
        let mut fewest = windows.iter().map(|window| window.steps).min().unwrap_or(0);
        let mut orders = Vec::with_capacity(self.loaders.train.len());
        for (loader, window) in self.loaders.train.iter_mut().zip(windows) {
            let (order, steps) = loader.take(window.epoch, window.step_in_epoch, fewest)?;
            fewest = steps;
            orders.push(order);
        }
        Ok((fewest, orders))
    }

    /// Records and submits the steps of a window: of the net of the first slot, the second and so on. `with_statistics`: the
    /// statistics of the last step are taken.
    ///
    /// # Errors
    /// A kernel that does not compile; a lost device.
    pub async fn submit_steps(
        &mut self,
        plan: &TrainPlan,
        nets: &[NetWindow],
        samples: Vec<SampleOrder>,
        with_statistics: bool,
    ) -> Result<()> {
        for (slot, samples) in samples.iter().enumerate() {
            let first = Self::part(plan, ORDER, slot);
            self.gpu.write(self.memory.get(ORDER), first, bytemuck::cast_slice(&samples.order));
        }
        for (slot, net) in nets.iter().enumerate() {
            let first = Self::part(plan, TABLE, slot);
            self.gpu.write(self.memory.get(TABLE), first, bytemuck::cast_slice(&net.table));
            self.write_clock(plan, slot, net.clock);
        }
        // Batches are as large in every order.
        let SampleOrder { passes, shares, .. } = samples.into_iter().next().unwrap_or_default();
        if plan.batches.in_parts() {
            self.gpu.write(self.memory.get(SHARES), 0, bytemuck::cast_slice(&shares));
        }
        let steps = nets.first().map_or(0, |net| net.window.steps);

        let Engine { gpu, memory, programs, readback, loaders, statistics, .. } = self;
        let indices = programs.compile_train(gpu, plan, memory, &passes).await?;
        let last_program = indices.last().copied().unwrap_or_default();
        let mut pass = statistics.as_mut().zip(plan.statistics.as_ref()).filter(|_| with_statistics);
        if let Some((pass, plans)) = &mut pass {
            pass.compile(gpu, plans, memory, last_program).await?;
        }
        // Each pass, and after the last pass of a batch the update where it is apart. Statistics are of the last step, so
        // that step begins a list of its own.
        let (mut steps_before, mut last_step): (Vec<&[Dispatch]>, Vec<&[Dispatch]>) =
            (Vec::new(), Vec::new());
        for (i, &index) in indices.iter().enumerate() {
            let is_last_step = pass.is_some() && passes[i].1 + 1 == steps;
            let list = if is_last_step { &mut last_step } else { &mut steps_before };
            list.push(programs.train(index));
            let ends_batch = passes.get(i + 1).is_none_or(|next| next.1 != passes[i].1);
            list.extend(programs.update().filter(|_| ends_batch));
        }
        let ring = readback.take_ring()?;
        let copies = Copy { from: METRICS, into: &ring, bytes: ring_bytes(plan, passes.len()) };
        let (copies, bytes) = copies.of_each(plan, nets.len());
        let submission = submit_window(
            gpu,
            memory,
            &mut loaders.train[0],
            |recorder| {
                recorder.only(nets.len());
                recorder.sequence(&steps_before);
                if let Some((pass, plans)) = &pass {
                    pass.record_before(recorder, memory);
                    recorder.sequence(&last_step);
                    pass.record_after(recorder, plans, memory, last_program);
                }
            },
            &[copies],
        )?;
        let statistics = pass.map(|(pass, _)| pass.map(gpu, submission.clone()));
        let pending = gpu.map(&ring, bytes, submission);
        readback.put_ring(ring);
        let windows = nets.iter().map(|net| net.window).collect();
        self.in_flight.push_back(InFlight { windows, ring: pending, statistics, passes, gathered: None });
        Ok(())
    }

    /// Waits for the oldest window in flight and reads its results; none where no window is in flight.
    ///
    /// # Errors
    /// A lost device.
    pub async fn receive(&mut self, plan: &TrainPlan) -> Result<Option<CompletedWindow>> {
        let Some(InFlight { windows, ring, statistics, passes, gathered }) = self.in_flight.pop_front()
        else {
            return Ok(None);
        };
        let waiting = Instant::now();
        let mut bytes = self.gpu.finish(ring).await?;
        if let Some(rows) = gathered {
            bytes = with_update(rows, &bytes);
        }
        let statistics = match statistics {
            Some(pending) => Some(self.gpu.finish(pending).await?),
            None => None,
        };
        self.device_wait += waiting.elapsed();
        let last = windows.first().map_or(0, |window| window.steps_done + window.steps as u64);
        let rings = parts_read_back(&bytes, ring_bytes(plan, passes.len()));
        let nets = windows.into_iter().zip(rings);
        let nets = nets.map(|(window, ring)| (window, results(plan, window.steps, &passes, &ring))).collect();
        let statistics = statistics.zip(plan.statistics.as_ref());
        let statistics = statistics.map(|(bytes, plans)| plans.record(last, &plan.parameters, &bytes));
        Ok(Some(CompletedWindow { nets, statistics }))
    }

    /// Learns from the time that a window took how many steps the next one should have.
    pub fn pace(&mut self, steps: usize) {
        self.pacing.received(steps);
    }

    /// Waits for every window in flight, and drops the results.
    ///
    /// # Errors
    /// A lost device.
    pub async fn discard(&mut self) -> Result<()> {
        while let Some(in_flight) = self.in_flight.pop_front() {
            self.gpu.finish(in_flight.ring).await?;
            if let Some(pending) = in_flight.statistics {
                self.gpu.finish(pending).await?;
            }
        }
        Ok(())
    }

    /// The dispatches of a step of a full batch, in order, once such a step has been submitted.
    ///
    /// # Errors
    /// A kernel that does not compile.
    #[cfg(not(target_arch = "wasm32"))]
    pub async fn step_dispatches(&mut self, plan: &TrainPlan) -> Result<Vec<&Dispatch>> {
        let passes: Vec<(usize, usize)> =
            plan.batches.parts(plan.batches.rows).map(|rows| (rows, 0)).collect();
        let indices = self.programs.compile_train(&self.gpu, plan, &self.memory, &passes).await?;
        let passes = indices.into_iter().flat_map(|index| self.programs.train(index));
        Ok(passes.chain(self.programs.update().into_iter().flatten()).collect())
    }
}

/// The rows of a step's passes, with the numbers that the update filed in `last`.
fn with_update(mut rows: Vec<f32>, last: &[u8]) -> Vec<u8> {
    let last = bytemuck::pod_collect_to_vec::<u8, f32>(last);
    if let (Some(into), Some(from)) = (rows.last_chunk_mut::<COLUMNS>(), last.last_chunk::<COLUMNS>()) {
        *into = *from;
    }
    bytemuck::cast_slice(&rows).to_vec()
}

/// Bytes of the rows of the ring that so many passes write.
pub(super) fn ring_bytes(plan: &TrainPlan, passes: usize) -> u64 {
    (passes * plan.ring.columns * 4) as u64
}

/// The results of a net's steps from the rows of its ring, one a pass.
fn results(plan: &TrainPlan, steps: usize, passes: &[(usize, usize)], ring: &[f32]) -> Vec<StepResult> {
    let mut rows = ring.chunks_exact(plan.ring.columns).zip(passes).peekable();
    let mut results = Vec::with_capacity(steps);
    for i in 0..steps {
        let (mut sums, mut samples, mut last) = (vec![0.0; plan.ring.columns], 0, None);
        while let Some((row, (n, _))) = rows.next_if(|(_, (_, step))| *step == i) {
            add_means(&mut sums, row, *n);
            samples += n;
            last = Some(row);
        }
        let means: Vec<f32> = sums.iter().map(|sum| (sum / samples.max(1) as f64) as f32).collect();
        let is_scaled = plan.precision == Precision::F16;
        let gradient_check = last.and_then(|row| GradientCheck::from_row(row, is_scaled));
        results.push(StepResult {
            samples,
            sums,
            loss: means[0],
            metrics: plan.metrics_of(&means),
            gradient_check: gradient_check.filter(|_| plan.checked),
        });
    }
    results
}

/// Adds a row of the ring, means over `samples` samples, to sums over samples.
pub(super) fn add_means(sums: &mut [f64], row: &[f32], samples: usize) {
    for (sum, mean) in sums.iter_mut().zip(row) {
        *sum += f64::from(*mean) * samples as f64;
    }
}
