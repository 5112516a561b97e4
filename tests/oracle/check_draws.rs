//! What the generators promise: domains that keep their distance, shapes of every sort, programs that
//! use every op, and jitter of the size of a rounding.

use crate::oracle::{
    Array, ROUNDOFF, broadcast_shape,
    draw::{self, Domain, rng_of},
    program::{Node, Op, Program, Reduction, Unary},
};
use std::collections::HashSet;

#[test]
fn domains_keep_their_distance() {
    let mut rng = rng_of("domains", 0);
    let a = Domain::Comb(0).draw(&mut rng, &[1000]);
    let b = Domain::Comb(1).draw(&mut rng, &[1000]);
    let c = Domain::Comb(2).draw(&mut rng, &[1000]);
    let from_sixteenths = |x: f64| (x * 16.0 - (x * 16.0).round()).abs() / 16.0;
    assert!(b.data.iter().all(|&x| from_sixteenths(x) >= 0.01 && x.abs() < 3.0));
    for x in &a.data {
        assert!(c.data.iter().all(|y| from_sixteenths(x - y) >= 0.02));
    }
    assert!(b.data.iter().any(|&x| x < -2.0) && b.data.iter().any(|&x| x > 2.0));
    let mut distinct = Domain::Distinct.draw(&mut rng, &[30, 11]);
    assert!(distinct.data.windows(2).any(|w| w[0] > w[1]), "in order");
    distinct.data.sort_by(f64::total_cmp);
    let nearest = distinct.data.windows(2).map(|w| w[1] - w[0]).fold(f64::INFINITY, f64::min);
    assert!(nearest >= 2.9 / 330.0, "{nearest}");
    for array in [a, b, c, distinct] {
        assert!(array.data.iter().all(|&x| f64::from(x as f32) == x), "not an f32");
    }
}

#[test]
fn shapes_are_of_every_sort() {
    let mut rng = rng_of("shapes", 0);
    let shapes: Vec<Vec<usize>> = (0..400).map(|_| draw::shape(&mut rng, 0..=4)).collect();
    for rank in 0..=4 {
        assert!(shapes.iter().any(|s| s.len() == rank), "none of rank {rank}");
    }
    let any = |wanted: fn(&usize) -> bool| shapes.iter().flatten().any(wanted);
    assert!(any(|&s| s == 1) && any(|&s| s > 256) && any(|&s| s > 8 && s % 8 != 0) && any(|&s| s % 8 == 0));
    let mut narrower = 0;
    for shape in &shapes {
        let narrowed = draw::narrowed(&mut rng, shape);
        assert_eq!(broadcast_shape(&narrowed, shape).as_ref(), Some(shape));
        narrower += usize::from(narrowed.iter().product::<usize>() < shape.iter().product());
        let regrouped = draw::regrouped(&mut rng, shape);
        assert_eq!(regrouped.iter().product::<usize>(), shape.iter().product::<usize>());
    }
    assert!(narrower > 100, "{narrower} of 400");
}

#[test]
fn one_seed_gives_one_case() {
    let drawn = |index| draw::gathered(&mut rng_of("repeat", index));
    assert_eq!(drawn(3).inputs[0].array, drawn(3).inputs[0].array);
    assert_ne!(drawn(3).inputs[0].array, drawn(4).inputs[0].array);
}

#[test]
fn programs_use_every_op_and_share_tensors() {
    let mut kinds = HashSet::new();
    let mut shared = 0;
    for index in 0..60 {
        let (program, inputs) = Program::draw(&mut rng_of("composite", index));
        assert!((3..=9).contains(&program.depth()), "{program}");
        let evaluation = program.eval(&inputs, None);
        assert!(evaluation.margin > 1e-3);
        assert!(evaluation.values.iter().all(|v| v.data.iter().all(|x| x.is_finite())));
        let mut uses = vec![0; program.nodes.len()];
        for node in &program.nodes {
            kinds.insert(std::mem::discriminant(&node.op));
            node.op.arguments().into_iter().for_each(|a| uses[a] += 1);
        }
        shared += usize::from(uses.iter().any(|&n| n > 1));
    }
    assert_eq!(kinds.len(), 14, "of the 14 kinds of op");
    assert!(shared > 30, "{shared} of 60 programs use a tensor more than once");
}

fn chain(ops: &[Op], shape: &[usize]) -> Program {
    let node = |op: &Op| Node { op: op.clone(), shape: shape.to_vec() };
    Program { nodes: [&[Op::Input], ops].concat().iter().map(node).collect() }
}

#[test]
fn jitter_is_repeatable_and_of_the_size_of_a_rounding() {
    let program = chain(&[Op::Unary(Unary::Tanh, 0), Op::Unary(Unary::Square, 1)], &[50]);
    let x = draw::uniform(&mut rng_of("jitter", 0), &[50], 0.5, 1.0);
    let last = |jitter| program.eval(std::slice::from_ref(&x), jitter).values.pop().expect("three");
    let exact = last(None);
    assert_eq!(last(Some(7)), last(Some(7)));
    assert_ne!(last(Some(7)), last(Some(8)));
    let diff = last(Some(7)).max_diff(&exact);
    // tanh' x / tanh < 1 and 2 for the square: at most 2·(1 + 1) + 1 roundings
    assert!(diff <= 5.0 * ROUNDOFF && diff > 0.5 * ROUNDOFF, "{diff:e}");
}

#[test]
fn the_margin_is_the_distance_from_kinks_and_ties() {
    let x = Array::new(&[3], vec![-0.25, 0.5, 0.625]);
    let margin = |op: Op, shape: &[usize]| {
        let mut program = chain(&[], &[3]);
        program.nodes.push(Node { op, shape: shape.to_vec() });
        program.eval(std::slice::from_ref(&x), None).margin
    };
    assert_eq!(margin(Op::Unary(Unary::Relu, 0), &[3]), 0.25);
    assert_eq!(margin(Op::Unary(Unary::Clamp(-1.0, 0.5625), 0), &[3]), 0.0625);
    assert_eq!(margin(Op::Reduce(Reduction::Amax, 0, vec![0], false), &[]), 0.125);
    assert_eq!(margin(Op::SelectLess([0, 0, 0, 0]), &[3]), 0.0);
    assert_eq!(margin(Op::Unary(Unary::Tanh, 0), &[3]), f64::INFINITY);
}
