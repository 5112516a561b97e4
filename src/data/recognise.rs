//! What a path is, without a config that says so.

use std::io::Read;
use std::path::Path;

use super::{images, pack};
use crate::error::{Error, Result};

/// A kind of data that can be told by its path.
#[derive(Debug)]
pub struct Format {
    /// The key in `data.source` that reads it.
    pub key: &'static str,
    /// What it is.
    pub about: &'static str,
    is: fn(&Path) -> bool,
}

/// What can be told, in the order in which it is tried.
pub const FORMATS: &[Format] = &[
    Format { key: "pack", about: "a packed data set", is: |path| begins(path, &pack::MAGIC) },
    Format { key: "images", about: "a folder of images", is: images::is_image_folder },
    Format { key: "idx", about: "a folder of IDX files", is: |path| holds(path, "idx3-ubyte") },
    Format {
        key: "cifar",
        about: "a folder of CIFAR files",
        is: |path| holds(path, "_batch.bin") || holds(path, "train.bin"),
    },
    Format { key: "npz", about: "arrays of NumPy", is: |path| ends(path, &["npz"]) },
    Format { key: "safetensors", about: "named tensors", is: |path| ends(path, &["safetensors"]) },
    Format { key: "parquet", about: "a table", is: |path| ends(path, &["parquet"]) },
    Format { key: "arrow", about: "a table", is: |path| ends(path, &["arrow", "feather", "ipc"]) },
    Format { key: "csv", about: "a table", is: |path| ends(path, &["csv", "tsv"]) },
    Format { key: "text", about: "a text", is: |path| ends(path, &["txt"]) },
];

/// What lies at the path.
///
/// # Errors
/// [`Error::Io`] where nothing does, [`Error::Config`] where it is none of [`FORMATS`].
pub fn recognise(path: &Path) -> Result<&'static Format> {
    std::fs::metadata(path).map_err(|err| Error::io("cannot read", path, &err))?;
    FORMATS.iter().find(|format| (format.is)(path)).ok_or_else(|| {
        let known: Vec<String> = FORMATS.iter().map(|f| format!("{} ({})", f.about, f.key)).collect();
        Error::Config(format!(
            "{}: what it is cannot be told from it; known are {}. A config says what other data are, and is taken in \
             place of the path",
            path.display(),
            known.join(", ")
        ))
    })
}

/// The file begins with these bytes.
fn begins(path: &Path, magic: &[u8]) -> bool {
    let mut start = vec![0; magic.len()];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut start));
    read.is_ok() && start == magic
}

/// The folder has a file in whose name this stands.
fn holds(path: &Path, part: &str) -> bool {
    let names = std::fs::read_dir(path).into_iter().flatten().flatten();
    names.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().contains(part))
}

/// The file has one of these endings.
fn ends(path: &Path, endings: &[&str]) -> bool {
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    path.is_file() && endings.contains(&&*ending)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, bytes: &[u8]| {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, bytes).unwrap();
            path
        };
        let key = |path: &Path| recognise(path).map(|format| format.key).map_err(|err| err.to_string());
        assert_eq!(key(&put("a.TSV", b"x")), Ok("csv"));
        assert_eq!(key(&put("a.txt", b"x")), Ok("text"));
        assert_eq!(key(&put("a.txt", &pack::MAGIC)), Ok("pack"));
        put("plain/cat/a.PNG", b"");
        put("split/train/cat/a.jpg", b"");
        for folder in ["plain", "split"] {
            assert_eq!(key(&dir.path().join(folder)), Ok("images"));
        }
        let err = key(&put("a.bin", b"x")).unwrap_err();
        assert!(err.contains("a.bin") && err.contains("a folder of images (images)"), "{err}");
        assert!(key(&dir.path().join("nothing")).unwrap_err().contains("nothing"));
    }
}
