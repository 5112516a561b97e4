//! What results must be, in f64, and how far f32 may be from it: for what `downhill bench` times, and for what
//! `downhill doctor` tests.

mod near;
mod noise;
mod orthogonal;
mod reference;
mod whole;

pub(crate) use near::{Near, UNIT, depth, within};
pub(crate) use noise::noise;
pub(crate) use reference::{Element, Said, Settings, no_rule};
pub(crate) use whole::{Before, Whole};
