//! Checkpoints: the state of a run on the disk, whole or not at all, from which it goes on to equal bits.
//!
//! A checkpoint is a folder `step-N`: `model.safetensors` (and `average.safetensors`) as at the end of a run,
//! `state.safetensors` with everything the device keeps, `checkpoint.json` with everything the host does, and
//! `checksums.txt` over them. It is written under a temporary name, synced and renamed, by a thread of its own: the
//! steps wait for the copy off the device, and where the disk is slower than the steps, for the checkpoint before the
//! last.

mod files;
mod keeper;
mod shelf;
mod writer;

pub use files::{Identity, Saved};
pub use keeper::{Checkpoints, Keeper};
