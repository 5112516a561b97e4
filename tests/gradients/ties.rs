//! Where a function has no derivative, it is torch's choice.

use downhill::{Function, Gpu, Graph, Tensor, nn::loss};

use crate::case::{Data, call, gpus};

/// Builds y from inputs of the given values, and compares the gradients of its sum exactly.
fn assert_subgradients(
    what: &str,
    inputs: &[&[f32]],
    build: impl Fn(&[Tensor]) -> Tensor,
    want: &[&[f32]],
    gpu: &Gpu,
) {
    let graph = Graph::new();
    let name = |i: usize| format!("x{i}");
    let tensors: Vec<Tensor> =
        inputs.iter().enumerate().map(|(i, x)| graph.input(&name(i), [x.len()])).collect();
    let gradients = graph.grad(&build(&tensors).sum_all(), &tensors.iter().collect::<Vec<_>>());
    let outputs: Vec<&Tensor> = gradients.iter().collect();
    let mut function = Function::new(gpu, &graph, &outputs).expect("a function");
    let feed: Vec<(String, Data)> =
        inputs.iter().enumerate().map(|(i, x)| (name(i), Data::F32(x.to_vec()))).collect();
    let got = call(&mut function, &feed).expect("a call");
    assert_eq!(got, want, "{what}");
}

/// All numbers here are exact in f32.
#[test]
fn subgradients_at_ties_follow_torch() {
    type Build = fn(&[Tensor]) -> Tensor;
    type Values = &'static [&'static [f32]];
    let table: [(&str, Values, Build, Values); 9] = [
        (
            "amax",
            &[&[1.0, 3.0, 3.0, 2.0, 3.0, 3.0]],
            |x| x[0].amax(&[0], false),
            &[&[0.0, 0.25, 0.25, 0.0, 0.25, 0.25]],
        ),
        (
            "maximum",
            &[&[1.0, 2.0, 5.0], &[1.0, 3.0, 4.0]],
            |x| x[0].maximum(&x[1]),
            &[&[0.5, 0.0, 1.0], &[0.5, 1.0, 0.0]],
        ),
        (
            "minimum",
            &[&[1.0, 2.0, 5.0], &[1.0, 3.0, 4.0]],
            |x| x[0].minimum(&x[1]),
            &[&[0.5, 1.0, 0.0], &[0.5, 0.0, 1.0]],
        ),
        ("clamp", &[&[-1.5, -1.0, 0.0, 0.5, 0.75]], |x| x[0].clamp(-1.0, 0.5), &[&[0.0, 0.0, 1.0, 0.0, 0.0]]),
        ("abs", &[&[-2.0, 0.0, 2.0]], |x| x[0].abs(), &[&[-1.0, 0.0, 1.0]]),
        ("relu", &[&[-2.0, 0.0, 2.0]], |x| x[0].relu(), &[&[0.0, 0.0, 1.0]]),
        ("leaky_relu", &[&[-2.0, 0.0, 2.0]], |x| x[0].leaky_relu(0.25), &[&[0.25, 0.25, 1.0]]),
        (
            "l1",
            &[&[1.0, 2.0, 3.0, 4.0], &[1.0, 3.0, 2.0, 4.0]],
            |x| loss::l1(&x[0], &x[1]),
            &[&[0.0, -0.25, 0.25, 0.0], &[0.0, 0.25, -0.25, 0.0]],
        ),
        ("detach", &[&[1.0, -2.0, 3.0]], |x| &x[0].detach() * &x[0], &[&[1.0, -2.0, 3.0]]),
    ];
    for (what, inputs, build, want) in table {
        for gpu in gpus() {
            assert_subgradients(what, inputs, build, want, gpu);
        }
    }
}
