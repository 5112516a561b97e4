//! Every op's value and gradient against the f64 oracle: one table entry an op, then products of
//! many sizes, a perceptron, and random composite expressions, which is where a fuser goes wrong.
//!
//! `DOWNHILL_CASES=10` runs ten times as many cases, `DOWNHILL_SEED=1` draws others,
//! `DOWNHILL_ONLY="composite 17"` runs those whose label contains the text, and
//! `DOWNHILL_ADAPTER` names an adapter other than the software one. Both kernel families run, where the
//! adapter has subgroups of eight, each with shader checks on and off; products run on all four in full,
//! other cases in turn.
//!
//! # Tolerance
//! Rounding is measured rather than guessed at: the oracle runs again with its inputs, weights,
//! outputs (and in a composite every intermediate value) off by up to one f32 rounding, u = 2⁻²⁴, and
//! the largest change of any element is the *noise* of that tensor. The tolerance is 32 times
//! (noise + u·(1 + largest |element|)): 32 for the few units in the last place WGSL allows `exp`,
//! `log` and division, for sums in any order, and for the luck of three samples; the 1 for
//! inputs and weights of order 1 that cancel (1 − tanh²). For values of order 1 that is 4e-6, where a
//! wrong formula is off by 1e-3 or more.

mod adapter;
mod oracle;

#[path = "gradients/case.rs"]
mod case;
#[path = "gradients/composites.rs"]
mod composites;
#[path = "gradients/long.rs"]
mod long;
#[path = "gradients/models.rs"]
mod models;
#[path = "gradients/ops.rs"]
mod ops;
#[path = "gradients/products.rs"]
mod products;
#[path = "gradients/second.rs"]
mod second;
#[path = "gradients/ties.rs"]
mod ties;
#[path = "gradients/windows.rs"]
mod windows;
