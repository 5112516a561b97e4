//! f16 in memory: weights rounded to it, and kernels that read and write it.

use super::super::case::{Case, Claim, Given, Room, Want, bytes, of_graph, word_bytes};
use super::super::graph::{STATE as WORDS, pcg4d};
use crate::check::{Near, noise};
use crate::error::Result;
use crate::graph::{Clock, Graph, Init, Tensor};
use crate::kernel::feed::STATE;
use crate::kernel::scaling::{HALF_PARAMETERS, weights};
use crate::kernel::update::PARAMETERS;
use crate::kernel::{Precision, Rounding, Target};

const COUNT: usize = 1200;
/// Below this, neighbours are evenly apart: 2^-24.
const NORMAL: f64 = 6.103_515_625e-5;

/// The distance of an f16 of this size to the next.
fn step_at(x: f64) -> f64 {
    2f64.powi(x.abs().max(NORMAL).log2().floor() as i32 - 10)
}

pub(super) fn cases(target: Target) -> Result<Vec<Case>> {
    // All sizes that weights have, tiny ones too, and a few numbers that are exactly f16s.
    let mut numbers: Vec<f32> =
        noise(98, COUNT, -1.0, 1.0).iter().zip(0..).map(|(x, i)| x * 2f32.powi(3 - i % 22)).collect();
    numbers[..4].copy_from_slice(&[0.0, -1.5, 65504.0, 0.25]);
    // WGSL lets a conversion take either neighbour.
    let nearest = numbers.iter().map(|x| {
        let (x, step) = (f64::from(*x), step_at(f64::from(*x)));
        Near { value: x, bound: if (x / step).fract() == 0.0 { 0.0 } else { step } }
    });
    let nearest = nearest.collect();
    let drawn = numbers.iter().enumerate().map(|(i, x)| Near { value: drawn(i, *x), bound: 0.0 }).collect();
    let rounded = |rounding, what, want| {
        let claims = vec![Claim { buffer: HALF_PARAMETERS.into(), offset: 0, want: Want::Halves(want) }];
        let size = 4 * COUNT as u64;
        let given = vec![(PARAMETERS, bytes(&numbers)), (STATE, word_bytes(&WORDS))];
        Case::of_kernels(
            "half_weights",
            what,
            vec![weights(size, rounding)],
            given,
            &[(HALF_PARAMETERS, size / 2)],
            claims,
        )
    };
    // Small whole numbers, so every number in memory is exactly an f16.
    let whole = |name, shape: &[usize], seed| {
        let numbers = noise(seed, shape.iter().product(), -2.0, 3.0).iter().map(|x| x.floor()).collect();
        Given::new(name, shape, numbers)
    };
    let given = [whole("x", &[9, 12], 1), whole("first", &[20, 12], 2), whole("second", &[5, 20], 3)];
    let net = |graph: &Graph, t: &[Tensor]| {
        let [first, second] = [("first", [20, 12]), ("second", [5, 20])]
            .map(|(name, shape)| graph.parameter(name, shape, Init::Constant(0.0)));
        let hidden = t[0].matmul(&first.transpose(0, 1)).relu();
        vec![hidden.matmul(&second.transpose(0, 1)), hidden.sum(&[0], false)]
    };
    let target = target.with_precision(Precision::F16);
    let net = of_graph("matmul", "two layers in f16", target, Room::Exact, &given, net)?;
    Ok(vec![
        rounded(Rounding::Nearest, "to the nearest", nearest),
        rounded(Rounding::Stochastic, "by chance", drawn),
        Case { kernel: "f16 in memory".into(), ..net },
    ])
}

/// Weight `i`, rounded stochastically. The probability of the neighbour further from 0 is the distance of the weight
/// from the other neighbour, as a share of the distance between the two.
fn drawn(i: usize, x: f32) -> f64 {
    let word = |clock: Clock| WORDS[clock as usize];
    let step = word(Clock::Before) + word(Clock::Open);
    // Four weights share one draw. No layer has this stream.
    let seed_high = word(Clock::SeedHigh) ^ u32::MAX.wrapping_mul(2_654_435_769);
    let chance = pcg4d([i as u32 / 4, step, word(Clock::SeedLow), seed_high])[i % 4];
    let (x, step) = (f64::from(x), step_at(f64::from(x)));
    let parts = x.abs() / step;
    // A normal f16 uses 13 random bits, as many as it drops from an f32. The others use 24.
    let up = if x.abs() < NORMAL {
        f64::from(chance >> 8) / 2f64.powi(24) < parts.fract()
    } else {
        f64::from(chance >> 19) / 8192.0 + parts.fract() >= 1.0
    };
    ((parts.floor() + f64::from(u8::from(up))) * step).copysign(x)
}
