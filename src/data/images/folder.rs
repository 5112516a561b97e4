//! The images of a folder and their classes.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result, suggestion};

/// Images with the numbers of their classes.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub files: Vec<PathBuf>,
    pub labels: Vec<i32>,
}

/// The images of a folder.
#[derive(Debug)]
pub(super) struct Folder {
    /// The names of the classes, sorted.
    pub classes: Vec<String>,
    pub train: Listing,
    pub eval: Option<Listing>,
}

/// Names of the folder to evaluate on; the first that exists is used.
const EVAL: [&str; 3] = ["eval", "val", "test"];

/// Endings of images that can be read, and of some that cannot.
const READ: [&str; 3] = ["png", "jpg", "jpeg"];
const NOT_READ: [&str; 7] = ["bmp", "gif", "webp", "tif", "tiff", "ppm", "pgm"];

struct Entry {
    name: String,
    path: PathBuf,
    folder: bool,
}

/// The entries of a folder, sorted by name, without hidden ones.
fn entries(dir: &Path) -> Result<Vec<Entry>> {
    let fault = |err: std::io::Error| Error::io("cannot read", dir, &err);
    let mut entries = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        let name = path.file_name().unwrap_or_default();
        let Some(name) = name.to_str().map(str::to_owned) else {
            return Err(Error::Data(format!("{}: the name is no UTF-8; give it another", path.display())));
        };
        if !name.starts_with('.') {
            let folder = path.is_dir();
            entries.push(Entry { name, path, folder });
        }
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// True for a file whose name ends as that of an image which can be read.
pub(super) fn is_image(path: &Path) -> bool {
    path.is_file() && READ.contains(&&*ending(path))
}

fn ending(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

/// The folder of a part inside the folder. A folder of a part has folders in it; a folder of a class has images.
fn part(dir: &Path, names: &[&str]) -> Option<PathBuf> {
    let holds_folders = |path: &PathBuf| entries(path).is_ok_and(|list| list.iter().any(|e| e.folder));
    names.iter().map(|name| dir.join(name)).find(holds_folders)
}

/// The folders to train and to evaluate on, where the folder is divided into parts.
pub(super) fn parts(dir: &Path) -> (Option<PathBuf>, Option<PathBuf>) {
    match part(dir, &["train"]) {
        Some(train) => (Some(train), part(dir, &EVAL)),
        None => (None, None),
    }
}

/// True where some folder in the folder, or in its `train`, has images.
pub(super) fn has_images(dir: &Path) -> bool {
    let dir = parts(dir).0.unwrap_or_else(|| dir.to_owned());
    let image = |e: &Entry| !e.folder && READ.contains(&&*ending(&e.path));
    let class = |e: &Entry| e.folder && entries(&e.path).is_ok_and(|list| list.iter().any(image));
    entries(&dir).is_ok_and(|list| list.iter().any(class))
}

/// The images of a folder and of those in it, sorted; files that are no images are skipped.
pub(super) fn below(dir: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    for Entry { path, folder, .. } in entries(dir)? {
        if folder {
            below(&path, files)?;
        } else if READ.contains(&&*ending(&path)) {
            files.push(path);
        }
    }
    Ok(())
}

/// Images of classes whose names are given: those of the folder to evaluate on where there is one, else all.
pub(super) fn of_classes(dir: &Path, names: &[String]) -> Result<Listing> {
    let (train, eval) = parts(dir);
    let dir = eval.or(train).unwrap_or_else(|| dir.to_owned());
    let listing = held(&dir, names, "the run")?;
    match listing.files.is_empty() {
        true => Err(Error::Data(format!("{}: no class has an image", dir.display()))),
        false => Ok(listing),
    }
}

/// The images of the folder's classes, numbered by their names, which are those of `owner`.
fn held(dir: &Path, names: &[String], owner: &str) -> Result<Listing> {
    let mut held = Listing::default();
    for class in classes(dir)? {
        let Some(number) = names.iter().position(|name| *name == class.name) else {
            let known: Vec<&str> = names.iter().map(String::as_str).collect();
            return Err(Error::Data(format!(
                "{}: \"{}\" is no class of {owner}; {}",
                class.path.display(),
                class.name,
                suggestion(&class.name, &known)
            )));
        };
        add(&mut held, &class, number as i32)?;
    }
    Ok(held)
}

pub(super) fn read(dir: &Path) -> Result<Folder> {
    let (train, eval) = parts(dir);
    let train = train.unwrap_or_else(|| dir.to_owned());
    let folders = classes(&train)?;
    let mut listing = Listing::default();
    for (number, class) in folders.iter().enumerate() {
        if add(&mut listing, class, number as i32)? == 0 {
            return Err(Error::Data(format!(
                "{}: the class has no image; put some PNG or JPEG files in, or take the folder away",
                class.path.display()
            )));
        }
    }
    let names: Vec<String> = folders.into_iter().map(|class| class.name).collect();
    let Some(path) = eval else { return Ok(Folder { classes: names, train: listing, eval: None }) };
    let held = held(&path, &names, &train.display().to_string())?;
    if held.files.is_empty() {
        return Err(Error::Data(format!("{}: no class has an image to evaluate on", path.display())));
    }
    Ok(Folder { classes: names, train: listing, eval: Some(held) })
}

/// The folders of the classes.
fn classes(dir: &Path) -> Result<Vec<Entry>> {
    let (folders, files): (Vec<Entry>, Vec<Entry>) = entries(dir)?.into_iter().partition(|e| e.folder);
    if let Some(stray) = files.iter().find(|e| READ.contains(&&*ending(&e.path))) {
        return Err(Error::Data(format!(
            "{}: an image that lies beside the classes has none; move it into the folder of its class",
            stray.path.display()
        )));
    }
    if folders.is_empty() {
        return Err(Error::Data(format!(
            "{}: no folder of a class is in it; the images of a class lie in a folder with the class's name",
            dir.display()
        )));
    }
    Ok(folders)
}

/// Adds the images of a class and returns their number. Files that are no images are skipped.
fn add(listing: &mut Listing, class: &Entry, number: i32) -> Result<usize> {
    let before = listing.files.len();
    for Entry { path, folder, .. } in entries(&class.path)? {
        let ending = ending(&path);
        if folder {
            return Err(Error::Data(format!(
                "{}: a folder within the class \"{}\"; the images of a class lie in one folder",
                path.display(),
                class.name
            )));
        }
        if NOT_READ.contains(&&*ending) {
            return Err(Error::Data(format!(
                "{}: PNG and JPEG can be read, and this is .{ending}; write it as PNG, or take it out of the folder",
                path.display()
            )));
        }
        if READ.contains(&&*ending) {
            listing.files.push(path);
            listing.labels.push(number);
        }
    }
    Ok(listing.files.len() - before)
}
