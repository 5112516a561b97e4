//! Every tile of `matmul_block` in every layout against sums in f64, to the bit: all numbers are small multiples of a
//! sixteenth, so that every sum is exact in any order. Shader checks are on and off in turn.

mod adapter;
mod oracle;

use downhill::gpu::{Family, Reads};
use downhill::kernel::matmul::TILES;
use downhill::kernel::{Precision, ProductTile, Target};
use downhill::nn::Net;
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

fn target(gpu: &Gpu, index: usize, parts: usize) -> Target {
    Target::for_gpu(gpu).with_product_tile(ProductTile { index, parts })
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
fn outputs(gpu: &Gpu, target: Target, graph: &Graph, outputs: &[&Tensor], inputs: &[(&str, &Array)]) -> Vec<Vec<f32>> {
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
        assert!(f64::from(*got) == *want, "{what}: number {i} of {:?} is {got} where {want} should be", want);
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
    let begun = std::time::Instant::now();
    let got = outputs(gpu, target, &graph, &[&product], &[("a", &a), ("b", &b)]);
    println!("{:?} {m} {n} {k} {swap_a} {swap_b}: {:.2} s", target.product_tile, begun.elapsed().as_secs_f64());
    let tile = target.product_tile.expect("a tile");
    let what = format!("{tile:?}: {a_lead:?} {m}x{k} by {b_lead:?} {k}x{n}, transposed {swap_a} {swap_b}");
    assert_equal(&what, &got[0], &want);
}

#[test]
fn every_tile_and_layout_of_many_sizes() {
    let gpus = gpus();
    let many = draw::cases(1);
    for index in 0..TILES.len() {
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
