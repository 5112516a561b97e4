//! Several nets that train in the same dispatches, each to the bits of its run alone.
//!
//! A [`Fleet`] has a net for each [`Variant`]. They share the plan, the data and every dispatch; each has weights, seeds,
//! optimizer numbers, schedule, length and early stopping of its own. As many train at once as the memory has slots for;
//! where one ends, the next takes its slot at the end of an epoch, and the others go on. `run` is the loop, `slots` says
//! which nets train, [`Halving`] ends the worse ones early.

mod net;
mod planned;
mod run;
mod slots;
mod variant;

use std::sync::Arc;

use pollster::block_on;

pub use net::ReplicaEnd;
use net::{Net, Place};
pub use planned::FleetPlan;
pub use run::{FleetEnd, FleetObserver};
pub use variant::Variant;

use super::halving::{Halving, Judgement, Rungs};
use super::handle::RunHandle;
use super::progress::Snapshot;
use super::trainer::TrainClock;
use crate::compile::{Loss, Model, Orders, TrainPlan};
use crate::data::Dataset;
use crate::engine::{Engine, Evaluation, WeightLayout};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, Reads};
use crate::kernel::Target;
use crate::plan::{NamedTensor, check_weights};

/// How the nets of a fleet train.
#[derive(Debug, Clone, Default)]
pub struct FleetOptions {
    /// The orders in which nets go through the samples. Default: each its own.
    pub orders: Orders,
    /// Nets that train at once. Default: as many as memory has room for.
    pub at_once: Option<usize>,
    /// Ends the worse nets early. Default: all train to their ends.
    pub halving: Option<Halving>,
    /// The state of nets that have ended is dropped, once [`FleetObserver::end`] has seen it.
    pub forget_ended: bool,
}

/// Several nets that train at once on one device. Each has the bits of its run alone, as a
/// [`Trainer`](super::Trainer) with its variant's update and options makes it.
///
/// ```no_run
/// use downhill::prelude::*;
/// use downhill::train::{Fleet, FleetOptions, Variant};
///
/// # fn main() -> Result<(), Error> {
/// let gpu = Gpu::open(&GpuOptions::default())?;
/// let data = downhill::data::digits()?;
/// let model = |net: &Net, x: &Tensor| net.linear("out", &x.flatten(), 10);
/// let loss = |y: &Tensor, t: &Tensor| loss::cross_entropy(y, t, &CrossEntropy::default());
/// let options = TrainOptions::default();
/// let variants: Vec<Variant> = [1e-3, 3e-3, 1e-2]
///     .map(|lr| Variant::new(format!("lr {lr}"), Optimizer::AdamW(AdamW { lr, ..AdamW::default() }), &options))
///     .into();
/// let mut fleet = Fleet::new(&gpu, &model, &loss, &variants, &data, &FleetOptions::default())?;
/// fleet.run(&mut ())?;
/// for (i, variant) in variants.iter().enumerate() {
///     println!("{}: {:?}", variant.name, fleet.last_epoch(i).and_then(|epoch| epoch.eval_accuracy));
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Fleet {
    /// The plan of all slots.
    plan: TrainPlan,
    engine: Engine,
    data: Dataset,
    /// One for each variant.
    nets: Vec<Net>,
    /// The net of each slot that trains; the first slots do.
    slots: Vec<usize>,
    options: FleetOptions,
    judged: Rungs,
    handle: RunHandle,
    clock: TrainClock,
}

impl Fleet {
    /// Plans, allocates and compiles a fleet. `model` and `loss` are as those of [`Trainer::new`](super::Trainer::new).
    ///
    /// # Errors
    /// As [`Trainer::new`](super::Trainer::new); [`Error::Config`] for no variants, and for some that cannot train at once.
    pub fn new(
        gpu: &Gpu,
        model: &Model<'_>,
        loss: &Loss<'_>,
        variants: &[Variant],
        data: &Dataset,
        options: &FleetOptions,
    ) -> Result<Fleet> {
        let target = Target { reads: Reads::Storage, ..Target::for_gpu(gpu) };
        let mut together: Option<FleetPlan> = None;
        for variant in variants {
            let builder = TrainPlan::builder(data, &variant.update).model(model, loss);
            let plan = builder.options(&variant.options).target(target).build()?;
            match &mut together {
                None => together = Some(FleetPlan::new(variant.clone(), plan, options.orders)?),
                Some(together) => together.add(variant.clone(), &plan)?,
            }
        }
        let together = together.ok_or_else(|| Error::Config("a fleet needs at least one variant".into()))?;
        Self::from_plan(gpu, together, data, options)
    }

    /// [`Fleet::new`] from plans that were made before.
    ///
    /// # Errors
    /// As [`Fleet::new`].
    pub fn from_plan(gpu: &Gpu, plan: FleetPlan, data: &Dataset, options: &FleetOptions) -> Result<Fleet> {
        let FleetPlan { plan, nets, orders } = plan;
        let target = Target::for_gpu(gpu).with_precision(plan.precision);
        if options.at_once == Some(0) {
            return Err(Error::Config("at once 0 nets would train: the least is 1".into()));
        }
        let wanted = options.at_once.unwrap_or(nets.len()).min(nets.len());
        let count = plan.replicas_at_once(wanted, orders, target)?;
        let plan = plan.replicated(count, orders)?.reading(target);
        let engine = block_on(Engine::new(gpu, &plan, data, &nets[0].variant.options))?;
        Ok(Fleet {
            judged: Rungs::new(options.halving.clone(), nets.len()),
            plan,
            engine,
            data: data.clone(),
            nets,
            slots: Vec::new(),
            options: FleetOptions { orders, ..options.clone() },
            handle: RunHandle::default(),
            clock: TrainClock::default(),
        })
    }

    /// The plan of all nets that train at once.
    pub fn plan(&self) -> &TrainPlan {
        &self.plan
    }

    /// Nets that train at once, at most.
    pub fn at_once(&self) -> usize {
        self.plan.replica_count()
    }

    /// How many nets there are.
    pub fn len(&self) -> usize {
        self.nets.len()
    }

    /// Never: a fleet has a net.
    pub fn is_empty(&self) -> bool {
        self.nets.is_empty()
    }

    /// The variant of a net.
    pub fn variant(&self, net: usize) -> &Variant {
        &self.nets[net].variant
    }

    /// The end of a net; `None` while it trains, or waits for a slot.
    pub fn end(&self, net: usize) -> Option<&ReplicaEnd> {
        self.nets[net].end.as_ref()
    }

    /// The last epoch that a net reported.
    pub fn last_epoch(&self, net: usize) -> Option<&super::EpochRecord> {
        self.nets[net].last.as_ref()
    }

    /// Steps done by a net.
    pub fn steps_done(&self, net: usize) -> u64 {
        self.nets[net].progress.step
    }

    /// Steps of a net's whole run.
    pub fn total_steps(&self, net: usize) -> u64 {
        self.nets[net].total
    }

    /// Nets that train now, in the order of their slots.
    pub fn training(&self) -> &[usize] {
        &self.slots
    }

    /// True where a net has a state, and has not been forgotten.
    pub fn has_begun(&self, net: usize) -> bool {
        matches!(self.nets[net].place, Place::Slot(_) | Place::Host(_))
    }

    /// The best epoch of a net so far, as its value and its number, where early stopping keeps its weights.
    pub fn best_epoch(&self, net: usize) -> Option<(f64, u64)> {
        let net = &self.nets[net];
        let keeps = net.variant.options.early_stopping.as_ref().is_some_and(|rule| rule.restore_best);
        net.progress.early_stopping.best().filter(|_| keeps)
    }

    /// A handle that stops the fleet, from any thread.
    pub fn handle(&self) -> RunHandle {
        self.handle.clone()
    }

    /// Replaces the fleet's handle by one that is there already.
    pub fn use_handle(&mut self, handle: &RunHandle) {
        self.handle = handle.clone();
    }

    /// Ends a net, at once where it waits, and else when its steps in flight are received.
    pub fn stop(&mut self, net: usize) {
        self.nets[net].is_stopped = true;
    }

    /// Reads the state of a net. A [`Trainer`](super::Trainer) of its variant that is restored from it makes the same steps
    /// as the net in the fleet.
    ///
    /// # Errors
    /// A lost device; [`Error::Config`] where it has not begun, or has ended and its state is dropped.
    pub fn snapshot(&self, net: usize) -> Result<Snapshot> {
        let own = &self.nets[net];
        let buffers = match &own.place {
            Place::Slot(slot) => block_on(self.engine.read_state(&self.plan, *slot))?,
            Place::Host(buffers) => buffers.as_ref().clone(),
            Place::New(_) => {
                return Err(Error::Config(format!(
                    "\"{}\" has not begun, so it has no state",
                    own.variant.name
                )));
            }
            Place::Dropped => {
                return Err(Error::Config(format!(
                    "\"{}\" has ended, and its state is dropped",
                    own.variant.name
                )));
            }
        };
        Ok(Snapshot { buffers, best: own.best.clone(), progress: own.progress.clone() })
    }

    /// Has a net go on from a state of its variant, of a [`Trainer`](super::Trainer)'s or this fleet's, once it has a slot.
    ///
    /// # Errors
    /// As [`Trainer::restore`](super::Trainer::restore); [`Error::Config`] for a net that trains now.
    pub fn restore(&mut self, net: usize, snapshot: &Snapshot) -> Result<()> {
        self.check_waits(net)?;
        self.engine.check_state(&self.plan, &snapshot.buffers)?;
        let own = &mut self.nets[net];
        own.place = Place::Host(Arc::new(snapshot.buffers.clone()));
        own.progress = snapshot.progress.clone();
        own.best.clone_from(&snapshot.best);
        own.end = None;
        Ok(())
    }

    /// Has a net that has not begun start from these weights, in place of its initial ones. Names and shapes must be the
    /// model's.
    ///
    /// # Errors
    /// As [`Trainer::load_state_dict`](super::Trainer::load_state_dict); [`Error::Config`] for a net that trains now.
    pub fn load_state_dict(&mut self, net: usize, tensors: &Arc<Vec<NamedTensor>>) -> Result<()> {
        self.check_waits(net)?;
        let layout = WeightLayout::new(&self.plan, 0);
        check_weights(&layout.names(), tensors)?;
        self.nets[net].place = Place::New(Some(Arc::clone(tensors)));
        Ok(())
    }

    fn check_waits(&self, net: usize) -> Result<()> {
        let own = &self.nets[net];
        match own.place {
            Place::Slot(_) => Err(Error::Config(format!(
                "\"{}\" trains now; its state can be replaced before the fleet runs, or after",
                own.variant.name
            ))),
            _ => Ok(()),
        }
    }

    /// The weights of a net, and their average where that is another file.
    ///
    /// # Errors
    /// As [`Fleet::snapshot`].
    pub fn weights(&self, net: usize) -> Result<(Vec<NamedTensor>, Option<Vec<NamedTensor>>)> {
        let own = &self.nets[net];
        let layout = WeightLayout::new(&self.plan, own.progress.batches_seen());
        match &own.place {
            Place::Slot(slot) => {
                let buffers = block_on(self.engine.read_weights(&self.plan, *slot, false))?;
                Ok(layout.weights(&buffers))
            }
            _ => Ok(layout.weights(&self.snapshot(net)?.buffers)),
        }
    }

    /// Reads a net: parameters in the order they were made, then buffers, as torch's `state_dict`.
    ///
    /// # Errors
    /// As [`Fleet::snapshot`].
    pub fn state_dict(&self, net: usize) -> Result<Vec<NamedTensor>> {
        let own = &self.nets[net];
        let layout = WeightLayout::new(&self.plan, own.progress.batches_seen());
        Ok(layout.model(&self.snapshot(net)?.buffers))
    }

    /// The state of a net, and the layout of its weights files. Averaged weights are brought up to date before.
    pub(crate) fn checkpoint_state(&self, net: usize) -> Result<(WeightLayout, Snapshot)> {
        block_on(self.engine.compute_average(&self.plan))?;
        let layout = WeightLayout::new(&self.plan, self.nets[net].progress.batches_seen());
        Ok((layout, self.snapshot(net)?))
    }

    /// Evaluates the nets that train now, in the order of their slots, where there is an evaluation part.
    ///
    /// # Errors
    /// A lost device.
    pub fn evaluate(&mut self) -> Result<Option<Vec<Evaluation>>> {
        let clocks = self.clocks();
        block_on(self.engine.evaluate(&self.plan, &clocks, &mut || Ok(())))
    }

    /// Has judgements of a run before this one count, and ends the nets that they dropped.
    ///
    /// # Errors
    /// [`Error::Config`] for nets that are not there.
    pub fn recall(&mut self, judgements: &[Judgement]) -> Result<()> {
        self.judged.recall(judgements, self.nets.len())
    }

    /// Has a net be one that ended in a run before this one.
    pub fn ended_before(&mut self, net: usize) {
        let own = &mut self.nets[net];
        (own.end, own.place) = (Some(ReplicaEnd::Before), Place::Dropped);
    }
}
