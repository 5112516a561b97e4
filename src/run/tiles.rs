//! Notes on the tiles of a run's products: measured elsewhere, without effect, kept from the run's start.

use crate::compile::TrainPlan;
use crate::config::Config;
use crate::gpu::Gpu;
use crate::units::plural;

/// Notes on the config's `[tune]`, as it applies to a plan on this device.
pub(super) fn notes(config: &Config, gpu: &Gpu, plan: &TrainPlan) -> Vec<String> {
    let (tune, adapter) = (&config.tune, gpu.adapter());
    if tune.is_empty() {
        return Vec::new();
    }
    let (all, tuned) = (plan.product_tiles().count(), plan.tuned_products());
    let measured = format!("the tiles of [tune], measured on {} (driver {}),", tune.adapter, tune.driver);
    if all == 0 {
        let here = format!("{} (driver {})", adapter.name, adapter.driver);
        return vec![format!("{measured} have no effect here: no product of this run has a tile on {here}")];
    }
    let unnamed = (tuned == 0).then(|| {
        format!(
            "{measured} name none of the {} of this run, whose sizes follow from batch and layers; measure them with \
             downhill tune",
            plural(all, "product")
        )
    });
    unnamed.into_iter().chain(tune.difference(adapter)).collect()
}

/// The note on tiles that a resumed run was asked for and does not take; `None` where they are those of its start.
pub(super) fn kept(asked: &Config, run: &Config) -> Option<String> {
    if asked.tune.is_empty() || asked.tune == run.tune {
        return None;
    }
    let named = |config: &Config| match config.tune.is_empty() {
        true => "predicted tiles".to_owned(),
        false => format!(
            "tiles for {}, measured on {}",
            plural(config.tune.products.len(), "product"),
            config.tune.adapter
        ),
    };
    Some(format!(
        "the run keeps {}, as in its config.toml; {} are asked for now, and a run that exists cannot take them",
        named(run),
        named(asked)
    ))
}
