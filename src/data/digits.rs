//! Handwritten digits, 8×8: small enough to be part of the program. `data/digits/README.md` has their source.

use super::formats::idx;
use super::{ArrayEncoding, DataFile, Dataset, Field, Kind, Part, Values};
use crate::error::Result;

macro_rules! file {
    ($name:literal) => {
        ($name, &include_bytes!(concat!("../../data/digits/", $name))[..])
    };
}

/// 1,437 digits to train on and 360 to evaluate on: `[1, 8, 8]`, from 0 to 1 (the files' 0 to 16/16), with
/// labels 0 to 9.
///
/// # Errors
/// None but for a faulty build of the crate.
pub fn digits() -> Result<Dataset> {
    let train = part(file!("train-images-idx3-ubyte"), file!("train-labels-idx1-ubyte"))?;
    let eval = part(file!("t10k-images-idx3-ubyte"), file!("t10k-labels-idx1-ubyte"))?;
    Dataset::new("digits", train, Some(eval), Some(10))
}

/// The encoding of the digits, for other images of bytes from 0 to 16.
pub fn digits_encoding() -> ArrayEncoding {
    ArrayEncoding { shape: vec![1, 8, 8], divisor: 16.0, mean: vec![0.0], std: vec![1.0] }
}

fn part(images: (&'static str, &'static [u8]), labels: (&'static str, &'static [u8])) -> Result<Part> {
    let read = |(name, bytes)| idx::read(&DataFile::memory(name, bytes));
    let (images, labels) = (read(images)?, read(labels)?);
    let sample = [&[1], &images.shape[1..]].concat();
    let pixels = bytes(&images.values)?.iter().map(|&p| f32::from(p) / 16.0).collect::<Vec<_>>();
    let labels = bytes(&labels.values)?.iter().map(|&l| l.into()).collect();
    Part::new(Field::new(sample, pixels)?, Field::new([], Values::I32(labels))?)
}

fn bytes(values: &Values) -> Result<Vec<u8>> {
    debug_assert_eq!(values.kind(), Kind::U8);
    let mut bytes = vec![0; values.len()];
    values.read(0, &mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shape::Shape;

    #[test]
    fn the_digits_are_those_of_the_readme() {
        let data = digits().unwrap();
        let eval = data.eval().unwrap();
        assert_eq!((data.train().len(), eval.len(), data.classes()), (1437, 360, Some(10)));
        for part in [data.train(), eval] {
            assert_eq!(part.inputs().shape(), &Shape::from([1, 8, 8]));
            assert_eq!(part.targets().shape(), &Shape::from([]));
            let (Values::F32(pixels), Values::I32(labels)) =
                (part.inputs().values(), part.targets().values())
            else {
                panic!("pixels are f32 and labels i32")
            };
            assert!(pixels.iter().all(|p| (0.0..=1.0).contains(p) && (p * 16.0).fract() == 0.0));
            assert_eq!(pixels.iter().copied().fold(0.0, f32::max), 1.0);
            for digit in 0..10 {
                // A random tenth, give or take.
                let count = labels.iter().filter(|&&l| l == digit).count() * 10;
                assert!((part.len() * 6 / 10..part.len() * 14 / 10).contains(&count), "{digit}: {count}");
            }
        }
    }
}
