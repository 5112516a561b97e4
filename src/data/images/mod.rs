//! Folders of images: a folder for each class, PNG and JPEG in it, decoded as they are wanted.

mod decode;
mod folder;
mod header;
mod other;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::file::DataFile;
use super::{
    Dataset, Encoding, Field, Holdout, Kind, Normalise, Part, Scale, Source, Values, file_name, normalise,
};
use crate::error::{Error, Result};
pub use header::MOST_PIXELS;
pub use other::{image_inputs, images_part};

/// How an image of another size is brought to the size that is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Fit {
    /// The largest part in its middle that has the right aspect is scaled.
    #[default]
    Crop,
    /// All of it is scaled, and its aspect changes.
    Stretch,
}

/// What is made of the images of a folder.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageOptions {
    /// Height and width; those that all images have where it is `None`.
    pub size: Option<[usize; 2]>,
    /// How they come to that size.
    pub fit: Fit,
    /// 1 for grey, 3 for red, green and blue; where it is `None`, 1 if no image has colours.
    pub channels: Option<usize>,
    /// What is made of the bytes.
    pub normalise: Normalise,
    /// What is held out where the folder has no part to evaluate on.
    pub hold: Holdout,
}

impl ImageOptions {
    /// All as it is, a fifth of the images to evaluate on.
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

/// How files became inputs; what a model must be given with the next ones.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageEncoding {
    /// The names of the classes by their numbers.
    pub classes: Vec<String>,
    /// 1 or 3.
    pub channels: usize,
    /// Pixels from top to bottom.
    pub height: usize,
    /// Pixels from left to right.
    pub width: usize,
    /// How an image of another size is brought to this one; it is refused where it is `None`.
    pub fit: Option<Fit>,
    /// What is made of the bytes.
    pub scale: Scale,
}

impl ImageEncoding {
    /// The model's input for an image, `[channels, height, width]`.
    ///
    /// # Errors
    /// [`Error::Data`] where the file is no whole image, or has another size and may not be scaled; [`Error::Io`].
    pub fn encode(&self, path: &Path) -> Result<Vec<f32>> {
        let field = self.field(vec![path.to_owned()])?;
        Ok(field.sample(0)?.into_iter().map(|v| v as f32).collect())
    }

    /// Files as samples, decoded as they are read.
    fn field(&self, files: Vec<PathBuf>) -> Result<Field> {
        let shape = ImageShape { channels: self.channels, height: self.height, width: self.width };
        let images = Images { files, shape, fit: self.fit };
        let field = Field::new([self.channels, self.height, self.width], Values::of(images))?;
        field.scaled(self.scale.clone())
    }
}

/// The shape of a sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ImageShape {
    channels: usize,
    height: usize,
    width: usize,
}

impl ImageShape {
    fn elements(self) -> usize {
        self.channels * self.height * self.width
    }
}

/// Images that are decoded as they are read.
#[derive(Debug)]
struct Images {
    files: Vec<PathBuf>,
    shape: ImageShape,
    fit: Option<Fit>,
}

/// Images that are worth a thread: one starts in the time that few take.
const FOR_A_THREAD: usize = 8;

impl Source for Images {
    fn kind(&self) -> Kind {
        Kind::U8
    }

    fn len(&self) -> usize {
        self.files.len() * self.shape.elements()
    }

    /// Many images are decoded by as many threads as there are processors.
    fn read(&self, at: usize, into: &mut [u8]) -> Result<()> {
        let each = self.shape.elements();
        // The rest of an image that began before, then whole ones, then the beginning of one.
        let head = ((each - at % each) % each).min(into.len());
        let (head, rest) = into.split_at_mut(head);
        let first = at.div_ceil(each);
        if !head.is_empty() {
            let mut whole = vec![0; each];
            self.decode(at / each, &mut whole)?;
            head.copy_from_slice(&whole[at % each..][..head.len()]);
        }
        let images = rest.len() / each;
        let (whole, tail) = rest.split_at_mut(images * each);
        let threads =
            thread::available_parallelism().map_or(1, usize::from).min(images / FOR_A_THREAD).max(1);
        let share = images.div_ceil(threads).max(1);
        thread::scope(|scope| {
            let mut shares =
                whole.chunks_mut(share * each).enumerate().map(|(i, chunk)| (first + i * share, chunk));
            let own = shares.next();
            let others: Vec<_> = shares.map(|share| scope.spawn(|| self.decode_all(share))).collect();
            let mut result = own.map_or(Ok(()), |own| self.decode_all(own));
            for other in others {
                result = result.and(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
            }
            result
        })?;
        if !tail.is_empty() {
            let mut whole = vec![0; each];
            self.decode(first + images, &mut whole)?;
            tail.copy_from_slice(&whole[..tail.len()]);
        }
        Ok(())
    }

    /// Of the files as they are, and what is made of them: nothing is decoded.
    fn contents(&self) -> Option<Result<u64>> {
        let mut hash = Xxh3::new();
        hash.update(format!("{:?} {:?}", self.shape, self.fit).as_bytes());
        let read = |path: &PathBuf| {
            std::fs::read(path)
                .map_err(|err| Error::io("cannot read", path, &err))
                .map(|bytes| hash.update(&bytes))
        };
        Some(self.files.iter().try_for_each(read).map(|()| hash.digest()))
    }
}

impl Images {
    fn decode(&self, image: usize, into: &mut [u8]) -> Result<()> {
        decode::decode(&self.files[image], self.shape, self.fit, into)
    }

    fn decode_all(&self, (first, into): (usize, &mut [u8])) -> Result<()> {
        let mut images = into.chunks_exact_mut(self.shape.elements()).zip(first..);
        images.try_for_each(|(into, image)| self.decode(image, into))
    }
}

/// True where the folder has a part to evaluate on.
pub fn images_have_eval(dir: &Path) -> bool {
    folder::parts(dir).1.is_some()
}

/// True where the folder looks like one of [`images`].
pub(super) fn is_image_folder(dir: &Path) -> bool {
    folder::has_images(dir)
}

/// A folder of images as a data set: inputs u8 `[channels, height, width]`, which the device scales, and the numbers
/// of their classes, i32 `[]`.
///
/// The images of a class are PNG and JPEG files in a folder with the class's name: `DIR/CLASS`; or `DIR/train/CLASS` and
/// `DIR/eval/CLASS` (or `val`, or `test`), where those of `eval` are evaluated on. Classes are numbered by their sorted
/// names, and images sorted by theirs.
///
/// Here only the headers are read; an image is decoded whenever it is wanted, and so are all to train on where
/// `normalise` is [`Normalise::Standard`].
///
/// # Errors
/// [`Error::Data`] with the file that is no image or has another size than the first, or the folder without images;
/// [`Error::Config`] for options that cannot be; [`Error::Io`].
pub fn images(dir: &Path, options: &ImageOptions) -> Result<Dataset> {
    check(options)?;
    let folder = folder::read(dir)?;
    let parts = [Some(&folder.train), folder.eval.as_ref()];
    let shape = shape(parts.into_iter().flatten().flat_map(|part| &part.files), options)?;
    let fit = options.size.map(|_| options.fit);
    let part = |listing: folder::Listing| {
        let images = Images { files: listing.files, shape, fit };
        let inputs = Field::new([shape.channels, shape.height, shape.width], Values::of(images))?;
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

#[cfg(test)]
mod tests;
