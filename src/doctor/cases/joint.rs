//! Tests of what shares a dispatch on GPUs: kernels side by side, and the end of a net.

use super::super::case::{Case, Given, Room, of_graph};
use crate::error::Result;
use crate::graph::{Graph, Init, Tensor};
use crate::kernel::{Family, ProductTiles, Target};
use crate::nn::loss::{self, CrossEntropy};

pub(super) fn cases(target: Target) -> Result<Vec<Case>> {
    let mut all = Vec::new();
    if target.family != Family::Tiled || target.tiles == ProductTiles::Plain {
        return Ok(all);
    }
    if target.side_by_side {
        all.push(side_by_side(target)?);
    }
    if target.whole_nets {
        all.push(end_of_a_net(target)?);
    }
    Ok(all)
}

/// A batched product, an elementwise value, sums of few numbers and sums of many.
fn side_by_side(target: Target) -> Result<Case> {
    let given = [
        Given::noise("a", &[3, 100, 40], 81),
        Given::noise("b", &[3, 40, 50], 82),
        Given::noise("c", &[130, 3], 83),
    ];
    let build = |_: &Graph, t: &[Tensor]| {
        let many = t[0].sum(&[2], false);
        vec![t[0].matmul(&t[1]), t[1].mul_scalar(0.5).add_scalar(1.0), t[2].sum(&[1], false), many]
    };
    // 64 invocations, as the kernel of long sums has.
    let target = target.with_tiles(ProductTiles::Given { index: 2, parts: 1 });
    of_graph("matmul_block", "beside sums and an elementwise value", target, Room::Rounding, &given, build)
}

/// A narrow layer, cross-entropy, and the gradient of the layer's input.
fn end_of_a_net(target: Target) -> Result<Case> {
    let (rows, width, classes) = (19, 44, 7);
    let given = [
        Given::noise("x", &[rows, width], 84),
        Given::whole("t", &[rows], classes),
        Given::noise("w", &[classes, width], 85),
        Given::noise("b", &[classes], 86),
    ];
    let build = |graph: &Graph, t: &[Tensor]| {
        let w = graph.parameter("w", [classes, width], Init::Constant(0.0));
        let b = graph.parameter("b", [classes], Init::Constant(0.0));
        let h = t[0].tanh();
        let y = h.matmul(&w.permute(&[1, 0])).add(&b);
        let options = CrossEntropy { label_smoothing: 0.1, ..CrossEntropy::default() };
        let loss = loss::cross_entropy(&y, &t[1], &options);
        let gradients = graph.grad(&loss, &[&t[0], &w, &b]);
        [vec![loss], gradients].concat()
    };
    of_graph("mlp_rows", "the end of a net", target, Room::Rounding, &given, build)
}
