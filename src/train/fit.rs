//! A plan that fits its room: samples on the device or streamed, batches whole or in parts.

use super::blueprint::Blueprint;
use super::draft::Forward;
use super::feed;
use super::stage::{Stage, Stages};
use crate::data::{BatchPlan, Dataset};
use crate::error::{Error, Result};
use crate::kernel::{Residence, Target};
use crate::optim::Update;

/// What was chosen so that a run fits its budget.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fit {
    /// Bytes that it may take, where they are bounded.
    pub budget: Option<u64>,
    /// What was done, sentence by sentence, with the numbers; empty where the data lie on the device and batches go whole.
    pub choices: Vec<String>,
}

/// Plans a run that fits its room.
///
/// # Errors
/// [`Error::Budget`] with the plan and what would fit; whatever is wrong with model and data.
pub(super) fn plan(
    forward: Forward<'_>,
    update: Update,
    data: &Dataset,
    batches: BatchPlan,
    target: Target,
) -> Result<Blueprint> {
    update.validate()?;
    target.check()?;
    let room = target.room;
    let plan = |stages: Stages| Blueprint::plan(forward, update.clone(), data, batches, target, stages);
    let resident = plan(Stages::default())?;
    if room.residence != Residence::Streamed {
        return Ok(resident);
    }
    let part = data.train();
    plan(Stages::streamed(part, &batches, Stage::most_steps(part, &batches)))
}
