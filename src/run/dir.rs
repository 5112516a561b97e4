//! The directory of a run: `config.toml`, `data.json`, `metrics.jsonl`, `model.safetensors`.

use super::init::InitReport;
use super::present::check_present;
use super::state::RunState;
use super::weights::save;
use crate::atomic_file::write_whole;
use crate::data::Encoding;
use crate::error::{Error, Result};
use crate::metrics::StatisticsRecord;
use crate::plan::NamedTensor;
use crate::train::{EpochRecord, Observer, StepRecord};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, TryLockError};
use std::io::{BufRead, BufReader, BufWriter, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// A line of `metrics.jsonl`.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Line<'a> {
    Step(&'a StepRecord),
    Epoch(&'a EpochRecord),
}

/// The part of a line that is read to find the place of a checkpoint.
#[derive(Deserialize)]
struct Head {
    event: String,
    #[serde(default)]
    step: u64,
    #[serde(default)]
    epoch: u64,
}

/// An open run directory. No other process opens it meanwhile.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    metrics: BufWriter<File>,
    /// Releases the lock when it is dropped, also when the process is killed.
    _lock: File,
}

/// A claimed directory, which becomes that of a run.
#[derive(Debug)]
pub struct Claim {
    path: PathBuf,
    lock: File,
}

impl Claim {
    /// The path of the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Starts the files: from now on it is a run.
    ///
    /// # Errors
    /// [`Error::Io`] where they cannot be written.
    pub fn begin(self, config: &str) -> Result<RunDir> {
        write_whole(&self.path.join(CONFIG), config.as_bytes())?;
        let metrics = self.path.join(METRICS);
        let file = File::create_new(&metrics).map_err(|err| Error::io("cannot write", &metrics, &err))?;
        Ok(RunDir { path: self.path, metrics: BufWriter::new(file), _lock: self.lock })
    }
}

/// Takes the lock of a directory that is there.
pub(super) fn lock(path: &Path) -> Result<File> {
    let name = path.join(LOCK);
    let open = || {
        let mut file = File::options().read(true).write(true).create(true).truncate(false).open(&name)?;
        let mut locked = file.try_lock();
        for _ in 0..5 {
            if !matches!(locked, Err(TryLockError::WouldBlock)) {
                break;
            }
            // A process that asks whether the run is in use holds the lock for a moment.
            thread::sleep(Duration::from_millis(10));
            locked = file.try_lock();
        }
        match locked {
            Ok(()) => {
                file.set_len(0)?;
                write!(file, "{}", std::process::id())?;
                Ok(Ok(file))
            }
            Err(TryLockError::WouldBlock) => Ok(Err(std::io::read_to_string(file).unwrap_or_default())),
            Err(TryLockError::Error(err)) => Err(err),
        }
    };
    match open() {
        Ok(Ok(file)) => Ok(file),
        Ok(Err(holder)) => Err(Error::Checkpoint(format!(
            "{} is in use by another process ({holder}): a run goes in one at a time; wait for it, or stop it",
            path.display()
        ))),
        Err(err) => Err(Error::io("cannot lock", &name, &err)),
    }
}

/// The bytes of `metrics.jsonl` that report at most `step` steps and `epochs` epochs, and the numbers of both in them.
fn reported_up_to(path: &Path, step: u64, epochs: u64) -> Result<(u64, u64, u64)> {
    reported(path, step, epochs, false)
}

/// [`reported_up_to`]. `some`: steps may be left out between two that are there.
fn reported(path: &Path, step: u64, epochs: u64, some: bool) -> Result<(u64, u64, u64)> {
    let fault = |err: std::io::Error| Error::io("cannot read", path, &err);
    let mut lines = BufReader::new(File::open(path).map_err(fault)?);
    let (mut line, mut kept, mut steps, mut told) = (Vec::new(), 0, 0, 0);
    loop {
        line.clear();
        let bytes = lines.read_until(b'\n', &mut line).map_err(fault)?;
        // The process may have been killed within a line.
        let Ok(head) = serde_json::from_slice::<Head>(&line) else { break };
        if !line.ends_with(b"\n") || head.step > step {
            break;
        }
        match head.event.as_str() {
            "step" if head.step == steps + 1 || some && head.step > steps => steps = head.step,
            "epoch" if head.epoch <= epochs && head.epoch == told + 1 => told += 1,
            // The lines after it belong to another attempt.
            "step" | "epoch" | FAILED => break,
            _ => {}
        }
        kept += bytes as u64;
    }
    Ok((kept, steps, told))
}

/// The event of a run that ended by an error.
pub(super) const FAILED: &str = "failed";
/// The config of a run.
pub const CONFIG: &str = "config.toml";
pub(super) const LOCK: &str = ".lock";
pub(super) const METRICS: &str = "metrics.jsonl";
const WEIGHTS: &str = "model.safetensors";
const AVERAGE: &str = "average.safetensors";
const FIRST: &str = "init.safetensors";
/// The folder of a run's checkpoints.
pub const CHECKPOINTS: &str = "checkpoints";

impl RunDir {
    /// True where the directory holds a run, done or not.
    pub fn exists(path: &Path) -> bool {
        path.join(CONFIG).exists()
    }

    /// True where the directory holds a run's weights, which it writes last.
    pub fn is_finished(path: &Path) -> bool {
        path.join(WEIGHTS).exists()
    }

    /// True for the path of weights that a run keeps, or will keep at its end.
    pub fn has_weights_at(file: &Path) -> bool {
        let is_ours = [WEIGHTS, AVERAGE, FIRST].iter().any(|name| file.file_name() == Some(name.as_ref()));
        let is_run = |folder: &Path| folder.join(CONFIG).exists() && folder.join(METRICS).exists();
        is_ours && file.parent().is_some_and(is_run)
    }

    /// True where a process has the run open.
    pub fn is_in_use(path: &Path) -> bool {
        // The shared lock that this takes for a moment is what `lock` waits for.
        File::open(path.join(LOCK))
            .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }

    /// Makes a directory, or takes an empty one, and locks it.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be written; [`Error::Config`] where it holds a run already; [`Error::Checkpoint`]
    /// where another process has it.
    pub fn claim(path: &Path) -> Result<Claim> {
        fs::create_dir_all(path).map_err(|err| Error::io("cannot make the directory", path, &err))?;
        let lock = lock(path)?;
        if path.join(METRICS).exists() {
            let how = match Self::is_finished(path) {
                true => "choose another --out, or remove it".to_owned(),
                false => format!(
                    "which did not end; downhill resume {} goes on with it; or choose another --out, or remove it",
                    path.display()
                ),
            };
            return Err(Error::Config(format!("{} holds a run already; {how}", path.display())));
        }
        if Self::is_finished(path) {
            return Err(Error::Config(format!(
                "{} holds {WEIGHTS}, which a run writes last; choose another --out, or move it",
                path.display()
            )));
        }
        Ok(Claim { path: path.to_owned(), lock })
    }

    /// Makes the directory and starts its files.
    ///
    /// # Errors
    /// As [`RunDir::claim`] and [`Claim::begin`].
    pub fn create(path: &Path, config: &str) -> Result<RunDir> {
        Self::claim(path)?.begin(config)
    }

    /// Opens the directory of a run to resume it; [`RunDir::rewind`] then cuts its metrics.
    ///
    /// # Errors
    /// [`Error::Config`] where it holds no run, [`Error::Checkpoint`] where another process has it; [`Error::Io`].
    pub fn reopen(path: &Path) -> Result<RunDir> {
        if !path.join(CONFIG).exists() {
            let what = if path.is_dir() { "it holds no config.toml" } else { "there is no such directory" };
            return Err(Error::Config(format!(
                "{}: {what}; the directory of a run is needed, as train made it",
                path.display()
            )));
        }
        let lock = lock(path)?;
        let metrics = path.join(METRICS);
        let open = || {
            let mut file = File::options().write(true).create(true).truncate(false).open(&metrics)?;
            file.seek(SeekFrom::End(0)).map(|_| file)
        };
        let file = open().map_err(|err: std::io::Error| Error::io("cannot write", &metrics, &err))?;
        Ok(RunDir { path: path.to_owned(), metrics: BufWriter::new(file), _lock: lock })
    }

    /// Replaces the config by one that continues the same run, if it has another text.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be written.
    pub fn replace_config(&self, config: &str) -> Result<()> {
        let path = self.path.join(CONFIG);
        if fs::read(&path).is_ok_and(|text| text == config.as_bytes()) {
            return Ok(());
        }
        write_whole(&path, config.as_bytes())
    }

    /// Removes the weights that mark the run as done, and their average.
    ///
    /// # Errors
    /// [`Error::Io`] where they cannot be removed.
    pub fn unfinish(&self) -> Result<()> {
        Self::remove_weights(&self.path)
    }

    /// Removes the weights of a run, and their average.
    ///
    /// # Errors
    /// [`Error::Io`] where they cannot be removed.
    pub(super) fn remove_weights(run: &Path) -> Result<()> {
        for path in [Self::weights_in(run), Self::average_weights_in(run)] {
            match fs::remove_file(&path) {
                Err(err) if err.kind() != ErrorKind::NotFound => {
                    return Err(Error::io("cannot remove", &path, &err));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// The numbers of steps and epochs in `metrics.jsonl`, counted without gaps.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read.
    pub fn reported(&self) -> Result<(u64, u64)> {
        reported_up_to(&self.path.join(METRICS), u64::MAX, u64::MAX).map(|(_, steps, epochs)| (steps, epochs))
    }

    /// Removes the lines after `step` steps and `epochs` epochs.
    ///
    /// # Errors
    /// [`Error::Checkpoint`] where the lines up to there are not all in `metrics.jsonl`; [`Error::Io`].
    pub fn rewind(&mut self, step: u64, epochs: u64) -> Result<()> {
        self.flush()?;
        let path = self.path.join(METRICS);
        let (kept, steps, told) = reported_up_to(&path, step, epochs)?;
        self.cut(&path, kept, (steps, told), (step, epochs))
    }

    /// Cuts the metrics after so many bytes, which tell of steps and epochs up to `told`, where `wanted` are needed.
    fn cut(&mut self, path: &Path, kept: u64, told: (u64, u64), wanted: (u64, u64)) -> Result<()> {
        if told != wanted {
            let ((step, epochs), (steps, told)) = (wanted, told);
            return Err(Error::Checkpoint(format!(
                "{}: the run goes on after step {step} and epoch {epochs}, and the lines up to there end at step {steps} \
                 and epoch {told}: the file was changed. Bring it back, or begin a new run",
                path.display()
            )));
        }
        let mut cut = || {
            self.metrics.get_ref().set_len(kept)?;
            self.metrics.seek(SeekFrom::Start(kept))?;
            self.metrics.get_ref().sync_all()
        };
        cut().map_err(|err: std::io::Error| Error::io("cannot write", path, &err))
    }

    /// [`RunDir::rewind`] where some steps are left out.
    ///
    /// # Errors
    /// As there, for epochs alone.
    pub(super) fn rewind_some(&mut self, step: u64, epochs: u64) -> Result<()> {
        self.flush()?;
        let path = self.path.join(METRICS);
        let (kept, steps, told) = reported(&path, step, epochs, true)?;
        self.cut(&path, kept, (steps.max(step), told), (step, epochs))
    }

    /// The file of the metrics, for [`Checkpointer::after`](super::Checkpointer::after).
    ///
    /// # Errors
    /// [`Error::Io`] where the system has no handle left.
    pub fn metrics(&self) -> Result<File> {
        self.metrics
            .get_ref()
            .try_clone()
            .map_err(|err| Error::io("cannot write", self.path.join(METRICS), &err))
    }

    /// The last epoch in `metrics.jsonl` of a run.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read.
    pub fn last_epoch(run: &Path) -> Result<Option<EpochRecord>> {
        let path = run.join(METRICS);
        let text = fs::read_to_string(&path).map_err(|err| Error::io("cannot read", &path, &err))?;
        let (mut last, mut step) = (None, 0);
        for line in text.lines() {
            let Ok(head) = serde_json::from_str::<Head>(line) else { continue };
            match head.event.as_str() {
                "step" => step = head.step,
                "epoch" => last = Some((line, step)),
                _ => {}
            }
        }
        let Some((line, step)) = last else { return Ok(None) };
        // A number that was not finite is null, and no record then.
        let record = serde_json::from_str(line).ok();
        Ok(record.map(|record: EpochRecord| EpochRecord { step, ..record }))
    }

    /// Stores the weights that the run started from, tensor by tensor, as `init.json`.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be written.
    pub fn keep_init(&self, report: &InitReport) -> Result<()> {
        let text = serde_json::to_string_pretty(report).map_err(|err| Error::Weights(err.to_string()))?;
        write_whole(&self.path.join("init.json"), (text + "\n").as_bytes())
    }

    /// Stores the encoding of raw data as numbers, as `data.json`. The model needs it for later inputs.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be written.
    pub fn keep_encoding(&self, encoding: &Encoding) -> Result<()> {
        let text = serde_json::to_string_pretty(encoding).map_err(|err| Error::Data(err.to_string()))?;
        write_whole(&self.path.join("data.json"), (text + "\n").as_bytes())
    }

    /// The encoding that [`RunDir::keep_encoding`] stored in the directory of a run; `None` where it stored nothing.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read, [`Error::Data`] where it is not what was written.
    pub fn encoding(run: &Path) -> Result<Option<Encoding>> {
        let path = run.join("data.json");
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(err) if err.kind() == ErrorKind::NotFound => return Ok(None),
            Err(err) => return Err(Error::io("cannot read", &path, &err)),
        };
        let wrong = |err| Error::Data(format!("{}: not what a run writes: {err}", path.display()));
        serde_json::from_slice(&bytes).map(Some).map_err(wrong)
    }

    /// True until the directory is removed or moved.
    pub fn is_present(&self) -> bool {
        check_present(self.metrics.get_ref(), &self.path.join(METRICS)).is_ok()
    }

    /// The path of the directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of the weights.
    pub fn weights(&self) -> PathBuf {
        Self::weights_in(&self.path)
    }

    /// The path of the weights of a run.
    pub(super) fn weights_in(run: &Path) -> PathBuf {
        run.join(WEIGHTS)
    }

    /// The path of the averaged weights of a run.
    pub(super) fn average_weights_in(run: &Path) -> PathBuf {
        run.join(AVERAGE)
    }

    /// The path of the initial weights, if they were given.
    pub fn first_weights(path: &Path) -> PathBuf {
        path.join(FIRST)
    }

    /// The folder of the checkpoints.
    pub fn checkpoints(&self) -> PathBuf {
        self.path.join(CHECKPOINTS)
    }

    /// The path of the averaged weights, where an average is kept.
    pub fn average_weights(&self) -> PathBuf {
        Self::average_weights_in(&self.path)
    }

    /// Writes the weights that a run leaves, and their average where that is another file. The weights come last: they mark
    /// the run as done.
    pub(super) fn save_weights(
        run: &Path,
        weights: &[NamedTensor],
        average: Option<&[NamedTensor]>,
    ) -> Result<()> {
        if let Some(average) = average {
            save(&Self::average_weights_in(run), average)?;
        }
        save(&Self::weights_in(run), weights)
    }

    fn line(&mut self, line: &impl Serialize) -> Result<()> {
        let text = serde_json::to_string(line).unwrap_or_default();
        let path = self.path.join(METRICS);
        writeln!(self.metrics, "{text}").map_err(|err| Error::io("cannot write", path, &err))
    }

    /// Writes `record` as a line `{"event":"<event>",..}`, which is neither a step nor an epoch.
    ///
    /// # Errors
    /// As [`Observer::steps`].
    pub fn event<T: Serialize>(&mut self, event: &str, record: &T) -> Result<()> {
        #[derive(Serialize)]
        struct Other<'a, T> {
            event: &'a str,
            #[serde(flatten)]
            record: &'a T,
        }
        self.line(&Other { event, record })?;
        self.flush()
    }

    /// Writes the error that ends the run as the last line, `{"event":"failed","step":..,"state":..,"error":..}`,
    /// if it can be written. A run that resumes removes it.
    pub(super) fn fail(&mut self, step: u64, error: &Error) {
        #[derive(Serialize)]
        struct Failed {
            step: u64,
            state: RunState,
            error: String,
        }
        let line = Failed { step, state: RunState::after(error), error: error.to_string() };
        // The error itself is on its way to the caller.
        let _ = self.event(FAILED, &line);
    }

    fn flush(&mut self) -> Result<()> {
        let path = self.path.join(METRICS);
        self.metrics.flush().map_err(|err| Error::io("cannot write", &path, &err))?;
        check_present(self.metrics.get_ref(), &path)
    }
}

impl Observer for RunDir {
    /// Appends steps, and hands them to the operating system.
    ///
    /// # Errors
    /// [`Error::Io`], a full disk for instance.
    fn steps(&mut self, steps: &[StepRecord]) -> Result<()> {
        for step in steps {
            self.line(&Line::Step(step))?;
        }
        self.flush()
    }

    /// Appends statistics, as a line `{"event":"statistics","step":..}`.
    ///
    /// # Errors
    /// As [`Observer::steps`].
    fn statistics(&mut self, statistics: &StatisticsRecord) -> Result<()> {
        self.event("statistics", statistics)
    }

    /// Appends an epoch.
    ///
    /// # Errors
    /// As [`Observer::steps`].
    fn epoch(&mut self, epoch: &EpochRecord) -> Result<()> {
        self.line(&Line::Epoch(epoch))?;
        self.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Vocabulary;

    #[test]
    fn an_encoding_is_kept_with_the_run() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        let open = RunDir::create(&run, "").unwrap();
        assert_eq!(RunDir::encoding(&run).unwrap(), None);
        let encoding = Encoding::Text { vocabulary: Vocabulary::from_text("a \"quoted\" line\n\u{1f600}") };
        open.keep_encoding(&encoding).unwrap();
        assert_eq!(RunDir::encoding(&run).unwrap(), Some(encoding));
        fs::write(run.join("data.json"), "{}").unwrap();
        let err = RunDir::encoding(&run).unwrap_err().to_string();
        assert!(err.contains("data.json") && err.contains("kind"), "{err}");
    }

    #[test]
    fn a_run_is_taken_back_to_a_step() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        drop(RunDir::create(&run, "").unwrap());
        let lines = |steps: std::ops::RangeInclusive<u64>| -> String {
            steps
                .map(|step| format!("{{\"event\":\"step\",\"step\":{step},\"epoch\":1,\"loss\":null}}\n"))
                .collect()
        };
        let epoch = "{\"event\":\"epoch\",\"epoch\":1}\n";
        let whole = lines(1..=3) + epoch + &lines(4..=5);
        let rewound = |text: &str, step, epochs| {
            fs::write(run.join(METRICS), text).unwrap();
            RunDir::reopen(&run)
                .unwrap()
                .rewind(step, epochs)
                .map(|()| fs::read_to_string(run.join(METRICS)).unwrap())
        };
        assert_eq!(rewound(&whole, 5, 1).unwrap(), whole);
        assert_eq!(rewound(&whole, 3, 1).unwrap(), lines(1..=3) + epoch);
        assert_eq!(rewound(&whole, 3, 0).unwrap(), lines(1..=3));
        assert_eq!(
            rewound(&(whole.clone() + "{\"event\":\"st"), 4, 1).unwrap(),
            lines(1..=3) + epoch + &lines(4..=4)
        );
        assert_eq!(rewound(&whole, 0, 0).unwrap(), "");
        for (text, step, epochs) in
            [(&whole, 6, 1), (&whole, 5, 2), (&lines(2..=3), 3, 0), (&whole[..40].into(), 1, 0)]
        {
            let err = rewound(text, step, epochs).unwrap_err().to_string();
            assert!(err.contains("metrics.jsonl") && err.contains("was changed"), "{err}");
        }
    }

    #[test]
    fn one_process_has_a_run() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("run");
        let first = RunDir::create(&run, "").unwrap();
        for second in [RunDir::reopen(&run).map(drop), RunDir::create(&run, "").map(drop)] {
            let err = second.unwrap_err().to_string();
            assert!(err.contains("in use") && err.contains(&std::process::id().to_string()), "{err}");
        }
        drop(first);
        RunDir::reopen(&run).unwrap();
        let err = RunDir::create(&run, "").unwrap_err().to_string();
        assert!(err.contains("resume"), "{err}");
    }
}
