//! The thread that writes checkpoints while the run continues.

use super::format::Contents;
use super::store::CheckpointStore;
use crate::data::Dataset;
use crate::error::{Error, Result};
use crate::train::{CheckpointOptions, CheckpointRecord, Monitor};
use std::fs::File;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// The results of the thread.
#[derive(Debug, Default)]
struct Done {
    written: Vec<CheckpointRecord>,
    fault: Option<Error>,
}

/// The state that the thread works with.
#[derive(Debug)]
pub(super) struct Desk {
    pub store: CheckpointStore,
    pub rule: CheckpointOptions,
    pub monitor: Monitor,
    /// Synced before each checkpoint, so that no checkpoint is ahead of it.
    pub metrics: Option<File>,
    /// Read for its fingerprint, where that is not known.
    pub data: Dataset,
    pub fingerprint: Fingerprint,
}

/// The fingerprint of the data.
#[derive(Debug)]
pub(in crate::run) enum Fingerprint {
    /// Not requested yet.
    Unknown,
    /// The data are being read, in parallel with the run.
    Coming(JoinHandle<Result<u64>>),
    /// In hexadecimal.
    Known(String),
}

impl Fingerprint {
    /// Begins to read the data, in parallel with the run.
    pub fn begin(&mut self, data: &Dataset) {
        if let Fingerprint::Unknown = self {
            let data = data.clone();
            let work = move || data.fingerprint();
            if let Ok(thread) = thread::Builder::new().name("downhill-fingerprint".into()).spawn(work) {
                *self = Fingerprint::Coming(thread);
            }
        }
    }

    /// Waits for the fingerprint.
    pub fn get(&mut self, data: &Dataset) -> Result<String> {
        let number = match std::mem::replace(self, Fingerprint::Unknown) {
            Fingerprint::Known(text) => {
                *self = Fingerprint::Known(text.clone());
                return Ok(text);
            }
            Fingerprint::Unknown => data.fingerprint()?,
            Fingerprint::Coming(thread) => thread.join().map_err(|_| panicked("reads the data"))??,
        };
        let text = format!("{number:016x}");
        *self = Fingerprint::Known(text.clone());
        Ok(text)
    }
}

fn panicked(what: &str) -> Error {
    Error::Checkpoint(format!("no checkpoint can be written: the thread that {what} panicked"))
}

impl Desk {
    fn write(&mut self, mut contents: Contents) -> Result<CheckpointRecord> {
        let start = Instant::now();
        if let Some(metrics) = &self.metrics {
            metrics.sync_data().map_err(|err| Error::io("cannot write", "metrics.jsonl", &err))?;
        }
        contents.checkpoint.identity.data = self.fingerprint.get(&self.data)?;
        let step = contents.checkpoint.steps_done();
        let path = self.store.put(&contents)?;
        // A checkpoint that cannot be removed now, because it is being read, is removed after the next one.
        let _ = self.store.prune(self.rule.keep_last, self.rule.keep_best, &self.monitor);
        Ok(CheckpointRecord { step, path, seconds: start.elapsed().as_secs_f64() })
    }
}

/// Hands checkpoints to the thread, one ahead of the one that is written.
#[derive(Debug)]
pub(super) struct Writer {
    jobs: Option<SyncSender<Contents>>,
    thread: Option<JoinHandle<Desk>>,
    done: Arc<Mutex<Done>>,
    /// Present while no thread has it.
    desk: Option<Desk>,
}

impl Writer {
    pub fn new(desk: Desk) -> Writer {
        Writer { jobs: None, thread: None, done: Arc::default(), desk: Some(desk) }
    }

    /// The thread's state, while no thread runs.
    pub fn desk_mut(&mut self) -> Option<&mut Desk> {
        self.desk.as_mut()
    }

    /// Hands a checkpoint over; waits where another one is waiting already.
    pub fn send(&mut self, contents: Contents) -> Result<()> {
        if let Some(mut desk) = self.desk.take() {
            let (sender, receiver): (_, Receiver<Contents>) = sync_channel(1);
            let done = Arc::clone(&self.done);
            let work = move || {
                for contents in receiver {
                    let result = desk.write(contents);
                    let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
                    match result {
                        Ok(record) => done.written.push(record),
                        Err(err) => {
                            done.fault.get_or_insert(err);
                            break;
                        }
                    }
                }
                desk
            };
            let thread = thread::Builder::new().name("downhill-checkpoints".into()).spawn(work);
            self.thread =
                Some(thread.map_err(|err| Error::Checkpoint(format!("no thread could be started: {err}")))?);
            self.jobs = Some(sender);
        }
        let sent = self.jobs.as_ref().is_some_and(|jobs| jobs.send(contents).is_ok());
        if sent {
            return Ok(());
        }
        // The thread has ended: by a fault, or by a panic.
        self.finish()?;
        Err(panicked("writes them"))
    }

    /// Waits until everything is written.
    pub fn finish(&mut self) -> Result<()> {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            match thread.join() {
                Ok(desk) => self.desk = Some(desk),
                Err(_) => return Err(panicked("writes them")),
            }
        }
        self.fault()
    }

    fn fault(&self) -> Result<()> {
        self.done.lock().unwrap_or_else(PoisonError::into_inner).fault.clone().map_or(Ok(()), Err)
    }

    /// The checkpoints written since the last call.
    ///
    /// # Errors
    /// A checkpoint that could not be written.
    pub fn written(&mut self) -> Result<Vec<CheckpointRecord>> {
        self.fault()?;
        Ok(std::mem::take(&mut self.done.lock().unwrap_or_else(PoisonError::into_inner).written))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Checkpoints that were handed over are still written.
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
