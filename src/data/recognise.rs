//! Recognises formats by the bytes of a path, its ending or the files in it.

use std::io::Read;
use std::path::Path;

pub use super::images::is_image_folder;
use super::pack;

/// True for a packed data set.
pub fn is_pack(path: &Path) -> bool {
    if !path.is_file() {
        return false;
    }
    let mut start = vec![0; pack::MAGIC.len()];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == pack::MAGIC
}

/// True for a folder with a file whose name has one of these parts.
pub fn has_file(path: &Path, parts: &[&str]) -> bool {
    let names = std::fs::read_dir(path).into_iter().flatten().flatten();
    let mut names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.any(|name| parts.iter().any(|part| name.contains(part)))
}

/// True for a file whose name has one of these endings, in capitals or not.
pub fn ends_in(path: &Path, endings: &[&str]) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let has = |ending: &&str| name.strip_suffix(ending).is_some_and(|stem| stem.ends_with('.'));
    path.is_file() && endings.iter().any(has)
}
