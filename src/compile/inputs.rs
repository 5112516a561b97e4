//! From the data set on the device to a minibatch: its buffers, and the kernels that open a step.

use super::objective::batched;
use super::staging::{StagingLayout, region};
use crate::data::{Dataset, Field, Part, Values};
use crate::error::{Error, Result};
use crate::kernel::Operand;
use crate::kernel::feed::{self, AT_ONCE, FROM, Gather, INTO, MAX_WINDOW_STEPS, ORDER, STATE, STATE_BYTES};
use crate::plan::{BufferPlan, Location, Plan, Step, input_buffer};
use std::sync::Arc;

/// A buffer of the data set, with the values that go into it.
pub(crate) struct Source<'a> {
    /// Its name in the ledger: `train x`.
    pub name: String,
    /// Its contents.
    pub values: &'a Arc<Values>,
}

impl Source<'_> {
    fn bytes(&self) -> u64 {
        self.values.bytes()
    }

    /// Bytes of the whole words that hold it.
    pub fn words(&self) -> u64 {
        self.bytes().next_multiple_of(4)
    }
}

/// The buffers of the parts of a data set that are not streamed. Fields over the same values share one, which has the first
/// one's name.
pub(crate) fn sources(data: &Dataset, streamed: impl Fn(&str) -> bool) -> Vec<Source<'_>> {
    let mut sources: Vec<Source<'_>> = Vec::new();
    for (part, what) in [(Some(data.train()), "train"), (data.eval(), "eval")] {
        let resident = part.filter(|_| !streamed(what));
        for (name, field) in resident.into_iter().flat_map(Part::fields) {
            let values = field.shared();
            if !sources.iter().any(|s| Arc::ptr_eq(s.values, values)) {
                sources.push(Source { name: format!("{what} {name}"), values });
            }
        }
    }
    sources
}

/// Checks that the plan has a buffer for every source.
///
/// # Errors
/// [`Error::Data`] where it was made for another data set.
pub(crate) fn check(sources: &[Source<'_>], memory: &[BufferPlan]) -> Result<()> {
    let fits = |s: &&Source<'_>| memory.iter().any(|b| b.name == s.name && b.bytes >= s.bytes());
    match sources.iter().find(|s| !fits(s)) {
        None => Ok(()),
        Some(s) => Err(Error::Data(format!(
            "the plan has no buffer \"{}\" of {} bytes: it was made for another data set",
            s.name,
            s.bytes()
        ))),
    }
}

/// The gathering of a field from the data set, or from a slot, where samples lie one after the other.
fn gather(field: &Field, staged: bool) -> Gather<'_> {
    let words = field.shape().elements();
    let (first, hop) = if staged { (0, words) } else { (field.at().first, field.at().hop) };
    Gather { words, first, hop, kind: field.values().kind(), scale: field.scale() }
}

/// Prepends kernels to `plan` that gather `batch` samples of every field of `part`. The first opens the step. Rows of
/// the order table are `stride` long. Samples come from `sources`, or from the slot that they pass.
pub(super) fn add_feed(
    plan: &mut Plan,
    sources: &[Source<'_>],
    stage: Option<&StagingLayout>,
    part: &Part,
    batch: usize,
    stride: usize,
) {
    let fields: Vec<(&str, &Field)> = part.fields().collect();
    let mut steps = Vec::new();
    for (at, fields) in fields.chunks(AT_ONCE).enumerate() {
        let second = fields.get(1).map(|(_, field)| gather(field, stage.is_some()));
        let kernel = feed::gather(batch, stride, gather(fields[0].1, stage.is_some()), second, at == 0);
        let mut bind = |operand: Operand| {
            let Operand::Named(role) = operand else { unreachable!("the feed binds names only") };
            let index = |roles: [&str; AT_ONCE]| roles.iter().position(|r| *r == role);
            if let (Some(i), Some(stage)) = (index(FROM), stage) {
                let buffer = plan.buffer(&stage.staged(), stage.bytes);
                let (offset, field) = (stage.offsets[at * AT_ONCE + i], fields[i].1);
                return Location { buffer, offset, bytes: region(field, stage.passes * stage.stride) };
            }
            let (name, bytes) = if let Some(i) = index(FROM) {
                let values = fields[i].1.shared();
                let source = sources.iter().find(|s| Arc::ptr_eq(s.values, values));
                (
                    source.map_or_else(String::new, |s| s.name.clone()),
                    (values.bytes() as usize).next_multiple_of(4),
                )
            } else if let Some(i) = index(INTO) {
                let (name, field) = fields[i];
                (input_buffer(name), (batch * field.shape().elements() * 4).next_multiple_of(16))
            } else if role == ORDER {
                (ORDER.to_owned(), MAX_WINDOW_STEPS * stride * 4)
            } else {
                (STATE.to_owned(), STATE_BYTES as usize)
            };
            let buffer = plan.buffer(&name, bytes as u64);
            Location { buffer, offset: 0, bytes: plan.buffers[buffer].bytes }
        };
        let bindings =
            kernel.operands.iter().map(|&(slot, access, role)| (slot, access, bind(role))).collect();
        let title = if at == 0 {
            "feed".to_owned()
        } else {
            let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
            format!("feed {}", names.join(" "))
        };
        steps.push(Step { kernel, bindings, images: Vec::new(), title, shape: batched(batch, fields[0].1) });
    }
    plan.steps.splice(0..0, steps);
}
