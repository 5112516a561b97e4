//! Reads regular files only. A pipe or a device may have no end, and opening one may wait for ever.

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use disk::{check_regular, read_regular};
#[cfg(target_arch = "wasm32")]
pub use page::give_file;
#[cfg(target_arch = "wasm32")]
pub(crate) use page::{check_regular, read_regular};

/// In a page, files are those that it was given: dropped on it, or fetched.
#[cfg(target_arch = "wasm32")]
mod page {
    use std::collections::BTreeMap;
    use std::path::Path;
    use std::sync::{Mutex, MutexGuard, PoisonError};

    use crate::error::{Error, Result};

    static FILES: Mutex<BTreeMap<String, Vec<u8>>> = Mutex::new(BTreeMap::new());

    fn files() -> MutexGuard<'static, BTreeMap<String, Vec<u8>>> {
        FILES.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn name(path: &Path) -> String {
        path.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Has a file of this name be there, with these bytes. A path is that of the file with its name.
    pub fn give_file(name: &str, bytes: Vec<u8>) {
        files().insert(name.to_owned(), bytes);
    }

    /// An error where no such file was given.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub(crate) fn check_regular(path: &Path) -> Result<()> {
        read_regular(path).map(drop)
    }

    /// The bytes of a file.
    ///
    /// # Errors
    /// [`Error::Io`] where it was not given.
    pub(crate) fn read_regular(path: &Path) -> Result<Vec<u8>> {
        let missing = || Error::io("cannot read", path, &std::io::ErrorKind::NotFound.into());
        files().get(&name(path)).cloned().ok_or_else(missing)
    }
}

#[cfg(not(target_arch = "wasm32"))]
mod disk {
    use std::fs::{self, FileType};
    use std::path::Path;

    use crate::error::{Error, Result};

    /// The name of what is no regular file.
    fn kind(kind: FileType) -> &'static str {
        #[cfg(unix)]
        {
            use std::os::unix::fs::FileTypeExt;
            if kind.is_fifo() {
                return "a pipe";
            } else if kind.is_socket() {
                return "a socket";
            }
        }
        if kind.is_dir() { "a folder" } else { "a device" }
    }

    /// An error where the path is no regular file, before it is opened.
    ///
    /// # Errors
    /// [`Error::Io`], also where nothing is there.
    pub(crate) fn check_regular(path: &Path) -> Result<()> {
        let fault = |err: &std::io::Error| Error::io("cannot read", path, err);
        let meta = fs::metadata(path).map_err(|err| fault(&err))?;
        if meta.is_file() {
            return Ok(());
        }
        let kind = kind(meta.file_type());
        Err(fault(&std::io::Error::other(format!("it is {kind}, and a regular file is needed"))))
    }

    /// The bytes of a regular file.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read, or is no regular file.
    pub(crate) fn read_regular(path: &Path) -> Result<Vec<u8>> {
        check_regular(path)?;
        fs::read(path).map_err(|err| Error::io("cannot read", path, &err))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::error::Error;

    #[test]
    fn only_files_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        fs::write(&file, "abc").unwrap();
        assert_eq!(read_regular(&file).unwrap(), b"abc");
        let told = |path: &Path, words: &str| {
            let err = read_regular(path).unwrap_err();
            assert!(matches!(err, Error::Io { .. }) && err.to_string().contains(words), "{err}");
        };
        told(dir.path(), "it is a folder, and a regular file is needed");
        told(&dir.path().join("none"), "No such file");
        #[cfg(unix)]
        {
            told("/dev/zero".as_ref(), "it is a device");
            let pipe = dir.path().join("pipe");
            // No reader waits for the pipe's writer, which never comes.
            let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
            assert!(made.success());
            told(&pipe, "it is a pipe");
        }
    }
}
