//! Fused attention, embeddings and recurrent layers against the same written out of matmul, softmax and one_hot.

mod adapter;

use adapter::{families, open_with};
use downhill::graph::AttentionOptions;
use downhill::{Function, Gpu, GpuOptions, Graph, Tensor, Value};

fn numbers(n: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    (0..n)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 40) as f32 / (1u64 << 23) as f32 - 1.0
        })
        .collect()
}

fn gpus() -> Vec<Gpu> {
    let open = |&family| {
        open_with(GpuOptions { family: Some(family), shader_checks: true, ..GpuOptions::default() })
    };
    families().iter().map(open).collect()
}

/// Calls a graph with random numbers for every f32 input.
fn call(
    gpu: &Gpu,
    graph: &Graph,
    inputs: &[&Tensor],
    outputs: &[&Tensor],
    given: &[(&str, Value)],
) -> Vec<Vec<f32>> {
    let mut function = Function::new(gpu, graph, outputs).expect("it compiles");
    let values: Vec<Vec<f32>> =
        (1..).zip(inputs).map(|(i, t)| numbers(t.shape().iter().product(), i)).collect();
    let names = ["a", "b", "c", "u", "m"];
    let mut feed: Vec<(&str, Value)> =
        names.iter().zip(&values).map(|(name, v)| (*name, Value::F32(v))).collect();
    feed.extend_from_slice(given);
    function.call(&feed).expect("it runs")
}

fn close(what: &str, got: &[f32], wanted: &[f32], tol: f32) {
    assert_eq!(got.len(), wanted.len(), "{what}");
    let scale = wanted.iter().fold(0.0f32, |m, x| m.max(x.abs()));
    for (i, (g, w)) in got.iter().zip(wanted).enumerate() {
        assert!((g - w).abs() <= tol * scale, "{what} [{i}]: {g} for {w}, largest {scale}");
    }
}

/// softmax(q kᵀ/√d + mask)·keep·v by ops that have their own tests.
fn composed(
    q: &Tensor,
    k: &Tensor,
    v: &Tensor,
    causal: bool,
    mask: Option<&Tensor>,
    keep: Option<&Tensor>,
) -> Tensor {
    let heads = |t: &Tensor| t.permute(&[0, 2, 1, 3]);
    let d = q.shape()[3] as f32;
    let mut scores = heads(q).matmul(&heads(k).transpose(2, 3)).mul_scalar(1.0 / d.sqrt());
    if let Some(mask) = mask {
        scores = scores.add(mask);
    }
    if causal {
        let t = q.shape()[1];
        let places: Vec<Tensor> = (0..t).map(|i| q.graph().constant(i as f32).reshape([1, 1])).collect();
        let column = Tensor::concat(&places.iter().collect::<Vec<_>>(), 0);
        let hidden = column.transpose(0, 1).gt(&column);
        scores = hidden.select(&q.graph().constant(-1e30), &scores);
    }
    let mut p = scores.softmax(&[-1]);
    if let Some(keep) = keep {
        p = p.mul(keep);
    }
    p.matmul(&heads(v)).permute(&[0, 2, 1, 3])
}

#[test]
fn attention_is_the_softmax_it_stands_for() {
    // n, queries, keys, heads, width, causal, masked, kept
    let cases = [
        (1, 1, 1, 1, 4, false, false, false),
        (2, 5, 5, 2, 8, true, false, false),
        (1, 33, 33, 1, 7, true, false, false),
        (2, 9, 21, 3, 5, false, true, false),
        (1, 70, 70, 2, 32, true, false, true),
        (1, 12, 40, 1, 3, false, true, true),
    ];
    for gpu in gpus() {
        for (n, tq, tk, h, d, causal, masked, kept) in cases {
            let graph = Graph::new();
            let q = graph.input("a", [n, tq, h, d]);
            let k = graph.input("b", [n, tk, h, d]);
            let v = graph.input("c", [n, tk, h, d]);
            let u = graph.input("u", [n, tq, h, d]);
            // One input gives mask and weights of the pairs.
            let m = graph.input("m", [n, h, tq, tk]);
            let mask = masked.then(|| m.mul_scalar(2.0));
            let keep = kept.then(|| m.gt(&graph.constant(-0.5)).mul_scalar(1.25));
            let options = AttentionOptions { causal, scale: None, mask: mask.clone(), keep: keep.clone() };
            let fused = q.attention(&k, &v, &options);
            let plain = composed(&q, &k, &v, causal, mask.as_ref(), keep.as_ref());
            let with_grads = |y: &Tensor| {
                let mut all = vec![y.clone()];
                all.extend(graph.grad(&y.mul(&u).sum_all(), &[&q, &k, &v]));
                all
            };
            let (fused, plain) = (with_grads(&fused), with_grads(&plain));
            let outputs: Vec<&Tensor> = fused.iter().chain(&plain).collect();
            let got = call(&gpu, &graph, &[&q, &k, &v, &u, &m], &outputs, &[]);
            for (i, what) in ["out", "dq", "dk", "dv"].iter().enumerate() {
                let label =
                    format!("{:?} {n} {tq} {tk} {h} {d} {causal} {masked} {kept}: {what}", gpu.family());
                // A score is a sum of d products, a gradient one of tk of them: 1e-5 is some hundred roundings.
                close(&label, &got[i], &got[4 + i], 1e-5);
            }
        }
    }
}

#[test]
fn a_query_that_may_look_at_nothing_gives_zero() {
    for gpu in gpus() {
        let graph = Graph::new();
        let q = graph.input("a", [1, 3, 1, 4]);
        let k = graph.input("b", [1, 9, 1, 4]);
        let v = graph.input("c", [1, 9, 1, 4]);
        let u = graph.input("u", [1, 3, 1, 4]);
        let row = graph.input("m", [3, 1]);
        // The second of three rows is hidden.
        let mask =
            row.gt(&graph.constant(2.0)).select(&graph.constant(f32::NEG_INFINITY), &graph.constant(0.0));
        let options = AttentionOptions { mask: Some(mask), ..AttentionOptions::default() };
        let y = q.attention(&k, &v, &options);
        let grads = graph.grad(&y.mul(&u).sum_all(), &[&q, &k, &v]);
        let mut function =
            Function::new(&gpu, &graph, &[&y, &grads[0], &grads[1], &grads[2]]).expect("compiles");
        let (a, b, c, u) = (numbers(12, 1), numbers(36, 2), numbers(36, 3), numbers(12, 4));
        let feed = [
            ("a", Value::F32(&a)),
            ("b", Value::F32(&b)),
            ("c", Value::F32(&c)),
            ("u", Value::F32(&u)),
            ("m", Value::F32(&[0.0, 9.0, 0.0])),
        ];
        let got = function.call(&feed).expect("runs");
        assert!(got.iter().flatten().all(|x| x.is_finite()), "{:?}", got);
        assert_eq!(got[0][4..8], [0.0; 4]);
        assert_eq!(got[1][4..8], [0.0; 4]);
        assert!(got[0][0] != 0.0 && got[2].iter().any(|&x| x != 0.0));
    }
}

#[test]
fn the_gradient_of_an_embedding_sums_the_uses_of_a_row() {
    for gpu in gpus() {
        let graph = Graph::new();
        let net = downhill::nn::Net::new(&graph, true);
        let index = graph.input_i32("i", [3, 7]);
        let u = graph.input("a", [3, 7, 5]);
        let options = downhill::nn::Embedding { num_embeddings: 9, embedding_dim: 5, padding_idx: Some(2) };
        let y = net.embedding("e", &index, &options);
        let table = graph.parameters().swap_remove(0);
        assert_eq!(table.shape[..], [9, 5]);
        // The table is a parameter, which a Function has none of: its gradient does not read it.
        let grad = graph.grad(&y.mul(&u).sum_all(), &[&graph.parameter_of("e.weight")]).swap_remove(0);
        let index: Vec<i32> = (0..21).map(|i| (i * i + i / 4) % 9).collect();
        let got = call(&gpu, &graph, &[&u], &[&grad], &[("i", Value::I32(&index))]).swap_remove(0);
        let upstream = numbers(105, 1);
        let mut wanted = vec![0.0f64; 45];
        for (t, &row) in index.iter().enumerate().filter(|(_, row)| **row != 2) {
            for d in 0..5 {
                wanted[row as usize * 5 + d] += f64::from(upstream[t * 5 + d]);
            }
        }
        let wanted: Vec<f32> = wanted.into_iter().map(|x| x as f32).collect();
        close("table", &got, &wanted, 1e-6);
    }
}

/// A key component of 2²⁰ beside a query component of 1 moves all scores of a row alike. All scores are exact in f32.
#[test]
fn a_shift_of_all_scores_changes_no_gradient() {
    const SHAPE: [usize; 4] = [2, 11, 3, 4];
    let rounded = |seed, by: f32| -> Vec<f32> {
        numbers(SHAPE.iter().product(), seed).iter().map(|x| (4.0 * x / by).round() * by).collect()
    };
    let with_first = |mut values: Vec<f32>, first: f32| {
        values.iter_mut().step_by(4).for_each(|x| *x = first);
        values
    };
    for gpu in gpus() {
        let graph = Graph::new();
        let [q, k, v, u] = ["q", "k", "v", "u"].map(|name| graph.input(name, SHAPE));
        let options = AttentionOptions { scale: Some(1.0), ..AttentionOptions::default() };
        let out = q.attention(&k, &v, &options);
        let grads = graph.grad(&out.mul(&u).sum_all(), &[&q, &k, &v]);
        let mut function =
            Function::new(&gpu, &graph, &[&out, &grads[0], &grads[1], &grads[2]]).expect("it compiles");
        let (values, upstream) = (numbers(264, 3), numbers(264, 4));
        let query = with_first(rounded(1, 0.5), 1.0);
        let mut shifted_by = |shift: f32| {
            let key = with_first(rounded(2, 0.25), shift);
            let feed = [("q", &query), ("k", &key), ("v", &values), ("u", &upstream)];
            let mut all = function.call(&feed.map(|(name, x)| (name, Value::F32(x)))).expect("it runs");
            // The gradient of the query's own component has the shift as a factor.
            all[1].iter_mut().step_by(4).for_each(|x| *x = 0.0);
            all
        };
        let (at_zero, far) = (shifted_by(0.0), shifted_by(1_048_576.0));
        for (name, (zero, far)) in ["out", "dq", "dk", "dv"].into_iter().zip(at_zero.iter().zip(&far)) {
            close(name, far, zero, 1e-6);
        }
    }
}
