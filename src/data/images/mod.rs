//! Folders of images: a folder for each class, PNG and JPEG in it, decoded when they are read.

#[cfg(feature = "images")]
mod decode;
mod folder;
mod header;
mod other;
#[cfg(feature = "images")]
mod resize;
mod shape;
mod source;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::file::{DataFile, file_name};
use super::{Dataset, Encoding, Field, Holdout, Normalise, Part, Scale, Values, keys, normalise};
use crate::error::{Error, Result};
pub use header::MOST_PIXELS;
pub use other::{ImageChanges, array_images, image_inputs, images_part, is_image_file};
pub use shape::Fit;
use shape::ImageShape;
pub use source::ImageEncoding;
use source::Images;

/// The options of a folder of images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageOptions {
    /// Height and width; those that all images have where it is `None`.
    #[serde(default, deserialize_with = "keys::size", skip_serializing_if = "Option::is_none")]
    pub size: Option<[usize; 2]>,
    /// Scales an image of another size.
    #[serde(default)]
    pub fit: Fit,
    /// 1 for grey, 3 for red, green and blue; where it is `None`, 1 if no image has colours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<usize>,
    /// Scales the bytes.
    #[serde(skip)]
    pub normalise: Normalise,
    /// The samples held out to evaluate on, if the folder has no part of its own.
    #[serde(skip)]
    pub hold: Holdout,
}

impl ImageOptions {
    /// Default options, with a fifth of the images to evaluate on.
    pub fn new(split_seed: u64) -> ImageOptions {
        ImageOptions {
            size: None,
            fit: Fit::default(),
            channels: None,
            normalise: Normalise::default(),
            hold: Holdout::new(split_seed),
        }
    }
}

/// True where the folder has a part to evaluate on.
pub fn images_have_eval(dir: &Path) -> bool {
    folder::parts(dir).1.is_some()
}

/// True where the folder looks like one of [`images`].
pub fn is_image_folder(dir: &Path) -> bool {
    folder::has_images(dir)
}

/// A folder of images as a data set: inputs u8 `[channels, height, width]`, which the device scales, and the numbers
/// of their classes, i32 `[]`.
///
/// The images of a class are PNG and JPEG files in a folder with the class's name: `DIR/CLASS`; or `DIR/train/CLASS` and
/// `DIR/eval/CLASS` (or `val`, or `test`), where those of `eval` are evaluated on. Classes are numbered by their sorted
/// names, and images sorted by theirs.
///
/// Only the headers are read here. An image is decoded when it is read. All training images are decoded too where
/// `normalise` is [`Normalise::Standard`].
///
/// # Errors
/// [`Error::Data`] with the file that is no image or has another size than the first, or the folder without images;
/// [`Error::Config`] for options that cannot be; [`Error::Io`].
pub fn images(dir: &Path, options: &ImageOptions) -> Result<Dataset> {
    check(options)?;
    source::check_built(dir)?;
    let folder = folder::read(dir)?;
    let parts = [Some(&folder.train), folder.eval.as_ref()];
    let shape = shape(parts.into_iter().flatten().flat_map(|part| &part.files), options)?;
    let fit = options.size.map(|_| options.fit);
    let part = |listing: folder::Listing| {
        let images = Images::new(listing.files, shape, fit);
        let inputs = Field::new([shape.channels, shape.height, shape.width], Values::from_source(images))?;
        Part::new(inputs, Field::new([], listing.labels)?)
    };
    let name = file_name(dir);
    let (train, eval) = match folder.eval {
        Some(eval) => (part(folder.train)?, Some(part(eval)?)),
        None => options.hold.split(&name, part(folder.train)?)?,
    };
    let scale = normalise::fit(&name, &train, &options.normalise)?;
    let scale = scale.map_or(Scale::all(1.0, 0.0), |encoding| encoding.scale());
    let classes = folder.classes.len();
    let data = Dataset::new(
        name,
        train.scale_inputs(&scale)?,
        eval.map(|eval| eval.scale_inputs(&scale)).transpose()?,
        Some(classes),
    )?;
    let ImageShape { channels, height, width } = shape;
    let encoding = ImageEncoding { classes: folder.classes, channels, height, width, fit, scale };
    Ok(data.with_encoding(Encoding::Images(encoding)))
}

fn check(options: &ImageOptions) -> Result<()> {
    if let Some(channels) = options.channels.filter(|n| ![1, 3].contains(n)) {
        return Err(Error::Config(format!(
            "data.source.channels = {channels}: 1 (grey) or 3 (red, green, blue) is needed"
        )));
    }
    if let Some([height, width]) = options.size {
        let pixels = (height as u64).saturating_mul(width as u64);
        if pixels == 0 || pixels > MOST_PIXELS {
            return Err(Error::Config(format!(
                "data.source.size = [{height}, {width}]: at least 1 pixel is needed, and at most {MOST_PIXELS}"
            )));
        }
    }
    Ok(())
}

/// The shape of a sample, by the headers of all images.
fn shape<'a>(files: impl Iterator<Item = &'a PathBuf>, options: &ImageOptions) -> Result<ImageShape> {
    let mut first: Option<(&PathBuf, u32, u32)> = None;
    let mut grey = true;
    for path in files {
        let file: Arc<DataFile> = DataFile::open(path)?;
        let header = header::read(&file)?;
        grey &= header.grey;
        let (leader, width, height) = *first.get_or_insert((path, header.width, header.height));
        if options.size.is_none() && (width, height) != (header.width, header.height) {
            return Err(Error::Data(format!(
                "{} is {} × {} pixels, and {} {width} × {height}: without data.source.size all images have one \
                 size; to scale them say size = [{height}, {width}]",
                path.display(),
                header.width,
                header.height,
                leader.display()
            )));
        }
    }
    let (width, height) = first.map_or((0, 0), |(_, width, height)| (width as usize, height as usize));
    let [height, width] = options.size.unwrap_or([height, width]);
    Ok(ImageShape { channels: options.channels.unwrap_or(if grey { 1 } else { 3 }), height, width })
}

#[cfg(all(test, feature = "images"))]
mod tests;
