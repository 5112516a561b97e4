//! What a run knows of its model by name: the tensors of a weights file, and the words a step's kernels read.

use super::snapshot::{Buffers, Snapshot};
use super::trainer::Trainer;
use crate::error::Result;
use crate::graph::Clock;
use crate::kernel::feed::{BUFFERS, STATE};
use crate::kernel::scaling::FIRST_SCALE;
use crate::kernel::update::{AVERAGE, PARAMETERS};
use crate::nn::init;
use crate::plan::{NamedTensor, Program, WeightLayout};
use crate::shape::Shape;

/// Where a tensor of the weights file lives.
#[derive(Debug, Clone, Copy)]
enum Home {
    /// In a buffer of the device, from this byte.
    Device(&'static str, u64),
    /// The host counts.
    StepCount,
}

/// How the tensors of the weights files lie in a run's buffers.
#[derive(Debug)]
pub(super) struct Layout {
    tensors: Vec<(String, Shape, Home)>,
    /// Batches that the weights have seen.
    batches: u64,
    /// The weights to use are the average.
    beside: bool,
}

impl Layout {
    /// The model, its parameters read from `weights` and its buffers from `kept`.
    fn model(&self, weights: &[u8], kept: &[u8]) -> Vec<NamedTensor> {
        let tensor = |(name, shape, home): &(String, Shape, Home)| {
            let values = match *home {
                Home::Device(of, at) => {
                    let bytes = if of == PARAMETERS { weights } else { kept };
                    bytemuck::pod_collect_to_vec(&bytes[at as usize..at as usize + shape.elements() * 4])
                }
                Home::StepCount => vec![self.batches as f32],
            };
            NamedTensor { name: name.clone(), shape: shape.clone(), values }
        };
        self.tensors.iter().map(tensor).collect()
    }

    /// The weights that a run leaves, and their average where that is another file.
    pub fn weights(&self, buffers: &Buffers) -> (Vec<NamedTensor>, Option<Vec<NamedTensor>>) {
        let find = |name: &str| buffers.iter().find(|(other, _)| other == name).map(|(_, bytes)| &bytes[..]);
        let kept = find(BUFFERS).unwrap_or_default();
        let average = find(AVERAGE).map(|bytes| self.model(bytes, kept));
        match average {
            Some(average) if self.beside => (average, None),
            average => (self.model(find(PARAMETERS).unwrap_or_default(), kept), average),
        }
    }
}

impl Trainer {
    fn layout(&self) -> Layout {
        Layout { tensors: self.tensors(), batches: self.batches_seen(), beside: self.trains_beside() }
    }

    /// The state of the run, and how its weights files are made of it.
    pub(super) fn whole_state(&self) -> Result<(Layout, Snapshot)> {
        self.make_average()?;
        Ok((self.layout(), self.snapshot()?))
    }

    /// Everything a weights file holds, in order: parameters, then buffers.
    fn tensors(&self) -> Vec<(String, Shape, Home)> {
        let plan = &self.blueprint.train[0].plan;
        let parameters = self.blueprint.parameters.iter().zip(&plan.arena.offsets);
        let parameters =
            parameters.map(|(p, &at)| (p.name.clone(), p.shape.clone(), Home::Device(PARAMETERS, at)));
        let buffers = self.blueprint.buffers.iter().zip(&plan.state.offsets).map(|(b, &at)| {
            let home = if b.node.is_some() { Home::Device(BUFFERS, at) } else { Home::StepCount };
            (b.name.clone(), b.shape.clone(), home)
        });
        parameters.chain(buffers).collect()
    }

    /// Puts the values on the device that training starts from.
    pub(super) fn write_first(&self) {
        let drawn = |(i, p)| init::draw(p, i, self.options.seed);
        let parameters = self.blueprint.parameters.iter().enumerate().map(drawn);
        let buffers = self.blueprint.buffers.iter().map(|b| vec![b.init; b.shape.elements()]);
        let values: Vec<Vec<f32>> = parameters.chain(buffers).collect();
        let scale = 4 * Clock::Scale as u64;
        self.gpu.write(self.memory.get(STATE), scale, bytemuck::cast_slice(&[FIRST_SCALE, 0, 0, 0]));
        for ((_, _, home), values) in self.tensors().iter().zip(&values) {
            if let Home::Device(buffer, at) = home {
                self.put(buffer, *at, values);
            }
        }
    }

    /// Writes a tensor; a parameter is its own average at first, and what a schedule-free optimizer starts from.
    fn put(&self, buffer: &str, at: u64, values: &[f32]) {
        let is_trained = at < self.blueprint.train[0].plan.arena.trained;
        let base = self.blueprint.rule.optimizer.kernel().average.map(|average| average.base);
        let beside = [Some(AVERAGE), base.filter(|_| is_trained)].into_iter().flatten();
        let beside = beside.filter(|_| buffer == PARAMETERS).filter_map(|name| self.memory.find(name));
        for buffer in std::iter::once(self.memory.get(buffer)).chain(beside) {
            self.gpu.write(buffer, at, bytemuck::cast_slice(values));
        }
    }

    /// Writes the words that the steps of the next submission begin from.
    pub(super) fn open_window(&self) {
        let mut words = [0u32; Clock::HOST_WORDS];
        words[Clock::Before as usize] = self.passes as u32;
        words[Clock::SeedLow as usize] = self.options.seed as u32;
        words[Clock::SeedHigh as usize] = (self.options.seed >> 32) as u32;
        words[Clock::Tracked as usize] = self.batches_seen() as u32;
        words[Clock::Lead as usize] = self.known.lead(self.step);
        self.gpu.write(self.memory.get(STATE), 0, bytemuck::cast_slice(&words));
    }

    /// Reads the model back: parameters in the order they were made, then buffers. torch's `state_dict`.
    ///
    /// # Errors
    /// A lost device.
    pub fn state_dict(&self) -> Result<Vec<NamedTensor>> {
        self.read_model(PARAMETERS)
    }

    /// [`Trainer::state_dict`] with the average of the parameters in their place, where one is kept.
    ///
    /// # Errors
    /// A lost device.
    pub fn average_state_dict(&self) -> Result<Option<Vec<NamedTensor>>> {
        self.make_average()?;
        self.memory.find(AVERAGE).map(|_| self.read_model(AVERAGE)).transpose()
    }

    /// The weights that a run leaves, and their average where that is another file: those of the best epoch where early
    /// stopping has put them back.
    ///
    /// # Errors
    /// A lost device.
    pub fn weights(&self) -> Result<(Vec<NamedTensor>, Option<Vec<NamedTensor>>)> {
        self.make_average()?;
        Ok(self.layout().weights(&self.read_weights(None)?))
    }

    /// Whether the weights to use are the average, those that are trained being of use to the optimizer alone.
    pub fn trains_beside(&self) -> bool {
        self.blueprint.average.is_some()
    }

    /// Brings the average up to date, where a step does not.
    pub(super) fn make_average(&self) -> Result<()> {
        let Some(plan) = &self.blueprint.average else { return Ok(()) };
        if self.average.get().is_none() {
            let _ = self.average.set(Program::new(&self.gpu, plan, &self.memory)?);
        }
        let mut recorder = self.gpu.recorder();
        self.average.get().into_iter().for_each(|program| recorder.pass(&program.dispatches, 1));
        recorder.submit().map(drop)
    }

    fn read_model(&self, weights: &str) -> Result<Vec<NamedTensor>> {
        let plan = &self.blueprint.train[0].plan;
        let read = |name, bytes| match bytes {
            0 => Ok(Vec::new()),
            bytes => pollster::block_on(self.gpu.read_by(&self.saving, self.memory.get(name), 0, bytes)),
        };
        let (parameters, buffers) = (read(weights, plan.arena.bytes)?, read(BUFFERS, plan.state.bytes)?);
        Ok(self.layout().model(&parameters, &buffers))
    }

    /// Replaces every tensor of the model; names and shapes must be the model's.
    ///
    /// # Errors
    /// [`Error::Weights`] listing both sides where a name or shape does not fit, or where a tensor lacks values.
    pub fn load_state_dict(&mut self, tensors: &[NamedTensor]) -> Result<()> {
        let homes = self.tensors();
        let plan = &self.blueprint.train[0].plan;
        let (parameters, buffers) = (&self.blueprint.parameters, &self.blueprint.buffers);
        WeightLayout::new(parameters, &plan.arena, buffers, &plan.state).check(tensors)?;
        for (name, _, home) in &homes {
            let Some(t) = tensors.iter().find(|t| t.name == *name) else { continue };
            match home {
                Home::Device(buffer, at) => {
                    self.put(buffer, *at, &t.values);
                }
                Home::StepCount => self.tracked = (t.values[0].max(0.0) as u64).wrapping_sub(self.passes),
            }
        }
        Ok(())
    }
}
