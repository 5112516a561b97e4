//! The tests of every kernel, by what the kernels are for.

mod eight_bit;
mod engine;
mod feed;
mod graphs;
mod half;
mod joint;
mod nets;
mod optim;
mod shards;
mod statistics;
mod tensors;
mod whole_net;

use super::case::Case;
use crate::error::Result;
use crate::kernel::{Family, ProductTiles, Target};
#[cfg(test)]
use crate::optim::Optimizer;

/// The tests of all kernels that serve `target`; those of f16 where the adapter has it.
///
/// # Errors
/// A test that cannot be planned: a fault of its own.
pub(super) fn all(target: Target, has_f16: bool) -> Result<Vec<Case>> {
    // Each kernel in a dispatch of its own, then those that share one.
    let mut all = graphs::cases(target.kernel_by_kernel())?;
    all.extend(nets::cases(target.kernel_by_kernel())?);
    all.extend(joint::cases(target)?);
    if target.family == Family::Tiled && target.tiles == ProductTiles::Predicted {
        // Muon's products have the kernel of software adapters.
        let target = target.kernel_by_kernel().with_tiles(ProductTiles::Plain);
        all.extend(nets::convolutions(target)?);
    }
    all.extend(feed::cases());
    all.extend(engine::cases(target.family)?);
    all.extend(shards::cases());
    all.extend(optim::cases(target.family)?);
    all.extend(tensors::cases(target.family)?);
    all.extend(eight_bit::cases(target)?);
    all.extend(statistics::cases());
    all.extend(whole_net::cases(target)?);
    if has_f16 {
        all.extend(half::cases(target)?);
    }
    Ok(all)
}

/// The kernel's file that optimizer `name` is tested with.
#[cfg(test)]
pub(super) fn variant_of(name: &str) -> Option<&'static str> {
    if Optimizer::about(name).is_some_and(|about| !about.trials.kernel.is_empty()) {
        return Optimizer::parse(name, "").ok().map(|optimizer| optimizer.kernel().shader);
    }
    let optimizers = tensors::VARIANTS.iter().filter_map(|(keys, _)| optim::optimizer(keys).ok());
    optimizers.filter(|optimizer| optimizer.name() == name).map(|o| o.kernel().shader).next()
}
