//! Every layer: its output, the gradients of sum(output · u) for input and parameters, its running buffers.

use std::collections::{BTreeMap, BTreeSet};

use downhill::compile::TrainOptions;
use downhill::data::{BatchSize, Dataset, Sampling};
use downhill::gpu::Family;
use downhill::nn::Net;
use downhill::optim::{Optimizer, Sgd};
use downhill::plan::NamedTensor;
use downhill::train::Trainer;
use downhill::{Error, Function, Gpu, GpuOptions, Graph, Init, Tensor, Value};
use serde::Deserialize;

use crate::adapter;
use crate::layer_table::{self, Case, build};
use crate::store::{self, Data, ROUNDOFF, Report, Tensors};

const FAMILIES: &[&str] =
    &["attention", "conv", "conv_transpose", "embedding", "linear", "norm", "pool", "recurrent", "upsample"];

/// Families of layers whose kernels differ by the adapter.
const PRODUCTS: &[&str] = &["attention", "conv", "conv_transpose", "linear"];

/// Below the normal range f32 flushes to zero: no formula is asked for more.
const SMALLEST: f64 = f32::MIN_POSITIVE as f64;

/// A step of sgd at this rate leaves w − lr·g, from which g comes back with one rounding and 2⁻⁴⁴·|w|.
const LR: f32 = (1 << 20) as f32;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

/// What the engine gives for a case, by the names of the golden file.
type Got = BTreeMap<String, Vec<f32>>;

/// What goes in, of several batches the first, and its shape.
fn input<'a>(case: &Case, tensors: &'a Tensors) -> (Value<'a>, Vec<usize>) {
    let x = tensors.get(&format!("{}/in/x", case.name));
    let shape = x.shape[usize::from(case.batches())..].to_vec();
    let n = shape.iter().product();
    match &x.data {
        Data::F32(values) => (Value::F32(&values[..n]), shape),
        Data::I32(values) => (Value::I32(&values[..n]), shape),
        Data::F64(_) => panic!("{}: x is F64, and goes in", case.name),
    }
}

/// The case's layer, in training or evaluation as the case says, whatever the graph is built for.
fn layer(case: &Case, graph: &Graph, x: &Tensor) -> Tensor {
    build(case, &Net::new(graph, case.training()), x)
}

/// A layer without parameters and buffers: a function of its input.
fn call(case: &Case, tensors: &Tensors, gpu: &Gpu) -> Result<Got, Error> {
    let graph = Graph::new();
    let (values, shape) = input(case, tensors);
    let x = graph.input("x", shape);
    let out = layer(case, &graph, &x);
    let u = graph.input("u", tensors.get(&format!("{}/u", case.name)).shape.clone());
    let grad = graph.grad(&out.mul(&u).sum_all(), &[&x]);
    let feed = [("x", values), ("u", Value::F32(tensors.f32(&format!("{}/u", case.name))))];
    let got = Function::new(gpu, &graph, &[&out, &grad[0]])?.call(&feed)?;
    Ok(["out", "grad/x"].map(str::to_owned).into_iter().zip(got).collect())
}

/// A layer with parameters: one step of training in which x and u are parameters too, so that the step moves
/// x by the gradient of x, and u by the output.
fn train(case: &Case, tensors: &Tensors, gpu: &Gpu) -> Result<Got, Error> {
    let (values, shape) = input(case, tensors);
    let u_shape = tensors.get(&format!("{}/u", case.name)).shape.clone();
    let data = match values {
        Value::I32(x) => Dataset::from_arrays("x", &shape[1..], x.to_vec(), [], vec![0.0; shape[0]])?,
        Value::F32(_) => Dataset::from_arrays("none", [1], vec![0.0], [], vec![0.0])?,
    };
    let model = |net: &Net, x: &Tensor| {
        let zero = Init::Constant(0.0);
        let x = match values {
            Value::I32(_) => x.clone(),
            Value::F32(_) => net.parameter("x", shape.clone(), zero),
        };
        let u = net.parameter("u", u_shape.clone(), zero);
        layer(case, net.graph(), &x).mul(&u).sum_all()
    };
    let options =
        TrainOptions { batch_size: BatchSize::Full, sampling: Sampling::File, ..TrainOptions::default() };
    let mut trainer = Trainer::new(gpu, &model, &|y, _| y.clone(), sgd(LR), &data, &options)?;
    let mut start = vec![named("u".into(), u_shape.clone(), tensors.f32(&format!("{}/u", case.name)))];
    if let Value::F32(x) = values {
        start.push(named("x".into(), shape.clone(), x));
    }
    start.extend(state(case, tensors));
    trainer.load_state_dict(&start)?;
    trainer.advance(1)?;
    let after = trainer.state_dict()?;
    let mut got = Got::new();
    for before in start {
        let after = after.iter().find(|a| a.name == before.name).expect("what was loaded");
        let moved = |(b, a): (&f32, &f32)| ((f64::from(*b) - f64::from(*a)) / f64::from(LR)) as f32;
        let moved = before.values.iter().zip(&after.values).map(moved).collect();
        got.insert(case.golden_gradient(&before.name), moved);
    }
    Ok(got)
}

/// The buffers after all batches of the case, one after the other; nothing is trained.
fn run(case: &Case, tensors: &Tensors, gpu: &Gpu) -> Result<Got, Error> {
    let all = tensors.get(&format!("{}/in/x", case.name));
    let (batches, batch) = (all.shape[0], all.shape[1]);
    let x = tensors.f32(&format!("{}/in/x", case.name)).to_vec();
    let data = Dataset::from_arrays("x", &all.shape[2..], x, [], vec![0.0; batches * batch])?;
    let model = |net: &Net, x: &Tensor| {
        net.parameter("idle", [1], Init::Constant(0.0)).sum_all().add(&layer(case, net.graph(), x).sum_all())
    };
    let batch_size = BatchSize::Rows(batch);
    let options = TrainOptions { batch_size, sampling: Sampling::File, ..TrainOptions::default() };
    let mut trainer = Trainer::new(gpu, &model, &|y, _| y.clone(), sgd(0.0), &data, &options)?;
    let mut start = vec![named("idle".into(), vec![1], &[0.0])];
    start.extend(state(case, tensors));
    trainer.load_state_dict(&start)?;
    trainer.advance(batches as u64)?;
    let of_layer = |t: NamedTensor| Some((format!("after/{}", t.name.strip_prefix("layer.")?), t.values));
    Ok(trainer.state_dict()?.into_iter().filter_map(of_layer).collect())
}

fn sgd(lr: f32) -> Optimizer {
    Optimizer::Sgd(Sgd { lr: lr.into(), ..Sgd::default() })
}

fn named(name: String, shape: Vec<usize>, values: &[f32]) -> NamedTensor {
    NamedTensor { name, shape: shape.into(), values: values.to_vec() }
}

/// What the layer itself keeps.
fn state(case: &Case, tensors: &Tensors) -> Vec<NamedTensor> {
    let tensor = |(name, golden): (String, String)| {
        named(name, tensors.get(&golden).shape.clone(), tensors.f32(&golden))
    };
    case.state().map(tensor).collect()
}

fn check_case(report: &mut Report, gpu: &Gpu, label: &str, case: &Case, tensors: &Tensors) {
    let bare = case.params.is_empty() && case.buffers.is_empty();
    let mut got = match if bare { call(case, tensors, gpu) } else { train(case, tensors, gpu) } {
        Ok(got) => got,
        Err(e) => return report.fail(label, e),
    };
    if case.batches() {
        match run(case, tensors, gpu) {
            Ok(after) => got.extend(after),
            Err(e) => return report.fail(label, e),
        }
    }
    let largest = tensors.f32(&format!("{}/u", case.name)).iter().fold(0.0_f32, |most, x| most.max(x.abs()));
    let mut wanted = vec!["out".to_owned()];
    wanted.extend(case.grads.iter().map(|key| format!("grad/{key}")));
    if case.batches() {
        wanted.extend(case.buffers.iter().map(|key| format!("after/{key}")));
    }
    for name in wanted {
        let golden = format!("{}/{name}", case.name);
        let label = format!("{label} {name}");
        let Some(got) = got.get(&name) else {
            report.fail(&label, "not computed");
            continue;
        };
        let want = tensors.f64(&golden);
        match tensors.find(&format!("{golden}/scale")) {
            Some(array) => {
                let Data::F32(scale) = &array.data else { panic!("{golden}/scale is not F32") };
                let floor = f64::from(largest) * SMALLEST;
                let bound = |i: usize| case.factor * ROUNDOFF * f64::from(scale[i]) + floor;
                report.compare(&label, got, want, bound);
            }
            // No scale: a maximum is exact.
            None => report.compare(&label, got, want, |_| 0.0),
        }
    }
}

/// Every case of a family of layers: those with products on both families of kernels, the others on one in
/// turn, with shader checks and without in turn.
fn check_family(family: &str) {
    let golden: Golden = store::json("layers.json");
    let tensors = Tensors::open("layers.safetensors");
    let mut report = Report::default();
    let mut devices = vec![
        (Family::Subgroup, true),
        (Family::Tiled, false),
        (Family::Tiled, true),
        (Family::Subgroup, false),
    ];
    devices.retain(|(kernels, _)| adapter::families().contains(kernels));
    let (count, half) = (devices.len(), devices.len() / 2);
    for (turn, (kernels, shader_checks)) in devices.into_iter().enumerate() {
        let options = GpuOptions { shader_checks, family: Some(kernels), ..GpuOptions::default() };
        let gpu = adapter::open_with(options);
        for (number, case) in golden.cases.iter().filter(|case| case.family == family).enumerate() {
            let here = match PRODUCTS.contains(&family) {
                true => turn / half == number % 2,
                false => turn == number % count,
            };
            if !here {
                continue;
            }
            let label = format!("{} ({kernels:?}, shader_checks {shader_checks})", case.name);
            check_case(&mut report, &gpu, &label, case, &tensors);
        }
    }
    report.finish(family);
}

#[test]
fn linear_layers() {
    check_family("linear");
}

#[test]
fn convolutions() {
    check_family("conv");
}

#[test]
fn transposed_convolutions() {
    check_family("conv_transpose");
}

#[test]
fn pools() {
    check_family("pool");
}

#[test]
fn norms() {
    check_family("norm");
}

#[test]
fn embeddings() {
    check_family("embedding");
}

#[test]
fn attention() {
    check_family("attention");
}

#[test]
fn recurrent_layers() {
    check_family("recurrent");
}

#[test]
fn upsampling() {
    check_family("upsample");
}

#[test]
fn every_layer_and_family_has_cases() {
    let golden: Golden = store::json("layers.json");
    let layers: BTreeSet<&str> = golden.cases.iter().map(|case| case.layer.as_str()).collect();
    assert_eq!(layers, layer_table::layers());
    let families: BTreeSet<&str> = golden.cases.iter().map(|case| case.family.as_str()).collect();
    assert_eq!(families, FAMILIES.iter().copied().collect());
}
