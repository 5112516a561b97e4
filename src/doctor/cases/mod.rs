//! The tests of every kernel, by what the kernels are for.

mod eight_bit;
mod engine;
mod feed;
mod graphs;
mod half;
mod nets;
mod optim;
mod statistics;
mod tensors;

use super::case::Case;
use crate::error::Result;
use crate::kernel::Target;

/// The tests of all kernels that serve `target`; those of f16 where the adapter has it.
///
/// # Errors
/// A test that cannot be planned: a fault of its own.
pub(super) fn all(target: Target, has_f16: bool) -> Result<Vec<Case>> {
    let mut all = graphs::cases(target)?;
    all.extend(nets::cases(target)?);
    all.extend(feed::cases());
    all.extend(engine::cases()?);
    all.extend(optim::cases(target.family)?);
    all.extend(tensors::cases(target.family)?);
    all.extend(eight_bit::cases(target.family)?);
    all.extend(statistics::cases());
    if has_f16 {
        all.extend(half::cases(target)?);
    }
    Ok(all)
}

/// The kernel's file that optimizer `name` is tested with.
#[cfg(test)]
pub(super) fn variant_of(name: &str) -> Option<&'static str> {
    let keys = optim::VARIANTS.iter().copied().chain(tensors::VARIANTS.iter().map(|(keys, _)| *keys));
    let optimizers = keys.filter_map(|keys| optim::optimizer(keys).ok());
    optimizers.filter(|optimizer| optimizer.name() == name).map(|o| o.kernel().shader).next()
}
