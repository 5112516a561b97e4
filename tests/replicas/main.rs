//! Several nets at once: their kernels' texts are those of one net, their bits are those of nets alone, and their memory is
//! what is shared and a part for each.

#[path = "../adapter/mod.rs"]
mod adapter;
#[path = "../example_configs/mod.rs"]
mod example_configs;

mod bits;
mod fill;
mod fleet;
mod memory;
mod nets;
mod texts;
