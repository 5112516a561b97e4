//! The trait of every optimizer, and the checks that several share.

use std::fmt::Debug;

use super::{SCALARS, UpdateKernel};
use crate::error::{Error, Result};

/// The rule of one optimizer. [`Optimizer`](super::Optimizer) passes its calls on.
///
/// The methods with a default are for the few optimizers that differ there. A test over the table compares each with the
/// optimizer's keys, so that none is forgotten.
pub(super) trait Rule {
    /// The learning rate, before any schedule.
    fn lr(&self) -> f64;

    /// Checks every hyperparameter, as torch does.
    fn validate(&self) -> Result<()>;

    /// The kernel of this variant.
    fn kernel(&self) -> UpdateKernel;

    /// The row of update `t`, the first being 1, at the learning rate `lr`. Computed in f64, from `t` alone.
    fn scalars(&self, t: u64, lr: f64) -> Scalars;

    /// Sets every weight decay to 0.
    fn remove_decay(&mut self);

    /// The number that a one-cycle schedule moves: a momentum above 0, else the first of the betas.
    fn momentum(&mut self) -> Option<&mut f64> {
        None
    }

    /// Removes the optimizer's own warm-up and decay of the learning rate.
    fn make_steady(&mut self) {}

    /// Adapts the optimizer to a parameter of this many axes.
    fn set_axes(&mut self, _: usize) {}

    /// True where parameters are updated as matrices. They lie before the others.
    fn of_matrices(&self) -> bool {
        false
    }
}

/// The optimizer's numbers in a row of the table.
pub(super) type Scalars = [f64; SCALARS];

/// A row that begins with these numbers and goes on with zeros.
pub(super) fn row<const N: usize>(numbers: [f64; N]) -> Scalars {
    let mut row = [0.0; SCALARS];
    row[..N].copy_from_slice(&numbers);
    row
}

/// `momentum` where it is above 0: a momentum of 0 has no slot, so no schedule can move it.
pub(super) fn moving(momentum: &mut f64) -> Option<&mut f64> {
    (*momentum != 0.0).then_some(momentum)
}

/// 1 − βᵗ: how much of a running mean from zero is real after `t` steps.
pub(super) fn correction(beta: f64, t: u64) -> f64 {
    1.0 - beta.powf(t as f64)
}

pub(super) fn refuse(key: &str, value: impl Debug, allowed: &str) -> Error {
    refuse_of(&format!("optimizer.{key}"), value, allowed)
}

/// Checks the numbers that all of Adam's kin have.
pub(super) fn adam_numbers<const N: usize>(
    lr: f64,
    betas: [f64; N],
    eps: f64,
    weight_decay: f64,
) -> Result<()> {
    at_least_zero("lr", lr, "a learning rate")?;
    if !betas.iter().all(|beta| (0.0..1.0).contains(beta)) {
        return Err(refuse("betas", betas, "each beta is at least 0 and below 1"));
    }
    at_least_zero("eps", eps, "eps")?;
    at_least_zero("weight_decay", weight_decay, "weight decay")
}

/// Checks that Nesterov's momentum has a momentum without dampening.
pub(super) fn look_ahead(nesterov: bool, momentum: f64, dampening: f64) -> Result<()> {
    if nesterov && (momentum == 0.0 || dampening != 0.0) {
        let allowed =
            format!("needs momentum above 0 and dampening = 0; they are {momentum:?} and {dampening:?}");
        return Err(refuse("nesterov", true, &allowed));
    }
    Ok(())
}

/// Weight decay λ at the rate η as the factor in the gradient and the factor that shrinks the weight: `[λ, 0]`, or
/// `[0, ηλ]` where it is decoupled.
pub(super) fn decays(decoupled: bool, lr: f64, weight_decay: f64) -> [f64; 2] {
    if decoupled { [0.0, lr * weight_decay] } else { [weight_decay, 0.0] }
}

/// Checks that `value` is finite and at least 0. `what` names it: `a learning rate`.
pub(super) fn at_least_zero(key: &str, value: f64, what: &str) -> Result<()> {
    at_least_zero_of(&format!("optimizer.{key}"), value, what)
}

/// Checks that `value` is in [0, 1).
pub(super) fn below_one(key: &str, value: f64, what: &str) -> Result<()> {
    below_one_of(&format!("optimizer.{key}"), value, what)
}

// The same checks for a key by its whole name.

pub(super) fn refuse_of(key: &str, value: impl Debug, allowed: &str) -> Error {
    Error::Config(format!("{key} = {value:?}: {allowed}"))
}

pub(super) fn at_least_zero_of(key: &str, value: f64, what: &str) -> Result<()> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(refuse_of(key, value, &format!("{what} is finite and at least 0")))
}

pub(super) fn below_one_of(key: &str, value: f64, what: &str) -> Result<()> {
    if (0.0..1.0).contains(&value) {
        return Ok(());
    }
    Err(refuse_of(key, value, &format!("{what} is at least 0 and below 1")))
}
