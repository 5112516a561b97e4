//! Files of a run that vanish while they are open: a system lets a process write to a file that has no name any more.

use crate::error::{Error, Result};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::Path;

/// Fails where the open `file` is no longer at `path`.
///
/// # Errors
/// [`Error::Io`]: the run's directory was removed, moved or replaced.
pub(super) fn check_present(file: &File, path: &Path) -> Result<()> {
    let is_gone = match fs::metadata(path) {
        Ok(_) => has_no_name(file),
        Err(err) => matches!(err.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory),
    };
    if !is_gone {
        return Ok(());
    }
    let why = "the file was removed or moved while the run wrote to it, and its directory is not made again";
    Err(Error::io("cannot write", path, &io::Error::new(ErrorKind::NotFound, why)))
}

/// True for a file that was removed while it is open. Another one may have taken its path.
#[cfg(unix)]
fn has_no_name(file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    file.metadata().is_ok_and(|metadata| metadata.nlink() == 0)
}

/// Other systems keep the name of an open file.
#[cfg(not(unix))]
fn has_no_name(_: &File) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_file_that_is_removed_moved_or_replaced_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let [run, elsewhere] = ["run", "elsewhere"].map(|name| dir.path().join(name));
        let path = run.join("metrics.jsonl");
        let begin = || {
            fs::create_dir(&run).unwrap();
            File::create(&path).unwrap()
        };
        let file = begin();
        check_present(&file, &path).unwrap();
        fs::rename(&run, &elsewhere).unwrap();
        let moved = check_present(&file, &path).unwrap_err().to_string();
        assert!(moved.contains("metrics.jsonl") && moved.contains("removed or moved"), "{moved}");
        fs::rename(&elsewhere, &run).unwrap();
        check_present(&file, &path).unwrap();
        fs::remove_dir_all(&run).unwrap();
        check_present(&file, &path).unwrap_err();
        let another = begin();
        check_present(&file, &path).unwrap_err();
        check_present(&another, &path).unwrap();
    }
}
