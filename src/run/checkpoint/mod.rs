//! Checkpoints: the state of a run on disk, complete or absent, from which it resumes to equal bits.
//!
//! A checkpoint is a folder `step-N`: `model.safetensors` (and `average.safetensors`) as at the end of a run,
//! `state.safetensors` with everything that the device holds, `checkpoint.json` with the progress of the host, and
//! `checksums.txt` over them. It is written under a temporary name, synced and renamed, by a thread of its own: the
//! steps wait for the copy off the device, and where the disk is slower than the steps, for the checkpoint before the
//! last.

mod checkpointer;
mod format;
mod store;
mod writer;

pub use checkpointer::Checkpointer;
pub(super) use format::Contents;
pub use format::{Checkpoint, Identity};
pub(super) use store::CheckpointStore;
pub(super) use writer::Fingerprint;
