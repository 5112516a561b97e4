//! What decides the steps of a net, beside its plan.

use crate::compile::TrainOptions;
use crate::optim::{Groups, Update};

/// What decides the steps of a net.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule<'r> {
    pub update: &'r Update,
    pub groups: &'r Groups,
    pub options: &'r TrainOptions,
}
