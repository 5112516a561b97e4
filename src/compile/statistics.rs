//! Statistics of a step's tensors: planned beside the step, computed by the device, read when the step lands.

mod record;
mod take;
mod units;

pub use record::{DeadUnits, Numbers, StatisticsRecord, TensorStatistics};
pub(super) use take::Taken;
use units::Units;

use super::blueprint::Build;
use super::draft::{Draft, EvalModel};
use crate::error::Result;
use crate::graph::Parameter;
use crate::kernel::feed::{STATE, STATE_BYTES};
use crate::kernel::gradients::{COLUMNS, RING, TOTAL_GRADIENTS};
use crate::kernel::statistics::{CHUNKS, KINDS, LAYOUT, Layout, PREVIOUS, TENSORS, WORDS};
use crate::kernel::update::{GRADIENTS, PARAMETERS};
use crate::optim::Groups;
use crate::plan::{Arena, BufferPlan, Plan};
use crate::shape::Shape;

/// The buffer through which statistics come back.
const READBACK: &str = "statistics readback";

/// What runs after a step whose statistics are taken.
#[derive(Debug, Clone)]
pub(super) struct Statistics {
    /// What looks at the tensors.
    pub plan: Plan,
    /// For each size of batch that is trained on: what looks at its activations. Empty without a layer of relu.
    pub units: Vec<Build>,
    /// The tensors: parameters by number, and how many numbers each has.
    tensors: Vec<(usize, usize)>,
    /// The layers of relu.
    layers: Vec<Units>,
}

impl Statistics {
    /// Plans what looks at the trained ones of `parameters`, which lie as in `arena`, after a step on batches of `sizes`.
    pub fn plan(
        draft: &Draft<'_>,
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
            plan.surround(kernel, "statistics", shape, &bytes, false);
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
            units.push(Build { batch, plan });
        }
        Ok(Statistics { plan, units, tensors, layers })
    }

    /// All its plans.
    pub fn plans(&self) -> impl Iterator<Item = &Plan> {
        std::iter::once(&self.plan).chain(self.units.iter().map(|build| &build.plan))
    }

    /// The buffer through which it comes back: records of tensors, then a number for each layer.
    pub fn readback(&self) -> BufferPlan {
        let bytes = self.records() + 4 * self.layers.len() as u64;
        BufferPlan { name: READBACK.into(), bytes: bytes.max(4) }
    }

    /// Bytes of the records of tensors.
    fn records(&self) -> u64 {
        (4 * self.tensors.len() * KINDS * WORDS) as u64
    }

    /// What the device filed after `step`.
    fn record(&self, step: u64, parameters: &[Parameter], bytes: &[u8]) -> StatisticsRecord {
        let (records, dead) = bytes.split_at(self.records() as usize);
        let words: Vec<u32> = bytemuck::pod_collect_to_vec(records);
        let dead: Vec<f32> = bytemuck::pod_collect_to_vec(dead);
        let tensors = self.tensors.iter().zip(words.chunks_exact(KINDS * WORDS));
        let of = |(&(i, count), words): (&(usize, usize), _)| {
            TensorStatistics::of_words(&parameters[i].name, words, count as u64)
        };
        let units = self.layers.iter().zip(dead).map(|(layer, dead)| DeadUnits {
            layer: layer.name.clone(),
            units: layer.units as u64,
            dead: dead as u64,
        });
        StatisticsRecord { step, tensors: tensors.map(of).collect(), dead_units: units.collect() }
    }
}
