//! Values that the sources share: paths, names, entries of a table.

use std::path::{Path, PathBuf};

use toml::Value;

use super::super::section::{Section, kind};
use crate::error::{Error, Result};

pub(super) fn entry(key: &str, value: Value) -> (String, Value) {
    (key.to_owned(), value)
}

pub(super) fn integer(n: usize) -> Value {
    whole(n as u64)
}

pub(super) fn whole(n: u64) -> Value {
    Value::Integer(i64::try_from(n).unwrap_or(i64::MAX))
}

pub(super) fn path_text(path: &Path) -> Value {
    path.to_string_lossy().into_owned().into()
}

/// `file` in `folder`, from the root on, so that a run's own config names the same file.
fn absolute(folder: &Path, key: &str, file: &str) -> Result<PathBuf> {
    let path = std::path::absolute(folder.join(file));
    match path {
        Ok(path) if path.to_str().is_some() && !file.is_empty() => Ok(path),
        _ => Err(Error::Config(format!(
            "{key} = \"{file}\": no path can be made of it in the folder {}",
            folder.display()
        ))),
    }
}

/// The key's text, where it is there; `wanted` says what it should be.
pub(super) fn string(source: &mut Section, key: &'static str, wanted: &str) -> Result<Option<String>> {
    match source.take(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => {
            let (name, what) = (source.name(key), kind(&other));
            Err(Error::Config(format!("{name} = {other}: {wanted} is needed, and this is {what}")))
        }
    }
}

/// The key's file in `folder`, where it is there.
pub(super) fn file(source: &mut Section, key: &'static str, folder: &Path) -> Result<Option<PathBuf>> {
    let name = source.name(key);
    let file = string(source, key, "a file")?;
    file.map(|file| absolute(folder, &name, &file)).transpose()
}
