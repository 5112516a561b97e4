//! From the data set on the device to a minibatch: its buffers, and the kernels that open a step.

use super::objective::batched;
use super::staging::{StagingLayout, region};
use crate::data::{Dataset, Field, Part, Values};
use crate::error::{Error, Result};
use crate::kernel::Operand;
use crate::kernel::feed::{self, AT_ONCE, FROM, Gather, INTO, MAX_WINDOW_STEPS, ORDER, STATE, STATE_BYTES};
use crate::kernel::mlp::{self, Fed, Mlp, TARGETS, VALUES};
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

/// The samples that a feed gathers from: a part of the data, in sources on the device or in the slot that they pass.
#[derive(Clone, Copy)]
pub(super) struct Feed<'a> {
    pub sources: &'a [Source<'a>],
    pub stage: Option<&'a StagingLayout>,
    pub part: &'a Part,
    /// Length of a row of the order table.
    pub stride: usize,
}

impl Feed<'_> {
    /// The buffer that field `i` is gathered from.
    fn source(&self, plan: &mut Plan, i: usize, field: &Field) -> Location {
        if let Some(stage) = self.stage {
            let buffer = plan.buffer(&stage.staged(), stage.bytes);
            let bytes = region(field, stage.passes * stage.stride);
            return Location { buffer, offset: stage.offsets[i], bytes };
        }
        let values = field.shared();
        let source = self.sources.iter().find(|s| Arc::ptr_eq(s.values, values));
        let name = source.map_or_else(String::new, |s| s.name.clone());
        whole(plan, &name, values.bytes().next_multiple_of(4))
    }

    fn order(&self, plan: &mut Plan) -> Location {
        whole(plan, ORDER, (MAX_WINDOW_STEPS * self.stride * 4) as u64)
    }
}

/// The whole buffer of a name.
fn whole(plan: &mut Plan, name: &str, bytes: u64) -> Location {
    let buffer = plan.buffer(name, bytes);
    Location { buffer, offset: 0, bytes: plan.buffers[buffer].bytes }
}

/// Prepends kernels to `plan` that gather `batch` samples of every field. The first opens the step.
pub(super) fn add_feed(plan: &mut Plan, feed: Feed<'_>, batch: usize) {
    let fields: Vec<(&str, &Field)> = feed.part.fields().collect();
    let staged = feed.stage.is_some();
    let mut steps = Vec::new();
    for (at, fields) in fields.chunks(AT_ONCE).enumerate() {
        let second = fields.get(1).map(|(_, field)| gather(field, staged));
        let kernel = feed::gather(batch, feed.stride, gather(fields[0].1, staged), second, at == 0);
        let mut bind = |operand: Operand| {
            let Operand::Named(role) = operand else { unreachable!("the feed binds names only") };
            let index = |roles: [&str; AT_ONCE]| roles.iter().position(|r| *r == role);
            if let Some(i) = index(FROM) {
                feed.source(plan, at * AT_ONCE + i, fields[i].1)
            } else if let Some(i) = index(INTO) {
                let (name, field) = fields[i];
                let bytes = (batch * field.shape().elements() * 4).next_multiple_of(16);
                whole(plan, &input_buffer(name), bytes as u64)
            } else if role == ORDER {
                feed.order(plan)
            } else {
                whole(plan, STATE, STATE_BYTES)
            }
        };
        let bindings =
            kernel.operands.iter().map(|&(slot, access, role)| (slot, access, bind(role))).collect();
        let title = if at == 0 {
            "feed".to_owned()
        } else {
            let names: Vec<&str> = fields.iter().map(|(name, _)| *name).collect();
            format!("feed {}", names.join(" "))
        };
        let shape = batched(batch, fields[0].1);
        steps.push(Step {
            kernel,
            bindings,
            images: Vec::new(),
            tile: None,
            title,
            shape,
            parts: Vec::new(),
        });
    }
    plan.steps.splice(0..0, steps);
}

/// Adds the kernel that gathers the samples of a whole net and computes everything that they do not share.
pub(super) fn add_rows(plan: &mut Plan, net: &Mlp, feed: Feed<'_>) {
    let fields: Vec<(&str, &Field)> = feed.part.fields().collect();
    let staged = feed.stage.is_some();
    let fed: Vec<Fed<'_>> =
        fields.iter().map(|(name, field)| Fed { name, gather: gather(field, staged) }).collect();
    let kernel = mlp::rows(net, &fed, feed.stride);
    let mut bind = |operand: Operand| {
        let Operand::Named(role) = operand else { unreachable!("the feed binds names only") };
        if let Some(i) = FROM.iter().position(|r| *r == role) {
            return feed.source(plan, i, fields[i].1);
        }
        match role {
            ORDER => feed.order(plan),
            STATE => whole(plan, STATE, STATE_BYTES),
            VALUES => whole(plan, VALUES, 4 * net.values as u64),
            TARGETS => whole(plan, TARGETS, net.targets_bytes()),
            name => whole(plan, name, plan.arena.bytes),
        }
    };
    let bindings = kernel.operands.iter().map(|&(slot, access, role)| (slot, access, bind(role))).collect();
    let shape = batched(net.batch, fields[0].1);
    plan.steps.push(Step {
        kernel,
        bindings,
        images: Vec::new(),
        tile: None,
        title: "whole net".to_owned(),
        shape,
        parts: Vec::new(),
    });
}
