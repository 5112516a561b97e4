//! Sums so long that kernels must cut them: lavapipe ends a loop at 65,535 iterations without a word.
//!
//! The numbers are whole and their sums stay below 2²⁴, so that f32 is exact in any order and a single
//! term that is missing or counted twice shows.

use downhill::{Function, Graph, Tensor, Value};
use rand::{RngExt, SeedableRng};

use crate::case::{both, gpus, name};
use crate::oracle::draw::Rng;

fn whole(len: usize, most: i32) -> Vec<f32> {
    let mut rng = Rng::seed_from_u64(len as u64);
    (0..len).map(|_| rng.random_range(-most..=most) as f32).collect()
}

/// Runs `build` on x of `shape` on one device of each family, or on all.
fn run(
    what: &str,
    turn: Option<usize>,
    (shape, x): (&[usize], &[f32]),
    build: impl Fn(&Tensor) -> Tensor,
    check: impl Fn(&str, &[f32]),
) {
    let devices: Vec<_> = turn.map_or(gpus().iter().collect(), |turn| both(turn).collect());
    for gpu in devices {
        let graph = Graph::new();
        let y = build(&graph.input("x", shape));
        let mut function = Function::new(gpu, &graph, &[&y]).expect("a function");
        let got = function.call(&[("x", Value::F32(x))]).expect("a call").swap_remove(0);
        check(&format!("{what} on {}", name(gpu)), &got);
    }
}

/// out[j] = fold of f over x[i][j], i outer and k inner: sums over the axis of `len` in [outer, len, inner].
fn fold(x: &[f32], [outer, len, inner]: [usize; 3], start: f64, f: impl Fn(f64, f64) -> f64) -> Vec<f32> {
    let mut out = vec![start; outer * inner];
    for (at, &x) in x.iter().enumerate() {
        let place = &mut out[at / (len * inner) * inner + at % inner];
        *place = f(*place, f64::from(x));
    }
    out.into_iter().map(|x| x as f32).collect()
}

#[test]
fn sums_and_maxima_over_long_axes() {
    let shapes = [
        [1, 3_000_000, 1],
        [1, 100_000, 3],
        [3, 100_000, 1],
        [2, 70_001, 3],
        [1, 65_536, 1],
        [1, 20_001, 5],
        [5000, 33, 1],
        [70, 1025, 1],
    ];
    for (turn, shape) in shapes.into_iter().enumerate() {
        let x = whole(shape.iter().product(), 4);
        let sum = fold(&x, shape, 0.0, |a, b| a + b);
        run(
            &format!("sum of {shape:?}"),
            Some(turn),
            (&shape, &x),
            |x| x.sum(&[1], false),
            |what, got| {
                assert_eq!(got, sum, "{what}");
            },
        );
        let most = fold(&x, shape, f64::NEG_INFINITY, f64::max);
        run(
            &format!("amax of {shape:?}"),
            Some(turn),
            (&shape, &x),
            |x| x.amax(&[1], false),
            |what, got| {
                assert_eq!(got, most, "{what}");
            },
        );
        // what is folded, and what is done with the result, on the way; smaller numbers, for squares add up faster
        let x = whole(shape.iter().product(), 2);
        let squares = fold(&x, shape, 0.0, |a, b| a + b * b);
        let want: Vec<f32> = squares.iter().map(|x| 1.0 - 0.5 * x).collect();
        let build = |x: &Tensor| 1.0 - x.square().sum(&[1], false) * 0.5;
        run(&format!("squares of {shape:?}"), Some(turn + 1), (&shape, &x), build, |what, got| {
            assert_eq!(got, want, "{what}");
        });
    }
}

/// The whole numbers' largest element wins the softmax alone: e⁻⁵⁰ is nothing beside it.
#[test]
fn softmax_over_a_long_axis() {
    let shape = [2, 70_001];
    let mut x: Vec<f32> = whole(2 * 70_001, 4).iter().map(|x| x * 0.25).collect();
    x[66_000] = 3.0;
    let mut want = Vec::new();
    for row in x.chunks(70_001) {
        let total: f64 = row.iter().map(|&x| f64::from(x).exp()).sum();
        want.extend(row.iter().map(|&x| f64::from(x) - total.ln()));
    }
    run(
        "log_softmax",
        None,
        (&shape, &x),
        |x| x.log_softmax(&[-1]),
        |what, got| {
            // rounding: of a sum by at most a thousand terms a part, and of a logarithm of about 11
            let off = got.iter().zip(&want).map(|(&got, want)| (f64::from(got) - want).abs());
            let worst = off.fold(0.0, |most, off| if off <= most { most } else { off });
            assert!(worst <= 1e-5, "{what}: off by {worst:e}");
        },
    );
}

/// More elements than 65,535 workgroups of 64: the grid folds into y.
#[test]
fn a_chain_past_one_dimension_of_the_grid() {
    let x = whole(65_535 * 64 + 77, 1000);
    let want: Vec<f32> = x.iter().map(|x| 3.0 - x * 2.0).collect();
    run(
        "chain",
        None,
        (&[x.len()], &x),
        |x| 3.0 - x * 2.0,
        |what, got| {
            assert!(
                got == want,
                "{what}: first wrong at {:?}",
                got.iter().zip(&want).position(|(a, b)| a != b)
            );
        },
    );
}

/// Long sums of few elements, and short ones of so many that GPUs take the larger tile.
#[test]
fn products_long_and_large() {
    let mut turn = 0;
    for (k, large) in [
        (1024, false),
        (4097, false),
        (20_004, false),
        (40_001, false),
        (70_000, false),
        (7, true),
        (20, true),
    ] {
        // [m, n], leading axes, and which operands are transposed
        let small = [
            ([3, 3], 1, [false, false]),
            ([3, 3], 1, [false, true]),
            ([4, 8], 1, [true, false]),
            ([1, 17], 1, [true, true]),
            ([3, 4], 2, [false, false]),
        ];
        let tiles = [([512, 516], 1, [false, true]), ([515, 513], 1, [true, false])];
        for &([m, n], lead, transposed) in if large { &tiles[..] } else { &small[..] } {
            turn += 1;
            let (a, b) = (whole(lead * m * k, 3), whole(lead * k * n, 3));
            let bias = whole(n, 3);
            let (a_strides, b_strides) =
                (if transposed[0] { [1, m] } else { [k, 1] }, if transposed[1] { [1, k] } else { [n, 1] });
            let mut product = vec![0.0f64; lead * m * n];
            for (at, place) in product.iter_mut().enumerate() {
                let (z, i, j) = (at / (m * n), at / n % m, at % n);
                let a = |r: usize| f64::from(a[z * m * k + i * a_strides[0] + r * a_strides[1]]);
                let b = |r: usize| f64::from(b[z * k * n + r * b_strides[0] + j * b_strides[1]]);
                *place = (0..k).map(|r| a(r) * b(r)).sum();
            }
            let relu: Vec<f64> =
                product.iter().enumerate().map(|(at, y)| (y + f64::from(bias[at % n])).max(0.0)).collect();
            for gpu in both(turn) {
                let graph = Graph::new();
                let input = |name, [rows, columns]: [usize; 2], swap: bool| {
                    let sides = if swap { [columns, rows] } else { [rows, columns] };
                    let x = graph.input(name, [lead, sides[0], sides[1]]);
                    if swap { x.transpose(1, 2) } else { x }
                };
                let y = input("a", [m, k], transposed[0]).matmul(&input("b", [k, n], transposed[1]));
                // alone, and with something done to it on the way out
                let z = y.add(&graph.input("bias", [n])).relu();
                for (outputs, want) in [(&y, &product), (&z, &relu)] {
                    let mut function = Function::new(gpu, &graph, &[outputs]).expect("a function");
                    let feed = [("a", Value::F32(&a)), ("b", Value::F32(&b)), ("bias", Value::F32(&bias))];
                    let got = function.call(&feed).expect("a call").swap_remove(0);
                    let got: Vec<f64> = got.into_iter().map(f64::from).collect();
                    assert_eq!(&got, want, "{lead}x{m}x{k} by {k}x{n}, {transposed:?} on {}", name(gpu));
                }
            }
        }
    }
}

/// The gradients of a product whose batch is long: dW and db sum over 70,000 rows.
#[test]
fn gradients_over_a_long_batch() {
    let (batch, inputs, outputs) = (70_000, 3, 4);
    let (x, u, w) = (whole(batch * inputs, 3), whole(batch * outputs, 3), whole(outputs * inputs, 3));
    let mut dw = vec![0.0f32; outputs * inputs];
    let mut db = vec![0.0f32; outputs];
    for (x, u) in x.chunks(inputs).zip(u.chunks(outputs)) {
        for (o, u) in u.iter().enumerate() {
            db[o] += u;
            x.iter().enumerate().for_each(|(i, x)| dw[o * inputs + i] += u * x);
        }
    }
    for gpu in gpus() {
        let graph = Graph::new();
        let (tx, tu) = (graph.input("x", [batch, inputs]), graph.input("u", [batch, outputs]));
        let (tw, tb) = (graph.input("w", [outputs, inputs]), graph.input("b", [outputs]));
        let y = tx.matmul(&tw.transpose(0, 1)).add(&tb);
        let gradients = graph.grad(&y.mul(&tu).sum_all(), &[&tw, &tb]);
        let mut function = Function::new(gpu, &graph, &[&gradients[0], &gradients[1]]).expect("a function");
        let feed = [("x", &x), ("u", &u), ("w", &w), ("b", &db)].map(|(name, v)| (name, Value::F32(v)));
        let got = function.call(&feed).expect("a call");
        assert_eq!(got, [dw.clone(), db.clone()], "{}", name(gpu));
    }
}
