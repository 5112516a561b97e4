//! The lecture "Practical optimization in AI", runnable: an exhibit for each of its statements, on the engine itself, with
//! pictures, and numbers beside those that theory gives.
//!
//! One file an exhibit. `exhibit` has what they have in common, `nets` trains many nets at once, `linear` feeds gradients that
//! are known to an optimizer, `page` writes the chapter.

mod adam;
mod average_step;
mod ema;
mod exhibit;
mod formula;
mod gradients;
mod linear;
mod minibatch;
mod momentum;
mod nets;
mod optima;
mod orders;
mod page;
mod plan;
mod rmsprop;
mod stability;
mod statistics;

pub use exhibit::{About, Finding, Setting, Setup, Shown};
pub use page::{Chapter, Conditions, finding_text, json, page};
pub use plan::plan;

/// The exhibits in the order of the lecture.
pub const EXHIBITS: &[About] = &[
    minibatch::ABOUT,
    average_step::ABOUT,
    orders::ABOUT,
    stability::ABOUT,
    momentum::ABOUT,
    ema::ABOUT,
    rmsprop::ABOUT,
    adam::ABOUT,
    optima::ABOUT,
];
