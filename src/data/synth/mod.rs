//! Made data, for benchmarks and tutorials: as many samples as are asked for, each from (seed, index) alone.
//!
//! So the first n samples of 2n are those of n, and neither the number of threads nor the order of work changes one. The
//! random numbers are ChaCha8's, under a key of the seed and the index (8 little-endian bytes each) and 16 bytes that say
//! what for. None of this may change: an old seed must give its old samples.

mod blocks;
mod digits28;
mod draw;
mod points;
mod teacher;

pub use digits28::{Digits28, Half, PIXELS, SIDE};
pub use points::{blobs_point, moons_point, spirals_point};
pub use teacher::{INPUTS, Teacher};

use std::fmt::Write;
use std::path::{Path, PathBuf};

use crate::atomic_file::AtomicFile;
use crate::error::{Error, Result, suggestion};
use blocks::in_blocks;

/// The kinds of synthetic data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// [`Digits28`], in MNIST's four files.
    Digits28,
    /// [`spirals_point`], as `spirals.csv`.
    Spirals,
    /// [`moons_point`], as `moons.csv`.
    Moons,
    /// [`blobs_point`], as `blobs.csv`.
    Blobs,
    /// [`Teacher`], as `teacher.csv`.
    Teacher,
}

impl Kind {
    /// All of them: the name, and what it is in a line.
    pub const ALL: [(Kind, &'static str, &'static str); 5] = [
        (
            Kind::Digits28,
            "digits28",
            "handwritten digits, 28×28, turned and bent a little, in MNIST's four IDX files",
        ),
        (Kind::Spirals, "spirals", "points of three spiral arms, as CSV"),
        (Kind::Moons, "moons", "points of two half circles that reach into each other, as CSV"),
        (Kind::Blobs, "blobs", "points of four round clouds, as CSV"),
        (
            Kind::Teacher,
            "teacher",
            "regression: what a random two-layer net says of 16 numbers, plus noise, as CSV",
        ),
    ];

    /// The kind of this name.
    ///
    /// # Errors
    /// [`Error::Config`] with the nearest name.
    pub fn named(name: &str) -> Result<Kind> {
        match Kind::ALL.iter().find(|(_, other, _)| *other == name) {
            Some((kind, ..)) => Ok(*kind),
            None => Err(Error::Config(format!(
                "\"{name}\" cannot be made; {}",
                suggestion(name, &Kind::ALL.map(|(_, name, _)| name))
            ))),
        }
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        Kind::ALL.iter().find(|(kind, ..)| *kind == self).map_or("", |(_, name, _)| name)
    }

    /// Samples to evaluate on beside `count` to train on: a sixth, as MNIST has, at least 1; none for a table,
    /// because a config draws them from its rows.
    pub fn eval_count(self, count: u64) -> u64 {
        if self == Kind::Digits28 { (count / 6).max(1) } else { 0 }
    }
}

/// Options of synthetic data.
#[derive(Debug, Clone)]
pub struct SynthOptions {
    /// The kind.
    pub kind: Kind,
    /// The count of samples to train on, from 1 to `u32::MAX`, the limit of an IDX file.
    pub count: u64,
    /// The seed of the samples.
    pub seed: u64,
    /// Replace files that are there.
    pub force: bool,
}

/// Makes the samples and writes them into `dir`, which is created if need be. `progress` receives the number of
/// samples done, repeatedly. Returns the files' paths and bytes.
///
/// The files appear together, when all are whole.
///
/// # Errors
/// [`Error::Config`] where the count is out of range, or a file is there and `force` is not; [`Error::Io`] where one cannot
/// be written.
pub fn write(
    options: &SynthOptions,
    dir: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<Vec<(PathBuf, u64)>> {
    let SynthOptions { kind, count, seed, force } = *options;
    let most = u32::MAX.into();
    if !(1..=most).contains(&count) {
        return Err(Error::Config(format!("count = {count}: from 1 to {most} samples can be made")));
    }
    std::fs::create_dir_all(dir).map_err(|err| Error::io("cannot make the directory", dir, &err))?;
    let create = |name: &str| AtomicFile::create_new(dir.join(name), force);
    let table = |file, head: &str, row: &(dyn Fn(u64, &mut String) + Sync), progress| {
        AtomicFile::persist_all(vec![rows(file, head, count, row, progress)?])
    };
    match kind {
        Kind::Digits28 => {
            let mut files = Vec::new();
            for name in IDX_FILES {
                files.push(create(name)?);
            }
            let [train_images, train_labels, eval_images, eval_labels] = &mut files[..] else {
                return Err(Error::Data("MNIST has four files".into()));
            };
            let train = Digits28::new(Half::Train, seed)?;
            let eval = Digits28::new(Half::Eval, seed)?;
            images(&train, count, train_images, train_labels, progress)?;
            let mut both = |done| progress(count + done);
            images(&eval, kind.eval_count(count), eval_images, eval_labels, &mut both)?;
            AtomicFile::persist_all(files)
        }
        Kind::Spirals => {
            table(create("spirals.csv")?, POINT, &|at, row| point(spirals_point(seed, at), row), progress)
        }
        Kind::Moons => {
            table(create("moons.csv")?, POINT, &|at, row| point(moons_point(seed, at), row), progress)
        }
        Kind::Blobs => {
            table(create("blobs.csv")?, POINT, &|at, row| point(blobs_point(seed, at), row), progress)
        }
        Kind::Teacher => {
            let teacher = Teacher::new(seed);
            let head: String = (0..INPUTS).map(|i| format!("x{i},")).collect::<String>() + "y\n";
            let row = |at, row: &mut String| {
                let (x, y) = teacher.sample(at);
                x.iter().for_each(|x| number(*x, ',', row));
                number(y, '\n', row);
            };
            table(create("teacher.csv")?, &head, &row, progress)
        }
    }
}

/// MNIST's names: images and labels to train on, then to evaluate on.
const IDX_FILES: [&str; 4] = [
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
];

/// The header of a table of points.
const POINT: &str = "x0,x1,label\n";

/// A cell of six decimals and its separator.
fn number(value: f64, end: char, row: &mut String) {
    let _ = write!(row, "{value:.6}{end}");
}

fn point(([x0, x1], class): ([f64; 2], u8), row: &mut String) {
    number(x0, ',', row);
    number(x1, ',', row);
    let _ = writeln!(row, "{class}");
}

/// Writes a table: `head`, then a row for each sample.
fn rows(
    mut file: AtomicFile,
    head: &str,
    count: u64,
    row: &(dyn Fn(u64, &mut String) + Sync),
    progress: &mut dyn FnMut(u64),
) -> Result<AtomicFile> {
    file.append(head.as_bytes())?;
    let make = |range: std::ops::Range<u64>, block: &mut String| {
        block.clear();
        range.for_each(|at| row(at, block));
    };
    let take = |block: &String, done| {
        file.append(block.as_bytes())?;
        progress(done);
        Ok(())
    };
    in_blocks(count, make, take)?;
    Ok(file)
}

/// Writes a pair of IDX files, images `[count, 28, 28]` and labels `[count]`.
fn images(
    digits: &Digits28,
    count: u64,
    images: &mut AtomicFile,
    labels: &mut AtomicFile,
    progress: &mut dyn FnMut(u64),
) -> Result<()> {
    let side = SIDE as u32;
    images.append(&idx_header(&[count as u32, side, side]))?;
    labels.append(&idx_header(&[count as u32]))?;
    let make = |range: std::ops::Range<u64>, block: &mut (Vec<[u8; PIXELS]>, Vec<u8>)| {
        let len = (range.end - range.start) as usize;
        block.0.resize(len, [0; PIXELS]);
        block.1.clear();
        block.1.extend(range.zip(&mut block.0).map(|(at, image)| digits.render(at, image)));
    };
    let take = |block: &(Vec<[u8; PIXELS]>, Vec<u8>), done| {
        images.append(block.0.as_flattened())?;
        labels.append(&block.1)?;
        progress(done);
        Ok(())
    };
    in_blocks(count, make, take)
}

/// The header of an IDX file of unsigned bytes.
fn idx_header(extents: &[u32]) -> Vec<u8> {
    let mut header = vec![0, 0, 8, extents.len() as u8];
    header.extend(extents.iter().flat_map(|extent| extent.to_be_bytes()));
    header
}

#[cfg(test)]
mod tests;
