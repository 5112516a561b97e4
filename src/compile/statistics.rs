//! The plans that compute statistics of a step's tensors, and the record of their results.

use super::dead_units::{self, Units};
use super::step::{EvalModel, StepBuilder, StepPlan};
use crate::error::Result;
use crate::graph::Parameter;
use crate::kernel::feed::{STATE, STATE_BYTES};
use crate::kernel::gradients::{COLUMNS, RING, TOTAL_GRADIENTS};
use crate::kernel::statistics::{CHUNKS, KINDS, LAYOUT, Layout, PREVIOUS, TENSORS, WORDS};
use crate::kernel::update::{GRADIENTS, PARAMETERS};
use crate::metrics::{DeadUnits, StatisticsRecord, TensorStatistics};
use crate::optim::Groups;
use crate::plan::{Arena, BufferPlan, Plan};
use crate::shape::Shape;

/// The buffer through which statistics come back.
pub(crate) const STATISTICS_READBACK: &str = "statistics readback";

/// The plans that run after a step whose statistics are taken.
#[derive(Debug, Clone)]
pub(crate) struct Statistics {
    /// The kernels over the tensors.
    pub plan: Plan,
    /// The kernels over activations, for each size of batch. Empty without a layer of relu.
    pub units: Vec<StepPlan>,
    /// The tensors: parameters by number, and how many numbers each has.
    tensors: Vec<(usize, usize)>,
    /// The layers of relu.
    layers: Vec<Units>,
}

impl Statistics {
    /// Plans the statistics of the trained `parameters` after a step on batches of `sizes`.
    pub(super) fn new(
        draft: &StepBuilder<'_>,
        model: &EvalModel,
        parameters: &[Parameter],
        groups: &Groups,
        sizes: impl Iterator<Item = usize>,
    ) -> Result<Statistics> {
        let arena: &Arena = &model.arena;
        let tensors: Vec<(usize, usize)> =
            groups.trained().map(|i| (i, parameters[i].shape.elements())).collect();
        let layout = Layout::new(tensors.iter().map(|&(i, count)| (arena.offsets[i], count)));
        let gradients = if draft.in_parts { TOTAL_GRADIENTS } else { GRADIENTS };
        let [chunks, records] = layout.bytes();
        let bytes = [
            (PARAMETERS, arena.bytes),
            (PREVIOUS, arena.trained),
            (gradients, arena.trained),
            (LAYOUT, 4 * layout.words.len() as u64),
            (RING, draft.ring().bytes()),
            (STATE, STATE_BYTES),
            (CHUNKS, chunks),
            (TENSORS, records),
        ];
        let columns = draft.ring().columns;
        let scale = draft.scaled().then_some((columns - COLUMNS, columns));
        let mut plan = Plan { arena: arena.clone(), ..Plan::default() };
        for kernel in layout.kernels(gradients, scale) {
            let shape = Shape::from([tensors.len(), KINDS, WORDS]);
            plan.add_kernel_after(kernel, "statistics", shape, &bytes);
        }
        plan.check()?;
        plan.constants.push((LAYOUT, layout.words));
        let (mut units, mut layers) = (Vec::new(), Vec::new());
        for batch in sizes {
            let (plan, found) = draft.units(batch, model)?;
            if found.is_empty() {
                break;
            }
            layers = found;
            units.push(StepPlan { batch, plan });
        }
        Ok(Statistics { plan, units, tensors, layers })
    }

    /// All its plans.
    pub fn plans(&self) -> impl Iterator<Item = &Plan> {
        std::iter::once(&self.plan).chain(self.units.iter().map(|build| &build.plan))
    }

    pub(super) fn plans_mut(&mut self) -> impl Iterator<Item = &mut Plan> {
        std::iter::once(&mut self.plan).chain(self.units.iter_mut().map(|build| &mut build.plan))
    }

    /// The buffer through which it comes back: records of tensors, then a number for each layer.
    pub fn readback(&self) -> BufferPlan {
        let bytes = self.records() + 4 * self.layers.len() as u64;
        BufferPlan { name: STATISTICS_READBACK.into(), bytes: bytes.max(4) }
    }

    /// Bytes of the records of tensors.
    pub fn records(&self) -> u64 {
        (4 * self.tensors.len() * KINDS * WORDS) as u64
    }

    /// The record of the device's results after `step`.
    pub fn record(&self, step: u64, parameters: &[Parameter], bytes: &[u8]) -> StatisticsRecord {
        let (records, dead) = bytes.split_at(self.records() as usize);
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(records);
        let dead: Vec<f32> = bytemuck::pod_collect_to_vec(dead);
        let tensors = self.tensors.iter().zip(words.chunks_exact(KINDS * WORDS));
        let of = |(&(i, count), words): (&(usize, usize), _)| {
            TensorStatistics::from_words(&parameters[i].name, words, count as u64)
        };
        let units = self.layers.iter().zip(dead).map(|(layer, dead)| DeadUnits {
            layer: layer.name.clone(),
            units: layer.units as u64,
            dead: dead as u64,
        });
        StatisticsRecord { step, tensors: tensors.map(of).collect(), dead_units: units.collect() }
    }

    /// The buffers that store the counts of dead units, one for each layer.
    pub fn dead_unit_buffers(&self) -> impl Iterator<Item = String> {
        (0..self.layers.len()).map(dead_units::buffer)
    }
}
