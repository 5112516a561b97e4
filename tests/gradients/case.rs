//! A graph against its oracle, and the devices it runs on.

use std::sync::OnceLock;

use downhill::gpu::Family;
use downhill::{Function, Gpu, GpuOptions, Graph, Tensor, Value};

use crate::adapter::{families, open_with};
use crate::oracle::{
    Array,
    compare::{self, check_gradient, compare, tolerance},
    draw::{self, Input, Kind, Rng},
};

/// An adapter opened in each way that must be right: both kernel families, and shaders checked for bounds
/// or not, as the unchecked ones are sound only where every kernel guards its own edges.
pub fn gpus() -> &'static [Gpu] {
    static GPUS: OnceLock<Vec<Gpu>> = OnceLock::new();
    GPUS.get_or_init(|| {
        let both = |&family: &Family| {
            [true, false].map(|shader_checks| {
                open_with(GpuOptions { shader_checks, family: Some(family), ..GpuOptions::default() })
            })
        };
        families().iter().flat_map(both).collect()
    })
}

/// The devices in turn.
pub fn gpu(turn: usize) -> &'static Gpu {
    &gpus()[turn % gpus().len()]
}

/// One device of each family, with checks and without in turn.
pub fn both(turn: usize) -> impl Iterator<Item = &'static Gpu> {
    gpus().iter().skip(turn % 2).step_by(2)
}

/// What distinguishes a device in a label.
pub fn name(gpu: &Gpu) -> String {
    format!("{:?}, device {}", gpu.family(), gpus().iter().position(|g| std::ptr::eq(g, gpu)).unwrap_or(9))
}

/// The data of an input, owned.
pub enum Data {
    F32(Vec<f32>),
    I32(Vec<i32>),
}

impl Data {
    pub fn value(&self) -> Value<'_> {
        match self {
            Data::F32(values) => Value::F32(values),
            Data::I32(values) => Value::I32(values),
        }
    }
}

pub fn call(function: &mut Function, feed: &[(String, Data)]) -> Result<Vec<Vec<f32>>, String> {
    let feed: Vec<(&str, Value)> = feed.iter().map(|(name, data)| (name.as_str(), data.value())).collect();
    function.call(&feed).map_err(|e| format!("the call failed: {e}"))
}

pub fn bits(outputs: &[Vec<f32>]) -> Vec<Vec<u32>> {
    outputs.iter().map(|values| values.iter().map(|x| x.to_bits()).collect()).collect()
}

/// Weights times values, summed: the loss whose gradient is compared, on the GPU.
pub fn weighted_sum(graph: &Graph, values: &[&Tensor]) -> Tensor {
    let term = |(i, value): (usize, &&Tensor)| {
        let weight = graph.input(&format!("u{i}"), value.shape());
        (*value * &weight).sum_all()
    };
    values.iter().enumerate().map(term).reduce(|a, b| &a + &b).expect("a value")
}

pub type JitteredValues<'a> = dyn Fn(&[Array], Option<u64>) -> Vec<Array> + 'a;

/// One graph against its oracle.
pub struct Case<'a> {
    pub inputs: &'a [Input],
    /// From the inputs to any number of values.
    pub build: &'a dyn Fn(&[Tensor]) -> Vec<Tensor>,
    /// The same values in f64, where `Some(seed)` with rounding errors.
    pub oracle: &'a JitteredValues<'a>,
    /// The values that the function returns; the others may vanish in fusion.
    pub returned: &'a [usize],
    /// The values that go into the loss. None: no gradient.
    pub in_loss: &'a [usize],
}

impl Case<'_> {
    pub fn check(&self, gpu: &Gpu, rng: &mut Rng) -> Result<(), String> {
        let arrays: Vec<Array> = self.inputs.iter().map(|input| input.array.clone()).collect();
        let want = (self.oracle)(&arrays, None);
        let weights: Vec<Array> = self.in_loss.iter().map(|&i| draw::weights(rng, &want[i].shape)).collect();
        let outputs = self.run(gpu, &want, &weights)?;

        let (values, gradients) = outputs.split_at(self.returned.len());
        let jittered: Vec<Vec<Array>> = (0..3).map(|seed| (self.oracle)(&arrays, Some(seed))).collect();
        for (&i, got) in self.returned.iter().zip(values) {
            let noise = jittered.iter().map(|j| j[i].max_diff(&want[i])).fold(0.0, f64::max);
            compare(&format!("value {i}"), got, &want[i], |_| tolerance(want[i].max_abs(), noise))?;
        }
        let f = |arrays: &[Array], jitter: Option<u64>| {
            let values = (self.oracle)(arrays, jitter);
            let picked: Vec<&Array> = self.in_loss.iter().map(|&i| &values[i]).collect();
            compare::weighted_sum(&picked, &weights, jitter)
        };
        for (&which, got) in self.differentiated().iter().zip(gradients) {
            check_gradient(&f, &arrays, which, got, rng)?;
        }
        Ok(())
    }

    fn differentiated(&self) -> Vec<usize> {
        let wanted = |&i: &usize| self.inputs[i].kind == Kind::Real && !self.in_loss.is_empty();
        (0..self.inputs.len()).filter(wanted).collect()
    }

    /// Builds, checks the shapes and runs: the returned values, then the gradients.
    fn run(&self, gpu: &Gpu, want: &[Array], weights: &[Array]) -> Result<Vec<Vec<f32>>, String> {
        let graph = Graph::new();
        let input = |(i, input): (usize, &Input)| match input.kind {
            Kind::Index => graph.input_i32(&format!("x{i}"), &input.array.shape[..]),
            Kind::Real | Kind::Fixed => graph.input(&format!("x{i}"), &input.array.shape[..]),
        };
        let inputs: Vec<Tensor> = self.inputs.iter().enumerate().map(input).collect();
        let values = (self.build)(&inputs);
        graph.check().map_err(|e| format!("refused: {e}"))?;
        for (i, (value, want)) in values.iter().zip(want).enumerate() {
            if value.shape() != want.shape {
                return Err(format!("value {i} has shape {:?}, expected {:?}", value.shape(), want.shape));
            }
        }
        let wrt: Vec<&Tensor> = self.differentiated().iter().map(|&i| &inputs[i]).collect();
        let mut gradients = Vec::new();
        if !wrt.is_empty() {
            let in_loss: Vec<&Tensor> = self.in_loss.iter().map(|&i| &values[i]).collect();
            gradients = graph.grad(&weighted_sum(&graph, &in_loss), &wrt);
            graph.check().map_err(|e| format!("its gradient is refused: {e}"))?;
        }
        for (gradient, input) in gradients.iter().zip(&wrt) {
            if gradient.shape() != input.shape() {
                return Err(format!("a gradient of shape {:?} for {:?}", gradient.shape(), input.shape()));
            }
        }
        let outputs: Vec<&Tensor> = self.returned.iter().map(|&i| &values[i]).chain(&gradients).collect();
        let mut function = Function::new(gpu, &graph, &outputs).map_err(|e| format!("no function: {e}"))?;

        let feed = |factor: f32| -> Vec<(String, Data)> {
            let input = |(i, input): (usize, &Input)| {
                let data = match input.kind {
                    Kind::Index => Data::I32(input.array.to_i32()),
                    _ => Data::F32(input.array.to_f32().iter().map(|x| x * factor).collect()),
                };
                (format!("x{i}"), data)
            };
            let weight = |(i, w): (usize, &Array)| (format!("u{i}"), Data::F32(w.to_f32()));
            let inputs = self.inputs.iter().enumerate().map(input);
            let weights = if wrt.is_empty() { &[] } else { weights };
            inputs.chain(weights.iter().enumerate().map(weight)).collect()
        };
        let first = call(&mut function, &feed(1.0))?;
        // a call must leave nothing behind: other values between, and then the same bits again
        call(&mut function, &feed(0.5))?;
        if bits(&call(&mut function, &feed(1.0))?) != bits(&first) {
            return Err("the same inputs gave other bits the second time".to_owned());
        }
        Ok(first)
    }
}
