//! The checkpoints of a run, side by side.

use super::format::{self, Checkpoint, Contents};
use crate::atomic_file::sync_folder;
use crate::error::{Error, Result};
use crate::train::{Mode, Monitor};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A checkpoint in the store.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Entry {
    pub step: u64,
    /// The monitored metric, where an epoch ended there.
    pub metric: Option<f64>,
}

/// Prefixes of a checkpoint that is being written, of one that is being replaced, and of one that is being removed.
const NEW: &str = ".new-";
const OLD: &str = ".old-";
const GONE: &str = ".gone-";

/// The folder `checkpoints` of a run.
#[derive(Debug, Clone)]
pub(in crate::run) struct CheckpointStore {
    folder: PathBuf,
    /// By step.
    pub(super) entries: Vec<Entry>,
}

fn io(action: &'static str, path: &Path) -> impl Fn(std::io::Error) -> Error {
    let path = path.to_owned();
    move |err| Error::io(action, &path, &err)
}

impl CheckpointStore {
    /// Lists the folder, if it is there.
    pub fn open(folder: &Path, monitor: &Monitor) -> Result<CheckpointStore> {
        tidy(folder)?;
        let mut entries = Vec::new();
        let listed = match fs::read_dir(folder) {
            Ok(listed) => listed.collect(),
            Err(err) if err.kind() == ErrorKind::NotFound => Vec::new(),
            Err(err) => return Err(io("cannot read", folder)(err)),
        };
        for entry in listed {
            let entry = entry.map_err(io("cannot read", folder))?;
            let name = entry.file_name();
            let step = name.to_str().and_then(|name| name.strip_prefix("step-")).and_then(|n| n.parse().ok());
            if let Some(step) = step {
                entries.push(Entry { step, metric: format::metric(&entry.path(), monitor) });
            }
        }
        entries.sort_by_key(|entry| entry.step);
        Ok(CheckpointStore { folder: folder.to_owned(), entries })
    }

    pub fn path(&self, step: u64) -> PathBuf {
        self.folder.join(format!("step-{step}"))
    }

    /// A name that no reader takes for a checkpoint.
    fn hidden(&self, why: &str, step: u64) -> PathBuf {
        self.folder.join(format!("{why}step-{step}"))
    }

    pub fn read(&self, step: u64) -> Result<Checkpoint> {
        format::read(&self.path(step))
    }

    /// The newest complete checkpoint, if there is one, and the faults of the newer ones.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] where there are checkpoints and every one is damaged.
    pub fn latest(&self) -> Result<(Option<Checkpoint>, Vec<Error>)> {
        let mut damaged = Vec::new();
        for entry in self.entries.iter().rev() {
            match self.read(entry.step) {
                Ok(saved) => return Ok((Some(saved), damaged)),
                Err(err @ Error::Checkpoint(_)) => damaged.push(err),
                Err(other) => return Err(other),
            }
        }
        if damaged.is_empty() {
            return Ok((None, damaged));
        }
        let each: Vec<String> = damaged.iter().map(|err| format!("  {err}")).collect();
        Err(Error::Checkpoint(format!(
            "no checkpoint in {} is whole:\n{}\nRemove that folder to begin the run anew",
            self.folder.display(),
            each.join("\n")
        )))
    }

    /// Writes a checkpoint: all of it or, after an error, nothing.
    pub fn put(&mut self, contents: &Contents) -> Result<PathBuf> {
        let step = contents.checkpoint.steps_done();
        let (temporary, path) = (self.hidden(NEW, step), self.path(step));
        // Not the directories above: a run that was removed is not made again.
        match fs::create_dir(&self.folder) {
            Err(err) if err.kind() != ErrorKind::AlreadyExists => {
                return Err(io("cannot make the directory", &self.folder)(err));
            }
            _ => {}
        }
        let _ = fs::remove_dir_all(&temporary);
        let write = || {
            fs::create_dir(&temporary).map_err(io("cannot make the directory", &temporary))?;
            contents.write(&temporary)?;
            let old = self.hidden(OLD, step);
            if path.exists() {
                let _ = fs::remove_dir_all(&old);
                fs::rename(&path, &old).map_err(io("cannot write", &old))?;
            }
            fs::rename(&temporary, &path).map_err(io("cannot write", &path))?;
            sync_folder(&self.folder)?;
            let _ = fs::remove_dir_all(&old);
            Ok(())
        };
        write().inspect_err(|_| {
            let _ = fs::remove_dir_all(&temporary);
        })?;
        add(&mut self.entries, Entry { step, metric: contents.checkpoint.metric });
        Ok(path)
    }

    fn take_away(&self, step: u64) -> Result<()> {
        let (path, gone) = (self.path(step), self.hidden(GONE, step));
        let _ = fs::remove_dir_all(&gone);
        fs::rename(&path, &gone).map_err(io("cannot remove", &path))?;
        fs::remove_dir_all(&gone).map_err(io("cannot remove", &gone))
    }

    /// Removes all.
    pub fn clear(&mut self) -> Result<()> {
        self.remove(|_| true)
    }

    /// Removes the checkpoints after `step`: a run resumes from there and makes them again.
    pub fn cut(&mut self, step: u64) -> Result<()> {
        self.remove(|entry| entry.step > step)
    }

    /// Keeps the last `last` and the best `best`.
    pub fn prune(&mut self, last: usize, best: usize, monitor: &Monitor) -> Result<()> {
        let kept = kept(&self.entries, last, best, monitor);
        self.remove(|entry| !kept.contains(&entry.step))
    }

    fn remove(&mut self, unwanted: impl Fn(&Entry) -> bool) -> Result<()> {
        for entry in self.entries.iter().filter(|entry| unwanted(entry)) {
            self.take_away(entry.step)?;
        }
        self.entries.retain(|entry| !unwanted(entry));
        Ok(())
    }
}

/// Removes unfinished checkpoints, and puts back those that were about to be replaced: a killed process leaves them.
fn tidy(folder: &Path) -> Result<()> {
    let Ok(listed) = fs::read_dir(folder) else { return Ok(()) };
    for entry in listed.flatten() {
        let (path, name) = (entry.path(), entry.file_name());
        let name = name.to_string_lossy();
        let replaced = name.strip_prefix(OLD).map(|name| folder.join(name)).filter(|own| !own.exists());
        if let Some(own) = replaced {
            fs::rename(&path, &own).map_err(io("cannot write", &own))?;
        } else if [NEW, OLD, GONE].iter().any(|why| name.starts_with(why)) {
            fs::remove_dir_all(&path).map_err(io("cannot remove", &path))?;
        }
    }
    Ok(())
}

/// Adds a checkpoint, in the place of one of the same step.
pub(super) fn add(entries: &mut Vec<Entry>, new: Entry) {
    entries.retain(|entry| entry.step != new.step);
    let at = entries.partition_point(|entry| entry.step < new.step);
    entries.insert(at, new);
}

/// The steps of the best `count`, best first; of two that are as good the earlier.
pub(super) fn best(entries: &[Entry], count: usize, monitor: &Monitor) -> Vec<u64> {
    let mut rated: Vec<(f64, u64)> =
        entries.iter().filter_map(|entry| Some((entry.metric?, entry.step))).collect();
    rated.sort_by(|(a, _), (b, _)| match monitor.mode {
        Mode::Min => a.total_cmp(b),
        Mode::Max => b.total_cmp(a),
    });
    rated.into_iter().take(count).map(|(_, step)| step).collect()
}

/// The steps of the last `last` and the best `best`.
pub(super) fn kept(entries: &[Entry], last: usize, most: usize, monitor: &Monitor) -> Vec<u64> {
    let newest = entries.len().saturating_sub(last);
    let recent = entries[newest..].iter().map(|entry| entry.step);
    recent.chain(best(entries, most, monitor)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_and_the_best_stay() {
        let mut entries = Vec::new();
        for (step, metric) in [(40, Some(0.3)), (10, Some(0.5)), (20, None), (30, Some(0.2)), (50, Some(0.2))]
        {
            add(&mut entries, Entry { step, metric });
        }
        add(&mut entries, Entry { step: 20, metric: Some(0.9) });
        assert_eq!(entries.iter().map(|entry| entry.step).collect::<Vec<_>>(), [10, 20, 30, 40, 50]);
        let less = Monitor::new("eval_loss");
        assert_eq!(best(&entries, 3, &less), [30, 50, 40]);
        assert_eq!(best(&entries, 2, &Monitor::new("eval_accuracy")), [20, 10]);
        assert_eq!(kept(&entries, 2, 1, &less), [40, 50, 30]);
        assert_eq!(kept(&entries, 9, 0, &less).len(), 5);
    }
}
