//! Reads regular files only. A pipe or a device may have no end, and opening one may wait for ever.

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

#[cfg(test)]
mod tests {
    use super::*;

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
