//! Decides when a driver's compiled pipelines are written to their file.
//!
//! It is written when pipelines were made that the driver did not have: by a thread once none was made for two seconds, and
//! when the device goes. No step waits for it. A file that cannot be written is no fault of a run.

use crate::clock::Instant;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::cache_file::CacheFile;
use crate::error::Result;

/// A pause in which no pipeline is made, after which the file is written: a run has made its pipelines in its first steps.
const QUIET: Duration = Duration::from_secs(2);

/// The file of a device's compiled pipelines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineFile {
    /// Its path. It is not there before pipelines are written to it.
    pub path: PathBuf,
    /// Bytes that were read from it when the device was opened; 0 where it was not there, or was not written by this
    /// version for this driver.
    pub read_bytes: usize,
    /// Bytes that the driver had when it was last asked. They do not grow where a driver keeps nothing in its cache.
    pub kept_bytes: usize,
    /// How often it was written through this device.
    pub writes: usize,
}

/// The driver's answer to what it has: all of it, as bytes.
type Ask = Box<dyn Fn() -> Option<Vec<u8>> + Send + Sync>;

/// A file, and the driver whose pipelines it keeps.
pub(super) struct Keeper {
    ask: Ask,
    quiet: Duration,
    state: Mutex<State>,
}

struct State {
    file: CacheFile,
    read_bytes: usize,
    kept_bytes: usize,
    writes: usize,
    /// Pipelines of this device when the driver was last asked.
    asked: usize,
    /// Pipelines of this device when it last waited, and since when it has had as many.
    made: usize,
    since: Instant,
    writer: Option<JoinHandle<()>>,
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.file().fmt(f)
    }
}

impl Keeper {
    /// For a file of which the driver was given `read_bytes` bytes. It may have taken none of them: what it has now is what
    /// counts.
    pub fn new(file: CacheFile, read_bytes: usize, ask: Ask) -> Keeper {
        let kept_bytes = ask().map_or(0, |data| data.len());
        let (writes, asked, made, since, writer) = (0, 0, 0, Instant::now(), None);
        let state = State { file, read_bytes, kept_bytes, writes, asked, made, since, writer };
        Keeper { ask, quiet: QUIET, state: Mutex::new(state) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The file now.
    pub fn file(&self) -> PipelineFile {
        let State { file, read_bytes, kept_bytes, writes, .. } = &*self.state();
        let (read_bytes, kept_bytes, writes) = (*read_bytes, *kept_bytes, *writes);
        PipelineFile { path: file.path().to_owned(), read_bytes, kept_bytes, writes }
    }

    /// Asks the driver for what it has, where pipelines were made since, `made` in all, and writes it where it is more.
    pub fn write(&self, made: usize) -> Result<bool> {
        let mut state = self.state();
        if made == state.asked {
            return Ok(false);
        }
        let Some(data) = (self.ask)().filter(|data| data.len() > state.kept_bytes) else {
            state.asked = made;
            return Ok(false);
        };
        let written = state.file.write(&data)?;
        if written {
            (state.asked, state.kept_bytes) = (made, data.len());
            state.writes += 1;
        }
        Ok(written)
    }

    /// Has a thread write the file, once no pipeline was made for a while. `made` are there now.
    pub fn look(self: &Arc<Self>, made: usize) {
        let mut state = match self.state.try_lock() {
            Ok(state) => state,
            Err(TryLockError::Poisoned(state)) => state.into_inner(),
            // The thread is at work.
            Err(TryLockError::WouldBlock) => return,
        };
        if made == state.asked {
            return;
        }
        if made != state.made {
            (state.made, state.since) = (made, Instant::now());
        } else if state.since.elapsed() >= self.quiet
            && state.writer.as_ref().is_none_or(JoinHandle::is_finished)
        {
            let this = self.clone();
            let writer = thread::Builder::new().name("pipelines".into());
            // Where there is no thread to be had, the file is written when the device goes.
            let write = move || {
                let _ = this.write(made);
            };
            state.writer = writer.spawn(write).ok();
        }
    }

    /// Writes what is not written yet, `made` pipelines in all, when the device goes.
    pub fn finish(&self, made: usize) {
        let writer = self.state().writer.take();
        if let Some(writer) = writer {
            let _ = writer.join();
        }
        // The run is as good without the file.
        let _ = self.write(made);
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// A driver that has as many bytes as the number says.
    type Driver = Arc<Mutex<usize>>;

    fn keeper(dir: &Path, quiet: Duration) -> (Arc<Keeper>, Driver) {
        let mut file = CacheFile::new(dir.join("kernels.bin"), "key".into());
        let read_bytes = file.read().map_or(0, |data| data.len());
        let driver = Arc::new(Mutex::new(read_bytes));
        let asked = driver.clone();
        let ask = Box::new(move || Some(vec![1; *asked.lock().unwrap()]));
        (Arc::new(Keeper { quiet, ..Keeper::new(file, read_bytes, ask) }), driver)
    }

    #[test]
    fn it_is_written_where_the_driver_has_more_and_read_by_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let (first, driver) = keeper(dir.path(), QUIET);
        *driver.lock().unwrap() = 100;
        // No pipeline was made: the driver is not asked.
        assert!(!first.write(0).unwrap());
        assert!(first.write(3).unwrap());
        assert!(!first.write(3).unwrap());
        // Another one, which the driver had.
        assert!(!first.write(4).unwrap());
        *driver.lock().unwrap() = 120;
        first.finish(5);
        let path = dir.path().join("kernels.bin");
        let file = PipelineFile { path: path.clone(), read_bytes: 0, kept_bytes: 120, writes: 2 };
        assert_eq!(first.file(), file);
        let (second, _) = keeper(dir.path(), QUIET);
        second.finish(5);
        assert_eq!(second.file(), PipelineFile { read_bytes: 120, writes: 0, ..file.clone() });
        // A file that is damaged is not read, and written anew.
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[60] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let (third, driver) = keeper(dir.path(), QUIET);
        *driver.lock().unwrap() = 80;
        third.finish(2);
        assert_eq!(third.file(), PipelineFile { kept_bytes: 80, writes: 1, ..file });
        assert_eq!(keeper(dir.path(), QUIET).0.file().read_bytes, 80);
    }

    #[test]
    fn a_thread_writes_it_after_a_pause_without_new_pipelines() {
        let dir = tempfile::tempdir().unwrap();
        let (keeper, driver) = keeper(dir.path(), Duration::ZERO);
        keeper.look(0);
        assert!(keeper.state().writer.is_none());
        *driver.lock().unwrap() = 100;
        // The first look sees a new one, the second that there is no further one.
        keeper.look(1);
        assert!(keeper.state().writer.is_none());
        keeper.look(2);
        assert!(keeper.state().writer.is_none());
        keeper.look(2);
        let writer = keeper.state().writer.take().expect("a thread");
        writer.join().unwrap();
        assert_eq!(keeper.file().writes, 1);
        keeper.look(2);
        assert!(keeper.state().writer.is_none());
    }

    #[test]
    fn no_thread_writes_it_while_pipelines_are_made() {
        let dir = tempfile::tempdir().unwrap();
        let (keeper, driver) = keeper(dir.path(), Duration::from_secs(3600));
        *driver.lock().unwrap() = 100;
        for _ in 0..3 {
            keeper.look(1);
        }
        assert!(keeper.state().writer.is_none());
        keeper.finish(1);
        assert_eq!(keeper.file().writes, 1);
    }

    #[test]
    fn a_driver_that_keeps_nothing_or_goes_makes_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let (keeper, _) = keeper(dir.path(), QUIET);
        keeper.finish(9);
        let file = CacheFile::new(dir.path().join("gone.bin"), "key".into());
        let gone = Keeper::new(file, 0, Box::new(|| None));
        gone.finish(9);
        assert_eq!((keeper.file().writes, gone.file().writes), (0, 0));
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn several_at_once_leave_a_whole_file_and_the_longest_wins_at_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path();
        thread::scope(|scope| {
            for number in 1..=8_usize {
                scope.spawn(move || {
                    for round in 1..=20 {
                        let (keeper, driver) = keeper(at, QUIET);
                        // Whatever is there is whole: some round's bytes.
                        assert!(keeper.file().read_bytes % 1000 == 0);
                        *driver.lock().unwrap() += 1000 * (number * round);
                        keeper.write(1).unwrap();
                    }
                });
            }
        });
        let (last, driver) = keeper(at, QUIET);
        let read = last.file().read_bytes;
        assert!(read >= 1000 && read.is_multiple_of(1000), "{read}");
        *driver.lock().unwrap() += 1;
        assert!(last.write(1).unwrap());
        assert_eq!(keeper(at, QUIET).0.file().read_bytes, read + 1);
    }
}
