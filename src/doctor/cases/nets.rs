//! Tests of the other kernels of nets: convolutions, cross-entropy, attention, embeddings.

use super::super::case::{Case, Given, Room, of_graph};
use crate::error::Result;
use crate::graph::{AttentionOptions, Geometry, Graph, Tensor};
use crate::kernel::Target;
use crate::nn::loss::{self, CrossEntropy};

pub(super) fn cases(target: Target) -> Result<Vec<Case>> {
    let mut all = convolutions(target)?;
    all.extend(cross_entropies(target)?);
    all.extend(attentions(target)?);
    all.extend(embeddings(target)?);
    Ok(all)
}

/// y, dx and dw of convolutions, all products of views.
pub(super) fn convolutions(target: Target) -> Result<Vec<Case>> {
    let stem =
        if target.family == crate::kernel::Family::Subgroup { "matmul_subgroup_map" } else { "matmul" };
    let mut all = Vec::new();
    for (what, n, channels, groups, stride) in
        [("convolution", 8, [3, 20], 1, 1), ("strided convolution in groups", 2, [4, 6], 2, 2)]
    {
        let [c, o] = channels;
        let (length, padding) = (9, 1);
        let positions = (length + 2 * padding - 3) / stride + 1;
        let geometry = Geometry {
            stride: vec![stride; 2],
            dilation: vec![1; 2],
            padding: vec![padding; 2],
            positions: vec![positions; 2],
            groups,
        };
        let given = [
            Given::quarters("x", &[n, c, length, length], 21),
            Given::quarters("w", &[o, c / groups, 3, 3], 22),
            Given::quarters("dy", &[n, o, positions, positions], 23),
        ];
        let y = |_: &Graph, t: &[Tensor]| vec![t[0].convolve(&t[1], &geometry)];
        let dx = |_: &Graph, t: &[Tensor]| vec![t[2].convolve_back(&t[1], &geometry, &[length; 2])];
        let dw = |_: &Graph, t: &[Tensor]| vec![t[0].convolve_weight(&t[2], &geometry, &[3, 3])];
        all.push(of_graph(stem, what, target, Room::Exact, &given, y)?);
        all.push(of_graph(stem, &format!("{what}, dx"), target, Room::Exact, &given, dx)?);
        all.push(of_graph(stem, &format!("{what}, dw"), target, Room::Exact, &given, dw)?);
    }
    Ok(all)
}

fn cross_entropies(target: Target) -> Result<Vec<Case>> {
    let (rows, classes) = (70, 7);
    let given = [Given::noise("x", &[rows, classes], 31), Given::whole("t", &[rows], classes)];
    let options = |label_smoothing, ignore_index| CrossEntropy { label_smoothing, ignore_index };
    let loss = |t: &[Tensor], o: &CrossEntropy| loss::cross_entropy(&t[0], &t[1], o);
    let dx = |t: &[Tensor], y: &Tensor| t[0].graph().grad(y, &[&t[0]]).swap_remove(0);
    let alone = |_: &Graph, t: &[Tensor]| vec![loss(t, &options(0.0, None))];
    let gradient = |_: &Graph, t: &[Tensor]| vec![dx(t, &loss(t, &options(0.1, Some(3))))];
    let both = |_: &Graph, t: &[Tensor]| {
        let y = loss(t, &options(0.1, None));
        vec![dx(t, &y), y]
    };
    let stem = "cross_entropy";
    Ok(vec![
        of_graph(stem, "losses", target, Room::Rounding, &given, alone)?,
        of_graph(stem, "gradient, some ignored", target, Room::Rounding, &given, gradient)?,
        of_graph(stem, "both in one", target, Room::Rounding, &given, both)?,
    ])
}

fn attentions(target: Target) -> Result<Vec<Case>> {
    let mut all = Vec::new();
    for (what, tq, tk, d, causal) in [("causal", 19, 19, 8, true), ("masked, with dropout", 11, 37, 5, false)]
    {
        let (n, heads) = (2, 2);
        let given = [
            Given::noise("q", &[n, tq, heads, d], 41),
            Given::noise("k", &[n, tk, heads, d], 42),
            Given::noise("v", &[n, tk, heads, d], 43),
            Given::noise("dout", &[n, tq, heads, d], 44),
            Given::noise("mask", &[tq, tk], 45),
            Given::whole("keep", &[n, heads, tq, tk], 3),
        ];
        let build = |_: &Graph, t: &[Tensor]| {
            let changed = |t: Tensor| (!causal).then_some(t);
            let options = AttentionOptions {
                causal,
                scale: Some(0.75),
                mask: changed(t[4].clone()),
                keep: changed(t[5].to_f32()),
            };
            let y = t[0].attention(&t[1], &t[2], &options);
            // The gradient of this sum for y is dout.
            let gradients = t[0].graph().grad(&y.mul(&t[3]).sum_all(), &[&t[0], &t[1], &t[2]]);
            std::iter::once(y).chain(gradients).collect()
        };
        all.push(of_graph("attention", what, target, Room::Rounding, &given, build)?);
        // One gradient alone has a kernel of its own.
        for (name, wanted) in [("q", 0), ("k", 1)] {
            let build = |_: &Graph, t: &[Tensor]| {
                let options = AttentionOptions { causal, ..AttentionOptions::default() };
                let y = t[0].attention(&t[1], &t[2], &options);
                t[0].graph().grad(&y.mul(&t[3]).sum_all(), &[&t[wanted]])
            };
            let what = format!("{what}, the gradient of {name} alone");
            all.push(of_graph("attention", &what, target, Room::Rounding, &given, build)?);
        }
    }
    Ok(all)
}

fn embeddings(target: Target) -> Result<Vec<Case>> {
    let given = [Given::quarters("dy", &[50, 6], 51), Given::whole("rows", &[50], 9)];
    let sums = |_: &Graph, t: &[Tensor]| vec![t[0].segment_sum(&t[1], 11)];
    Ok(vec![of_graph("segment_sum", "50 rows of 9 numbers", target, Room::Exact, &given, sums)?])
}
