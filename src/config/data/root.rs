//! The folder in which relative paths of a config begin: its own folder, `data.root`, or a folder that is given on the
//! command line.

use std::path::{Component, Path, PathBuf};

use toml::Value;

use super::super::read::kind;
use crate::error::{Error, Result};

/// The folders in which the files of a config are looked for, in this order.
#[derive(Debug)]
pub(in crate::config) struct Roots {
    folders: Vec<PathBuf>,
    /// The only folder was given on the command line: files are also looked for without their first folders.
    is_given: bool,
}

/// The folder in which paths begin.
#[derive(Debug)]
pub(super) struct Root {
    pub path: PathBuf,
    is_given: bool,
}

impl Roots {
    /// The folders of a config in `folder` whose `data.root` has this value. `given`: the only folder instead.
    pub fn read(value: Option<Value>, folder: &Path, given: Option<&Path>) -> Result<Roots> {
        if let Some(given) = given {
            if !given.is_dir() {
                return Err(Error::Config(format!("--data-root {}: no such folder", given.display())));
            }
            let given = absolute("--data-root", Path::new(""), given)?;
            return Ok(Roots { folders: vec![without_parents(given)], is_given: true });
        }
        let listed = match value {
            None => vec![Value::String(".".into())],
            Some(Value::Array(list)) if list.is_empty() => {
                return Err(Error::Config("data.root = []: at least one folder is needed".into()));
            }
            Some(Value::Array(list)) => list,
            Some(one) => vec![one],
        };
        let folders = listed.into_iter().map(|value| match value {
            Value::String(root) => absolute("data.root", folder, root.as_ref()).map(without_parents),
            other => Err(Error::Config(format!(
                "data.root = {other}: a folder or a list of folders is needed, and this is {}",
                kind(&other)
            ))),
        });
        Ok(Roots { folders: folders.collect::<Result<_>>()?, is_given: false })
    }

    /// The first folder that has the file, or else the first.
    pub(super) fn with(&self, file: &Path) -> Root {
        let has_file = |folder: &&PathBuf| folder.join(file).exists();
        let folder = self.folders.iter().find(has_file).or(self.folders.first());
        Root { path: folder.cloned().unwrap_or_default(), is_given: self.is_given }
    }
}

impl Root {
    /// Refuses two files of a source that are found as one below a folder that is given on the command line.
    pub fn check_apart(&self, files: &[&mut PathBuf]) -> Result<()> {
        let twice = (1..files.len()).find(|&i| files[..i].contains(&files[i])).filter(|_| self.is_given);
        twice.map_or(Ok(()), |i| {
            Err(Error::Config(format!(
                "--data-root {}: two files of data.source are both found as {}; give the folder that has both",
                self.path.display(),
                files[i].display()
            )))
        })
    }

    /// The path of a file, from the system's root on. Below a folder that is given on the command line, it is the first
    /// of the path as the config has it, and the path without its first folders, that is there.
    pub fn resolve(&self, key: &str, file: &Path) -> Result<PathBuf> {
        let plain = absolute(key, &self.path, file)?;
        if !self.is_given || file.is_relative() && plain.exists() {
            return Ok(plain);
        }
        let names: Vec<&std::ffi::OsStr> = file
            .components()
            .filter_map(|part| if let Component::Normal(name) = part { Some(name) } else { None })
            .collect();
        let below =
            |first: usize| names[first..].iter().fold(self.path.clone(), |path, name| path.join(name));
        let found = (0..names.len()).map(below).find(|path| path.exists());
        Ok(found.unwrap_or(if file.is_relative() { plain } else { below(names.len().saturating_sub(1)) }))
    }
}

/// `file` in `folder`, from the system's root on.
fn absolute(key: &str, folder: &Path, file: &Path) -> Result<PathBuf> {
    let path = folder.join(file);
    // A page has no folder that it runs in.
    let path = if cfg!(target_arch = "wasm32") { Ok(path) } else { std::path::absolute(path) };
    let path = path.ok().filter(|path| path.to_str().is_some());
    match path {
        Some(path) if !file.as_os_str().is_empty() => Ok(path),
        _ => Err(Error::Config(format!(
            "{key} = \"{}\": no path can be made of it in the folder {}",
            file.display(),
            if folder.as_os_str().is_empty() { Path::new(".") } else { folder }.display()
        ))),
    }
}

/// The path without `..`, where that is the same place: not behind a symbolic link to another folder.
pub(in crate::config) fn without_parents(path: PathBuf) -> PathBuf {
    let mut short = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir if short.file_name().is_some() => {
                short.pop();
            }
            part => short.push(part),
        }
    }
    match (path.canonicalize(), short.canonicalize()) {
        (Ok(a), Ok(b)) if a == b => short,
        _ => path,
    }
}

/// `root` as it is written into a config in `folder`: the way from one to the other, which stays right where both are
/// moved together, and `root` itself, which stays right where the config alone is moved. `root` alone without a folder.
pub(super) fn to_toml(root: &Path, folder: Option<&Path>) -> Value {
    let text = Value::String(root.to_string_lossy().into_owned());
    let way = folder.and_then(|folder| way(&folder.canonicalize().ok()?, &root.canonicalize().ok()?));
    way.map_or(text.clone(), |way| Value::Array(vec![way.into(), text]))
}

/// A file as it is written into a config in `folder`: the way to it, or else the file from the system's root on.
pub(in crate::config) fn way_to(folder: &Path, file: &Path) -> PathBuf {
    let way = || {
        let parent = way(&folder.canonicalize().ok()?, &file.parent()?.canonicalize().ok()?)?;
        Some(Path::new(&parent).join(file.file_name()?))
    };
    way().unwrap_or_else(|| file.to_owned())
}

/// The relative path from one folder to the other, as `../../examples`. `None` where they share no folder but the
/// system's root.
fn way(from: &Path, to: &Path) -> Option<String> {
    let [from, to] = [from, to].map(|path| path.components().collect::<Vec<_>>());
    let shared = from.iter().zip(&to).take_while(|(a, b)| a == b).count();
    let is_name = |part: &Component| matches!(part, Component::Normal(_));
    if !from.iter().take(shared).any(is_name) {
        return None;
    }
    let down = to[shared..].iter().map(|part| part.as_os_str().to_str());
    let parts: Option<Vec<&str>> = from[shared..].iter().map(|_| Some("..")).chain(down).collect();
    let way = parts?.join("/");
    Some(if way.is_empty() { ".".to_owned() } else { way })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_way_leads_from_one_folder_to_another() {
        let way = |from: &str, to: &str| way(from.as_ref(), to.as_ref());
        assert_eq!(way("/home/a/runs/x-1", "/home/a/examples").as_deref(), Some("../../examples"));
        assert_eq!(way("/home/a/runs/x-1", "/home/a").as_deref(), Some("../.."));
        assert_eq!(way("/home/a", "/home/a").as_deref(), Some("."));
        assert_eq!(way("/home/a", "/home/a/data/b").as_deref(), Some("data/b"));
        assert_eq!(way("/scratch/x-1", "/home/a"), None);
    }

    #[test]
    fn a_given_root_has_files_with_or_without_their_folders() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        std::fs::create_dir(root.join("data")).unwrap();
        std::fs::write(root.join("data/x.csv"), "").unwrap();
        std::fs::write(root.join("y.csv"), "").unwrap();
        let roots = Roots::read(None, Path::new("/nowhere"), Some(root)).unwrap();
        let at = |file: &str| roots.with(file.as_ref()).resolve("data.source.csv", file.as_ref()).unwrap();
        assert_eq!(at("data/x.csv"), root.join("data/x.csv"));
        assert_eq!(at("../data/x.csv"), root.join("data/x.csv"));
        assert_eq!(at("/home/a/data/x.csv"), root.join("data/x.csv"));
        assert_eq!(at("data/y.csv"), root.join("y.csv"));
        assert_eq!(at("/home/a/data/z.csv"), root.join("z.csv"));
        assert_eq!(at("data/z.csv"), root.join("data/z.csv"));
        let err = Roots::read(None, root, Some(&root.join("no"))).unwrap_err().to_string();
        assert!(err.contains("--data-root") && err.contains("no such folder"), "{err}");
    }
}
