//! The buffers that results come back through.

use std::collections::VecDeque;

use crate::compile::{EXCHANGED, READBACK, TALLIED, TrainPlan};
use crate::error::{Error, Result};
use crate::gpu::{Buffer, Gpu};

/// The buffers that results come back through.
#[derive(Debug)]
pub(super) struct Readback {
    /// Rings of metrics, used in turn.
    rings: VecDeque<Buffer>,
    /// The sums of an evaluation's metrics.
    pub eval_sums: Option<Buffer>,
    /// The sums that ranks exchange.
    pub exchanged: Option<Buffer>,
    /// Weights and state, part by part.
    pub weights: Buffer,
}

impl Readback {
    /// # Errors
    /// Too little memory.
    pub fn new(gpu: &Gpu, plan: &TrainPlan) -> Result<Readback> {
        let planned = plan.read_back();
        let make = |name: &str| {
            let buffer = planned.iter().find(|buffer| buffer.name == name);
            buffer.map(|buffer| gpu.readback(name, buffer.bytes)).transpose()
        };
        let rings = READBACK.iter().filter_map(|name| make(name).transpose()).collect::<Result<_>>()?;
        let eval_sums = make(TALLIED)?;
        let exchanged = make(EXCHANGED)?;
        let weights = plan.saving();
        let weights = gpu.readback(&weights.name, weights.bytes)?;
        Ok(Readback { rings, eval_sums, exchanged, weights })
    }

    /// The ring that is free next. Two are used in turn, and at most one submission is ahead.
    ///
    /// # Errors
    /// [`Error::Gpu`] where both are in use.
    pub fn take_ring(&mut self) -> Result<Buffer> {
        self.rings.pop_front().ok_or_else(|| Error::Gpu("no readback buffer is free".into()))
    }

    /// Puts a ring back in the row. It is used again after the other one.
    pub fn put_ring(&mut self, ring: Buffer) {
        self.rings.push_back(ring);
    }
}
