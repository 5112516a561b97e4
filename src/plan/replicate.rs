//! A plan for several nets at once: replicas that differ in weights, seeds, orders and learning rates, and share dispatches.
//!
//! It is made of the finished plan of one net, so every decision (kernels, tiles, parts of sums) is that of a net alone, and
//! so are its bits. Each private buffer becomes a part for each replica, one after the other; each binding keeps its offset
//! and reaches to the last replica's range; each grid has the workgroups of all replicas along z; and the texts are changed
//! by [`rebased`](crate::gpu::replicas::rebased). Plan first, then replicate, then choose how operands are read: uniform
//! buffers and images have the bytes of all replicas.
//!
//! Contents that all replicas have in common lie in the first part, or in a buffer without parts. A kernel that reads
//! nothing else, and makes a value that dies within the step, runs once. That follows from the order of the kernels, since
//! a buffer of activations holds one value after the other.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::buffers::{ACTIVATIONS, BufferPlan, INPUT};
use super::memory::ALIGNMENT;
use super::steps::{Plan, Spread, Step};
use crate::error::{Error, Result};
use crate::gpu::Access;
use crate::gpu::replicas::rebased;
use crate::kernel::feed::{self, STATE};
use crate::kernel::{Kernel, MAX_GROUPS};
use crate::units;

/// The most elements of a buffer that a kernel counts.
const MOST_ELEMENTS: u64 = u32::MAX as u64;

/// Names of buffers whose contents all replicas have in common.
pub type Shared = BTreeSet<String>;

/// How many replicas the plans of a run have, and how far the parts of a private buffer are apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replicas {
    count: usize,
    strides: BTreeMap<String, u64>,
    /// Bytes of each private buffer that one net has.
    sizes: BTreeMap<String, u64>,
}

/// The text of a kernel follows from these: that of one net, entry point, strides of bindings, workgroups along z.
type TextKey = (String, &'static str, Vec<(u32, u64)>, u32);

/// The parts of buffers that a plan's kernels bind.
struct Spreads {
    spread: Vec<Spread>,
    /// For each binding of each kernel: whether each replica has a part of its own.
    private: Vec<Vec<bool>>,
}

impl Replicas {
    /// `count` replicas of plans that have their buffers in common. Each plan comes with the names of what its replicas share.
    ///
    /// # Errors
    /// [`Error::Config`] for no replica; [`Error::Gpu`] where a kernel writes what replicas share.
    pub fn new<'p>(
        count: usize,
        plans: impl IntoIterator<Item = (&'p Plan, &'p Shared)>,
    ) -> Result<Replicas> {
        if count == 0 {
            return Err(Error::Config(
                "there are no replicas to run: their number is 0, and the least is 1".into(),
            ));
        }
        let (mut private, mut sizes) = (BTreeSet::new(), BTreeMap::new());
        for (plan, shared) in plans {
            for buffer in &plan.buffers {
                let bytes = sizes.entry(buffer.name.clone()).or_default();
                *bytes = buffer.bytes.max(*bytes);
            }
            let Spreads { private: own, .. } = plan.spreads(shared)?;
            for (step, own) in plan.steps.iter().zip(&own) {
                let own = step.bindings.iter().zip(own).filter(|(_, is_private)| **is_private);
                private.extend(own.map(|((.., place), _)| plan.buffers[place.buffer].name.clone()));
            }
            // A buffer that no kernel of a plan binds is the run's: the ring of metrics.
            let bound = |i: usize| plan.steps.iter().any(|s| s.bindings.iter().any(|b| b.2.buffer == i));
            let unbound = (0..plan.buffers.len()).filter(|&i| !bound(i)).map(|i| &plan.buffers[i].name);
            private.extend(unbound.filter(|name| !shared.contains(*name)).cloned());
        }
        sizes.retain(|name, _| private.contains(name));
        let strides = sizes.iter().map(|(name, bytes)| (name.clone(), part(*bytes))).collect();
        Ok(Replicas { count, strides, sizes })
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Bytes from a replica's part of a buffer to the next one's; 0 where all have the same.
    pub fn stride(&self, buffer: &str) -> u64 {
        self.strides.get(buffer).copied().unwrap_or(0)
    }

    /// Bytes of a buffer that one net has, of one of which there are `all`.
    pub fn bytes_of_one(&self, buffer: &str, all: u64) -> u64 {
        self.sizes.get(buffer).map_or(all, |bytes| (*bytes).max(4).next_multiple_of(4))
    }

    /// Bytes of the parts of all replicas, of a buffer of which one net has `bytes`.
    pub fn bytes_of_all(&self, bytes: u64) -> u64 {
        if self.count == 1 { bytes } else { self.count as u64 * part(bytes) }
    }

    /// Bytes that one replica has for itself.
    pub fn private_bytes(&self) -> u64 {
        self.strides.values().sum()
    }

    /// The buffers of one net, as large as all replicas need them. One replica is a net alone.
    pub fn memory(&self, buffers: &[BufferPlan]) -> Vec<BufferPlan> {
        let all = buffers.iter().map(|BufferPlan { name, bytes }| BufferPlan {
            name: name.clone(),
            bytes: match self.stride(name) {
                stride if stride > 0 && self.count > 1 => stride * self.count as u64,
                _ => *bytes,
            },
        });
        all.collect()
    }
}

impl Plan {
    /// Decides for each kernel who runs it, and what of its operands is private.
    fn spreads(&self, shared: &Shared) -> Result<Spreads> {
        let mut common: Vec<bool> = self.buffers.iter().map(|buffer| shared.contains(&buffer.name)).collect();
        let is_passing =
            |i: usize| [ACTIVATIONS, INPUT].iter().any(|prefix| self.buffers[i].name.starts_with(prefix));
        let mut spreads = Spreads { spread: Vec::new(), private: Vec::new() };
        for step in &self.steps {
            let opened = self.opened(step);
            let mut others = step.bindings.iter().filter(|(.., place)| Some(place.buffer) != opened);
            let is_once = others.all(|(_, access, place)| match access {
                Access::Write => is_passing(place.buffer),
                _ => common[place.buffer],
            });
            for (_, access, place) in &step.bindings {
                if *access != Access::Write || Some(place.buffer) == opened {
                    continue;
                }
                if !is_passing(place.buffer) && common[place.buffer] {
                    return Err(Error::Gpu(format!(
                        "{} ({}) writes \"{}\", which replicas share",
                        step.title, step.kernel.entry, self.buffers[place.buffer].name
                    )));
                }
                common[place.buffer] = is_once;
            }
            let is_private = |buffer: usize| !common[buffer];
            let z = step.kernel.grid[2];
            spreads.spread.push(if is_once { Spread::Once } else { Spread::Each { z } });
            spreads.private.push(step.bindings.iter().map(|b| is_private(b.2.buffer)).collect());
        }
        Ok(spreads)
    }

    /// The state that a feed opens: all replicas are at the same step, so its count says which samples come next, and a
    /// feed of common samples opens the states of all.
    fn opened(&self, step: &Step) -> Option<usize> {
        let state = step.bindings.iter().find(|(.., place)| self.buffers[place.buffer].name == STATE);
        state.filter(|_| step.kernel.entry == feed::GATHER).map(|(.., place)| place.buffer)
    }

    /// The plan for all replicas; for one, this plan. `shared`: what this plan's replicas share, as it was given to
    /// [`Replicas::new`]. Kernels side by side stay so, and are one kernel from here on.
    ///
    /// # Errors
    /// [`Error::Config`] for more replicas than a grid has workgroups along z, or a kernel can count the elements of;
    /// [`Error::Gpu`] where a kernel's text cannot be changed.
    pub fn replicated(&self, replicas: &Replicas, shared: &Shared) -> Result<Plan> {
        if replicas.count == 1 {
            return Ok(self.clone());
        }
        let Spreads { spread, private } = self.spreads(shared)?;
        let mut plan = self.clone();
        plan.buffers = replicas.memory(&self.buffers);
        self.check_sizes(replicas)?;
        let mut texts: HashMap<TextKey, String> = HashMap::new();
        for (i, step) in plan.steps.iter_mut().enumerate() {
            if step.bindings.iter().any(|(_, access, _)| !matches!(access, Access::Read | Access::Write)) {
                return Err(Error::Gpu(format!(
                    "{} reads a uniform buffer or an image: a plan is replicated before that is chosen",
                    step.title
                )));
            }
            let mut own = Vec::new();
            for ((slot, _, place), is_private) in step.bindings.iter_mut().zip(&private[i]) {
                let stride = replicas.stride(&self.buffers[place.buffer].name);
                if *is_private {
                    place.bytes += (replicas.count as u64 - 1) * stride;
                    own.push((*slot, stride));
                }
            }
            if spread[i] == Spread::Once {
                open_states(&mut step.kernel, replicas);
                continue;
            }
            let kernel = &mut step.kernel;
            let z = kernel.grid[2];
            kernel.grid[2] = workgroups(kernel, replicas.count)?;
            kernel.flops *= replicas.count as u64;
            let key = (std::mem::take(&mut kernel.wgsl), kernel.entry, own, z);
            kernel.wgsl = match texts.get(&key) {
                Some(text) => text.clone(),
                None => {
                    let text = rebased(&key.0, key.1, &key.2, z)?;
                    texts.insert(key, text.clone());
                    text
                }
            };
            kernel.parts = Vec::new();
            step.parts = Vec::new();
        }
        plan.spread = spread;
        Ok(plan)
    }

    /// Refuses buffers whose elements a kernel cannot count.
    fn check_sizes(&self, replicas: &Replicas) -> Result<()> {
        for BufferPlan { name, bytes } in &self.buffers {
            let stride = replicas.stride(name);
            if *bytes > stride && stride > 0 {
                return Err(Error::Gpu(format!(
                    "buffer \"{name}\" has {bytes} B, and a replica's part {stride} B: the replicas are of other plans"
                )));
            }
            // Numbers of 16 bits are the smallest elements.
            let most = (2 * MOST_ELEMENTS).checked_div(stride).unwrap_or(u64::MAX);
            if replicas.count as u64 > most {
                return Err(Error::Config(format!(
                    "{} replicas of buffer \"{name}\" take {}, and a kernel counts {}; at most {most} run at once",
                    replicas.count,
                    units::bytes(stride * replicas.count as u64),
                    units::bytes(2 * MOST_ELEMENTS)
                )));
            }
        }
        Ok(())
    }
}

/// Bytes of a replica's part of a buffer of which one net has `bytes`.
fn part(bytes: u64) -> u64 {
    bytes.max(4).next_multiple_of(ALIGNMENT)
}

/// Workgroups along z of all replicas.
fn workgroups(kernel: &Kernel, count: usize) -> Result<u32> {
    let z = kernel.grid[2];
    let all = u32::try_from(count).ok().and_then(|count| z.checked_mul(count));
    all.filter(|all| *all <= MAX_GROUPS).ok_or_else(|| {
        Error::Config(format!(
            "{count} replicas of {} need {} workgroups along z, and a grid has at most {MAX_GROUPS}; at most {} run at once",
            kernel.entry,
            count as u64 * u64::from(z),
            MAX_GROUPS / z
        ))
    })
}

/// Has a feed that runs once open the states of all replicas.
fn open_states(kernel: &mut Kernel, replicas: &Replicas) {
    let opens = kernel.constants.iter_mut().find(|(name, value)| *name == feed::OPENS && *value > 0);
    let Some((_, opens)) = opens else { return };
    *opens = replicas.count as u32;
    kernel.constants.push((feed::STATE_HOP, (replicas.stride(STATE) / 4) as u32));
    let groups: u32 = kernel.grid.iter().product();
    if (replicas.count as u32) > groups * feed::INVOCATIONS {
        kernel.grid = crate::kernel::grid(replicas.count.div_ceil(feed::INVOCATIONS as usize));
    }
}
