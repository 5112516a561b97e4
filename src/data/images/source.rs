//! Image files as numbers, decoded when they are read.

use std::path::{Path, PathBuf};
use std::thread;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

#[cfg(feature = "images")]
use super::decode::decode;
use super::shape::{Fit, ImageShape};
use crate::data::{Field, Kind, Scale, Source, Values};
use crate::error::{Error, Result};

/// Converts files to inputs; a model needs it for later files.
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
    /// Scales an image of another size to this one. `None`: such an image is refused.
    pub fit: Option<Fit>,
    /// Scales the bytes.
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
    pub(super) fn field(&self, files: Vec<PathBuf>) -> Result<Field> {
        let shape = ImageShape { channels: self.channels, height: self.height, width: self.width };
        let images = Images::new(files, shape, self.fit);
        let field = Field::new([self.channels, self.height, self.width], Values::from_source(images))?;
        field.scaled(self.scale.clone())
    }
}

/// Refuses images where the program cannot decode them.
///
/// # Errors
/// [`Error::Config`] where the program was built without the feature `images`.
pub(super) fn check_built(path: &Path) -> Result<()> {
    if cfg!(feature = "images") {
        return Ok(());
    }
    Err(Error::Config(format!(
        "{}: this program was built without the feature that decodes images; build it by `cargo build --release \
         --features images`",
        path.display()
    )))
}

#[cfg(not(feature = "images"))]
fn decode(path: &Path, _: ImageShape, _: Option<Fit>, _: &mut [u8]) -> Result<()> {
    check_built(path)
}

/// Images that are decoded as they are read.
#[derive(Debug)]
pub(super) struct Images {
    pub files: Vec<PathBuf>,
    pub shape: ImageShape,
    pub fit: Option<Fit>,
    /// The channels of a pixel lie beside each other.
    pub channels_last: bool,
    /// Black becomes white.
    pub invert: bool,
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

    /// Hashes the files as they are, with shape and fit; decodes nothing.
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
    pub fn new(files: Vec<PathBuf>, shape: ImageShape, fit: Option<Fit>) -> Images {
        Images { files, shape, fit, channels_last: false, invert: false }
    }

    fn decode(&self, image: usize, into: &mut [u8]) -> Result<()> {
        decode(&self.files[image], self.shape, self.fit, into)?;
        if self.invert {
            into.iter_mut().for_each(|value| *value = 255 - *value);
        }
        if self.channels_last {
            let (planes, area) = (into.to_vec(), self.shape.width * self.shape.height);
            for (at, plane) in planes.chunks_exact(area).enumerate() {
                let channel = into[at..].iter_mut().step_by(self.shape.channels);
                channel.zip(plane).for_each(|(to, from)| *to = *from);
            }
        }
        Ok(())
    }

    fn decode_all(&self, (first, into): (usize, &mut [u8])) -> Result<()> {
        let mut images = into.chunks_exact_mut(self.shape.elements()).zip(first..);
        images.try_for_each(|(into, image)| self.decode(image, into))
    }
}
