//! The time of each kernel of a training step, where it stands in the step.

use super::trace::{HOST, Trace};
use super::trainer::Trainer;
use crate::clock::Instant;
use crate::error::Result;
use crate::gpu::{Dispatch, MOST_LAPS};
use crate::plan::Step;

/// The times of training steps and of their kernels.
#[derive(Debug)]
pub struct Profile {
    /// The kernels of a step of a full batch, in order.
    pub kernels: Vec<KernelTimes>,
    /// Seconds of each step by the device's clock, from the beginning of its first kernel to the end of its last, each
    /// kernel a pass of its own; none where kernels are not timed.
    pub device_steps: Vec<f64>,
    /// Seconds of steps as they are trained, by the wall's clock: each submitted and its loss read by itself.
    pub steps: Vec<f64>,
    /// Why kernels are not timed, where they are not.
    pub untimed: Option<String>,
    /// The timeline of the host and the device.
    pub trace: Trace,
}

/// A kernel of a step.
#[derive(Debug, Clone)]
pub struct KernelTimes {
    /// As the plan has it.
    pub step: Step,
    /// Its seconds, one number for each step that was profiled.
    pub seconds: Vec<f64>,
}

impl Trainer {
    /// Trains `count` steps under the wall's clock, evaluates, takes a snapshot, and times each kernel of `count`
    /// steps more by the device's timestamps, where it has them. Do not use the trainer for anything else afterwards.
    ///
    /// # Errors
    /// As [`Trainer::advance`] and [`Trainer::evaluate`].
    pub fn profiled(&mut self, count: usize) -> Result<Profile> {
        let mut trace = Trace::new(&self.engine.gpu().adapter().name);
        let first = Instant::now();
        self.advance(1)?;
        trace.host("first step", first);
        let mut steps = Vec::with_capacity(count);
        for _ in 0..count {
            let (from, waited) = (Instant::now(), self.waited());
            self.advance(1)?;
            steps.push(trace.host("step", from));
            if let Some((now, then)) = self.waited().zip(waited) {
                trace.within("data wait", (now - then).as_secs_f64());
            }
        }
        let from = Instant::now();
        if self.evaluate()?.is_some() {
            trace.host("evaluation", from);
        }
        let from = Instant::now();
        self.snapshot()?;
        trace.host("checkpoint copy", from);
        // A step of the usual kind leaves orders and scalars on the device.
        let from = Instant::now();
        self.advance(1)?;
        steps.push(trace.host("step", from));

        let rows = self.plan.batches.parts(self.plan.batches.rows);
        let steps_of = |rows| self.plan.train.iter().find(|step| step.batch == rows).map(|step| &step.plan);
        let plans = rows.filter_map(steps_of).chain(&self.plan.update);
        let mut kernels: Vec<KernelTimes> = plans
            .flat_map(|plan| &plan.steps)
            .map(|step| KernelTimes { step: step.clone(), seconds: Vec::new() })
            .collect();
        let (gpu, clock) = (self.engine.gpu().clone(), self.progress.clock(self.rule()));
        let dispatches: Vec<Dispatch> =
            pollster::block_on(self.engine.step_dispatches(&self.plan))?.into_iter().cloned().collect();
        let mut profile =
            Profile { kernels: Vec::new(), device_steps: Vec::new(), steps, untimed: None, trace };
        let watch = match dispatches.len() {
            laps if laps > MOST_LAPS => {
                profile.untimed =
                    Some(format!("a step has {laps} kernels, and at most {MOST_LAPS} are timed"));
                None
            }
            laps => gpu.stopwatch(laps)?,
        };
        let Some(watch) = watch else {
            let name = &gpu.adapter().name;
            profile.untimed.get_or_insert_with(|| format!("{name} has no timestamps"));
            return Ok(profile);
        };
        for _ in 0..count {
            let from = Instant::now();
            self.engine.write_clock(&self.plan, 0, clock);
            let mut recorder = gpu.recorder();
            for (lap, dispatch) in dispatches.iter().enumerate() {
                recorder.lap(Some(&watch), lap, &[std::slice::from_ref(dispatch)]);
            }
            let submitted = Instant::now();
            let pending = gpu.submit_timed(recorder, &watch)?;
            let waiting = Instant::now();
            let laps = gpu.laps(pending, &watch)?;
            let trace = &mut profile.trace;
            let done = Instant::now();
            trace.span(HOST, "profiled step", from, done);
            trace.span(HOST, "record", from, submitted);
            trace.span(HOST, "submit", submitted, waiting);
            trace.span(HOST, "wait", waiting, done);
            let whole = laps.iter().map(|lap| lap[1]).fold(0.0, f64::max);
            trace.device("step", submitted, [0.0, whole], None);
            for (kernel, lap) in kernels.iter_mut().zip(&laps) {
                trace.device(kernel.step.kernel.entry, submitted, *lap, Some(&kernel.step));
                kernel.seconds.push(lap[1] - lap[0]);
            }
            profile.device_steps.push(whole);
        }
        profile.kernels = kernels;
        Ok(profile)
    }

    /// Seconds of each kernel in `steps` training steps of a full batch, by the device's timestamps; `None` where it
    /// has none. Each step trains on the same batch, and no loss is reported. Do not use the trainer for anything
    /// else afterwards.
    ///
    /// Each kernel is a pass of its own, so that the next one waits for it.
    ///
    /// # Errors
    /// A lost device; a loss that is not finite before.
    pub fn profile(&mut self, steps: usize) -> Result<Option<Vec<Vec<f64>>>> {
        // A step of the usual kind leaves orders and scalars on the device.
        self.advance(1)?;
        let (gpu, clock) = (self.engine.gpu().clone(), self.progress.clock(self.rule()));
        let dispatches: Vec<Dispatch> =
            pollster::block_on(self.engine.step_dispatches(&self.plan))?.into_iter().cloned().collect();
        let Some(watch) = gpu.stopwatch(dispatches.len())? else { return Ok(None) };
        let mut all = Vec::with_capacity(steps);
        for _ in 0..steps {
            self.engine.write_clock(&self.plan, 0, clock);
            let mut recorder = gpu.recorder();
            for lap in 0..dispatches.len() {
                recorder.lap(Some(&watch), lap, &[&dispatches[lap..=lap]]);
            }
            all.push(gpu.stop(recorder, &watch)?);
        }
        Ok(Some(all))
    }
}
