//! The start and the end of a step: gathering minibatches of every kind of number, closing, running buffers.

use super::super::case::{Case, Claim, Want, exact, word_bytes};
use crate::check::Near;
use crate::data::{Kind, Scale};
use crate::kernel::feed::{BUFFERS, FROM, Gather, INTO, NEXT_BUFFERS, ORDER, STATE, close, commit, gather};

/// Samples of a batch, the row of the order that the step reads, and the rows' stride.
const BATCH: usize = 5;
const ROW: usize = 1;
const STRIDE: usize = 6;
/// The samples that the step takes.
const TAKEN: [u32; STRIDE] = [3, 0, 6, 3, 1, 5];
/// Number of samples.
const SAMPLES: usize = 7;

pub(super) fn cases() -> Vec<Case> {
    let mut all = Vec::new();
    let scales = [Some(Scale::standard(&[0.5, 0.25], &[0.25, 2.0])), None, None, None, None, None, None];
    for (kind, scale) in Kind::ALL.into_iter().zip(scales) {
        // Eight numbers a sample go in fours, five one by one; windows overlap.
        let four = Field { kind, words: 8, first: 4, hop: 8, scale };
        let one = Field { kind, words: 5, first: 1, hop: 3, scale: None };
        all.push(case(four, one));
    }
    all.push(Case::of_kernels(
        "step_close",
        "a step",
        vec![close()],
        vec![(STATE, word_bytes(&[4, 5, 6, 7]))],
        &[],
        vec![Claim { buffer: STATE.into(), offset: 0, want: Want::Words(vec![5, 5, 6, 7]) }],
    ));
    let next: Vec<u32> = (0..300 * 4).map(|i| i * 7919).collect();
    all.push(Case::of_kernels(
        "buffers_commit",
        "1200 numbers",
        vec![commit(4 * next.len() as u64)],
        vec![(NEXT_BUFFERS, word_bytes(&next)), (BUFFERS, vec![0; 4 * next.len()])],
        &[],
        vec![Claim { buffer: BUFFERS.into(), offset: 0, want: Want::Words(next) }],
    ));
    all
}

/// A field, as [`Gather`] names its parts.
struct Field {
    kind: Kind,
    words: usize,
    first: usize,
    hop: usize,
    scale: Option<Scale>,
}

impl Field {
    fn gather(&self) -> Gather<'_> {
        let Field { kind, words, first, hop, .. } = *self;
        Gather { words, first, hop, kind, scale: self.scale.as_ref() }
    }

    fn count(&self) -> usize {
        (self.first + (SAMPLES - 1) * self.hop + self.words).next_multiple_of(4)
    }

    /// Number `i` of the source, by its bits.
    fn bits(&self, i: usize) -> u32 {
        let mixed = (i as u32).wrapping_mul(2_654_435_769) >> 7;
        match self.kind {
            // Eighths: no infinity, and every one a number of both precisions.
            Kind::F16 => half_of((mixed % 4096) as f32 / 8.0 - 256.0),
            Kind::F32 => ((mixed % 65_536) as f32 / 8.0 - 4096.0).to_bits(),
            kind => mixed & (u32::MAX >> (32 - 8 * kind.bytes())),
        }
    }

    fn source(&self) -> Vec<u8> {
        let bytes = self.kind.bytes();
        (0..self.count()).flat_map(|i| self.bits(i).to_le_bytes()[..bytes].to_vec()).collect()
    }

    /// The value of number `i` of the source.
    fn value(&self, i: usize) -> f64 {
        let bits = self.bits(i);
        match self.kind {
            Kind::U8 | Kind::U16 => f64::from(bits),
            Kind::I8 => f64::from((bits as u8).cast_signed()),
            Kind::I16 => f64::from((bits as u16).cast_signed()),
            Kind::I32 => f64::from(bits.cast_signed()),
            Kind::F16 => f64::from((i as u32).wrapping_mul(2_654_435_769) >> 7 & 4095) / 8.0 - 256.0,
            Kind::F32 => f64::from(f32::from_bits(bits)),
        }
    }

    fn want(&self) -> Want {
        let mut numbers = Vec::new();
        for sample in TAKEN.iter().take(BATCH) {
            let first = self.first + *sample as usize * self.hop;
            numbers.extend((0..self.words).map(|j| (j, self.value(first + j))));
        }
        if let Some(Scale { factor, offset }) = &self.scale {
            let channel = |j: usize| j / (self.words / factor.len());
            let scaled = |(j, x): (usize, f64)| {
                let x = Near { value: x, bound: 0.0 };
                x * Near::exact(factor[channel(j)]) + Near::exact(offset[channel(j)])
            };
            return Want::Numbers(numbers.into_iter().map(scaled).collect());
        }
        if self.kind.is_float() {
            let plain: Vec<f32> = numbers.iter().map(|(_, x)| *x as f32).collect();
            return Want::Numbers(exact(&plain));
        }
        Want::Words(numbers.iter().map(|(_, x)| (*x as i64) as u32).collect())
    }
}

/// An f16 by its bits; for numbers of 11 bits within its range.
fn half_of(x: f32) -> u32 {
    if x == 0.0 {
        return 0;
    }
    let bits = x.to_bits();
    (bits >> 31) << 15 | ((bits >> 23 & 255) + 15 - 127) << 10 | (bits >> 13 & 1023)
}

fn case(x: Field, t: Field) -> Case {
    let kernel = gather(BATCH, STRIDE, x.gather(), Some(t.gather()), true);
    let mut order = vec![0; STRIDE];
    order.extend(TAKEN);
    let given = vec![
        (FROM[0], x.source()),
        (FROM[1], t.source()),
        (ORDER, word_bytes(&order)),
        (STATE, word_bytes(&[ROW as u32, 0])),
    ];
    let sizes = [(INTO[0], 4 * (BATCH * x.words) as u64), (INTO[1], 4 * (BATCH * t.words) as u64)];
    let claim = |buffer: &str, want| Claim { buffer: buffer.into(), offset: 0, want };
    let claims = vec![
        claim(INTO[0], x.want()),
        claim(INTO[1], t.want()),
        claim(STATE, Want::Words(vec![ROW as u32, ROW as u32 + 1])),
    ];
    Case::of_kernels("feed_gather", x.kind.name(), vec![kernel], given, &sizes, claims)
}
