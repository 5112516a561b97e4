//! Arrays in Fortran's order, column by column: laid out again row by row, a block of samples at a time.

use std::io::Write;
use std::sync::Arc;

use super::super::file::DataFile;
use super::super::spill::Spill;
use crate::error::{Error, Result};

/// Bytes of the samples that are laid out at a time.
const BLOCK: usize = 32 << 20;

/// True where the order of the bytes differs from the order of rows.
pub(super) fn differs(shape: &[usize]) -> bool {
    shape.iter().filter(|extent| **extent != 1).count() > 1
}

/// The array whose values begin at byte `at` of a file, `size` bytes each, row by row: in memory, or in a temporary
/// file where it is large. The file has all of its bytes.
///
/// # Errors
/// [`Error::Io`] where the file cannot be read, or the temporary one not be written.
pub(super) fn straightened(file: &DataFile, at: u64, shape: &[usize], size: usize) -> Result<Arc<DataFile>> {
    let samples = shape.first().copied().unwrap_or(1);
    let each: usize = shape[1..].iter().product();
    let places = places(&shape[1..]);
    let mut spill = Spill::new(file.path(), "row by row");
    let most = (BLOCK / (each * size).max(1)).clamp(1, samples.max(1));
    let (mut run, mut block) = (vec![0; most * size], vec![0; most * each * size]);
    for first in (0..samples).step_by(most) {
        let rows = most.min(samples - first);
        let run = &mut run[..rows * size];
        for (number, place) in places.iter().enumerate() {
            // In the file, a number of all samples lies in one run.
            file.read(at + ((number * samples + first) * size) as u64, run)?;
            for (row, value) in run.chunks_exact(size).enumerate() {
                block[(row * each + place) * size..][..size].copy_from_slice(value);
            }
        }
        let written = spill.write_all(&block[..rows * each * size]);
        written.map_err(|err| Error::io("cannot lay out", file.path(), &err))?;
    }
    spill.finish()
}

/// The place, row by row, of each number of a sample in Fortran's order.
fn places(sample: &[usize]) -> Vec<usize> {
    let strides: Vec<usize> = (0..sample.len()).map(|axis| sample[axis + 1..].iter().product()).collect();
    let mut places = vec![0];
    // The first axis is the fastest, so each later one repeats what is there.
    for (extent, stride) in sample.iter().zip(strides) {
        places = (0..*extent).flat_map(|i| places.iter().map(move |place| place + i * stride)).collect();
    }
    places
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_number_is_where_its_indices_say(shape in prop::collection::vec(1usize..5, 1..5), size in 1usize..4) {
            let count: usize = shape.iter().product();
            // Number n of the file has the indices of n in Fortran's order; its bytes are its own.
            let bytes = |n: usize| (0..size).map(move |byte| (n * size + byte) as u8);
            let file = DataFile::memory("f", std::iter::once(7).chain((0..count).flat_map(bytes)).collect::<Vec<u8>>());
            let rows = straightened(&file, 1, &shape, size).unwrap();
            prop_assert_eq!(rows.bytes(), (count * size) as u64);
            for n in 0..count {
                let (mut rest, mut place) = (n, 0);
                let indices: Vec<usize> = shape.iter().map(|extent| { let i = rest % extent; rest /= extent; i }).collect();
                for (index, extent) in indices.iter().zip(&shape) {
                    place = place * extent + index;
                }
                prop_assert_eq!(rows.take((place * size) as u64, size).unwrap(), bytes(n).collect::<Vec<u8>>());
            }
        }
    }

    #[test]
    fn blocks_join() {
        // More than a block: 3 numbers a sample.
        let samples = BLOCK / 12 + 5;
        let wide: Vec<u8> = (0..3 * samples as u32).flat_map(u32::to_le_bytes).collect();
        let file = DataFile::memory("f", wide);
        let rows = straightened(&file, 0, &[samples, 3], 4).unwrap();
        for row in [0, samples - 6, samples - 5, samples - 1] {
            let want: Vec<u8> = (0..3).flat_map(|i| ((i * samples + row) as u32).to_le_bytes()).collect();
            assert_eq!(rows.take(row as u64 * 12, 12).unwrap(), want);
        }
    }
}
