//! The files of a folder.

use std::path::Path;

use crate::error::{Error, Result};

/// The names of what is in a folder, in order.
pub(super) fn files_of(folder: &Path) -> Result<Vec<String>> {
    let fault = |err: std::io::Error| Error::io("cannot read the folder", folder, &err);
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(fault)? {
        names.push(entry.map_err(fault)?.file_name().to_string_lossy().into_owned());
    }
    names.sort();
    Ok(names)
}
