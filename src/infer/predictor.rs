//! A trained model answers: probabilities or numbers for its inputs, a batch at a time.

use crate::compile::{IndexedTable, Model};
use crate::error::{Error, Result};
use crate::gpu::Gpu;
use crate::graph::{DType, Graph, Tensor};
use crate::nn::Net;
use crate::plan::{Function, NamedTensor, Plan, Value};
use crate::shape::Shape;
use crate::units::plural;

/// The name of the model's input.
const INPUT: &str = "x";

/// The function that the last kernels of the plan apply to a model's output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Head {
    /// Nothing: the output is numbers.
    #[default]
    Numbers,
    /// e^(yᵢ − max y) / Σⱼ e^(yⱼ − max y) over the last axis, of logits: probabilities of classes.
    Softmax,
    /// eʸ, of log-probabilities.
    Exp,
    /// 1 / (1 + e⁻ʸ), of logits: a probability for each label by itself.
    Sigmoid,
}

impl Head {
    /// The probabilities, or the numbers.
    pub fn apply(self, y: &Tensor) -> Tensor {
        match self {
            Head::Numbers => y.clone(),
            Head::Softmax => y.softmax(&[-1]),
            Head::Exp => y.exp(),
            Head::Sigmoid => y.sigmoid(),
        }
    }
}

/// A model on a device for evaluation, with its weights. It is planned once, for batches of one size. A short batch
/// is padded with zeros, and the answers to the padding are dropped. The answer for a sample is the same to the bit,
/// whatever samples are beside it.
///
/// Weights and activations are f32, in whichever precision the model was trained.
///
/// ```no_run
/// use downhill::config::Config;
/// use downhill::graph::DType;
/// use downhill::infer::{Head, Predictor};
/// use downhill::run;
/// use downhill::{Gpu, GpuOptions, Value};
///
/// # fn main() -> downhill::error::Result<()> {
/// let config = Config::load("runs/digits-1/config.toml".as_ref(), &[])?;
/// let weights = run::load("runs/digits-1/model.safetensors".as_ref())?;
/// let gpu = Gpu::open(&GpuOptions::default())?;
/// let model = |net: &_, x: &_| config.model.build(net, x);
/// let mut digits = Predictor::new(&gpu, &model, Head::Softmax, [1, 8, 8], DType::F32, 64, &weights)?;
/// let two_images = vec![0.0; 2 * 64];
/// let probabilities = digits.predict(Value::F32(&two_images))?;
/// assert_eq!(probabilities.len(), 2 * 10);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Predictor {
    function: Function,
    batch: usize,
    /// Elements of a sample.
    each: usize,
    output: Shape,
    tables: Vec<IndexedTable>,
    floats: Vec<f32>,
    integers: Vec<i32>,
}

impl Predictor {
    /// Plans `model` for `batch` samples of shape `sample` at a time, compiles it, and loads its weights.
    ///
    /// # Errors
    /// A shape error with its layer; [`Error::Config`] for a batch of 0, or where the output is not f32 [batch, ..];
    /// [`Error::Weights`] where the weights are another model's; too little memory.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn new(
        gpu: &Gpu,
        model: &Model<'_>,
        head: Head,
        sample: impl Into<Shape>,
        dtype: DType,
        batch: usize,
        weights: &[NamedTensor],
    ) -> Result<Predictor> {
        pollster::block_on(Self::new_async(gpu, model, head, sample, dtype, batch, weights))
    }

    /// [`Predictor::new`] without blocking the thread.
    ///
    /// # Errors
    /// As there.
    pub async fn new_async(
        gpu: &Gpu,
        model: &Model<'_>,
        head: Head,
        sample: impl Into<Shape>,
        dtype: DType,
        batch: usize,
        weights: &[NamedTensor],
    ) -> Result<Predictor> {
        if batch == 0 {
            return Err(Error::Config("a batch of 0: at least 1 sample is needed".into()));
        }
        let (sample, graph) = (sample.into(), Graph::new());
        let shape = [&[batch], &sample[..]].concat();
        let x = match dtype {
            DType::I32 => graph.input_i32(INPUT, shape),
            DType::F32 => graph.input(INPUT, shape),
        };
        let y = model(&Net::new(&graph, false), &x);
        graph.check()?;
        let output = match y.shape().split_first() {
            Some((rows, output)) if *rows == batch && y.dtype() == DType::F32 => Shape::from(output.to_vec()),
            _ => {
                return Err(Error::Config(format!(
                    "the model's output for {} is {:?} {:?}; f32 [{batch}, ..] is needed, an answer a sample",
                    plural(batch, "sample"),
                    y.dtype(),
                    y.shape()
                )));
            }
        };
        let y = head.apply(&y);
        graph.check()?;
        let function = Function::with_weights_async(gpu, &graph, &[&y], weights).await?;
        let each = sample.elements();
        let tables = IndexedTable::of_input(INPUT, &graph);
        Ok(Predictor { function, batch, each, output, tables, floats: Vec::new(), integers: Vec::new() })
    }

    /// Samples that it answers at once, at most.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// The shape of the answer to a sample.
    pub fn output(&self) -> &Shape {
        &self.output
    }

    /// The kernels and buffers.
    pub fn plan(&self) -> &Plan {
        self.function.plan()
    }

    /// Replaces its weights.
    ///
    /// # Errors
    /// [`Error::Weights`] where they are another model's.
    pub fn load_state_dict(&mut self, weights: &[NamedTensor]) -> Result<()> {
        self.function.load_state_dict(weights)
    }

    /// The answers to up to a batch of samples, one after the other.
    ///
    /// # Errors
    /// [`Error::Data`] where these are no whole samples, none, or more than a batch, or an embedding has no row for one of
    /// them; a lost device.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn predict(&mut self, inputs: Value<'_>) -> Result<Vec<f32>> {
        pollster::block_on(self.predict_async(inputs))
    }

    /// [`Predictor::predict`] without blocking the thread.
    ///
    /// # Errors
    /// As there.
    pub async fn predict_async(&mut self, inputs: Value<'_>) -> Result<Vec<f32>> {
        let given = match inputs {
            Value::F32(values) => values.len(),
            Value::I32(values) => values.len(),
        };
        let (each, batch) = (self.each, self.batch);
        if given == 0 || !given.is_multiple_of(each) || given > batch * each {
            return Err(Error::Data(format!(
                "{}, and 1 to {} of {} each are needed",
                plural(given, "number"),
                plural(batch, "sample"),
                plural(each, "number")
            )));
        }
        if let Value::I32(values) = inputs {
            self.tables.iter().try_for_each(|table| table.check(values))?;
        }
        let whole = match inputs {
            whole if given == batch * each => whole,
            Value::F32(values) => Value::F32(padded(&mut self.floats, values, batch * each)),
            Value::I32(values) => Value::I32(padded(&mut self.integers, values, batch * each)),
        };
        let mut outputs = self.function.call_async(&[(INPUT, whole)]).await?;
        let mut answers = outputs.swap_remove(0);
        answers.truncate(given / each * self.output.elements());
        Ok(answers)
    }
}

/// The values, and zeros up to `len`, in `room`.
fn padded<'r, T: Copy + Default>(room: &'r mut Vec<T>, values: &[T], len: usize) -> &'r [T] {
    room.clear();
    room.extend_from_slice(values);
    room.resize(len, T::default());
    room
}
