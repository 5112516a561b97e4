//! The sums of a batch over its shards: micro-batches of a shard, and the tree over shards and over ranks.

use super::super::case::{Case, Claim, Want, bytes, exact, word_bytes};
use crate::check::{Near, noise};
use crate::kernel::Kernel;
use crate::kernel::feed::{BUFFERS, NEXT_BUFFERS, STATE};
use crate::kernel::gradients::{SHARES, TOTAL_GRADIENTS};
use crate::kernel::shards::{
    SHARD_BUFFERS, SHARD_GRADIENTS, Slots, TOTAL_BUFFERS, add_gradients, apply, change, weigh,
};
use crate::kernel::update::GRADIENTS;

/// Numbers of a slot: several workgroups, the last one not full.
const COUNT: usize = 1_200;
const BYTES: u64 = 4 * COUNT as u64;

pub(super) fn cases() -> Vec<Case> {
    let mut all: Vec<Case> =
        [false, true].into_iter().flat_map(|adds| [weighed(adds), moved(adds)]).collect();
    let filled = [1, 2, 3, 4, 7, 8].map(|filled| added(8, Some(filled)));
    all.extend(filled.into_iter().chain([added(1, Some(1)), added(2, Some(0)), added(4, None)]));
    all.push(applied());
    all
}

fn case(what: &str, kernel: Kernel, given: Vec<(&str, Vec<u8>)>, claims: Vec<Claim>) -> Case {
    Case::of_kernels("shards", what, vec![kernel], given, &[], claims)
}

fn claim(buffer: &str, offset: u64, want: Vec<Near>) -> Claim {
    Claim { buffer: buffer.into(), offset, want: Want::Numbers(want) }
}

/// The second micro-batch of a window, which is of the shard of slot 1.
fn open(share: f32, adds: bool) -> [(&'static str, Vec<u8>); 2] {
    let row = [share, if adds { 1.0 } else { 0.0 }, 1.0, 2.0];
    [(SHARES, bytes(&[[9.0; 4], row].concat())), (STATE, word_bytes(&[1, 2]))]
}

fn weighed(adds: bool) -> Case {
    let (grad, slots) = (noise(81, COUNT, -1.0, 1.0), noise(82, 2 * COUNT, -1.0, 1.0));
    let share = 0.375;
    let want = grad.iter().zip(&slots[COUNT..]).map(|(g, slot)| {
        let own = Near::exact(share) * Near::exact(*g);
        if adds { own + Near::exact(*slot) } else { own }
    });
    let mut claims = vec![claim(SHARD_GRADIENTS, BYTES, want.collect())];
    claims.push(claim(SHARD_GRADIENTS, 0, exact(&slots[..COUNT])));
    claims.push(Claim { buffer: STATE.into(), offset: 0, want: Want::Words(vec![2, 2]) });
    let mut given = vec![(GRADIENTS, bytes(&grad)), (SHARD_GRADIENTS, bytes(&slots))];
    given.extend(open(share, adds));
    case(if adds { "added to a shard" } else { "the first of a shard" }, weigh(BYTES), given, claims)
}

fn moved(adds: bool) -> Case {
    let [now, next] = [83, 84].map(|seed| noise(seed, COUNT, -1.0, 1.0));
    let slots = noise(85, 2 * COUNT, -1.0, 1.0);
    let share = 0.625;
    let want = now.iter().zip(&next).zip(&slots[COUNT..]).map(|((now, next), slot)| {
        let own = Near::exact(share) * (Near::exact(*next) - Near::exact(*now));
        if adds { own + Near::exact(*slot) } else { own }
    });
    let claims = vec![claim(SHARD_BUFFERS, BYTES, want.collect())];
    let mut given =
        vec![(BUFFERS, bytes(&now)), (NEXT_BUFFERS, bytes(&next)), (SHARD_BUFFERS, bytes(&slots))];
    given.extend(open(share, adds));
    case(if adds { "statistics added" } else { "statistics of the first" }, change(BYTES), given, claims)
}

/// The sum of `slots` slots, of which the step has filled some; `None` for the sums of ranks, all of which are there.
fn added(slots: usize, filled: Option<usize>) -> Case {
    let numbers = noise(86, slots * COUNT, -1.0, 1.0);
    let present = filled.unwrap_or(slots);
    let want = (0..COUNT).map(|i| {
        let slot = |s: usize| if s < present { numbers[s * COUNT + i] } else { 0.0 };
        let mut sums: Vec<f32> = (0..slots).map(slot).collect();
        while sums.len() > 1 {
            sums = sums.chunks(2).map(|pair| pair[0] + pair[1]).collect();
        }
        sums[0]
    });
    // The tree is the claim: to the bit.
    let want: Vec<f32> = want.collect();
    let claims = vec![claim(TOTAL_GRADIENTS, 0, exact(&want))];
    let row = [0.5, 0.0, 0.0, present as f32];
    let given = vec![
        (SHARD_GRADIENTS, bytes(&numbers)),
        (SHARES, bytes(&row)),
        (STATE, word_bytes(&[0, 1])),
        (TOTAL_GRADIENTS, vec![0; 4 * COUNT]),
    ];
    let (what, from) = match filled {
        Some(filled) => (format!("{filled} of {slots} shards"), Slots::Own(slots)),
        None => (format!("{slots} ranks"), Slots::Gathered(slots)),
    };
    case(&what, add_gradients(BYTES, from), given, claims)
}

fn applied() -> Case {
    let [now, change] = [87, 88].map(|seed| noise(seed, COUNT, -1.0, 1.0));
    let want = now.iter().zip(&change).map(|(now, change)| Near::exact(*now) + Near::exact(*change));
    let claims = vec![claim(BUFFERS, 0, want.collect())];
    case(
        "statistics moved",
        apply(BYTES),
        vec![(BUFFERS, bytes(&now)), (TOTAL_BUFFERS, bytes(&change))],
        claims,
    )
}
