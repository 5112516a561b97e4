//! The engine: what a run has on the device.

use std::collections::VecDeque;
use std::time::Duration;

use super::loader::Loaders;
use super::pacing::WindowPacing;
use super::programs::Programs;
use super::readback::Readback;
use super::statistics::StatisticsPass;
use super::upload;
use super::window::{InFlight, Window, WindowClock};
use crate::compile::{Statistics, TrainOptions, TrainPlan};
use crate::data::Dataset;
use crate::error::Result;
use crate::gpu::Gpu;
use crate::graph::Clock;
use crate::kernel::Precision;
use crate::kernel::feed::{MAX_WINDOW_STEPS, STATE};
use crate::plan::Memory;

/// Executes a [`TrainPlan`]: buffers, programs and loaders of a run on a device.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(super) gpu: Gpu,
    pub(super) memory: Memory,
    pub(super) programs: Programs,
    pub(super) readback: Readback,
    pub(super) loaders: Loaders,
    pub(super) statistics: Option<StatisticsPass>,
    pub(super) pacing: WindowPacing,
    pub(super) eval_pacing: WindowPacing,
    /// Windows submitted and not received, the oldest first.
    pub(super) in_flight: VecDeque<InFlight>,
    /// Time that the host has waited for the device.
    pub(super) device_wait: Duration,
    /// Evaluations begun. Each is a pass over the same samples.
    pub(super) evaluations: u64,
}

impl Engine {
    /// Allocates and compiles a run, and puts data and initial weights on the device.
    ///
    /// # Errors
    /// Too little memory; a kernel that does not compile; a plan that was made for other data.
    pub async fn new(gpu: &Gpu, plan: &TrainPlan, data: &Dataset, options: &TrainOptions) -> Result<Engine> {
        gpu.check_precision(plan.precision == Precision::F16)?;
        upload::check(plan, data)?;
        let memory = Memory::allocate(gpu, &plan.memory)?;
        let programs = Programs::new(gpu, plan, &memory).await?;
        upload::upload(gpu, plan, data, &memory).await?;
        let plans = plan.train.iter().map(|step| &step.plan).chain(&plan.update);
        let plans = plans.chain(plan.statistics.iter().flat_map(Statistics::plans));
        for (name, words) in plans.flat_map(|plan| &plan.constants) {
            gpu.write(memory.get(name), 0, bytemuck::cast_slice(words));
        }
        let readback = Readback::new(gpu, plan)?;
        let statistics =
            plan.statistics.as_ref().filter(|_| options.statistics.is_some_and(|every| every > 0));
        let statistics = statistics.map(|plans| StatisticsPass::new(gpu, plans)).transpose()?;
        let loaders = Loaders::new(gpu, plan, data, options)?;
        let most = (MAX_WINDOW_STEPS / plan.batches.parts(plan.batches.rows).count()).max(1);
        let engine = Engine {
            gpu: gpu.clone(),
            memory,
            programs,
            readback,
            loaders,
            statistics,
            pacing: WindowPacing::new(most),
            eval_pacing: WindowPacing::new(MAX_WINDOW_STEPS),
            in_flight: VecDeque::new(),
            device_wait: Duration::ZERO,
            evaluations: 0,
        };
        engine.write_initial_values(plan, 0, options.init_seed());
        Ok(engine)
    }

    /// Has the net of a slot begin anew: from its initial values, in its own order.
    pub fn begin(&mut self, plan: &TrainPlan, slot: usize, data: &Dataset, options: &TrainOptions) {
        self.clear_state(plan, slot);
        self.write_initial_values(plan, slot, options.init_seed());
        self.set_order(plan, slot, data, options);
    }

    /// Has the net of a slot go through its samples by these options, where it has an order of its own.
    pub fn set_order(&mut self, plan: &TrainPlan, slot: usize, data: &Dataset, options: &TrainOptions) {
        self.loaders.set_order(slot, plan, data, options);
    }

    /// Has two slots change their orders.
    pub fn swap_orders(&mut self, a: usize, b: usize) {
        if self.loaders.train.len() > a.max(b) {
            self.loaders.train.swap(a, b);
        }
    }

    /// The first byte of a slot's part of a buffer.
    pub(super) fn part(plan: &TrainPlan, buffer: &str, slot: usize) -> u64 {
        plan.replicas.as_ref().map_or(0, |replicas| replicas.stride(buffer) * slot as u64)
    }

    /// The device.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// The number of steps that the next window should have.
    pub fn next_steps(&self, plan: &TrainPlan) -> usize {
        if plan.ranks > 1 { 1 } else { self.pacing.steps() }
    }

    /// Measures the pace of windows from now on, where none is in flight.
    pub fn restart_pacing(&mut self) {
        if self.in_flight.is_empty() {
            self.pacing.restart();
        }
    }

    /// Windows submitted and not received.
    pub fn windows_in_flight(&self) -> usize {
        self.in_flight.len()
    }

    /// True where the samples of the window's first step can be had without waiting.
    pub fn is_ready(&self, plan: &TrainPlan, window: &Window) -> bool {
        // A rank that shares steps waits for each; where it has none of a short last batch, there is nothing to read.
        plan.ranks > 1 || self.loaders.train[0].is_ready(window.epoch, window.step_in_epoch)
    }

    /// Time that the host has waited for the device.
    pub fn device_wait(&self) -> Duration {
        self.device_wait
    }

    /// Time that training has waited for samples, where they are streamed.
    pub fn data_wait(&self) -> Option<Duration> {
        self.loaders.train[0].waited()
    }

    /// Threads that read samples, where they are streamed.
    pub fn workers(&self) -> Option<usize> {
        self.loaders.train[0].workers()
    }

    /// Writes the words that the steps of a slot's next submission begin from.
    pub fn write_clock(&self, plan: &TrainPlan, slot: usize, clock: WindowClock) {
        let mut words = [0u32; Clock::HOST_WORDS];
        words[Clock::Before as usize] = clock.micro_batches as u32;
        words[Clock::SeedLow as usize] = clock.seed as u32;
        words[Clock::SeedHigh as usize] = (clock.seed >> 32) as u32;
        words[Clock::Tracked as usize] = clock.batches_seen as u32;
        words[Clock::Lead as usize] = clock.skipped_offset;
        let (state, first) = (self.memory.get(STATE), Self::part(plan, STATE, slot));
        self.gpu.write(state, first, bytemuck::cast_slice(&words));
        if let Some(max_norm) = clock.max_norm {
            self.gpu.write(state, first + 4 * Clock::MaxNorm as u64, &max_norm.to_le_bytes());
        }
    }

    /// Steps of a slot skipped so far, as the device counts them.
    ///
    /// # Errors
    /// A lost device.
    pub async fn skipped_steps(&self, plan: &TrainPlan, slot: usize) -> Result<u64> {
        let offset = Self::part(plan, STATE, slot) + 4 * Clock::Skipped as u64;
        let read = self.gpu.read_by(&self.readback.weights, self.memory.get(STATE), offset, 4);
        Ok(u64::from(bytemuck::pod_read_unaligned::<u32>(&read.await?)))
    }
}
