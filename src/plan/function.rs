//! A graph called like a function: inputs in, outputs out. For tests, experiments and inference.

use super::weights::{NamedTensor, TensorLocation, WeightLayout, check_weights};
use super::{Memory, Plan, Program, Ring, Sink, input_buffer};
use crate::error::{Error, Result};
use crate::gpu::{Buffer, Gpu};
use crate::graph::{Clock, DType, Graph, Op, Tensor};
use crate::kernel::feed::STATE;
use crate::kernel::{Precision, Target};

/// The largest part in which outputs are read back.
const READBACK_BYTES: u64 = 4 << 20;

/// Data for an input.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// For an f32 input.
    F32(&'a [f32]),
    /// For an i32 input.
    I32(&'a [i32]),
}

/// A compiled graph. Its parameters and running buffers are 0 until weights are loaded.
#[derive(Debug)]
pub struct Function {
    gpu: Gpu,
    plan: Plan,
    memory: Memory,
    program: Program,
    inputs: Vec<(String, usize, DType)>,
    weights: WeightLayout,
    outputs: Vec<usize>,
    /// The readback buffer of the outputs.
    readback: Buffer,
}

impl Function {
    /// Compiles what the outputs need.
    ///
    /// # Errors
    /// The graph's first shape error; a device error.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new(gpu: &Gpu, graph: &Graph, outputs: &[&Tensor]) -> Result<Function> {
        Self::in_precision(gpu, graph, outputs, Precision::F32)
    }

    /// [`Function::new`] with activations and weights in memory as `precision` says. Outputs are f32.
    ///
    /// # Errors
    /// As [`Function::new`]; [`Error::Gpu`] where the adapter has no f16.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn in_precision(
        gpu: &Gpu,
        graph: &Graph,
        outputs: &[&Tensor],
        precision: Precision,
    ) -> Result<Function> {
        Self::for_target(gpu, graph, outputs, Target::for_gpu(gpu).with_precision(precision))
    }

    /// [`Function::new`] with the kernels and reads of a target, which must suit the device.
    ///
    /// # Errors
    /// As [`Function::in_precision`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn for_target(gpu: &Gpu, graph: &Graph, outputs: &[&Tensor], target: Target) -> Result<Function> {
        pollster::block_on(Self::for_target_async(gpu, graph, outputs, target))
    }

    /// [`Function::for_target`] without blocking the thread.
    ///
    /// # Errors
    /// As there.
    pub async fn for_target_async(
        gpu: &Gpu,
        graph: &Graph,
        outputs: &[&Tensor],
        target: Target,
    ) -> Result<Function> {
        gpu.check_precision(target.precision == Precision::F16)?;
        let sinks: Vec<(Tensor, Sink)> =
            (0..).zip(outputs).map(|(i, t)| ((*t).clone(), Sink::Buffer(output_buffer(i)))).collect();
        let mut plan = Plan::new(graph, &sinks, Ring { columns: 0, rows: 0 }, target)?;
        let mut inputs = Vec::new();
        for node in graph.nodes() {
            if let Op::Input(name) = &node.op {
                let bytes = (node.shape.elements() as u64 * 4).next_multiple_of(16);
                plan.buffer(&input_buffer(name), bytes);
                inputs.push((name.clone(), node.shape.elements(), node.dtype));
            }
        }
        let largest = outputs.iter().map(|t| t.full_shape().elements() as u64 * 4).max().unwrap_or(0);
        let readback = largest.clamp(4, READBACK_BYTES);
        plan.read_as(target.reads, target.memory.budget.map(|budget| budget.saturating_sub(readback)));
        let memory = Memory::allocate(gpu, &Memory::plan([&plan]))?;
        let program = Program::make(gpu, &plan, &memory).await?;
        let outputs: Vec<usize> = outputs.iter().map(|t| t.full_shape().elements()).collect();
        let largest = outputs.iter().max().map_or(0, |elements| *elements as u64 * 4);
        let readback = gpu.readback("outputs readback", largest.min(READBACK_BYTES))?;
        let weights = WeightLayout::new(&graph.parameters(), &graph.buffers(), &plan);
        Ok(Function { gpu: gpu.clone(), plan, memory, program, inputs, weights, outputs, readback })
    }

    /// [`Function::new`] of a model with its weights, as [`run::load`](crate::run::load) reads them. The graph is best built for
    /// evaluation.
    ///
    /// # Errors
    /// As [`Function::new`] and [`Function::load_state_dict`].
    #[cfg(not(target_arch = "wasm32"))]
    pub fn with_weights(
        gpu: &Gpu,
        graph: &Graph,
        outputs: &[&Tensor],
        weights: &[NamedTensor],
    ) -> Result<Function> {
        pollster::block_on(Self::with_weights_async(gpu, graph, outputs, weights))
    }

    /// [`Function::with_weights`] without blocking the thread.
    ///
    /// # Errors
    /// As there.
    pub async fn with_weights_async(
        gpu: &Gpu,
        graph: &Graph,
        outputs: &[&Tensor],
        weights: &[NamedTensor],
    ) -> Result<Function> {
        let mut function = Self::for_target_async(gpu, graph, outputs, Target::for_gpu(gpu)).await?;
        function.load_state_dict(weights)?;
        Ok(function)
    }

    /// Replaces every parameter and running buffer; names and shapes must be the graph's.
    ///
    /// # Errors
    /// [`Error::Weights`] listing both sides where a name or shape does not fit, or where a tensor lacks values.
    pub fn load_state_dict(&mut self, tensors: &[NamedTensor]) -> Result<()> {
        let model: Vec<_> = self.weights.iter().map(|(name, shape, _)| (name, shape)).collect();
        check_weights(&model, tensors)?;
        for (name, _, location) in self.weights.iter() {
            let Some(t) = tensors.iter().find(|t| t.name == *name) else { continue };
            // A buffer is missing where no output needs it.
            let (buffer, offset) = match location {
                TensorLocation::Device(buffer, offset) => (*buffer, *offset),
                TensorLocation::StepCount => (STATE, 4 * Clock::Tracked as u64),
            };
            let Some(buffer) = self.memory.find(buffer) else { continue };
            match location {
                TensorLocation::Device(..) => self.gpu.write(buffer, offset, bytemuck::cast_slice(&t.values)),
                TensorLocation::StepCount => {
                    self.gpu.write(buffer, offset, &(t.values[0].max(0.0) as u32).to_le_bytes())
                }
            }
        }
        Ok(())
    }

    /// The kernels and buffers.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Runs it on these inputs; every input of the graph must be given.
    ///
    /// # Errors
    /// An input that is missing, unknown or of the wrong size or type.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn call(&mut self, values: &[(&str, Value<'_>)]) -> Result<Vec<Vec<f32>>> {
        pollster::block_on(self.call_async(values))
    }

    /// [`Function::call`] without blocking the thread.
    ///
    /// # Errors
    /// As [`Function::call`].
    pub async fn call_async(&mut self, values: &[(&str, Value<'_>)]) -> Result<Vec<Vec<f32>>> {
        let wrong = |text: String| Error::Data(text);
        if let Some((name, _)) =
            values.iter().find(|(n, _)| !self.inputs.iter().any(|(known, ..)| known == n))
        {
            return Err(wrong(format!("the graph has no input \"{name}\"")));
        }
        for (name, elements, dtype) in &self.inputs {
            let Some((_, value)) = values.iter().find(|(n, _)| n == name) else {
                return Err(wrong(format!("input \"{name}\" is missing")));
            };
            let (bytes, given): (&[u8], DType) = match value {
                Value::F32(v) => (bytemuck::cast_slice(v), DType::F32),
                Value::I32(v) => (bytemuck::cast_slice(v), DType::I32),
            };
            if bytes.len() != elements * 4 || given != *dtype {
                return Err(wrong(format!(
                    "input \"{name}\" takes {elements} elements of {dtype:?}; got {} of {given:?}",
                    bytes.len() / 4
                )));
            }
            self.gpu.write(self.memory.get(&input_buffer(name)), 0, bytes);
        }
        let mut recorder = self.gpu.recorder();
        recorder.pass(&self.program.dispatches, 1);
        recorder.submit()?;
        let mut results = Vec::with_capacity(self.outputs.len());
        for (i, &elements) in self.outputs.iter().enumerate() {
            let buffer = self.memory.get(&output_buffer(i));
            let bytes = self.gpu.read_by(&self.readback, buffer, 0, elements as u64 * 4).await?;
            results.push(bytemuck::pod_collect_to_vec(&bytes));
        }
        Ok(results)
    }
}

fn output_buffer(index: usize) -> String {
    format!("output {index}")
}
