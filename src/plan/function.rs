//! A graph called like a function: inputs in, outputs out. For tests, experiments and inference.

use super::{Memory, Plan, Program, Ring, Sink, input_buffer};
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::graph::{DType, Graph, Op, Tensor};
use crate::kernel::Target;

/// Data for an input.
#[derive(Debug, Clone, Copy)]
pub enum Value<'a> {
    /// For an f32 input.
    F32(&'a [f32]),
    /// For an i32 input.
    I32(&'a [i32]),
}

/// A compiled graph without parameters of its own.
#[derive(Debug)]
pub struct Function {
    gpu: Gpu,
    plan: Plan,
    memory: Memory,
    program: Program,
    inputs: Vec<(String, usize, DType)>,
    outputs: Vec<usize>,
}

impl Function {
    /// Compiles what the outputs need.
    ///
    /// # Errors
    /// The graph's first shape error; a device error.
    pub fn new(gpu: &Gpu, graph: &Graph, outputs: &[&Tensor]) -> Result<Function> {
        let sinks: Vec<(Tensor, Sink)> =
            (0..).zip(outputs).map(|(i, t)| ((*t).clone(), Sink::Buffer(output_buffer(i)))).collect();
        let mut plan = Plan::new(graph, &sinks, Ring { columns: 0, rows: 0 }, Target::of(gpu))?;
        let mut inputs = Vec::new();
        for node in graph.nodes() {
            if let Op::Input(name) = &node.op {
                let bytes = (node.shape.elements() as u64 * 4).next_multiple_of(16);
                plan.buffer(&input_buffer(name), bytes);
                inputs.push((name.clone(), node.shape.elements(), node.dtype));
            }
        }
        let memory = Memory::allocate(gpu, &Memory::plan([&plan]))?;
        let program = Program::new(gpu, &plan, &memory)?;
        let outputs = outputs.iter().map(|t| t.full_shape().elements()).collect();
        Ok(Function { gpu: gpu.clone(), plan, memory, program, inputs, outputs })
    }

    /// The kernels and buffers.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Runs it on these inputs; every input of the graph must be given.
    ///
    /// # Errors
    /// An input that is missing, unknown or of the wrong size or type.
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
            let bytes = self.gpu.read(buffer, 0, elements as u64 * 4).await?;
            results.push(bytemuck::pod_collect_to_vec(&bytes));
        }
        Ok(results)
    }
}

fn output_buffer(index: usize) -> String {
    format!("output {index}")
}
