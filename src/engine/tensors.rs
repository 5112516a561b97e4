//! Weights and state by name: the tensors of a weights file, and the buffers that outlive a step.

use super::core::Engine;
use crate::compile::TrainPlan;
use crate::error::{Error, Result};
use crate::graph::Clock;
use crate::kernel::feed::{BUFFERS, STATE};
use crate::kernel::scaling::FIRST_SCALE;
use crate::kernel::update::{AVERAGE, PARAMETERS};
use crate::plan::{NamedTensor, TensorLocation, WeightLayout as Tensors, check_weights};
use crate::shape::Shape;

/// Contents of the device's buffers, by name.
pub(crate) type BufferContents = Vec<(String, Vec<u8>)>;

/// How weights files are made of a run's buffers.
#[derive(Debug)]
pub(crate) struct WeightLayout {
    tensors: Tensors,
    /// Batches that the weights have seen.
    batches_seen: u64,
    /// The weights to use are the average.
    uses_average: bool,
}

impl WeightLayout {
    /// The layout of a run whose weights have seen this many batches.
    pub fn new(plan: &TrainPlan, batches_seen: u64) -> WeightLayout {
        WeightLayout { tensors: tensors(plan), batches_seen, uses_average: plan.average.is_some() }
    }

    /// The weights that a run leaves, and their average where that is another file.
    pub fn weights(&self, buffers: &BufferContents) -> (Vec<NamedTensor>, Option<Vec<NamedTensor>>) {
        let average = content(buffers, AVERAGE).map(|average| self.read(average, buffers));
        match average {
            Some(average) if self.uses_average => (average, None),
            average => (self.model(buffers), average),
        }
    }

    /// The weights that are trained, and buffers.
    pub fn model(&self, buffers: &BufferContents) -> Vec<NamedTensor> {
        self.read(content(buffers, PARAMETERS).unwrap_or_default(), buffers)
    }

    fn read(&self, weights: &[u8], buffers: &BufferContents) -> Vec<NamedTensor> {
        self.tensors.read(weights, content(buffers, BUFFERS).unwrap_or_default(), self.batches_seen)
    }

    /// Names and shapes of a model's tensors.
    pub fn names(&self) -> Vec<(&String, &Shape)> {
        self.tensors.iter().map(|(name, shape, _)| (name, shape)).collect()
    }
}

/// The bytes of a buffer by its name.
fn content<'b>(buffers: &'b BufferContents, name: &str) -> Option<&'b [u8]> {
    buffers.iter().find(|(other, _)| other == name).map(|(_, bytes)| &bytes[..])
}

/// The tensors of the weights file: parameters, then buffers.
fn tensors(plan: &TrainPlan) -> Tensors {
    Tensors::new(&plan.parameters, &plan.buffers, &plan.train[0].plan)
}

impl Engine {
    /// Has everything of a slot that outlives a step be 0, as in a new buffer.
    pub(super) fn clear_state(&self, plan: &TrainPlan, slot: usize) {
        for name in self.state_buffers(plan) {
            let zeros = vec![0; plan.bytes_of_one(name) as usize];
            self.gpu.write(self.memory.get(name), Self::part(plan, name, slot), &zeros);
        }
    }

    /// Writes the values that training starts from.
    pub(super) fn write_initial_values(&self, plan: &TrainPlan, slot: usize, seed: u64) {
        let values = plan.initial_state(seed);
        let scale = Self::part(plan, STATE, slot) + 4 * Clock::Scale as u64;
        self.gpu.write(self.memory.get(STATE), scale, bytemuck::cast_slice(&[FIRST_SCALE, 0, 0, 0]));
        for ((_, _, location), tensor) in tensors(plan).iter().zip(&values) {
            if let TensorLocation::Device(buffer, offset) = *location {
                self.write_tensor(plan, slot, buffer, offset, &tensor.values);
            }
        }
    }

    /// Writes a tensor. A parameter is its own average at first, and a schedule-free optimizer starts from it.
    fn write_tensor(&self, plan: &TrainPlan, slot: usize, buffer: &str, offset: u64, values: &[f32]) {
        let is_trained = offset < plan.train[0].plan.arena.trained;
        let base = plan.rule.optimizer.kernel().average.map(|average| average.base);
        let copies = [Some(AVERAGE), base.filter(|_| is_trained)].into_iter().flatten();
        let copies = copies.filter(|name| buffer == PARAMETERS && self.memory.find(name).is_some());
        for name in std::iter::once(buffer).chain(copies) {
            let offset = Self::part(plan, name, slot) + offset;
            self.gpu.write(self.memory.get(name), offset, bytemuck::cast_slice(values));
        }
    }

    /// Reads the model: parameters in the order they were made, then buffers.
    ///
    /// # Errors
    /// A lost device.
    pub async fn read_model(
        &self,
        plan: &TrainPlan,
        slot: usize,
        batches_seen: u64,
    ) -> Result<Vec<NamedTensor>> {
        self.read_model_of(plan, slot, PARAMETERS, batches_seen).await
    }

    /// [`Engine::read_model`] with the average of the parameters in their place, where one is kept.
    ///
    /// # Errors
    /// A lost device.
    pub async fn read_average(
        &self,
        plan: &TrainPlan,
        slot: usize,
        batches_seen: u64,
    ) -> Result<Option<Vec<NamedTensor>>> {
        self.compute_average(plan).await?;
        if self.memory.find(AVERAGE).is_none() {
            return Ok(None);
        }
        self.read_model_of(plan, slot, AVERAGE, batches_seen).await.map(Some)
    }

    async fn read_model_of(
        &self,
        plan: &TrainPlan,
        slot: usize,
        weights: &str,
        batches_seen: u64,
    ) -> Result<Vec<NamedTensor>> {
        let layout = &plan.train[0].plan;
        let read = async |name, bytes| match bytes {
            0 => Ok(Vec::new()),
            bytes => self.read_part(plan, slot, name, bytes).await,
        };
        let parameters = read(weights, layout.arena.bytes).await?;
        let state = read(BUFFERS, layout.state.bytes).await?;
        Ok(tensors(plan).read(&parameters, &state, batches_seen))
    }

    /// Replaces every tensor of the model; gives the batches that the weights have seen, where the file counts them.
    ///
    /// # Errors
    /// [`Error::Weights`] listing both sides where a name or shape does not fit, or where a tensor lacks values.
    pub fn write_model(&self, plan: &TrainPlan, slot: usize, weights: &[NamedTensor]) -> Result<Option<u64>> {
        let model = tensors(plan);
        let names: Vec<_> = model.iter().map(|(name, shape, _)| (name, shape)).collect();
        check_weights(&names, weights)?;
        let mut batches_seen = None;
        for (name, _, location) in model.iter() {
            let Some(tensor) = weights.iter().find(|tensor| tensor.name == *name) else { continue };
            match *location {
                TensorLocation::Device(buffer, offset) => {
                    self.write_tensor(plan, slot, buffer, offset, &tensor.values);
                }
                TensorLocation::StepCount => batches_seen = Some(tensor.values[0].max(0.0) as u64),
            }
        }
        Ok(batches_seen)
    }

    /// Brings the averaged weights up to date, for optimizers that train other weights.
    ///
    /// # Errors
    /// A kernel that does not compile; a lost device.
    pub async fn compute_average(&self, plan: &TrainPlan) -> Result<()> {
        let average = self.programs.average(&self.gpu, plan, &self.memory).await?;
        let Some(dispatches) = average else { return Ok(()) };
        let mut recorder = self.gpu.recorder();
        recorder.pass(dispatches, 1);
        recorder.submit().map(drop)
    }

    /// The buffers whose contents outlive a step, by name.
    fn state_buffers(&self, plan: &TrainPlan) -> Vec<&'static str> {
        let slots = plan.rule.optimizer.kernel().slots;
        let all = [PARAMETERS, BUFFERS, AVERAGE, STATE].into_iter().chain(slots);
        all.filter(|name| self.memory.find(name).is_some()).collect()
    }

    /// Reads the first bytes of a slot's part of a buffer.
    async fn read_part(&self, plan: &TrainPlan, slot: usize, name: &str, bytes: u64) -> Result<Vec<u8>> {
        let (buffer, first) = (self.memory.get(name), Self::part(plan, name, slot));
        self.gpu.read_by(&self.readback.weights, buffer, first, bytes).await
    }

    async fn read_buffers(
        &self,
        plan: &TrainPlan,
        slot: usize,
        names: impl IntoIterator<Item = &'static str>,
    ) -> Result<BufferContents> {
        let mut contents = BufferContents::new();
        for name in names {
            let bytes = self.read_part(plan, slot, name, plan.bytes_of_one(name)).await?;
            contents.push((name.to_owned(), bytes));
        }
        Ok(contents)
    }

    /// Reads everything of a slot that outlives a step.
    ///
    /// # Errors
    /// A lost device.
    pub async fn read_state(&self, plan: &TrainPlan, slot: usize) -> Result<BufferContents> {
        self.read_buffers(plan, slot, self.state_buffers(plan)).await
    }

    /// Reads the buffers that weights files are made of. `with_base`: and the slot that a schedule-free optimizer's average
    /// is computed from.
    ///
    /// # Errors
    /// A lost device.
    pub async fn read_weights(
        &self,
        plan: &TrainPlan,
        slot: usize,
        with_base: bool,
    ) -> Result<BufferContents> {
        self.compute_average(plan).await?;
        let base = plan.rule.optimizer.kernel().average.map(|average| average.base).filter(|_| with_base);
        let names = [PARAMETERS, BUFFERS, AVERAGE].into_iter().chain(base);
        self.read_buffers(plan, slot, names.filter(|name| self.memory.find(name).is_some())).await
    }

    /// Writes buffers that were read before, of this or another slot.
    pub fn write_buffers(&self, plan: &TrainPlan, slot: usize, buffers: &BufferContents) {
        for (name, bytes) in buffers {
            self.gpu.write(self.memory.get(name), Self::part(plan, name, slot), bytes);
        }
    }

    /// Checks that a state, as [`Engine::read_state`] read it, is one of this run.
    ///
    /// # Errors
    /// [`Error::Weights`] where buffers differ in name or size: another model, optimizer or adapter's layout.
    pub fn check_state(&self, plan: &TrainPlan, state: &BufferContents) -> Result<()> {
        let own = self.state_buffers(plan).into_iter().map(|name| (name, plan.bytes_of_one(name)));
        let theirs = state.iter().map(|(name, bytes)| (name.as_str(), bytes.len() as u64));
        let (mut own, mut theirs): (Vec<_>, Vec<_>) = (own.collect(), theirs.collect());
        own.sort_unstable();
        theirs.sort_unstable();
        if own != theirs {
            let list = |list: &[(&str, u64)]| {
                list.iter().map(|(name, bytes)| format!("{name}: {bytes} B")).collect::<Vec<_>>().join(", ")
            };
            return Err(Error::Weights(format!(
                "the state is of another run: it holds {}, and this run has {}",
                list(&theirs),
                list(&own)
            )));
        }
        Ok(())
    }
}
