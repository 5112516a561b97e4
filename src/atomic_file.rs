//! Files that appear whole or not at all: written as `<name>.tmp` in the same folder, synced, then renamed.

use std::fs::{self, File};
use std::io::{self, BufWriter, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};

use crate::error::{Error, Result};
use crate::units;

/// A file that is being written as `<name>.tmp`. It is removed when dropped before [`AtomicFile::persist`].
#[derive(Debug)]
pub struct AtomicFile {
    path: PathBuf,
    file: BufWriter<NamedTempFile>,
    bytes: u64,
}

impl AtomicFile {
    /// Starts the file that will be at `path`, in place of one that exists.
    ///
    /// # Errors
    /// [`Error::Config`] where `path` is a directory, [`Error::Io`] where the file cannot be written.
    pub fn create(path: impl Into<PathBuf>) -> Result<AtomicFile> {
        let path = path.into();
        if path.is_dir() {
            return Err(Error::Config(format!(
                "{} is a directory; the name of a file is needed",
                path.display()
            )));
        }
        let temporary = path.with_added_extension("tmp");
        // An ordinary create: it gives the mode that the umask allows, and overwrites what a killed process left.
        let open = || {
            let file = File::create(&temporary)?;
            let path = TempPath::try_from_path(&temporary)?;
            Ok(BufWriter::new(NamedTempFile::from_parts(file, path)))
        };
        let file = open().map_err(|err: io::Error| Error::io("cannot write", &path, &err))?;
        Ok(AtomicFile { path, file, bytes: 0 })
    }

    /// [`AtomicFile::create`], but with an error where a file that is not empty exists and `replace` is false.
    ///
    /// # Errors
    /// As [`AtomicFile::create`]; [`Error::Config`] where the file exists.
    pub fn create_new(path: impl Into<PathBuf>, replace: bool) -> Result<AtomicFile> {
        let path = path.into();
        match fs::metadata(&path) {
            Ok(existing) if existing.is_file() && existing.len() > 0 && !replace => {
                Err(Error::Config(format!(
                    "{}: there is a file already ({}); give another --out, remove it, or replace it with --force",
                    path.display(),
                    units::bytes(existing.len())
                )))
            }
            _ => AtomicFile::create(path),
        }
    }

    /// The path of the whole file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Appends `bytes`.
    ///
    /// # Errors
    /// [`Error::Io`], with the remedy where the disk is full.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.write_all(bytes).map_err(|err| self.explain(err))
    }

    /// Overwrites bytes that are already written, from `offset` on.
    ///
    /// # Errors
    /// As [`AtomicFile::append`].
    pub fn overwrite(&mut self, offset: u64, bytes: &[u8]) -> Result<()> {
        let mut write = || {
            self.file.seek(SeekFrom::Start(offset))?;
            self.file.write_all(bytes)?;
            self.file.seek(SeekFrom::End(0)).map(|_| ())
        };
        write().map_err(|err| self.explain(err))
    }

    /// Syncs the file, gives it its name and syncs the folder.
    ///
    /// # Errors
    /// As [`AtomicFile::append`].
    pub fn persist(self) -> Result<()> {
        AtomicFile::persist_all(vec![self]).map(|_| ())
    }

    /// [`AtomicFile::persist`] for several files: no file has its name before the last byte of every file is on disk.
    /// Returns their paths and bytes.
    ///
    /// # Errors
    /// As [`AtomicFile::append`].
    pub fn persist_all(mut files: Vec<AtomicFile>) -> Result<Vec<(PathBuf, u64)>> {
        for file in &mut files {
            file.sync().map_err(|err| file.explain(err))?;
        }
        let mut persisted = Vec::with_capacity(files.len());
        for AtomicFile { path, file, bytes } in files {
            // Nothing is left in the buffer after the sync.
            let (file, _) = file.into_parts();
            file.persist(&path).map_err(|err| Error::io("cannot write", &path, &err.error))?;
            sync_folder(folder(&path))?;
            persisted.push((path, bytes));
        }
        Ok(persisted)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.file.flush()?;
        self.file.get_ref().as_file().sync_all()
    }

    fn explain(&self, err: io::Error) -> Error {
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

/// Errors are those of the system; [`AtomicFile::append`] adds path and remedy.
impl Write for AtomicFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.file.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes a whole file as an [`AtomicFile`]: a reader sees all of it or none.
///
/// # Errors
/// [`Error::Io`] with the path; [`Error::Config`] where it is a directory.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = AtomicFile::create(path)?;
    file.write_all(bytes).map_err(|err| Error::io("cannot write", path, &err))?;
    file.persist()
}

/// Syncs a folder, so that the names in it survive a loss of power. Does nothing where the system has no such call.
///
/// # Errors
/// [`Error::Io`] with the path.
pub fn sync_folder(folder: &Path) -> Result<()> {
    if cfg!(not(unix)) {
        return Ok(());
    }
    let sync = || File::open(folder)?.sync_all();
    sync().map_err(|err: io::Error| Error::io("cannot sync", folder, &err))
}

/// The folder of a file; a bare name is in the current folder.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_appear_whole_or_not_at_all() {
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
            let mut file = AtomicFile::create_new(&a, false).unwrap();
            file.append(b"new").unwrap();
            assert_eq!(names(), ["a.csv", "a.csv.tmp"]);
        }
        assert_eq!((names(), fs::read(&a).unwrap()), (vec!["a.csv".into()], vec![]));

        let mut files = [&a, &b].map(|path| AtomicFile::create_new(path, false).unwrap());
        files[0].append(b"old").unwrap();
        let kept = AtomicFile::persist_all(Vec::from(files)).unwrap();
        assert_eq!(kept, [(a.clone(), 3), (b, 0)]);
        assert_eq!((names(), fs::read(&a).unwrap()), (vec!["a.csv".into(), "b.csv".into()], b"old".to_vec()));

        let err = AtomicFile::create_new(&a, false).unwrap_err();
        let text = err.to_string();
        assert!(err.is_usage() && text.contains("a.csv") && text.contains("3 B"), "{text}");
        drop(AtomicFile::create_new(&a, true).unwrap());
        assert_eq!(fs::read(&a).unwrap(), b"old");
        let err = AtomicFile::create(dir.path()).unwrap_err();
        assert!(err.to_string().contains("a directory"), "{err}");
    }

    #[test]
    fn a_whole_file_replaces_the_old_one_and_a_leftover() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        fs::write(&path, "old").unwrap();
        fs::write(dir.path().join("config.toml.tmp"), "half of one").unwrap();
        write_whole(&path, b"new").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"new");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let ordinary = dir.path().join("ordinary");
            fs::write(&ordinary, "").unwrap();
            let [a, b] = [&path, &ordinary].map(|p| fs::metadata(p).unwrap().permissions().mode());
            assert_eq!(a, b);
        }
        let err = write_whole(&dir.path().join("absent/config.toml"), b"new").unwrap_err();
        assert!(err.to_string().contains("config.toml"), "{err}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_reported_with_path_and_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("big.csv");
        std::os::unix::fs::symlink("/dev/full", dir.path().join("big.csv.tmp")).unwrap();
        let mut file = AtomicFile::create(path).unwrap();
        let err = (0..10).find_map(|_| file.append(&[0; 4096]).err()).unwrap();
        drop(file);
        for words in ["big.csv", "No space left", "after 8.0 KiB", "fewer samples"] {
            assert!(err.to_string().contains(words), "{words}: {err}");
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }
}
