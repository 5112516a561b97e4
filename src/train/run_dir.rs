//! The directory of a run: `config.toml`, `data.json`, `metrics.jsonl`, `model.safetensors`.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::observer::{EpochRecord, StepRecord};
use crate::data::Encoding;
use crate::error::{Error, Result};

/// Writes a whole file under a temporary name, syncs it, and renames it: a reader sees all of it or none.
///
/// # Errors
/// [`Error::Io`] with the path.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let temporary = path.with_added_extension("tmp");
    let failed = |err: &std::io::Error| Error::io("cannot write", path, err);
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    };
    write().map_err(|err| {
        let _ = fs::remove_file(&temporary);
        failed(&err)
    })
}

/// A line of `metrics.jsonl`.
#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Line<'a> {
    Step(&'a StepRecord),
    Epoch(&'a EpochRecord),
}

/// An open run directory.
#[derive(Debug)]
pub struct RunDir {
    path: PathBuf,
    metrics: BufWriter<File>,
}

impl RunDir {
    /// The first free `runs/<name>-<number>`.
    pub fn next(name: &str) -> PathBuf {
        let numbered = |n: u32| PathBuf::from("runs").join(format!("{name}-{n}"));
        (1..).map(numbered).find(|p| !p.exists()).unwrap_or_else(|| numbered(0))
    }

    /// Makes the directory and starts its files.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be written; [`Error::Config`] where it holds a run already.
    pub fn create(path: &Path, config: &str) -> Result<RunDir> {
        if path.join("metrics.jsonl").exists() {
            return Err(Error::Config(format!(
                "{} holds a run already; choose another --out, or remove it",
                path.display()
            )));
        }
        fs::create_dir_all(path).map_err(|err| Error::io("cannot make the directory", path, &err))?;
        write_whole(&path.join("config.toml"), config.as_bytes())?;
        let metrics = path.join("metrics.jsonl");
        let file = File::create(&metrics).map_err(|err| Error::io("cannot write", &metrics, &err))?;
        Ok(RunDir { path: path.to_owned(), metrics: BufWriter::new(file) })
    }

    /// Keeps what made numbers of the raw data, as `data.json`: a model is of no use without it.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be written.
    pub fn keep_encoding(&self, encoding: &Encoding) -> Result<()> {
        let text = serde_json::to_string_pretty(encoding).map_err(|err| Error::Data(err.to_string()))?;
        write_whole(&self.path.join("data.json"), (text + "\n").as_bytes())
    }

    /// What [`RunDir::keep_encoding`] kept in the directory of a run; `None` where that run kept nothing.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read, [`Error::Data`] where it is not what was written.
    pub fn encoding(run: &Path) -> Result<Option<Encoding>> {
        let path = run.join("data.json");
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(err) if err.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(err) => return Err(Error::io("cannot read", &path, &err)),
        };
        let wrong = |err| Error::Data(format!("{}: not what a run writes: {err}", path.display()));
        serde_json::from_slice(&bytes).map(Some).map_err(wrong)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the weights go.
    pub fn weights(&self) -> PathBuf {
        self.path.join("model.safetensors")
    }

    /// Where the average of the weights goes, where one is kept.
    pub fn average_weights(&self) -> PathBuf {
        self.path.join("average.safetensors")
    }

    fn line(&mut self, line: &Line<'_>) -> Result<()> {
        let text = serde_json::to_string(line).unwrap_or_default();
        let path = self.path.join("metrics.jsonl");
        writeln!(self.metrics, "{text}").map_err(|err| Error::io("cannot write", path, &err))
    }

    /// Appends steps, and hands them to the operating system.
    ///
    /// # Errors
    /// [`Error::Io`], a full disk for instance.
    pub fn steps(&mut self, steps: &[StepRecord]) -> Result<()> {
        for step in steps {
            self.line(&Line::Step(step))?;
        }
        self.flush()
    }

    /// Appends an epoch.
    ///
    /// # Errors
    /// As [`RunDir::steps`].
    pub fn epoch(&mut self, epoch: &EpochRecord) -> Result<()> {
        self.line(&Line::Epoch(epoch))?;
        self.flush()
    }

    fn flush(&mut self) -> Result<()> {
        let path = self.path.join("metrics.jsonl");
        self.metrics.flush().map_err(|err| Error::io("cannot write", path, &err))
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
        let encoding = Encoding::Text { vocabulary: Vocabulary::of("a \"quoted\" line\n\u{1f600}") };
        open.keep_encoding(&encoding).unwrap();
        assert_eq!(RunDir::encoding(&run).unwrap(), Some(encoding));
        fs::write(run.join("data.json"), "{}").unwrap();
        let err = RunDir::encoding(&run).unwrap_err().to_string();
        assert!(err.contains("data.json") && err.contains("kind"), "{err}");
    }
}
