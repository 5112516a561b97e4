//! Compares two files of weights, tensor by tensor.

use std::path::PathBuf;

use super::pairs::apart;
use crate::error::Result;
use crate::run;
use crate::shape::Shape;

/// The first weight that differs, in the order of the tensors' names.
#[derive(Debug, Clone, PartialEq)]
pub enum WeightParting {
    /// Only one run has the tensor.
    Alone {
        /// The tensor.
        tensor: String,
        /// The run that has it: 0 or 1.
        run: usize,
    },
    /// The shapes differ.
    Shape {
        /// The tensor.
        tensor: String,
        /// Its shape in each run.
        shapes: [Shape; 2],
    },
    /// A number differs.
    Element {
        /// The tensor.
        tensor: String,
        /// Its index along each axis.
        index: Vec<usize>,
        /// Its value in each run.
        values: [f32; 2],
        /// The largest magnitude in the tensor, of both runs.
        largest: f32,
    },
}

/// The number of tensors and the first difference.
pub(super) fn compare(files: &[PathBuf; 2], tolerance: f64) -> Result<(usize, Option<WeightParting>)> {
    let [a, b] = [run::load(&files[0])?, run::load(&files[1])?];
    let mut names: Vec<&str> = a.iter().chain(&b).map(|tensor| tensor.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let parting = names.iter().find_map(|name| {
        let tensor = (*name).to_owned();
        let [a, b] = [&a, &b].map(|tensors| tensors.iter().find(|tensor| tensor.name == *name));
        let Some((a, b)) = a.zip(b) else {
            return Some(WeightParting::Alone { tensor, run: usize::from(a.is_none()) });
        };
        if a.shape != b.shape {
            return Some(WeightParting::Shape { tensor, shapes: [a.shape.clone(), b.shape.clone()] });
        }
        let both = || a.values.iter().chain(&b.values).map(|value| value.abs());
        let largest = both().filter(|value| value.is_finite()).fold(0.0, f32::max);
        let far = |(a, b): (&f32, &f32)| apart(f64::from(*a), f64::from(*b), f64::from(largest), tolerance);
        let at = a.values.iter().zip(&b.values).position(far)?;
        let (index, values) = (index(at, &a.shape), [a.values[at], b.values[at]]);
        Some(WeightParting::Element { tensor, index, values, largest })
    });
    Ok((names.len(), parting))
}

/// The index along each axis of the element at `offset` in memory.
fn index(mut offset: usize, shape: &[usize]) -> Vec<usize> {
    let mut index: Vec<usize> = shape
        .iter()
        .rev()
        .map(|extent| {
            let place = offset % extent;
            offset /= extent;
            place
        })
        .collect();
    index.reverse();
    index
}
