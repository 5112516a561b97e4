//! Every op: its output, the gradients of sum(output · u), and where stored the gradients of those.

use std::collections::BTreeSet;

use downhill::gpu::Family;
use downhill::{Function, Gpu, GpuOptions, Graph, Tensor, Value};
use serde::Deserialize;

use crate::adapter;
use crate::op_table::{Case, OPS, build, tolerance};
use crate::store::{self, Data, ROUNDOFF, Report, Tensors};

const FAMILIES: &[&str] = &["binary", "elementwise", "loss", "matmul", "movement", "reduction"];

/// The functions of `shaders/shared/math.wgsl`.
const FUNCTIONS: &[&str] = &[
    "bce_with_logits",
    "cos",
    "elu",
    "exp",
    "log",
    "pow",
    "pow_scalar",
    "sigmoid",
    "silu",
    "sin",
    "softplus",
    "tanh",
];

/// Below the normal range f32 flushes to zero: no formula is asked for more.
const SMALLEST: f64 = f32::MIN_POSITIVE as f64;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

/// A graph of a case: what to feed it, what it gives, and the names of that in the golden file.
struct Run {
    graph: Graph,
    fed: Vec<(String, String)>,
    outputs: Vec<Tensor>,
    names: Vec<String>,
}

impl Run {
    fn input(&mut self, tensors: &Tensors, name: String, golden: String) -> Tensor {
        let array = tensors.get(&golden);
        let tensor = match array.data {
            Data::I32(_) => self.graph.input_i32(&name, array.shape.clone()),
            Data::F32(_) | Data::F64(_) => self.graph.input(&name, array.shape.clone()),
        };
        self.fed.push((name, golden));
        tensor
    }

    fn new(case: &Case, tensors: &Tensors) -> Self {
        let graph = Graph::new();
        let mut run = Run { graph: graph.clone(), fed: vec![], outputs: vec![], names: vec!["out".into()] };
        let name = &case.name;
        let inputs: Vec<Tensor> = case
            .inputs
            .iter()
            .map(|key| run.input(tensors, key.clone(), format!("{name}/in/{key}")))
            .collect();
        let out = build(case, &inputs);

        if !case.grads.is_empty() {
            let with_grad = |(key, _): &(&String, &Tensor)| case.grads.contains(key);
            let wrt: Vec<&Tensor> =
                case.inputs.iter().zip(&inputs).filter(with_grad).map(|(_, x)| x).collect();
            let u = run.input(tensors, "u".into(), format!("{name}/u"));
            let first = graph.grad(&out.mul(&u).sum_all(), &wrt);
            let mut second = vec![];
            // The gradient of a cross-entropy is one kernel with the loss, and the graph ends there.
            if case.second && case.op != "cross_entropy" {
                let weighted = case.grads.iter().zip(&first).map(|(key, grad)| {
                    grad.mul(&run.input(tensors, format!("v_{key}"), format!("{name}/v/{key}"))).sum_all()
                });
                let total = weighted.reduce(|a, b| a.add(&b)).expect("a case with gradients has an input");
                second = graph.grad(&total, &wrt);
            }
            run.names.extend(case.grads.iter().map(|key| format!("grad/{key}")));
            run.names.extend(case.grads.iter().take(second.len()).map(|key| format!("grad2/{key}")));
            run.outputs = first.into_iter().chain(second).collect();
        }
        run.outputs.insert(0, out);
        run
    }

    fn call(&self, gpu: &Gpu, tensors: &Tensors) -> Result<Vec<Vec<f32>>, downhill::Error> {
        self.graph.check()?;
        let outputs: Vec<&Tensor> = self.outputs.iter().collect();
        let feed: Vec<(&str, Value<'_>)> = self
            .fed
            .iter()
            .map(|(name, golden)| match &tensors.get(golden).data {
                Data::F32(values) => (name.as_str(), Value::F32(values)),
                Data::I32(values) => (name.as_str(), Value::I32(values)),
                Data::F64(_) => panic!("{golden} is F64, and goes in"),
            })
            .collect();
        Function::new(gpu, &self.graph, &outputs)?.call(&feed)
    }
}

fn check_case(report: &mut Report, gpu: &Gpu, label: &str, case: &Case, tensors: &Tensors) {
    let run = Run::new(case, tensors);
    let got = match run.call(gpu, tensors) {
        Ok(got) => got,
        Err(e) => return report.fail(label, e),
    };
    if got.len() != run.names.len() {
        return report.fail(label, format!("{} outputs, want {}", got.len(), run.names.len()));
    }
    let largest = |golden: String| -> f64 {
        tensors.f32(&golden).iter().fold(0.0, |most: f64, &x| most.max(f64::from(x).abs()))
    };
    let allowed = tolerance(&case.op);
    for ((name, tensor), got) in run.names.iter().zip(&run.outputs).zip(&got) {
        let golden = format!("{}/{name}", case.name);
        let label = format!("{label} {name}");
        let want = tensors.get(&golden);
        if tensor.shape() != want.shape {
            report.fail(&label, format!("shape {:?}, want {:?}", tensor.shape(), want.shape));
            continue;
        }
        // Upstream weights multiply the absolute part of the error.
        let mut upstream = 1.0;
        if name != "out" {
            upstream *= largest(format!("{}/u", case.name));
        }
        if name.starts_with("grad2") {
            upstream *=
                case.grads.iter().map(|key| largest(format!("{}/v/{key}", case.name))).fold(0.0, f64::max);
        }
        // What a function itself gives is relatively right, however small it is. A gradient may be a difference.
        let absolute =
            if name == "out" && FUNCTIONS.contains(&case.op.as_str()) { 0.0 } else { allowed.floor };
        let floor = upstream * (absolute * ROUNDOFF + SMALLEST);
        match tensors.find(&format!("{golden}/scale")) {
            // A scale of one element stands for the whole tensor.
            Some(array) => {
                let Data::F32(scale) = &array.data else { panic!("{golden}/scale is not F32") };
                let scale = |i: usize| f64::from(if scale.len() == 1 { scale[0] } else { scale[i] });
                let bound = |i| allowed.relative * ROUNDOFF * scale(i) + floor;
                report.compare(&label, got, tensors.f64(&golden), bound);
            }
            // No scale: what is moved about, or is 0 or 1, is exact.
            None => report.compare(&label, got, tensors.f64(&golden), |_| 0.0),
        }
    }
}

/// Every case of a family of ops, on both families of kernels. Shaders without bounds checks are sound only
/// where every kernel guards its own edges, so both are run: each case on each, products on all four.
fn check_family(family: &str) {
    let golden: Golden = store::json("ops.json");
    let tensors = Tensors::open("ops.safetensors");
    let mut report = Report::default();
    for (turn, (kernels, shader_checks)) in
        [(Family::Subgroup, true), (Family::Tiled, false), (Family::Tiled, true), (Family::Subgroup, false)]
            .into_iter()
            .enumerate()
    {
        if !adapter::families().contains(&kernels) {
            continue;
        }
        let options = GpuOptions { shader_checks, family: Some(kernels), ..GpuOptions::default() };
        let gpu = adapter::open_with(options);
        for (number, case) in golden.cases.iter().filter(|case| case.family == family).enumerate() {
            if family != "matmul" && turn / 2 != number % 2 {
                continue;
            }
            let label = format!("{} ({kernels:?}, shader_checks {shader_checks})", case.name);
            check_case(&mut report, &gpu, &label, case, &tensors);
        }
    }
    report.finish(family);
}

#[test]
fn elementwise_ops() {
    check_family("elementwise");
}

#[test]
fn binary_ops() {
    check_family("binary");
}

#[test]
fn reductions() {
    check_family("reduction");
}

#[test]
fn movement_ops() {
    check_family("movement");
}

#[test]
fn matmuls() {
    check_family("matmul");
}

#[test]
fn losses() {
    check_family("loss");
}

#[test]
fn a_second_derivative_of_cross_entropy_is_refused() {
    let graph = Graph::new();
    let (x, t) = (graph.input("x", [2, 3]), graph.input_i32("t", [2]));
    let loss = downhill::nn::loss::cross_entropy(&x, &t, &Default::default());
    let first = graph.grad(&loss, &[&x]);
    graph.check().expect("a first derivative");
    graph.grad(&first[0].square().sum_all(), &[&x]);
    let text = graph.check().expect_err("a second").to_string();
    assert!(text.contains("cross_entropy") && text.contains("log_softmax"), "{text}");
}

#[test]
fn every_op_and_family_has_cases() {
    let golden: Golden = store::json("ops.json");
    let ops: BTreeSet<&str> = golden.cases.iter().map(|case| case.op.as_str()).collect();
    assert_eq!(ops, OPS.iter().copied().collect());
    let families: BTreeSet<&str> = golden.cases.iter().map(|case| case.family.as_str()).collect();
    assert_eq!(families, FAMILIES.iter().copied().collect());
}
