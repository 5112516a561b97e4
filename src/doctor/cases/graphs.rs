//! Tests of the parts of graphs: elementwise chains with their functions and random numbers, reductions, products.
//!
//! Sums of products are tested twice. With multiples of a quarter every sum is exact, so one element read wrongly is
//! seen in a sum of any length. With any numbers arithmetic in less than f32 is seen.

use super::super::case::{Case, Given, Room, of_graph, of_graph_into};
use crate::error::Result;
use crate::graph::{Graph, Tensor};
use crate::kernel::Target;
use crate::plan::Sink;

pub(super) fn cases(target: Target) -> Result<Vec<Case>> {
    let mut all = chains(target)?;
    all.extend(functions(target)?);
    all.extend(reductions(target)?);
    all.extend(products(target)?);
    all.extend(layers(target)?);
    Ok(all)
}

fn chains(target: Target) -> Result<Vec<Case>> {
    let x = Given::quarters("x", &[5, 6, 7], 1);
    let y = Given::quarters("y", &[7, 1], 2);
    let rows = Given::whole("rows", &[9], 7);
    let views = |_: &Graph, t: &[Tensor]| {
        let turned = t[0].permute(&[2, 0, 1]).slice(1, 1, 4).reshape([7, 18]);
        let joined = Tensor::concat(&[&turned.mul(&t[1]), &turned.slice(1, 0, 4).relu()], 1);
        vec![joined.index_select(0, &t[2]).add_scalar(0.5)]
    };
    let compare = |_: &Graph, t: &[Tensor]| {
        let (a, b) = (t[0].slice(2, 0, 6), t[0].slice(2, 1, 7));
        let least = a.minimum(&b).sub(&a.maximum(&b));
        let hot = t[2].one_hot(7).sum(&[0], false).slice(0, 0, 6);
        vec![a.lt(&b).select(&least, &b.abs().mul(&a.sign())).add(&a.ge(&b)).mul(&hot)]
    };
    let drawn = |graph: &Graph, _: &[Tensor]| {
        graph.random_uniform([3]);
        vec![graph.random_uniform([19, 27])]
    };
    let inputs = [x, y, rows];
    Ok(vec![
        of_graph("chain", "views", target, Room::Exact, &inputs, views)?,
        of_graph("chain", "comparisons", target, Room::Exact, &inputs, compare)?,
        Case {
            kernel: "shared/random".into(),
            ..of_graph("chain", "uniform", target, Room::Exact, &[], drawn)?
        },
    ])
}

/// The ends of a range, and the function that is tested on it. The range covers each place at which the function
/// changes its way of computing, and numbers far from it.
type Function = (f32, f32, fn(&Tensor) -> Tensor);

fn functions(target: Target) -> Result<Vec<Case>> {
    let groups: [(&str, &[Function]); 6] = [
        (
            "exp, log, roots",
            &[
                (-30.0, 20.0, |x| x.exp()),
                (0.01, 9.0, |x| x.log()),
                (0.01, 9.0, |x| x.sqrt()),
                (0.1, 9.0, |x| x.recip()),
                (0.1, 4.0, |x| x.pow_scalar(2.7)),
            ],
        ),
        (
            "sin, cos, elu, softplus",
            &[
                (-9.0, 9.0, |x| x.sin()),
                (-9.0, 9.0, |x| x.cos()),
                (-6.0, 0.5, |x| x.elu(1.5)),
                (-19.0, 9.0, |x| x.softplus(1.0, 20.0)),
            ],
        ),
        (
            "tanh, sigmoid, erf",
            &[
                (-9.0, 9.0, |x| x.tanh()),
                (-9.0, 9.0, |x| x.sigmoid()),
                (-4.5, 4.5, |x| x.erf()),
                (-4.0, 4.0, |x| x.leaky_relu(0.01)),
            ],
        ),
        ("gelu, silu", &[(-4.5, 4.5, |x| x.gelu()), (-9.0, 9.0, |x| x.silu())]),
        // A bound is relative, so a result that a sum with 1 rounds away is seen.
        (
            "small results",
            &[
                (-86.0, -30.0, |x| x.exp()),
                (0.999, 1.001, |x| x.log()),
                (3.13, 3.15, |x| x.sin()),
                (1.56, 1.58, |x| x.cos()),
                (-1e-3, 1e-3, |x| x.tanh()),
                (-86.0, -9.0, |x| x.sigmoid()),
                (-1e-3, 1e-3, |x| x.erf()),
                (-1e-3, 1e-3, |x| x.elu(1.0)),
                (-86.0, -9.0, |x| x.softplus(1.0, 20.0)),
            ],
        ),
        (
            "large arguments",
            &[
                (9e3, 3e7, |x| x.sin()),
                (-1e38, 1e38, |x| x.cos()),
                (0.95, 1.05, |x| x.pow_scalar(700.0)),
                (1e10, 1e30, |x| x.pow_scalar(-1.2)),
            ],
        ),
    ];
    const POINTS: usize = 509;
    let mut all = Vec::new();
    for (what, functions) in groups {
        let mut numbers = Vec::new();
        for (low, high, _) in functions {
            numbers.extend((0..POINTS).map(|i| low + (high - low) * (i as f32 / (POINTS - 1) as f32)));
        }
        let x = Given::new("x", &[functions.len(), POINTS], numbers);
        let build = |_: &Graph, t: &[Tensor]| {
            let row = |(i, (_, _, f)): (usize, &Function)| f(&t[0].slice(0, i, i + 1));
            let rows: Vec<Tensor> = functions.iter().enumerate().map(row).collect();
            vec![Tensor::concat(&rows.iter().collect::<Vec<_>>(), 0)]
        };
        let case = of_graph("chain", what, target, Room::Rounding, &[x], build)?;
        all.push(Case { kernel: "shared/math".into(), ..case });
    }
    Ok(all)
}

fn reductions(target: Target) -> Result<Vec<Case>> {
    let mut all = Vec::new();
    let sum = |_: &Graph, t: &[Tensor]| vec![t[0].sum(&[1], false)];
    let most = |_: &Graph, t: &[Tensor]| vec![t[0].amax(&[1], false)];
    for shape in [[5, 131, 1], [3, 70, 2], [70, 3, 1], [3, 200_001, 1]] {
        let x = Given::quarters("x", &shape, 5);
        let what = format!("sum over {}", shape[1]);
        all.push(of_graph("reduce", &what, target, Room::Exact, &[x], sum)?);
    }
    let x = Given::noise("x", &[3, 5003, 1], 6);
    all.push(of_graph("reduce", "largest of 5003", target, Room::Exact, std::slice::from_ref(&x), most)?);
    all.push(of_graph("reduce", "sum of any 5003", target, Room::Rounding, &[x], sum)?);
    // A metric and a loss, written to the ring.
    let x = Given::quarters("x", &[40, 8], 8);
    let filed = |_: &Graph, t: &[Tensor]| {
        let loss = t[0].sum_all();
        vec![t[0].slice(0, 3, 4).slice(1, 2, 3).reshape([]).mul_scalar(0.5), loss]
    };
    let into_ring = (Room::Exact, (|i| Sink::Metric(2 * i + 1)) as fn(usize) -> Sink);
    all.push(of_graph_into("reduce", "metrics", target, into_ring, &[x], filed)?);
    // Computed on the way in and on the way out.
    let x = Given::noise("x", &[40, 67], 7);
    let norm = |_: &Graph, t: &[Tensor]| {
        let spread = t[0].sub(&t[0].mean(&[-1], true)).square().mean(&[-1], true);
        vec![spread.add_scalar(1e-5).sqrt().recip()]
    };
    all.push(of_graph("reduce", "variance", target, Room::Rounding, &[x], norm)?);
    Ok(all)
}

/// Leading extents, [m, n, k], and which operands are transposed.
type Product = (&'static [usize], [usize; 3], [bool; 2]);

/// Every matmul kernel of both families: by strides, by size, with K cut in parts.
const PRODUCTS: [Product; 8] = [
    (&[], [19, 11, 7], [false, false]),
    (&[2], [17, 9, 13], [true, true]),
    (&[], [20, 36, 12], [false, false]),
    (&[2], [12, 8, 15], [true, false]),
    (&[], [19, 27, 12], [false, true]),
    (&[2], [3, 4, 1100], [false, true]),
    (&[], [3, 8, 45_004], [false, false]),
    (&[], [516, 513, 6], [false, false]),
];

fn products(target: Target) -> Result<Vec<Case>> {
    let mut all = Vec::new();
    for (lead, [m, n, k], trans) in PRODUCTS {
        let side = |rows: usize, columns: usize, turned: bool| {
            [lead, &if turned { [columns, rows] } else { [rows, columns] }].concat()
        };
        let sides = [side(m, k, trans[0]), side(k, n, trans[1])];
        let name = |turned: bool| if turned { 'T' } else { 'N' };
        let what = format!("{}{} {m} x {n} x {k}", name(trans[0]), name(trans[1]));
        let build = |_: &Graph, t: &[Tensor]| {
            let turn = |t: &Tensor, turned: bool| if turned { t.transpose(-1, -2) } else { t.clone() };
            vec![turn(&t[0], trans[0]).matmul(&turn(&t[1], trans[1]))]
        };
        let quarters = [Given::quarters("a", &sides[0], 11), Given::quarters("b", &sides[1], 12)];
        let any = [Given::noise("a", &sides[0], 13), Given::noise("b", &sides[1], 14)];
        let case = of_graph("matmul", &what, target, Room::Exact, &quarters, build)?;
        if k <= 64 && m <= 64 {
            // The same kernel on other numbers.
            let other = format!("any {what}");
            all.push(of_graph("matmul", &other, target, Room::Rounding, &any, build)?);
        }
        all.push(case);
    }
    Ok(all)
}

/// Products with bias and activation, with the pre-activation as a second output, and with the bias gradient.
fn layers(target: Target) -> Result<Vec<Case>> {
    let mut all = Vec::new();
    for (rows, outputs, inputs) in [(13, 18, 9), (20, 36, 20)] {
        let given = [
            Given::quarters("x", &[rows, inputs], 15),
            Given::quarters("w", &[outputs, inputs], 16),
            Given::quarters("b", &[outputs], 17),
            Given::quarters("dy", &[rows, outputs], 18),
        ];
        let forward = |_: &Graph, t: &[Tensor]| {
            let z = t[0].matmul(&t[1].transpose(0, 1)).add(&t[2]);
            vec![z.relu().mul_scalar(2.0), z]
        };
        let backward =
            |_: &Graph, t: &[Tensor]| vec![t[3].transpose(0, 1).matmul(&t[0]), t[3].sum(&[0], false)];
        let what = format!("{rows} rows, {inputs} to {outputs}");
        all.push(of_graph("matmul", &format!("layer of {what}"), target, Room::Exact, &given, forward)?);
        all.push(of_graph(
            "matmul",
            &format!("its gradients, {what}"),
            target,
            Room::Exact,
            &given,
            backward,
        )?);
    }
    Ok(all)
}
