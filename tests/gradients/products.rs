//! Matrix products of many sizes and strides, on every device.

use downhill::{Function, Graph};
use rand::seq::{IndexedRandom, SliceRandom};

use crate::case::{Data, both, call, name, weighted_sum};
use crate::oracle::{
    Array, ROUNDOFF,
    compare::{Cases, compare},
    draw::{self, Rng, cases, rng_of},
    elementwise as el,
    matmul::{matmul, matmul_backward},
    reduce, view,
};

/// Leading axes of a and b: none, equal, broadcast on either side and on both.
const LEADING: [(&[usize], &[usize]); 6] =
    [(&[], &[]), (&[3], &[3]), (&[4], &[]), (&[], &[2]), (&[2, 1], &[3]), (&[2, 3], &[1, 3])];
const SIDES: [usize; 14] = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 100];

/// Every size is each of m, n and k once a round; transposes and leading axes go round beside them.
#[test]
fn matmul_of_every_size() {
    let mut all = Cases::default();
    for round in 0..cases(3) {
        let mut rng = rng_of("matmul", round as u64);
        let mut shuffled = || {
            let mut sides = SIDES;
            sides.shuffle(&mut rng);
            sides
        };
        let (ms, ns, ks) = (shuffled(), shuffled(), shuffled());
        for (i, ((m, n), k)) in ms.into_iter().zip(ns).zip(ks).enumerate() {
            let turn = round * SIDES.len() + i;
            let (a_lead, b_lead) = if m * n * k > 100_000 { LEADING[0] } else { LEADING[turn % 6] };
            let transposed = [turn % 2 == 1, turn / 2 % 2 == 1];
            let label =
                format!("matmul {turn}: {a_lead:?}{m}x{k} by {b_lead:?}{k}x{n}, transposed {transposed:?}");
            all.run(&label, || {
                let [a, b] = operands(&mut rng, [a_lead, b_lead], [m, n, k], transposed);
                check_matmul(turn / 4, &a, &b, transposed, &mut rng)
            });
        }
    }
    all.finish();
}

/// Sides at which kernels may load four numbers at once.
#[test]
fn matmul_of_multiples_of_four() {
    const SIDES: [usize; 8] = [4, 8, 12, 16, 20, 36, 64, 68];
    let mut all = Cases::default();
    for turn in 0..cases(16) {
        let mut rng = rng_of("matmul of fours", turn as u64);
        let [m, n, k] = [0; 3].map(|_| *SIDES.choose(&mut rng).expect("sides"));
        let transposed = [turn % 2 == 1, turn / 2 % 2 == 1];
        let (a_lead, b_lead) = LEADING[if turn % 3 == 0 { turn / 3 % 6 } else { 0 }];
        let label = format!("matmul of fours {turn}: {a_lead:?}{m}x{k} by {b_lead:?}{k}x{n}, {transposed:?}");
        all.run(&label, || {
            let [a, b] = operands(&mut rng, [a_lead, b_lead], [m, n, k], transposed);
            check_matmul(turn / 4, &a, &b, transposed, &mut rng)
        });
    }
    all.finish();
}

fn operands(rng: &mut Rng, lead: [&[usize]; 2], [m, n, k]: [usize; 3], transposed: [bool; 2]) -> [Array; 2] {
    let side = |rows, columns, swap| if swap { [columns, rows] } else { [rows, columns] };
    [[m, k], [k, n]]
        .into_iter()
        .zip(lead)
        .zip(transposed)
        .map(|(([rows, columns], lead), swap)| {
            draw::uniform(rng, &[lead, &side(rows, columns, swap)].concat(), -2.0, 2.0)
        })
        .collect::<Vec<_>>()
        .try_into()
        .expect("two")
}

/// On one device of each family.
fn check_matmul(
    turn: usize,
    a: &Array,
    b: &Array,
    transposed: [bool; 2],
    rng: &mut Rng,
) -> Result<(), String> {
    let turned = |x: &Array, turn: bool| if turn { view::transpose(x, -1, -2) } else { x.clone() };
    let (a_plain, b_plain) = (turned(a, transposed[0]), turned(b, transposed[1]));
    let want = matmul(&a_plain, &b_plain);
    let u = draw::weights(rng, &want.shape);
    let (da, db) = matmul_backward(&a_plain, &b_plain, &u);
    // the same with all numbers positive: what rounding errors are relative to
    let [a_abs, b_abs, u_abs] = [&a_plain, &b_plain, &u].map(|x| x.map(f64::abs));
    let scale = matmul(&a_abs, &b_abs);
    let (da_scale, db_scale) = matmul_backward(&a_abs, &b_abs, &u_abs);

    let graph = Graph::new();
    let inputs = [graph.input("a", &a.shape[..]), graph.input("b", &b.shape[..])];
    let [x, y] = [0, 1].map(|i| if transposed[i] { inputs[i].transpose(-1, -2) } else { inputs[i].clone() });
    let product = x.matmul(&y);
    let gradients = graph.grad(&weighted_sum(&graph, &[&product]), &[&inputs[0], &inputs[1]]);
    // terms: how many products an element adds up. In any order, and with products rounded or fused, the
    // error is at most terms · u · Σ|terms|. For long sums that is far too kind, as rounding errors have
    // either sign; terms · 1e-7 · max · max is still four deviations or more.
    let check = |what: &str, got: &[f32], want: &Array, scale: &Array, terms: usize, most: f64| {
        let (terms, rounded) = (terms as f64, ROUNDOFF * 1.001);
        compare(what, got, want, |i| (terms * rounded * scale.data[i]).min((terms + 2.0) * 1e-7 * most))
    };
    let [k, m, n] = [a_plain.shape[a.rank() - 1], want.shape[want.rank() - 2], want.shape[want.rank() - 1]];
    let batch = want.len() / (m * n);
    let (a_terms, b_terms) = (n * batch * m * k / a.len(), m * batch * k * n / b.len());
    let (da, da_scale) = (turned(&da, transposed[0]), turned(&da_scale, transposed[0]));
    let (db, db_scale) = (turned(&db, transposed[1]), turned(&db_scale, transposed[1]));
    let feed = [("a", a), ("b", b), ("u0", &u)].map(|(name, x)| (name.to_owned(), Data::F32(x.to_f32())));
    for gpu in both(turn) {
        let run = || {
            let mut function = Function::new(gpu, &graph, &[&product, &gradients[0], &gradients[1]])
                .map_err(|e| format!("no function: {e}"))?;
            let got = call(&mut function, &feed)?;
            check("product", &got[0], &want, &scale, k, a.max_abs() * b.max_abs())?;
            check("gradient of a", &got[1], &da, &da_scale, a_terms, u.max_abs() * b.max_abs())?;
            check("gradient of b", &got[2], &db, &db_scale, b_terms, u.max_abs() * a.max_abs())
        };
        run().map_err(|why: String| format!("{}: {why}", name(gpu)))?;
    }
    Ok(())
}

/// A dense layer, x·Wᵀ + b, whose bias gradient comes out of the kernel of the weight's. The numbers are
/// whole, so that every sum is exact in any order.
#[test]
fn dense_layers_to_the_bit() {
    let mut all = Cases::default();
    let sizes =
        [[1, 1, 1], [5, 3, 7], [37, 10, 24], [32, 128, 64], [100, 12, 20], [33, 20, 36], [128, 10, 64]];
    for (turn, [batch, outputs, inputs]) in sizes.into_iter().enumerate() {
        for lead in [vec![], vec![2]] {
            let mut rng = rng_of("dense", turn as u64);
            let mut whole = |shape: &[usize]| draw::uniform(&mut rng, shape, -4.0, 4.0).map(f64::round);
            let x = whole(&[&lead[..], &[batch, inputs]].concat());
            let (w, b) = (whole(&[outputs, inputs]), whole(&[outputs]));
            let u = whole(&[&lead[..], &[batch, outputs]].concat());
            let label = format!("dense {lead:?}{batch}x{inputs} to {outputs}");
            all.run(&label, || {
                let wt = view::transpose(&w, 0, 1);
                let (dx, dwt) = matmul_backward(&x, &wt, &u);
                let axes: Vec<isize> = (0..u.rank() as isize - 1).collect();
                let y = el::zip(&matmul(&x, &wt), &b, |y, b| y + b);
                let want = [y, dx, view::transpose(&dwt, 0, 1), reduce::sum(&u, &axes, false)];

                let graph = Graph::new();
                let [tx, tw, tb] =
                    [("x", &x), ("w", &w), ("b", &b)].map(|(name, a)| graph.input(name, &a.shape[..]));
                let y = tx.matmul(&tw.transpose(0, 1)).add(&tb);
                let gradients = graph.grad(&weighted_sum(&graph, &[&y]), &[&tx, &tw, &tb]);
                let outputs: Vec<_> = [&y].into_iter().chain(&gradients).collect();
                let feed = [("x", &x), ("w", &w), ("b", &b), ("u0", &u)]
                    .map(|(name, a)| (name.to_owned(), Data::F32(a.to_f32())));
                for gpu in both(turn) {
                    let function = Function::new(gpu, &graph, &outputs);
                    let got = call(&mut function.map_err(|e| format!("no function: {e}"))?, &feed)?;
                    for (what, (got, want)) in ["y", "dx", "dw", "db"].into_iter().zip(got.iter().zip(&want))
                    {
                        compare(what, got, want, |_| 0.0).map_err(|why| format!("{}: {why}", name(gpu)))?;
                    }
                }
                Ok(())
            });
        }
    }
    all.finish();
}
