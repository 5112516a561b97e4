//! From the data set on the device to a minibatch: its buffers, and the kernels that open a step.

use std::sync::Arc;

use super::batch::batched;
use super::blueprint::WINDOW;
use crate::data::{Dataset, Field, Part, Values};
use crate::error::{Error, Result};
use crate::gpu::{Buffer, Gpu};
use crate::kernel::Operand;
use crate::kernel::feed::{self, AT_ONCE, FROM, Gather, INTO, ORDER, STATE, STATE_BYTES};
use crate::plan::{BufferPlan, Location, Plan, Step, input_buffer};

/// A buffer of the data set, with the values that go into it.
pub(super) struct Source<'a> {
    /// Its name in the ledger: `train x`.
    pub name: String,
    /// What it holds.
    pub values: &'a Arc<Values>,
}

impl Source<'_> {
    fn bytes(&self) -> u64 {
        self.values.bytes()
    }
}

/// The buffers of a data set. Fields over the same values share one, which has the first one's name.
pub(super) fn sources(data: &Dataset) -> Vec<Source<'_>> {
    let mut sources: Vec<Source<'_>> = Vec::new();
    for (part, what) in [(Some(data.train()), "train"), (data.eval(), "eval")] {
        for (name, field) in part.into_iter().flat_map(Part::fields) {
            let values = field.shared();
            if !sources.iter().any(|s| Arc::ptr_eq(s.values, values)) {
                sources.push(Source { name: format!("{what} {name}"), values });
            }
        }
    }
    sources
}

/// The plan has a buffer for every source.
///
/// # Errors
/// [`Error::Data`] where it was made for another data set.
pub(super) fn check(sources: &[Source<'_>], memory: &[BufferPlan]) -> Result<()> {
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

/// Bytes that are read and written at once.
const BLOCK: usize = 4 << 20;

/// Writes all of `values` to a buffer, block by block.
pub(super) fn upload(gpu: &Gpu, buffer: &Buffer, values: &Values) -> Result<()> {
    let (size, total) = (values.kind().bytes(), values.bytes() as usize);
    let mut block = vec![0; total.min(BLOCK).next_multiple_of(4)];
    for from in (0..total).step_by(BLOCK) {
        let bytes = (total - from).min(BLOCK);
        values.read(from / size, &mut block[..bytes])?;
        gpu.write(buffer, from as u64, &block[..bytes.next_multiple_of(4)]);
    }
    Ok(())
}

/// Puts kernels before those of `plan` that gather `batch` samples of every field of `part`; the first opens the
/// step. Rows of the order table are `stride` long.
pub(super) fn surround(plan: &mut Plan, sources: &[Source<'_>], part: &Part, batch: usize, stride: usize) {
    let fields: Vec<(&str, &Field)> = part.fields().collect();
    let mut steps = Vec::new();
    for (at, fields) in fields.chunks(AT_ONCE).enumerate() {
        fn gather(field: &Field) -> Gather<'_> {
            let (words, windows) = (field.shape().elements(), field.at());
            let (kind, scale) = (field.values().kind(), field.scale());
            Gather { words, first: windows.first, hop: windows.hop, kind, scale }
        }
        let second = fields.get(1).map(|(_, field)| gather(field));
        let kernel = feed::gather(batch, stride, gather(fields[0].1), second, at == 0);
        let mut bind = |operand: Operand| {
            let Operand::Named(role) = operand else { unreachable!("the feed binds names only") };
            let index = |roles: [&str; AT_ONCE]| roles.iter().position(|r| *r == role);
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
                (ORDER.to_owned(), WINDOW * stride * 4)
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
        steps.push(Step { kernel, bindings, title, shape: batched(batch, fields[0].1) });
    }
    plan.steps.splice(0..0, steps);
}
