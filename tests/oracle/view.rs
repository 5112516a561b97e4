//! Ops that move elements and do no arithmetic.

use super::{Array, axis_of};

pub fn reshape(a: &Array, shape: &[usize]) -> Array {
    Array::new(shape, a.data.clone())
}

pub fn broadcast_to(a: &Array, shape: &[usize]) -> Array {
    if a.shape == shape {
        return a.clone();
    }
    let extra = shape.len() - a.rank();
    let mut source = vec![0; a.rank()];
    Array::from_fn(shape, |index| {
        for (axis, at) in source.iter_mut().enumerate() {
            assert!(a.shape[axis] == 1 || a.shape[axis] == shape[extra + axis]);
            *at = if a.shape[axis] == 1 { 0 } else { index[extra + axis] };
        }
        a.at(&source)
    })
}

/// Axis i of the result is axis `order[i]` of `a`.
pub fn permute(a: &Array, order: &[usize]) -> Array {
    let shape: Vec<usize> = order.iter().map(|&axis| a.shape[axis]).collect();
    let mut source = vec![0; a.rank()];
    Array::from_fn(&shape, |index| {
        order.iter().zip(index).for_each(|(&axis, &i)| source[axis] = i);
        a.at(&source)
    })
}

pub fn transpose(a: &Array, first: isize, second: isize) -> Array {
    let mut order: Vec<usize> = (0..a.rank()).collect();
    order.swap(axis_of(a.rank(), first), axis_of(a.rank(), second));
    permute(a, &order)
}

/// Elements `start..end` of one axis.
pub fn slice(a: &Array, axis: isize, start: usize, end: usize) -> Array {
    let axis = axis_of(a.rank(), axis);
    assert!(start < end && end <= a.shape[axis], "{start}..{end} of {:?} at {axis}", a.shape);
    let mut shape = a.shape.clone();
    shape[axis] = end - start;
    Array::from_fn(&shape, |index| {
        let mut source = index.to_vec();
        source[axis] += start;
        a.at(&source)
    })
}

pub fn concat(parts: &[&Array], axis: isize) -> Array {
    let axis = axis_of(parts[0].rank(), axis);
    let mut shape = parts[0].shape.clone();
    shape[axis] = parts.iter().map(|p| p.shape[axis]).sum();
    Array::from_fn(&shape, |index| {
        let mut source = index.to_vec();
        for part in parts {
            if source[axis] < part.shape[axis] {
                return part.at(&source);
            }
            source[axis] -= part.shape[axis];
        }
        unreachable!("the parts' sizes add up to the shape");
    })
}

/// torch.gather: the result has the index's shape, and on `axis` the index says which element.
pub fn gather(a: &Array, axis: isize, index: &Array) -> Array {
    let axis = axis_of(a.rank(), axis);
    Array::from_fn(&index.shape, |at| {
        let mut source = at.to_vec();
        source[axis] = index.index_at(at, a.shape[axis]);
        a.at(&source)
    })
}

/// torch.index_select: whole slices of `axis`, picked by a vector of indices.
pub fn index_select(a: &Array, axis: isize, index: &Array) -> Array {
    let axis = axis_of(a.rank(), axis);
    let mut shape = a.shape.clone();
    shape[axis] = index.len();
    Array::from_fn(&shape, |at| {
        let mut source = at.to_vec();
        source[axis] = index.index_at(&[at[axis]], a.shape[axis]);
        a.at(&source)
    })
}

/// A new last axis: 1 at the class, else 0.
pub fn one_hot(index: &Array, classes: usize) -> Array {
    let mut shape = index.shape.clone();
    shape.push(classes);
    Array::from_fn(&shape, |at| {
        let (class, row) = at.split_last().expect("rank at least 1");
        if index.index_at(row, classes) == *class { 1.0 } else { 0.0 }
    })
}
