//! Other images for a run's model: classes, size, channels and scale are the run's, which may be one of arrays.

use std::path::{Path, PathBuf};

use super::shape::{Fit, ImageShape};
use super::source::{self, ImageEncoding, Images};
use super::{folder, header};
use crate::data::{ArrayEncoding, DataFile, Field, Part, Values};
use crate::error::{Error, Result};
use crate::shape::Shape;

/// A folder of images, a folder for each class, as samples of a run's classes: those of `eval` (or `val`, or `test`) where
/// the folder is divided, else all.
///
/// # Errors
/// [`Error::Data`] where a class is none of the run's, or there is no image; [`Error::Io`].
pub fn images_part(dir: &Path, encoding: &ImageEncoding) -> Result<Part> {
    let listing = folder::of_classes(dir, &encoding.classes)?;
    Part::new(encoding.field(listing.files)?, Field::new([], listing.labels)?)
}

/// How images are changed before a run's encoding sees them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImageChanges {
    /// Scales images of another size; the run's own way where it is `None`.
    pub fit: Option<Fit>,
    /// Makes black white.
    pub invert: bool,
}

/// True for a file whose name ends in `.png`, `.jpg` or `.jpeg`.
pub fn is_image_file(path: &Path) -> bool {
    folder::is_image(path)
}

/// The named files, and all images in the named folders, in their order.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
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
    Ok(files)
}

/// Images without classes, decoded when they are read, with their paths: the named files, and all images in the named
/// folders, in their order.
///
/// # Errors
/// [`Error::Data`] where a folder has no image, or an image another size and no way to scale it; [`Error::Io`].
pub fn image_inputs(
    paths: &[PathBuf],
    encoding: &ImageEncoding,
    changes: ImageChanges,
) -> Result<(Vec<PathBuf>, Field)> {
    let ImageEncoding { channels, height, width, .. } = *encoding;
    let (files, shape) = (files(paths)?, ImageShape { channels, height, width });
    let fit = changes.fit.or(encoding.fit);
    check_size(&files, shape, fit, &[channels, height, width])?;
    let images = Images { invert: changes.invert, ..Images::new(files.clone(), shape, fit) };
    let field = Field::new([channels, height, width], Values::from_source(images))?;
    Ok((files, field.scaled(encoding.scale.clone())?))
}

/// Images for a model that was trained on arrays of bytes, as [`image_inputs`] for one that was trained on images.
/// Samples are `[channels, height, width]`, `[height, width, channels]`, `[height, width]`, or `[pixels]` of a grey
/// image. Colours become grey where there is one channel. The bytes are scaled as the run's, 255 for white.
///
/// # Errors
/// As [`image_inputs`]; [`Error::Data`] where the samples were no images of bytes.
pub fn array_images(
    paths: &[PathBuf],
    encoding: &ArrayEncoding,
    changes: ImageChanges,
) -> Result<(Vec<PathBuf>, Field)> {
    source::check_built(paths.first().map_or(Path::new(""), PathBuf::as_path))?;
    let sample = &encoding.shape;
    if encoding.divisor == 1.0 {
        return Err(Error::Data(format!(
            "the run was trained on numbers that were no bytes, of shape {}, and which of them is white is not known; \
             give an NPY file of such numbers",
            Shape::from(sample.clone())
        )));
    }
    let files = files(paths)?;
    let (shape, channels_last) = shape_of(sample, &files)?;
    check_size(&files, shape, changes.fit, sample)?;
    let images =
        Images { invert: changes.invert, channels_last, ..Images::new(files.clone(), shape, changes.fit) };
    let field = Field::new(sample.clone(), Values::from_source(images))?;
    // The run's largest byte is white, whether it was 255 or, in the digits, 16.
    let scale = ArrayEncoding { divisor: 255.0, ..encoding.clone() }.scale();
    Ok((files, field.scaled(scale)?))
}

/// The shape of the images that are such samples, and whether their channels come last.
fn shape_of(sample: &[usize], files: &[PathBuf]) -> Result<(ImageShape, bool)> {
    let shape = |channels, height, width| ImageShape { channels, height, width };
    match *sample {
        [channels @ (1 | 3), height, width] => Ok((shape(channels, height, width), false)),
        [height, width, channels @ (1 | 3)] => Ok((shape(channels, height, width), true)),
        [height, width] => Ok((shape(1, height, width), false)),
        [pixels] => {
            let first = header::read(&*DataFile::open(&files[0])?)?;
            let [height, width] = [first.height as usize, first.width as usize];
            if width * height == pixels {
                return Ok((shape(1, height, width), false));
            }
            Err(Error::Data(format!(
                "{}: it has {width} x {height} = {} pixels, and the model takes {pixels} numbers; images of {pixels} \
                 pixels are needed, which become grey",
                files[0].display(),
                width * height
            )))
        }
        _ => Err(Error::Data(format!(
            "the run was trained on samples of shape {}, which are no images of one or three channels; give an NPY file",
            Shape::from(sample.to_vec())
        ))),
    }
}

/// An error where an image has another size and nothing scales it; before the first answer is written.
fn check_size(files: &[PathBuf], shape: ImageShape, fit: Option<Fit>, sample: &[usize]) -> Result<()> {
    if fit.is_some() {
        return Ok(());
    }
    for path in files {
        let header = header::read(&*DataFile::open(path)?)?;
        if (header.width as usize, header.height as usize) != (shape.width, shape.height) {
            return Err(Error::Data(format!(
                "{}: it is {} x {} pixels, and the model takes {} x {}, samples of shape {}; predict --fit crop or \
                 --fit stretch scales it",
                path.display(),
                header.width,
                header.height,
                shape.width,
                shape.height,
                Shape::from(sample.to_vec())
            )));
        }
    }
    Ok(())
}
