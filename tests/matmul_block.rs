//! Every tile of `matmul_block` in every layout against sums in f64, to the bit: all numbers are small multiples of a
//! sixteenth, so that every sum is exact in any order. Shader checks are on and off in turn.

mod adapter;
mod oracle;

use downhill::gpu::{AdapterKind, Family, Reads};
use downhill::kernel::matmul::TILES;
use downhill::kernel::{Precision, ProductTiles, Target};
use downhill::plan::NamedTensor;
use downhill::{Function, Gpu, GpuOptions, Graph, Init, Tensor, Value};
use oracle::{Array, draw, elementwise as el, matmul::matmul, reduce, view};
use rand::SeedableRng;

/// Sides about those of tiles and slabs.
const SIDES: [usize; 11] = [1, 3, 17, 31, 33, 64, 65, 127, 128, 130, 257];
/// Sides that are multiples of four, for loads of four numbers.
const FOURS: [usize; 6] = [4, 20, 36, 64, 132, 260];
const LAYOUTS: [[bool; 2]; 4] = [[false, false], [false, true], [true, false], [true, true]];

/// Two devices of the tiled family, with shader checks and without.
fn gpus() -> [Gpu; 2] {
    [true, false].map(|shader_checks| {
        let family = Some(Family::Tiled);
        adapter::open_with(GpuOptions { shader_checks, family, ..GpuOptions::default() })
    })
}

/// The tiles that the adapter under test compiles. SwiftShader's compiler takes minutes and gigabytes for eight rows an
/// invocation; no plan gives it this kernel.
fn tiles(gpu: &Gpu) -> Vec<usize> {
    let adapter = gpu.adapter();
    let is_plain = adapter.kind == AdapterKind::Software && adapter.family() == Family::Tiled;
    (0..TILES.len()).filter(|&i| !is_plain || TILES[i].each_rows == 4).collect()
}

fn target(gpu: &Gpu, index: usize, parts: usize) -> Target {
    Target::for_gpu(gpu).kernel_by_kernel().with_tiles(ProductTiles::Given { index, parts })
}

/// Multiples of a sixteenth between -2 and 2.
fn sixteenths(seed: u64, shape: &[usize]) -> Array {
    draw::uniform(&mut draw::Rng::seed_from_u64(seed), shape, -2.0, 2.0).map(|x| (x * 16.0).round() / 16.0)
}

/// Whole numbers from -2 to 2.
fn whole(seed: u64, shape: &[usize]) -> Array {
    sixteenths(seed, shape).map(f64::round)
}

fn turned(x: &Array, swap: bool) -> Array {
    if swap { view::transpose(x, -1, -2) } else { x.clone() }
}

fn turn(x: &Tensor, swap: bool) -> Tensor {
    if swap { x.transpose(-1, -2) } else { x.clone() }
}

/// What the graph gives for these inputs under a target.
fn outputs(
    gpu: &Gpu,
    target: Target,
    graph: &Graph,
    outputs: &[&Tensor],
    inputs: &[(&str, &Array)],
) -> Vec<Vec<f32>> {
    let mut function = Function::for_target(gpu, graph, outputs, target).expect("a function");
    let entries: Vec<&str> = function.plan().steps.iter().map(|s| s.kernel.entry).collect();
    assert!(entries.contains(&"matmul_block"), "{entries:?}");
    let numbers: Vec<Vec<f32>> = inputs.iter().map(|(_, a)| a.to_f32()).collect();
    let given: Vec<(&str, Value<'_>)> =
        inputs.iter().zip(&numbers).map(|((name, _), x)| (*name, Value::F32(x))).collect();
    function.call(&given).expect("a call")
}

fn assert_equal(what: &str, got: &[f32], want: &Array) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (got, want)) in got.iter().zip(&want.data).enumerate() {
        assert!(f64::from(*got) == *want, "{what}: number {i} is {got} where {want} should be");
    }
}

/// lead x [m, k] by lead x [k, n], each stored as is or transposed.
fn check_product(
    gpu: &Gpu,
    target: Target,
    [a_lead, b_lead]: [&[usize]; 2],
    [m, n, k]: [usize; 3],
    [swap_a, swap_b]: [bool; 2],
) {
    let side = |rows, cols, swap: bool| if swap { [cols, rows] } else { [rows, cols] };
    let a = sixteenths(1, &[a_lead, &side(m, k, swap_a)].concat());
    let b = sixteenths(2, &[b_lead, &side(k, n, swap_b)].concat());
    let want = matmul(&turned(&a, swap_a), &turned(&b, swap_b));
    let graph = Graph::new();
    let (x, y) = (graph.input("a", &a.shape[..]), graph.input("b", &b.shape[..]));
    let product = turn(&x, swap_a).matmul(&turn(&y, swap_b));
    let got = outputs(gpu, target, &graph, &[&product], &[("a", &a), ("b", &b)]);
    let tile = target.tiles;
    let what = format!("{tile:?}: {a_lead:?} {m}x{k} by {b_lead:?} {k}x{n}, transposed {swap_a} {swap_b}");
    assert_equal(&what, &got[0], &want);
}

#[test]
fn every_tile_and_layout_of_many_sizes() {
    let gpus = gpus();
    let many = draw::cases(1);
    for index in tiles(&gpus[0]) {
        for (l, layout) in LAYOUTS.into_iter().enumerate() {
            for turn in 0..2 * many {
                let at = 5 * index + 3 * l + 7 * turn;
                let sides: &[usize] = if turn % 2 == 0 { &SIDES } else { &FOURS };
                let side = |i: usize| sides[i % sides.len()];
                let sizes = [side(at), side(at / 2 + 4), side(at * 3 + 2)];
                let gpu = &gpus[(index + l + turn) % 2];
                check_product(gpu, target(gpu, index, 1), [&[], &[]], sizes, layout);
            }
        }
    }
}

/// Batches of products whose operands have the leading axis, or are the same for all.
#[test]
fn every_tile_of_batches() {
    let gpus = gpus();
    for index in tiles(&gpus[0]) {
        let leads: [[&[usize]; 2]; 3] = [[&[3], &[3]], [&[2], &[]], [&[], &[3]]];
        let sizes = [[36, 20, 65], [17, 33, 12], [20, 132, 20]][index % 3];
        let gpu = &gpus[index % 2];
        check_product(gpu, target(gpu, index, 1), leads[(index + 1) % 3], sizes, LAYOUTS[index % 4]);
    }
}

/// K in parts, the last of which may be short, with an epilogue in the kernel that adds them.
#[test]
fn every_tile_with_k_in_parts() {
    let gpus = gpus();
    for index in tiles(&gpus[0]) {
        let gpu = &gpus[index % 2];
        let k = [260, 523, 516][index % 3];
        check_product(gpu, target(gpu, index, 3), [&[], &[]], [20, 36, k], LAYOUTS[(index + 1) % 4]);
    }
    let target = target(&gpus[0], 1, 4);
    check_layer(&gpus[0], target, [33, 20, 260], 1);
}

/// A layer, (x wT + b) or more, its pre-activation as a second output, and its gradients with the bias gradient.
fn check_layer(gpu: &Gpu, target: Target, [rows, outs, ins]: [usize; 3], times: usize) {
    let [x, w, b, dy] = [(1, vec![rows, ins]), (2, vec![outs, ins]), (3, vec![outs]), (4, vec![rows, outs])]
        .map(|(seed, shape)| sixteenths(seed, &shape));
    let mut pre = matmul(&x, &view::transpose(&w, 0, 1));
    for _ in 0..times {
        pre = el::zip(&pre, &b, |x, b| x + b);
    }
    let want = [
        pre.map(|x| x.max(0.0)),
        pre,
        matmul(&view::transpose(&dy, 0, 1), &x),
        reduce::sum(&dy, &[0], false),
    ];
    let graph = Graph::new();
    let [tx, tw, tb, tdy] =
        [("x", &x), ("w", &w), ("b", &b), ("dy", &dy)].map(|(name, a)| graph.input(name, &a.shape[..]));
    let pre = (0..times).fold(tx.matmul(&tw.transpose(0, 1)), |y, _| y.add(&tb));
    let (y, dw, db) = (pre.relu(), tdy.transpose(0, 1).matmul(&tx), tdy.sum(&[0], false));
    let given = [("x", &x), ("w", &w), ("b", &b), ("dy", &dy)];
    let got = outputs(gpu, target, &graph, &[&y, &pre, &dw, &db], &given);
    for (what, (got, want)) in ["y", "pre", "dw", "db"].into_iter().zip(got.iter().zip(&want)) {
        let tile = target.tiles;
        assert_equal(&format!("{what} of {rows} rows, {ins} to {outs}, {tile:?}"), got, want);
    }
}

/// Epilogues, short ones and one long enough to stand in a loop, second outputs, and sums of rows.
#[test]
fn every_tile_of_a_layer_and_its_gradients() {
    let gpus = gpus();
    for index in tiles(&gpus[0]) {
        let gpu = &gpus[index % 2];
        let (sizes, times) = if index % 2 == 0 { ([132, 36, 20], 10) } else { ([65, 33, 17], 1) };
        check_layer(gpu, target(gpu, index, 1), sizes, times);
        let (sizes, times) = if index % 2 == 0 { ([33, 130, 65], 1) } else { ([20, 132, 132], 10) };
        check_layer(gpu, target(gpu, index, 1), sizes, times);
    }
}

/// Two layers with weights and activations in f16; whole numbers are exact.
#[test]
fn every_tile_in_f16() {
    let gpus = gpus();
    if !gpus[0].has_f16() {
        return;
    }
    for index in tiles(&gpus[0]) {
        let gpu = &gpus[index % 2];
        let [rows, ins, hidden, outs] = if index % 2 == 0 { [36, 20, 132, 12] } else { [17, 33, 20, 10] };
        let (x, first, second) =
            (whole(5, &[rows, ins]), whole(6, &[hidden, ins]), whole(7, &[outs, hidden]));
        let h = matmul(&x, &view::transpose(&first, 0, 1)).map(|x| x.max(0.0));
        let ht = view::transpose(&h, 0, 1);
        let want = [matmul(&h, &view::transpose(&second, 0, 1)), matmul(&ht, &h), matmul(&h, &ht)];
        let graph = Graph::new();
        let tx = graph.input("x", &x.shape[..]);
        let parameter =
            |name: &str, a: &Array| graph.parameter(name, &a.shape[..], Init::Constant(0.0)).transpose(0, 1);
        let th = tx.matmul(&parameter("first", &first)).relu();
        let y = th.matmul(&parameter("second", &second));
        let (inner, outer) = (th.transpose(0, 1).matmul(&th), th.matmul(&th.transpose(0, 1)));
        let target = target(gpu, index, 1).with_precision(Precision::F16);
        let mut function =
            Function::for_target(gpu, &graph, &[&y, &inner, &outer], target).expect("a function");
        let halves =
            function.plan().steps.iter().filter(|s| s.kernel.wgsl.contains("alias T8 = f16;")).count();
        assert!(halves >= 3, "{halves} products read f16");
        let tensor = |name: &str, a: &Array| NamedTensor {
            name: name.into(),
            shape: a.shape[..].into(),
            values: a.to_f32(),
        };
        let weights = [tensor("first", &first), tensor("second", &second)];
        function.load_state_dict(&weights).expect("weights");
        let got = function.call(&[("x", Value::F32(&x.to_f32()))]).expect("a call");
        for (i, (got, want)) in got.iter().zip(&want).enumerate() {
            assert_equal(&format!("output {i} in f16, tile {index}"), got, want);
        }
    }
}

/// Any numbers, read from storage, uniform buffers and images: the same bits.
#[test]
fn the_bits_are_the_same_however_operands_are_read() {
    // A buffer of a device that reads uniform buffers may be bound in every way.
    let (family, reads) = (Some(Family::Tiled), Some(Reads::IMAGES));
    let gpu = adapter::open_with(GpuOptions { family, reads, ..GpuOptions::default() });
    let a = draw::uniform(&mut draw::Rng::seed_from_u64(8), &[36, 68], -2.0, 2.0);
    let b = draw::uniform(&mut draw::Rng::seed_from_u64(9), &[68, 52], -2.0, 2.0);
    for (index, swap) in [(0, true), (1, false), (4, true), (6, false)] {
        if !tiles(&gpu).contains(&index) {
            continue;
        }
        let graph = Graph::new();
        let (stored_a, stored_b) = (turned(&a, swap), turned(&b, swap));
        let (x, y) = (graph.input("a", &stored_a.shape[..]), graph.input("b", &stored_b.shape[..]));
        let product = turn(&x, swap).matmul(&turn(&y, swap));
        let bits = |reads: Reads| -> Vec<u32> {
            let target = target(&gpu, index, 1).with_reads(reads);
            let got = outputs(&gpu, target, &graph, &[&product], &[("a", &stored_a), ("b", &stored_b)]);
            got[0].iter().map(|x| x.to_bits()).collect()
        };
        let storage = bits(Reads::Storage);
        for reads in [Reads::IMAGES, Reads::Images { above: 0 }] {
            assert_eq!(bits(reads), storage, "{reads}, tile {index}");
        }
    }
}

/// Sums of any numbers are within the rounding of f32.
#[test]
fn any_numbers_are_within_rounding() {
    let gpu = adapter::open(Family::Tiled);
    let [m, n, k] = [36, 52, 300];
    let a = draw::uniform(&mut draw::Rng::seed_from_u64(10), &[m, k], -2.0, 2.0);
    let b = draw::uniform(&mut draw::Rng::seed_from_u64(11), &[k, n], -2.0, 2.0);
    let (want, size) = (matmul(&a, &b), matmul(&a.map(f64::abs), &b.map(f64::abs)));
    for index in tiles(&gpu) {
        let graph = Graph::new();
        let (x, y) = (graph.input("a", &a.shape[..]), graph.input("b", &b.shape[..]));
        let got = outputs(&gpu, target(&gpu, index, 1), &graph, &[&x.matmul(&y)], &[("a", &a), ("b", &b)]);
        for (i, got) in got[0].iter().enumerate() {
            let bound = (k + 1) as f64 * f64::from(f32::EPSILON) / 2.0 * size.data[i] * 1.001;
            let error = (f64::from(*got) - want.data[i]).abs();
            assert!(error <= bound, "tile {index}, number {i}: {error} > {bound}");
        }
    }
}
