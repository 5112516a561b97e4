//! Files that come to be whole or not at all: written under a temporary name, and renamed when all of them are done.

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::units;

/// A file being written as `<name>.tmp`. Dropped before [`Draft::keep_all`] it is removed.
#[derive(Debug)]
pub(super) struct Draft {
    path: PathBuf,
    temporary: PathBuf,
    file: BufWriter<File>,
    bytes: u64,
    kept: bool,
}

impl Draft {
    /// Starts the file that shall be at `path`; with `replace` in place of one that is there.
    ///
    /// # Errors
    /// [`Error::Config`] where a file that is not empty is there and may not be replaced, [`Error::Io`] where it
    /// cannot be written.
    pub fn create(path: PathBuf, replace: bool) -> Result<Draft> {
        let there = fs::metadata(&path);
        if there.as_ref().is_ok_and(fs::Metadata::is_dir) {
            return Err(Error::Config(format!("{}: a directory, where a file shall be", path.display())));
        }
        if let (Ok(there), false) = (there, replace)
            && there.len() > 0
        {
            return Err(Error::Config(format!(
                "{}: there is a file already ({}); choose another directory, remove it, or replace it with --force",
                path.display(),
                units::bytes(there.len())
            )));
        }
        let temporary = path.with_added_extension("tmp");
        let file = File::create(&temporary).map_err(|err| Error::io("cannot write", &temporary, &err))?;
        Ok(Draft { path, temporary, file: BufWriter::new(file), bytes: 0, kept: false })
    }

    /// Appends `bytes`.
    ///
    /// # Errors
    /// [`Error::Io`], with the remedy where the disk is full.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|err| self.failed(err))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Writes over bytes that are there already, from `offset` on.
    ///
    /// # Errors
    /// As [`Draft::append`].
    pub fn overwrite(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut write = || {
            self.file.seek(SeekFrom::Start(offset))?;
            self.file.write_all(bytes)?;
            self.file.seek(SeekFrom::End(0)).map(|_| ())
        };
        write().map_err(|err| self.failed(err))
    }

    /// Syncs every file, then gives each its name: until the last byte of the last one is on disk, none has it.
    ///
    /// # Errors
    /// As [`Draft::append`].
    pub fn keep_all(mut drafts: Vec<Draft>) -> Result<Vec<(PathBuf, u64)>> {
        for draft in &mut drafts {
            let synced = draft.file.flush().and_then(|()| draft.file.get_ref().sync_all());
            synced.map_err(|err| draft.failed(err))?;
        }
        for draft in &mut drafts {
            fs::rename(&draft.temporary, &draft.path).map_err(|err| draft.failed(err))?;
            draft.kept = true;
        }
        Ok(drafts.iter().map(|draft| (draft.path.clone(), draft.bytes)).collect())
    }

    fn failed(&self, err: io::Error) -> Error {
        let full =
            matches!(err.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge);
        let err = if full {
            let after = units::bytes(self.bytes);
            io::Error::new(
                err.kind(),
                format!("{err}, after {after}; make room, write to another disk, or ask for fewer samples"),
            )
        } else {
            err
        };
        Error::io("cannot write", &self.path, &err)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.kept {
            // What the buffer still holds is of no use either.
            let _ = fs::remove_file(&self.temporary);
        }
    }
}

/// Makes the directory that files go to.
///
/// # Errors
/// [`Error::Io`] where it cannot be made.
pub(super) fn make_dir(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).map_err(|err| Error::io("cannot make the directory", dir, &err))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b] = ["a.csv", "b.csv"].map(|name| dir.path().join(name));
        let names = || {
            let entries = fs::read_dir(dir.path()).unwrap();
            let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
            names.sort();
            names
        };
        fs::write(&a, "").unwrap();
        {
            let mut draft = Draft::create(a.clone(), false).unwrap();
            draft.append(b"new").unwrap();
            assert_eq!(names(), ["a.csv", "a.csv.tmp"]);
        }
        assert_eq!((names(), fs::read(&a).unwrap()), (vec!["a.csv".into()], vec![]));

        let mut drafts = [&a, &b].map(|path| Draft::create(path.clone(), false).unwrap());
        drafts[0].append(b"old").unwrap();
        let kept = Draft::keep_all(Vec::from(drafts)).unwrap();
        assert_eq!(kept, [(a.clone(), 3), (b, 0)]);
        assert_eq!((names(), fs::read(&a).unwrap()), (vec!["a.csv".into(), "b.csv".into()], b"old".to_vec()));

        let err = Draft::create(a.clone(), false).unwrap_err();
        let told = err.to_string();
        assert!(err.is_usage() && told.contains("a.csv") && told.contains("3 B"), "{told}");
        drop(Draft::create(a.clone(), true).unwrap());
        assert_eq!(fs::read(&a).unwrap(), b"old");
        let err = Draft::create(dir.path().to_owned(), true).unwrap_err();
        assert!(err.to_string().contains("a directory"), "{err}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told_with_the_path_and_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("big.csv");
        std::os::unix::fs::symlink("/dev/full", dir.path().join("big.csv.tmp")).unwrap();
        let mut draft = Draft::create(path, false).unwrap();
        let err = (0..10).find_map(|_| draft.append(&[0; 4096]).err()).unwrap();
        drop(draft);
        for words in ["big.csv", "No space left", "after 8.0 KiB", "fewer samples"] {
            assert!(err.to_string().contains(words), "{words}: {err}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
