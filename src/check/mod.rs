//! The results of kernels in f64, with bounds of the f32 rounding error, for `downhill bench` and `downhill doctor`.

mod near;
mod noise;
mod orthogonal;
mod reference;
#[cfg(test)]
mod tests;
mod whole;

pub(crate) use near::{Near, UNIT, depth, within};
pub(crate) use noise::noise;
pub(crate) use reference::{Before, Element, Settings, TensorTerms};
pub(crate) use whole::Whole;
