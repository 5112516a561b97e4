//! Sweep.
pub mod points;
pub mod values;
