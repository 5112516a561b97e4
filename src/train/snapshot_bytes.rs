//! The state of a run as bytes: a safetensors file of the device's buffers, with the progress of the host in its header. A
//! page keeps it over a reload; [`run`](crate::run) has a format of its own, whose files are checked one by one.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, SafeTensors, TensorView};

use super::progress::{BestWeights, Progress, Snapshot};
use crate::engine::BufferContents;
use crate::error::{Error, Result};

/// The prefix of the buffers of the best epoch.
const BEST: &str = "best.";
/// The keys of the header.
const PROGRESS: &str = "progress";
const BEST_BATCHES_SEEN: &str = "best_batches_seen";

fn damaged(what: impl std::fmt::Display) -> Error {
    Error::Checkpoint(format!("the state of the run is damaged: {what}"))
}

impl Snapshot {
    /// The state as bytes, for [`Snapshot::from_bytes`].
    ///
    /// # Errors
    /// [`Error::Checkpoint`] for a buffer that is no whole number of words.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let best = self.best.iter().flat_map(|best| &best.buffers);
        let best = best.map(|(name, bytes)| (format!("{BEST}{name}"), bytes));
        let mut views = Vec::new();
        for (name, bytes) in self.buffers.iter().map(|(name, bytes)| (name.clone(), bytes)).chain(best) {
            let view = TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes)
                .map_err(|err| Error::Checkpoint(format!("buffer \"{name}\": {err}")))?;
            views.push((name, view));
        }
        let progress = serde_json::to_string(&self.progress).map_err(damaged)?;
        let mut header = HashMap::from([(PROGRESS.to_owned(), progress)]);
        if let Some(best) = &self.best {
            header.insert(BEST_BATCHES_SEEN.to_owned(), best.batches_seen.to_string());
        }
        safetensors::serialize(views, Some(header)).map_err(damaged)
    }

    /// The state that [`Snapshot::to_bytes`] gave.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] where the bytes are others.
    pub fn from_bytes(bytes: &[u8]) -> Result<Snapshot> {
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(damaged)?;
        let keys = header.metadata().as_ref();
        let key = |name: &str| keys.and_then(|keys| keys.get(name));
        let progress = key(PROGRESS).ok_or_else(|| damaged("it has no progress"))?;
        let progress: Progress = serde_json::from_str(progress).map_err(damaged)?;
        let (mut buffers, mut best) = (BufferContents::new(), BufferContents::new());
        for (name, view) in SafeTensors::deserialize(bytes).map_err(damaged)?.tensors() {
            match name.strip_prefix(BEST) {
                Some(name) => best.push((name.to_owned(), view.data().to_vec())),
                None => buffers.push((name, view.data().to_vec())),
            }
        }
        let batches_seen = key(BEST_BATCHES_SEEN).map(|text| text.parse().map_err(damaged)).transpose()?;
        let best = batches_seen.map(|batches_seen| BestWeights { buffers: best, batches_seen });
        Ok(Snapshot { buffers, best, progress })
    }
}
