//! Other images for a run's model: classes, size, channels and scale are the run's.

use std::path::{Path, PathBuf};

use super::folder;
use super::source::ImageEncoding;
use crate::data::{Field, Part};
use crate::error::{Error, Result};

/// A folder of images, a folder for each class, as samples of a run's classes: those of `eval` (or `val`, or `test`) where
/// the folder is divided, else all.
///
/// # Errors
/// [`Error::Data`] where a class is none of the run's, or there is no image; [`Error::Io`].
pub fn images_part(dir: &Path, encoding: &ImageEncoding) -> Result<Part> {
    let listing = folder::of_classes(dir, &encoding.classes)?;
    Part::new(encoding.field(listing.files)?, Field::new([], listing.labels)?)
}

/// Images without classes, decoded when they are read, with their paths: the named files, and all images in the named
/// folders, in their order.
///
/// # Errors
/// [`Error::Data`] where a folder has no image; [`Error::Io`].
pub fn image_inputs(paths: &[PathBuf], encoding: &ImageEncoding) -> Result<(Vec<PathBuf>, Field)> {
    let mut files = Vec::new();
    for path in paths {
        let before = files.len();
        match std::fs::metadata(path) {
            Err(err) => return Err(Error::io("cannot read", path, &err)),
            Ok(meta) if meta.is_dir() => folder::below(path, &mut files)?,
            Ok(_) => files.push(path.clone()),
        }
        if files.len() == before {
            return Err(Error::Data(format!(
                "{}: no PNG or JPEG file is in it or in a folder of it",
                path.display()
            )));
        }
    }
    let field = encoding.field(files.clone())?;
    Ok((files, field))
}
