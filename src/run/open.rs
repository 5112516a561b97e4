//! The device of a run with its plans, opened alike by all ranks that share the run.

use super::checkpoint::Identity;
use crate::compile::TrainPlan;
use crate::config::Config;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::gpu::{Gpu, GpuOptions, threads};
use crate::kernel::{Family, Target};
use crate::ranks::{Matter, Ranks};
use crate::train::Trainer;
use crate::units::plural;

/// Samples of each field that are compared between ranks.
const COMPARED: usize = 64;

/// Leaves out the threads of Mesa's software adapter where so many nets of a config at once give them too little to do.
pub(super) fn choose_threads(
    config: &Config,
    data: &Dataset,
    options: &GpuOptions,
    nets: usize,
) -> Result<()> {
    // A number of the environment leaves nothing to choose.
    if options.threads_by_work.is_some()
        && threads::given().is_none()
        && config.plan(data, Target::new(Family::Subgroup))?.suits_one_thread_with(nets)
    {
        // SAFETY: the promise of `OneNet`; the threads that read the data have ended, and those that train have not begun.
        unsafe { threads::without_threads() };
    }
    Ok(())
}

/// An open device with the plans of a run on it. Workers receive the config, and open theirs.
pub(super) fn open(config: &Config, data: &Dataset, options: &GpuOptions) -> Result<(Gpu, Trainer)> {
    share_config(&options.ranks, config)?;
    open_own(config, data, options)
}

/// [`open`] where every rank has the config.
pub(super) fn open_own(config: &Config, data: &Dataset, options: &GpuOptions) -> Result<(Gpu, Trainer)> {
    choose_threads(config, data, options, 1)?;
    let gpu = match Gpu::open(&config.gpu_options(options)) {
        Ok(gpu) => gpu,
        Err(err) => {
            // Reports a config that cannot work before a missing adapter.
            config.plan(data, Target::new(Family::Tiled))?;
            return Err(err);
        }
    };
    let trainer = config.trainer(&gpu, data)?;
    compare_ranks(config, &gpu, &trainer, data)?;
    Ok((gpu, trainer))
}

/// The identity of a run of a config by a plan on a device.
pub(super) fn identity(config: &Config, gpu: &Gpu, plan: &TrainPlan) -> Identity {
    let adapter = gpu.adapter();
    let driver = [&*adapter.name, &adapter.driver, &adapter.backend].join(", ");
    Identity::new(config.to_toml(), format!("{driver}, kernels: {:?}", gpu.family()), plan)
}

/// Gives the workers the config of the run.
pub(super) fn share_config(ranks: &Ranks, config: &Config) -> Result<()> {
    if ranks.is_alone() {
        return Ok(());
    }
    ranks.broadcast(Matter::Config, config.to_toml().as_bytes()).map(drop)
}

/// Gives the workers the state that the run begins from.
pub(super) fn share_state(trainer: &Trainer, ranks: &Ranks) -> Result<()> {
    if ranks.is_alone() {
        return Ok(());
    }
    ranks.broadcast(Matter::Start, &trainer.snapshot()?.to_bytes()?).map(drop)
}

/// Refuses ranks that do not train the same: other batches, for lack of memory, or other data.
pub(super) fn compare_ranks(config: &Config, gpu: &Gpu, trainer: &Trainer, data: &Dataset) -> Result<()> {
    if gpu.ranks().is_alone() {
        return Ok(());
    }
    let own = digest(&identity(config, gpu, trainer.plan()), data)?;
    let gathered = gpu.ranks().exchange(Matter::Start, own.as_bytes(), false)?;
    let all: Vec<_> = gathered.parts().map(String::from_utf8_lossy).collect();
    let Some(other) = all.iter().position(|other| *other != all[0]) else { return Ok(()) };
    Err(Error::Rank(format!(
        "rank 0 and rank {other} do not train the same: {}; and {}. Data have to be the same for all ranks, and memory so large \
         that batches go alike (train.memory sets it)",
        all[0], all[other]
    )))
}

/// The layout of batches, and the data by some of their samples.
fn digest(identity: &Identity, data: &Dataset) -> Result<String> {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    for part in std::iter::once(data.train()).chain(data.eval()) {
        let count = COMPARED.min(part.len());
        let some = (0..count).map(|i| part.source_index((i * part.len() / count) as u32));
        let some: Vec<u32> = some.collect();
        for (_, field) in part.fields() {
            let mut bytes = vec![0; count * field.sample_bytes()];
            field.gather(&some, &mut bytes).map_err(|(_, err)| err)?;
            hash.update(&bytes);
        }
    }
    Ok(format!(
        "{}, {}, samples {:016x}",
        identity.batch_layout,
        plural(data.train().len(), "training sample"),
        hash.digest()
    ))
}
