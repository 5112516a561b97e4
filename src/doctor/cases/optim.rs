//! Updates of the elementwise optimizers: every form and switch, at the first step and at the tenth.

use super::super::case::{Case, Claim, Want, bytes, word_bytes};
use crate::check::{Element, Near, Settings, TensorTerms, noise};
use crate::error::{Error, Result};
use crate::kernel::feed::STATE;
use crate::kernel::orthogonal::Orthogonal;
use crate::kernel::update::{AVERAGE, GRADIENTS, PARAMETERS, TABLE, UpdateContext, average, kernel};
use crate::kernel::{Family, Kernel};
use crate::optim::{AdamW, Muon, Optimizer, UpdateKernel, table_row};

/// Numbers of the arena: more than a workgroup of software adapters updates, and not a whole number of blocks.
const COUNT: usize = 2300;
/// The steps that are compared.
const STEPS: [u64; 2] = [1, 10];
/// The least number in a slot of squares.
pub(super) const SLOT_LOW: f32 = 0.2;

/// An optimizer by the keys of a config.
///
/// # Errors
/// Keys that it does not have.
pub(super) fn optimizer(keys: &str) -> Result<Optimizer> {
    let wrong = |err: toml::de::Error| Error::Config(format!("{keys}: {err}"));
    toml::from_str(&keys.replace("; ", "\n")).map_err(wrong)
}

/// The range of a slot's numbers: squares are positive, and larger than the numbers that may be subtracted from them.
pub(super) fn range(slot: &str) -> [f32; 2] {
    match slot {
        PARAMETERS | GRADIENTS | "exp_avg" | "momentum_buffer" | "z" => [-1.0, 1.0],
        "grad_avg" => [-0.3, 0.3],
        _ => [SLOT_LOW, 1.0],
    }
}

/// The row of step `t`, and the words of an open step.
pub(super) fn opened(optimizer: &Optimizer, t: u64) -> [(&'static str, Vec<u8>); 2] {
    let row = table_row(&optimizer.scalars(t, optimizer.lr()), 0.0, 0.0);
    [(TABLE, bytes(&row)), (STATE, word_bytes(&[0, 1, 0, 0]))]
}

/// The optimizer's kernel over an arena of `bytes` and nothing else.
pub(super) fn plain(bytes: u64, family: Family) -> UpdateContext<'static> {
    UpdateContext {
        gradients: GRADIENTS,
        bytes,
        first_block: 0,
        ends: &[],
        family,
        subgroups: false,
        checked: false,
        clip_value: false,
        average: false,
        computed: None,
    }
}

/// A bound for the operations of an update in any order: another order may err by as much to the other side.
pub(super) fn in_any_order(near: Near) -> Near {
    Near { bound: 2.0 * near.bound, ..near }
}

/// The elementwise optimizers under the settings of their trials.
fn variants() -> impl Iterator<Item = (String, Result<Optimizer>)> {
    let of = |name: &'static str| {
        let trials = Optimizer::about(name).map_or(&[][..], |about| about.trials.kernel);
        let variant = move |settings| (format!("{name}, {settings}"), Optimizer::parse(name, settings));
        trials.iter().map(move |settings| variant(*settings))
    };
    Optimizer::NAMES.into_iter().flat_map(of)
}

pub(super) fn cases(family: Family) -> Result<Vec<Case>> {
    let mut all = Vec::new();
    for (what, optimizer) in variants() {
        let optimizer = optimizer?;
        let update = optimizer.kernel();
        let around = plain(4 * COUNT as u64, family);
        for t in STEPS {
            let kernels = vec![kernel(&update, &around, COUNT)];
            all.push(case([&optimizer; 2], &update, kernels, &format!("step {t} of {what}"), t)?);
        }
    }
    // Muon updates parameters that are no matrices by AdamW's rule, with these numbers.
    let muon = Optimizer::Muon(Muon { use_muon: false, ..Muon::default() });
    let adamw = Optimizer::AdamW(AdamW::default());
    let kernels = Orthogonal::new(&[]).others(&muon.kernel(), &plain(4 * COUNT as u64, family), COUNT);
    let update = UpdateKernel { slots: vec!["exp_avg", "exp_avg_sq"], ..muon.kernel() };
    all.push(case([&muon, &adamw], &update, kernels.into_iter().collect(), "what is no matrix", 10)?);
    for keys in ["name = 'schedule_free_adamw'", "name = 'schedule_free_sgd'; momentum = 0.8"] {
        all.extend(averaged(keys)?);
    }
    Ok(all)
}

/// Step `t` by the row of one optimizer, compared with the rule of another.
fn case(
    [row, rule]: [&Optimizer; 2],
    update: &UpdateKernel,
    kernels: Vec<Kernel>,
    what: &str,
    t: u64,
) -> Result<Case> {
    let settings = Settings::from_optimizer(rule)?;
    let names: Vec<&'static str> =
        [PARAMETERS, GRADIENTS].into_iter().chain(update.slots.iter().copied()).collect();
    let numbers = |(name, seed): (&&str, u64)| {
        let [low, high] = range(name);
        noise(seed, COUNT, low, high)
    };
    let arrays: Vec<Vec<f32>> = names.iter().zip(71..).map(numbers).collect();
    let mut wants: Vec<Vec<Near>> = vec![Vec::with_capacity(COUNT); names.len()];
    for i in 0..COUNT {
        let mut at = arrays.iter().map(|array| Near::exact(array[i]));
        let (param, grad) = (at.next().unwrap_or_default(), at.next().unwrap_or_default());
        let mut e = Element { param, grad, names: &update.slots, slots: at.collect() };
        e.step(&settings, t, TensorTerms::default())?;
        let all = [e.param, grad].into_iter().chain(e.slots);
        wants.iter_mut().zip(all).for_each(|(want, near)| want.push(in_any_order(near)));
    }
    let claim = |buffer: &str, want| Claim { buffer: buffer.into(), offset: 0, want };
    let mut claims: Vec<Claim> =
        names.iter().zip(wants).map(|(name, want)| claim(name, Want::Numbers(want))).collect();
    // The step is closed.
    claims.push(claim(STATE, Want::Words(vec![1, 1])));
    let mut given: Vec<(&str, Vec<u8>)> =
        names.iter().zip(&arrays).map(|(name, array)| (*name, bytes(array))).collect();
    given.extend(opened(row, t));
    Ok(Case::of_kernels(update.shader, what, kernels, given, &[], claims))
}

/// The weights to evaluate, x = y + (1 − 1/β)(z − y).
fn averaged(keys: &str) -> Result<Option<Case>> {
    let optimizer = optimizer(keys)?;
    let (update, settings) = (optimizer.kernel(), Settings::from_optimizer(&optimizer)?);
    let beta = if settings.betas()[0] > 0.0 { settings.betas()[0] } else { settings.number("momentum") };
    let [y, z] = [81, 82].map(|seed| noise(seed, COUNT, -1.0, 1.0));
    let x = |(y, z): (&f32, &f32)| {
        let (y, z) = (Near::exact(*y), Near::exact(*z));
        in_any_order(y + Near::scalar(1.0 - 1.0 / beta) * (z - y))
    };
    let want = Want::Numbers(y.iter().zip(&z).map(x).collect());
    let claims = vec![Claim { buffer: AVERAGE.into(), offset: 0, want }];
    let size = 4 * COUNT as u64;
    let given = vec![(PARAMETERS, bytes(&y)), ("z", bytes(&z))];
    let case = |kernel| {
        Case::of_kernels(
            update.shader,
            &format!("the average of {keys}"),
            vec![kernel],
            given,
            &[(AVERAGE, size)],
            claims,
        )
    };
    Ok(average(&update, size).map(case))
}
