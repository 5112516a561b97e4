//! The files of a sweep: `sweep.toml`, what it is; `sweep.jsonl`, what has happened; `replicas.csv`, the table.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::row::{Ended, Row};
use crate::atomic_file::write_whole;
use crate::error::{Error, Result};
use crate::run::dir::lock;
use crate::train::{EpochRecord, Judgement};

/// The file that describes the sweep.
pub(super) const SWEEP: &str = "sweep.toml";
const EVENTS: &str = "sweep.jsonl";
const TABLE: &str = "replicas.csv";

/// The file of a rank's events until the end, where several ranks train the sweep.
fn events_of(rank: usize) -> String {
    if rank == 0 { EVENTS.into() } else { format!("sweep.rank{rank}.jsonl") }
}

/// A line of `sweep.jsonl`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub(super) enum Event {
    /// An epoch of a run.
    Epoch {
        replica: usize,
        #[serde(flatten)]
        epoch: EpochRecord,
    },
    /// Runs were judged.
    Judged { rung: u64, kept: Vec<usize>, dropped: Vec<usize>, values: Vec<(usize, Option<f64>)> },
    /// A run ended.
    End {
        replica: usize,
        #[serde(flatten)]
        ended: Ended,
    },
}

/// The judgements of runs that are the members of a fleet, by their numbers in it.
pub(super) fn judgements(events: &[Event], members: &[usize]) -> Vec<Judgement> {
    let net = |replica: &usize| members.iter().position(|member| member == replica);
    let nets = |replicas: &[usize]| replicas.iter().filter_map(net).collect::<Vec<_>>();
    let judged = events.iter().filter_map(|event| match event {
        Event::Judged { rung, kept, dropped, values } => Some(Judgement {
            rung: *rung,
            kept: nets(kept),
            dropped: nets(dropped),
            values: values.iter().filter_map(|(replica, value)| Some((net(replica)?, *value))).collect(),
        }),
        _ => None,
    });
    judged.filter(|judged| !judged.values.is_empty()).collect()
}

/// The open folder of a sweep. No other process opens it meanwhile.
#[derive(Debug)]
pub(super) struct SweepDir {
    path: PathBuf,
    events: File,
    /// The file's name.
    file: String,
    /// None where rank 0 has it.
    _lock: Option<File>,
}

impl SweepDir {
    /// True where a folder holds a sweep.
    pub fn exists(path: &Path) -> bool {
        path.join(SWEEP).exists()
    }

    /// Makes the folder, or takes an empty one.
    ///
    /// # Errors
    /// [`Error::Config`] where it holds a sweep or a run; [`Error::Io`] where it cannot be written.
    pub fn create(path: &Path, sweep: &str) -> Result<SweepDir> {
        let place = path.display();
        if Self::exists(path) {
            return Err(Error::Config(format!(
                "{place} holds a sweep already; downhill sweep --resume {place} goes on with it; or choose another --out, or \
                 remove it"
            )));
        }
        if super::RunDir::exists(path) {
            return Err(Error::Config(format!("{place} holds a run; choose another --out, or remove it")));
        }
        fs::create_dir_all(path).map_err(|err| Error::io("cannot make the directory", path, &err))?;
        let lock = lock(path)?;
        let events = open(path, EVENTS)?;
        write_whole(&path.join(SWEEP), sweep.as_bytes())?;
        Ok(SweepDir { path: path.to_owned(), events, file: EVENTS.into(), _lock: Some(lock) })
    }

    /// Refuses a folder that holds no sweep.
    ///
    /// # Errors
    /// [`Error::Config`].
    pub fn check(path: &Path) -> Result<()> {
        if !Self::exists(path) {
            let what = if path.is_dir() { "it holds no sweep.toml" } else { "there is no such directory" };
            return Err(Error::Config(format!(
                "{}: {what}; the folder of a sweep is needed, as downhill sweep made it",
                path.display()
            )));
        }
        Ok(())
    }

    /// Opens the folder of a sweep again.
    ///
    /// # Errors
    /// [`Error::Config`] where it holds none; [`Error::Checkpoint`] where another process has it.
    pub fn reopen(path: &Path) -> Result<SweepDir> {
        Self::check(path)?;
        let lock = lock(path)?;
        // A killed process may have left a part of a line.
        let file = path.join(EVENTS);
        let text = fs::read_to_string(&file).unwrap_or_default();
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let events = open(path, EVENTS)?;
        events.set_len(whole as u64).map_err(|err| Error::io("cannot write", &file, &err))?;
        let mut dir = SweepDir { path: path.to_owned(), events, file: EVENTS.into(), _lock: Some(lock) };
        dir.merge()?;
        Ok(dir)
    }

    /// Joins the folder that rank 0 has open.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be written: every rank has to see it.
    pub fn join(path: &Path, rank: usize) -> Result<SweepDir> {
        Self::check(path)?;
        let file = events_of(rank);
        Ok(SweepDir { path: path.to_owned(), events: open(path, &file)?, file, _lock: None })
    }

    /// Moves the events of other ranks to those of rank 0, where they have left some; gives those that were moved.
    ///
    /// # Errors
    /// [`Error::Io`]; [`Error::Checkpoint`] for a line that is none of a sweep.
    pub fn merge(&mut self) -> Result<Vec<Event>> {
        let faulty = |err: &std::io::Error| Error::io("cannot read", &self.path, err);
        let listed = fs::read_dir(&self.path).map_err(|err| faulty(&err))?;
        let mut files = Vec::new();
        for entry in listed {
            let name = entry.map_err(|err| faulty(&err))?.file_name().to_string_lossy().into_owned();
            files.extend((name.starts_with("sweep.rank") && name.ends_with(".jsonl")).then_some(name));
        }
        files.sort_unstable();
        if files.is_empty() {
            return Ok(Vec::new());
        }
        // A process that was killed here may have moved some already.
        let line = |event: &Event| serde_json::to_string(event).unwrap_or_default();
        let known: HashSet<String> = events(&self.path)?.iter().map(line).collect();
        let mut moved = Vec::new();
        for name in files {
            let file = self.path.join(name);
            for event in events_in(&file)? {
                if !known.contains(&line(&event)) {
                    self.tell(&event)?;
                    moved.push(event);
                }
            }
            fs::remove_file(&file).map_err(|err| Error::io("cannot remove", &file, &err))?;
        }
        Ok(moved)
    }

    /// The path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a line.
    ///
    /// # Errors
    /// [`Error::Io`], a full disk for instance.
    pub fn tell(&mut self, event: &Event) -> Result<()> {
        let text = serde_json::to_string(event).unwrap_or_default();
        let write = self.events.write_all(format!("{text}\n").as_bytes());
        write.map_err(|err| Error::io("cannot write", self.path.join(&self.file), &err))
    }

    /// Writes the table.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be written.
    pub fn write_table(&self, swept: &[String], rows: &[Row]) -> Result<()> {
        let path = self.path.join(TABLE);
        let fault =
            |err: csv::Error| Error::io("cannot write", &path, &std::io::Error::other(err.to_string()));
        let mut table = csv::Writer::from_writer(Vec::new());
        let head = ["replica", "folder"].into_iter().chain(swept.iter().map(String::as_str));
        table.write_record(head.chain(["end", "epochs", "eval_loss", "eval_accuracy"])).map_err(fault)?;
        for row in rows {
            let number = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:?}"));
            let last = row.last();
            let mut cells = vec![row.replica.to_string(), row.folder.clone()];
            cells.extend(row.values.iter().cloned());
            cells.push(row.ended.as_ref().map_or("", |ended| &ended.end).to_owned());
            cells.push(last.map_or(0, |last| last.epoch).to_string());
            cells.push(number(last.and_then(|last| last.eval_loss)));
            cells.push(number(last.and_then(|last| last.eval_accuracy)));
            table.write_record(cells).map_err(fault)?;
        }
        let bytes = table.into_inner().map_err(|err| fault(err.into_error().into()))?;
        write_whole(&path, &bytes)
    }
}

/// The events of a sweep so far. A part of a line at the end, of a process that was killed, is left out.
///
/// # Errors
/// [`Error::Checkpoint`] for a line that is none of a sweep.
pub(super) fn events(path: &Path) -> Result<Vec<Event>> {
    events_in(&path.join(EVENTS))
}

fn events_in(file: &Path) -> Result<Vec<Event>> {
    let text = fs::read_to_string(file).map_err(|err| Error::io("cannot read", file, &err))?;
    let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
    let read = |line: &str| {
        serde_json::from_str(line)
            .map_err(|err| Error::Checkpoint(format!("{}: a line is none of a sweep: {err}", file.display())))
    };
    whole.lines().map(read).collect()
}

fn open(path: &Path, name: &str) -> Result<File> {
    let file = path.join(name);
    let open = File::options().append(true).create(true).open(&file);
    open.map_err(|err| Error::io("cannot write", &file, &err))
}
