//! Gradients before their update: their norm, the step that it settles, sums of micro-batches. Updates apart from their
//! optimizer: groups, clipping, averages.

use super::super::case::{Case, Claim, Want, bytes, exact, word_bytes};
use super::optim::{in_any_order, range};
use crate::check::{Element, Near, Settings, TensorTerms, noise};
use crate::error::Result;
use crate::graph::Clock;
use crate::kernel::Family;
use crate::kernel::feed::STATE;
use crate::kernel::gradients::{
    COLUMNS, PARTIAL_NORMS, RING, SHARES, Settle, TOTAL_GRADIENTS, accumulate, partial_bytes, settle,
};
use crate::kernel::update::{
    AVERAGE, BLOCK_BYTES, GRADIENTS, PARAMETERS, TABLE, UpdateContext, blocks, kernel,
};
use crate::optim::{AdamW, Optimizer, table_row};

pub(super) fn cases(family: Family) -> Result<Vec<Case>> {
    let mut all = vec![
        settled(
            "one dispatch, clipped",
            1000,
            Settling { scaled: false, max_norm: Some(0.5), infinite: false },
        ),
        settled("one dispatch, scaled", 1000, Settling { scaled: true, max_norm: None, infinite: false }),
        settled("a step left out", 1000, Settling { scaled: true, max_norm: None, infinite: true }),
        settled("two dispatches", 70_000, Settling { scaled: true, max_norm: Some(2.0), infinite: false }),
    ];
    all.extend([false, true].map(added));
    all.push(around(family)?);
    Ok(all)
}

struct Settling {
    scaled: bool,
    max_norm: Option<f32>,
    infinite: bool,
}

fn settled(what: &str, count: usize, how: Settling) -> Case {
    let Settling { scaled, max_norm, infinite } = how;
    let mut grad = noise(61, count, -1.0, 1.0);
    if infinite {
        grad[count - 3] = f32::INFINITY;
    }
    let size = 4 * count as u64;
    let columns = COLUMNS + 1;
    let how = Settle { scaled, clipped: max_norm.is_some(), columns, column: 1 };
    let kernels = settle(GRADIENTS, size, how);
    let mut state = [0u32; Clock::WORDS];
    let set = |state: &mut [u32], word: Clock, value: u32| state[word as usize] = value;
    let (open, lead, updates, skipped) = (2, 5, 3, 1);
    set(&mut state, Clock::Done, open - 1);
    set(&mut state, Clock::Open, open);
    set(&mut state, Clock::Lead, lead);
    set(&mut state, Clock::Updates, updates);
    set(&mut state, Clock::Skipped, skipped);
    set(&mut state, Clock::Scale, 1024);
    set(&mut state, Clock::Good, 1999);
    set(&mut state, Clock::MaxNorm, max_norm.unwrap_or_default().to_bits());
    let before = state;

    let scale = Near::exact(if scaled { 1024.0 } else { 1.0 });
    let square = |g: &f32| (Near::exact(*g) * Near::exact(*g), 1);
    // An invocation adds `iterations` vec4s, then the four numbers of one, then those of 64 lanes by halves.
    let depth = kernels.iter().map(|kernel| kernel.iterations + 2 + 6).sum();
    let norm = Near::sum(grad.iter().map(square), depth).sqrt() / scale;
    let mut factor = Near::exact(1.0) / scale;
    if let Some(max) = max_norm {
        let ratio = Near::exact(max) / (norm + Near::scalar(1e-6));
        factor = factor * Near { value: ratio.value.min(1.0), ..ratio };
    }
    let bad = u32::from(infinite);
    set(&mut state, Clock::Done, open);
    set(&mut state, Clock::Overflow, bad);
    set(&mut state, Clock::Row, updates + lead - skipped);
    set(&mut state, Clock::Updates, updates + 1);
    set(&mut state, Clock::Skipped, skipped + bad);
    if scaled {
        // The scale halves after an overflow and doubles after 2,000 steps without one.
        set(&mut state, Clock::Scale, if infinite { 512 } else { 2048 });
        set(&mut state, Clock::Good, 0);
    }
    let words = |buffer: &str, first: usize, all: &[u32]| Claim {
        buffer: buffer.into(),
        offset: 4 * first as u64,
        want: Want::Words(all.to_vec()),
    };
    let numbers = |buffer: &str, first: usize, all: Vec<Near>| Claim {
        buffer: buffer.into(),
        offset: 4 * first as u64,
        want: Want::Numbers(all),
    };
    let at = (open as usize - 1) * columns + 1;
    let filed = exact(&[scale.value as f32, skipped as f32, bad as f32]);
    let factor_at = Clock::Factor as usize;
    let mut claims = vec![
        words(STATE, 0, &state[..factor_at]),
        words(STATE, factor_at + 1, &state[factor_at + 1..]),
        numbers(RING, at, filed),
    ];
    if !infinite {
        claims.extend([numbers(RING, at + 3, vec![norm]), numbers(STATE, factor_at, vec![factor])]);
    }
    let given = vec![
        (GRADIENTS, bytes(&grad)),
        (STATE, word_bytes(&before)),
        (RING, vec![0; 4 * columns * open as usize]),
    ];
    Case::of_kernels("gradients", what, kernels, given, &[(PARTIAL_NORMS, partial_bytes(size))], claims)
}

/// The first micro-batch of a batch replaces the old sum. The others are added.
fn added(to_others: bool) -> Case {
    let (grad, total) = (noise(62, 1200, -1.0, 1.0), noise(63, 1200, -1.0, 1.0));
    let share = 0.375;
    let want = grad.iter().zip(&total).map(|(g, total)| {
        let own = Near::exact(share) * Near::exact(*g);
        if to_others { own + Near::exact(*total) } else { own }
    });
    let open = 2 + usize::from(to_others);
    let claims = vec![
        Claim { buffer: TOTAL_GRADIENTS.into(), offset: 0, want: Want::Numbers(want.collect()) },
        Claim { buffer: STATE.into(), offset: 0, want: Want::Words(vec![open as u32; 2]) },
    ];
    let given = vec![
        (GRADIENTS, bytes(&grad)),
        (SHARES, bytes(&[9.0, 1.0, share, 0.0, share, 1.0])),
        (STATE, word_bytes(&[open as u32 - 1, open as u32])),
        (TOTAL_GRADIENTS, bytes(&total)),
    ];
    let what = if to_others { "added" } else { "the first of a batch" };
    Case::of_kernels("accumulate", what, vec![accumulate(4 * grad.len() as u64)], given, &[], claims)
}

/// AdamW of two groups in the second update of a table, its gradients scaled and clipped, with an average.
fn around(family: Family) -> Result<Case> {
    let (factor, most, keep) = (0.5_f32, 0.3_f32, 0.75_f32);
    let groups = [0.0, 0.1].map(|weight_decay| Optimizer::AdamW(AdamW { weight_decay, ..AdamW::default() }));
    let update = groups[0].kernel();
    let block = u64::from(blocks(&update, family)) * BLOCK_BYTES;
    let count = 3 * block as usize / 4;
    let how = UpdateContext {
        gradients: GRADIENTS,
        bytes: 4 * count as u64,
        first_block: 0,
        ends: &[2 * block],
        family,
        subgroups: false,
        checked: true,
        clip_value: true,
        average: true,
        computed: None,
    };
    let t = 10;
    let mut table = vec![0.0; 2 * 16];
    for group in &groups {
        table.extend(table_row(&group.scalars(t, group.lr()), most.into(), keep.into()));
    }
    let mut state = [0u32; Clock::WORDS];
    (state[0], state[1]) = (2, 3);
    (state[Clock::Factor as usize], state[Clock::Row as usize]) = (factor.to_bits(), 1);
    let names = [PARAMETERS, GRADIENTS, "exp_avg", "exp_avg_sq", AVERAGE];
    let numbers = |(name, seed): (&&str, u64)| {
        let [low, high] = range(name);
        noise(seed, count, low, high)
    };
    let arrays: Vec<Vec<f32>> = names.iter().zip(64..).map(numbers).collect();
    let mut wants: [Vec<Near>; 5] = Default::default();
    for i in 0..count {
        let group = &groups[usize::from(4 * i as u64 >= how.ends[0])];
        let at = |array: usize| Near::exact(arrays[array][i]);
        let scaled = at(1) * Near::exact(factor);
        let grad = Near { value: scaled.value.clamp(-f64::from(most), most.into()), ..scaled };
        let mut e = Element { param: at(0), grad, names: &update.slots, slots: vec![at(2), at(3)] };
        e.step(&Settings::from_optimizer(group)?, t, TensorTerms::default())?;
        let average = at(4).lerp(e.param, Near::scalar(1.0 - f64::from(keep)));
        let all = [e.param, at(1), e.slots[0], e.slots[1], average];
        wants.iter_mut().zip(all).for_each(|(want, near)| want.push(in_any_order(near)));
    }
    let mut claims: Vec<Claim> = names
        .iter()
        .zip(wants)
        .map(|(name, want)| Claim { buffer: (*name).into(), offset: 0, want: Want::Numbers(want) })
        .collect();
    claims.push(Claim { buffer: STATE.into(), offset: 0, want: Want::Words(vec![3, 3]) });
    let mut given: Vec<(&str, Vec<u8>)> =
        names.iter().zip(&arrays).map(|(name, numbers)| (*name, bytes(numbers))).collect();
    given.extend([(TABLE, bytes(&table)), (STATE, word_bytes(&state))]);
    let kernels = vec![kernel(&update, &how, count)];
    Ok(Case::of_kernels("shared/update", "groups, clipping, an average", kernels, given, &[], claims))
}
