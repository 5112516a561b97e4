//! The rule of a net's steps, beside its plan.

use crate::compile::TrainOptions;
use crate::optim::{Groups, Update};

/// The update, groups and options that decide a net's steps.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule<'r> {
    pub update: &'r Update,
    pub groups: &'r Groups,
    pub options: &'r TrainOptions,
}
