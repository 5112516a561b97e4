//! Tests of a perceptron's step in two dispatches: the weights after it, and its loss.

use super::super::case::{Case, Claim, Want, bytes, exact, word_bytes};
use super::super::graph::evaluate;
use super::optim::opened;
use crate::check::{Near, noise};
use crate::data::Kind;
use crate::error::{Error, Result};
use crate::graph::{Graph, Init, Tensor};
use crate::kernel::feed::{FROM, Gather, ORDER};
use crate::kernel::mlp::{self, Fed, TARGETS, VALUES};
use crate::kernel::update::{GRADIENTS, PARAMETERS, UpdateContext, kernel};
use crate::kernel::{Family, Target};
use crate::nn::loss::{self, CrossEntropy};
use crate::optim::{Optimizer, Sgd};
use crate::plan::{Arena, METRICS, Ring, Sink, whole_net};

/// Samples: not a whole number of workgroups.
const BATCH: usize = 19;
/// Columns and rows of the ring of metrics.
const RING: Ring = Ring { columns: 2, rows: 2 };

type Objective = fn(&Tensor, &Tensor) -> Tensor;

pub(super) fn cases(target: Target) -> Result<Vec<Case>> {
    if target.family != Family::Tiled {
        return Ok(Vec::new());
    }
    let smoothed: Objective =
        |y, t| loss::cross_entropy(y, t, &CrossEntropy { label_smoothing: 0.1, ..CrossEntropy::default() });
    let squares: Objective = |y, t| y.sub(t).square().mean_all();
    Ok(vec![
        case("classes, 24-40-70-5", &[24, 40, 70, 5], true, smoothed)?,
        case("numbers, 7-33-3", &[7, 33, 3], false, squares)?,
        case("numbers, 20-70-66", &[20, 70, 66], false, squares)?,
    ])
}

/// A step of gradient descent with the learning rate 1 on a net of these widths.
fn case(what: &str, widths: &[usize], classes: bool, objective: Objective) -> Result<Case> {
    let graph = Graph::new();
    let out = widths[widths.len() - 1];
    let x = graph.input("x", [BATCH, widths[0]]);
    let t = if classes { graph.input_i32("t", [BATCH]) } else { graph.input("t", [BATCH, out]) };
    let mut y = x;
    let mut parameters = Vec::new();
    for (i, pair) in widths.windows(2).enumerate() {
        let w = graph.parameter(&format!("{i}.weight"), [pair[1], pair[0]], Init::Constant(0.0));
        let b = graph.parameter(&format!("{i}.bias"), [pair[1]], Init::Constant(0.0));
        y = y.matmul(&w.permute(&[1, 0])).add(&b);
        if i + 2 < widths.len() {
            y = if i == 0 { y.tanh() } else { y.relu() };
        }
        parameters.extend([w, b]);
    }
    let loss = objective(&y, &t);
    let gradients = graph.grad(&loss, &parameters.iter().collect::<Vec<_>>());
    graph.check()?;
    let shapes = graph.parameters();
    let arena = Arena::new(shapes.iter().map(|p| &p.shape));
    let mut outputs = vec![(loss.clone(), Sink::Metric(0))];
    outputs.extend(gradients.iter().cloned().zip((0..).map(Sink::Gradient)));
    let net = whole_net(&graph, &outputs, RING, &arena, BATCH).map_err(Error::Config)?;

    let numbers: Vec<Vec<f32>> =
        (0..).zip(&shapes).map(|(i, p)| noise(60 + i, p.shape.elements(), -0.5, 0.5)).collect();
    let inputs = noise(71, BATCH * widths[0], -1.0, 1.0);
    let labels: Vec<u32> = (0..BATCH).map(|i| ((i * 7 + i / 3) % out) as u32).collect();
    let targets =
        if classes { labels.iter().map(|&t| t as f32).collect() } else { noise(72, BATCH * out, -1.0, 1.0) };
    let of_input = |name: &str| exact(if name == "x" { &inputs } else { &targets });
    let wanted = [vec![loss], gradients].concat();
    let results = evaluate(&graph, &wanted, &of_input, &|i| exact(&numbers[i]));

    let gather = |words, kind| Gather { words, first: 0, hop: words, kind, scale: None };
    let of_targets = if classes { gather(1, Kind::I32) } else { gather(out, Kind::F32) };
    let fields =
        [Fed { name: "x", gather: gather(widths[0], Kind::F32) }, Fed { name: "t", gather: of_targets }];
    let optimizer = Optimizer::Sgd(Sgd { lr: 1.0, ..Sgd::default() });
    let computed = mlp::computed(&net);
    let around = UpdateContext {
        gradients: VALUES,
        computed: Some(&computed),
        ..super::optim::plain(arena.bytes, Family::Tiled)
    };
    let kernels = vec![
        mlp::rows(&net, &fields, BATCH),
        mlp::stored_gradients(&net, arena.bytes),
        kernel(&optimizer.kernel(), &around, 1),
    ];

    let mut held = vec![0; arena.bytes as usize];
    let mut claims = Vec::new();
    for (i, numbers) in numbers.iter().enumerate() {
        let offset = arena.offsets[i];
        held[offset as usize..][..4 * numbers.len()].copy_from_slice(&bytes(numbers));
        let after = numbers.iter().zip(&results[i + 1]).map(|(w, g)| {
            let near = Near::exact(*w) - *g;
            // The kernel sums in an order of its own.
            Near { bound: 4.0 * near.bound, ..near }
        });
        claims.push(Claim { buffer: PARAMETERS.into(), offset, want: Want::Numbers(after.collect()) });
    }
    for (i, gradient) in results[1..].iter().enumerate() {
        let near = gradient.iter().map(|near| Near { bound: 4.0 * near.bound, ..*near }).collect();
        claims.push(Claim { buffer: GRADIENTS.into(), offset: arena.offsets[i], want: Want::Numbers(near) });
    }
    let loss = results[0].iter().map(|near| Near { bound: 4.0 * near.bound, ..*near }).collect();
    claims.push(Claim { buffer: METRICS.into(), offset: 0, want: Want::Numbers(loss) });
    let order: Vec<u32> = (0..BATCH as u32).collect();
    let [table, _] = opened(&optimizer, 1);
    let targets = if classes { word_bytes(&labels) } else { bytes(&targets) };
    let given = vec![
        (FROM[0], bytes(&inputs)),
        (FROM[1], targets),
        (ORDER, word_bytes(&order)),
        (PARAMETERS, held),
        table,
    ];
    let sizes = [
        (VALUES, 4 * net.values as u64),
        (TARGETS, net.targets_bytes()),
        (METRICS, RING.bytes()),
        (GRADIENTS, arena.bytes),
        (crate::kernel::feed::STATE, crate::kernel::feed::STATE_BYTES),
    ];
    Ok(Case::of_kernels("mlp_rows", what, kernels, given, &sizes, claims))
}
