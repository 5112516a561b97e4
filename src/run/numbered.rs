//! Directories by number: `runs/<name>-<number>`.

use super::dir::{Claim, RunDir};
use crate::error::{Error, Result};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The folder of runs whose directory is not named.
const RUNS: &str = "runs";

fn numbered(name: &str, number: u64) -> PathBuf {
    Path::new(RUNS).join(format!("{name}-{number}"))
}

/// The numbers of what is named `runs/<name>-<number>`, sorted.
fn numbers(name: &str) -> Result<Vec<u32>> {
    let fault = |err: std::io::Error| Error::io("cannot read", RUNS, &err);
    let listed = match fs::read_dir(RUNS) {
        Ok(listed) => listed,
        Err(err) if matches!(err.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(Vec::new());
        }
        Err(err) => return Err(fault(err)),
    };
    let mut numbers = Vec::new();
    for entry in listed {
        let entry = entry.map_err(fault)?.file_name();
        let digits = entry.to_str().and_then(|entry| entry.strip_prefix(name)?.strip_prefix('-'));
        let number = digits.and_then(|digits| digits.parse::<u32>().ok().filter(|n| n.to_string() == digits));
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Makes `runs/<name>-<number>`, whose number is above every other.
pub(super) fn make_next(name: &str) -> Result<PathBuf> {
    let mut number = numbers(name)?.last().map_or(1, |last| u64::from(*last) + 1);
    loop {
        let path = numbered(name, number);
        match fs::create_dir_all(RUNS).and_then(|()| fs::create_dir(&path)) {
            Ok(()) => return Ok(path),
            Err(err) if err.kind() == ErrorKind::AlreadyExists && Path::new(RUNS).is_dir() => number += 1,
            Err(err) => return Err(Error::io("cannot make the directory", &path, &err)),
        }
    }
}

impl RunDir {
    /// Makes and locks `runs/<name>-<number>`, whose number is above every other. To make the directory is to own the
    /// number: runs that start at once get one each.
    ///
    /// # Errors
    /// As [`RunDir::claim`].
    pub fn claim_next(name: &str) -> Result<Claim> {
        Self::claim(&make_next(name)?)
    }

    /// The `runs/<name>-<number>` of the highest number that holds a run.
    ///
    /// # Errors
    /// [`Error::Io`] where `runs` cannot be read.
    pub fn last(name: &str) -> Result<Option<PathBuf>> {
        let paths = numbers(name)?.into_iter().rev().map(|number| numbered(name, number.into()));
        Ok(paths.into_iter().find(|path| Self::exists(path)))
    }
}
