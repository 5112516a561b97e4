//! Reductions over axes, and softmax over axes.

use super::{Array, axes_of, elementwise::zip, for_each_index, offset};

/// `f` of each group of elements that share their index on the axes kept. No axes means all.
pub fn reduce(a: &Array, axes: &[isize], keepdim: bool, f: impl Fn(&[f64]) -> f64) -> Array {
    let axes = axes_of(a.rank(), axes);
    let kept: Vec<usize> =
        (0..a.rank()).map(|axis| if axes.contains(&axis) { 1 } else { a.shape[axis] }).collect();
    let mut groups = vec![Vec::new(); kept.iter().product()];
    let mut group = kept.clone();
    for_each_index(&a.shape, |index| {
        group.copy_from_slice(index);
        axes.iter().for_each(|&axis| group[axis] = 0);
        groups[offset(&kept, &group)].push(a.at(index));
    });
    let data = groups.iter().map(|g| f(g)).collect();
    if keepdim {
        return Array::new(&kept, data);
    }
    let squeezed: Vec<usize> =
        (0..a.rank()).filter(|axis| !axes.contains(axis)).map(|axis| a.shape[axis]).collect();
    Array::new(&squeezed, data)
}

pub fn sum(a: &Array, axes: &[isize], keepdim: bool) -> Array {
    reduce(a, axes, keepdim, |g| g.iter().sum())
}

pub fn mean(a: &Array, axes: &[isize], keepdim: bool) -> Array {
    reduce(a, axes, keepdim, |g| g.iter().sum::<f64>() / g.len() as f64)
}

pub fn amax(a: &Array, axes: &[isize], keepdim: bool) -> Array {
    reduce(a, axes, keepdim, |g| g.iter().copied().fold(f64::NEG_INFINITY, f64::max))
}

/// log Σ eˣ as it stands: f64 needs no shift until 700.
pub fn logsumexp(a: &Array, axes: &[isize], keepdim: bool) -> Array {
    assert!(a.max_abs() < 700.0, "the oracle's logsumexp takes |x| < 700");
    reduce(a, axes, keepdim, |g| g.iter().map(|x| x.exp()).sum::<f64>().ln())
}

pub fn log_softmax(a: &Array, axes: &[isize]) -> Array {
    zip(a, &logsumexp(a, axes, true), |x, l| x - l)
}

pub fn softmax(a: &Array, axes: &[isize]) -> Array {
    let exp = a.map(f64::exp);
    zip(&exp, &sum(&exp, axes, true), |e, total| e / total)
}
