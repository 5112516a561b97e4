//! Convolutions and pools from their definitions, along any number of spatial axes.

use super::{Array, for_each_index};

/// How windows lie, an entry for each spatial axis: element j of the window at position o is the input's
/// coordinate o·stride + j·dilation − padding.
#[derive(Clone, Debug)]
pub struct Window {
    pub size: Vec<usize>,
    pub stride: Vec<usize>,
    pub padding: Vec<usize>,
    pub dilation: Vec<usize>,
    /// A last window that begins within the input or the padding before it counts, though it ends past them.
    pub ceil_mode: bool,
}

impl Window {
    fn reach(&self, axis: usize) -> usize {
        self.dilation[axis] * (self.size[axis] - 1) + 1
    }

    /// How many windows fit on each axis.
    pub fn positions(&self, lengths: &[usize]) -> Vec<usize> {
        let count = |(axis, &length): (usize, &usize)| {
            let (stride, padding) = (self.stride[axis], self.padding[axis]);
            let room = length + 2 * padding - self.reach(axis);
            if !self.ceil_mode {
                return room / stride + 1;
            }
            let count = room.div_ceil(stride) + 1;
            if (count - 1) * stride >= length + padding { count - 1 } else { count }
        };
        lengths.iter().enumerate().map(count).collect()
    }

    /// Whether at least one window fits.
    pub fn fits(&self, lengths: &[usize]) -> bool {
        lengths.iter().enumerate().all(|(axis, &length)| self.reach(axis) <= length + 2 * self.padding[axis])
    }

    /// The coordinates of an element, if it lies within the input.
    fn coordinates(&self, position: &[usize], element: &[usize], lengths: &[usize]) -> Option<Vec<usize>> {
        let coordinate = |axis: usize| {
            let at = position[axis] * self.stride[axis] + element[axis] * self.dilation[axis];
            at.checked_sub(self.padding[axis]).filter(|&at| at < lengths[axis])
        };
        (0..lengths.len()).map(coordinate).collect()
    }
}

/// x [n, c, length..] with w [o, c/groups, size..] to [n, o, positions..].
pub fn conv(x: &Array, w: &Array, window: &Window, groups: usize) -> Array {
    let (lengths, c, o) = (&x.shape[2..], w.shape[1], w.shape[0] / groups);
    assert_eq!((x.shape[1], &w.shape[2..]), (c * groups, &window.size[..]));
    let shape = [&[x.shape[0], w.shape[0]][..], &window.positions(lengths)].concat();
    Array::from_fn(&shape, |index| {
        let mut sum = 0.0;
        for_each_index(&w.shape[1..], |term| {
            if let Some(at) = window.coordinates(&index[2..], &term[1..], lengths) {
                let from = [&[index[0], index[1] / o * c + term[0]][..], &at].concat();
                sum += x.at(&from) * w.at(&[&[index[1]][..], term].concat());
            }
        });
        sum
    })
}

/// x [n, c, positions..] with w [c, o/groups, size..] to [n, o, length..]: each element of x spreads a window.
pub fn conv_transpose(x: &Array, w: &Array, window: &Window, groups: usize, more: &[usize]) -> Array {
    let (positions, c, o) = (&x.shape[2..], w.shape[0] / groups, w.shape[1]);
    let length = |axis: usize| {
        (positions[axis] - 1) * window.stride[axis] + window.reach(axis) + more[axis]
            - 2 * window.padding[axis]
    };
    let lengths: Vec<usize> = (0..positions.len()).map(length).collect();
    let mut y = Array::full(&[&[x.shape[0], o * groups][..], &lengths].concat(), 0.0);
    for_each_index(&x.shape, |index| {
        for_each_index(&w.shape[1..], |term| {
            if let Some(at) = window.coordinates(&index[2..], &term[1..], &lengths) {
                let to = [&[index[0], index[1] / c * o + term[0]][..], &at].concat();
                let place = super::offset(&y.shape, &to);
                y.data[place] += x.at(index) * w.at(&[&[index[1]][..], term].concat());
            }
        });
    });
    y
}

/// `f` of the elements of each window that lie within the input, and of the window's position.
fn pool(x: &Array, window: &Window, f: impl Fn(&[f64], &[usize]) -> f64) -> Array {
    let lengths = &x.shape[2..];
    let shape = [&x.shape[..2], &window.positions(lengths)].concat();
    Array::from_fn(&shape, |index| {
        let mut seen = Vec::new();
        for_each_index(&window.size, |element| {
            let at = window.coordinates(&index[2..], element, lengths);
            seen.extend(at.map(|at| x.at(&[&index[..2], &at].concat())));
        });
        f(&seen, &index[2..])
    })
}

pub fn max_pool(x: &Array, window: &Window) -> Array {
    pool(x, window, |seen, _| seen.iter().copied().fold(f64::NEG_INFINITY, f64::max))
}

/// The mean over a window; with `count_include_pad` the padding counts as zeros, though not what a window of
/// `ceil_mode` has beyond it.
pub fn avg_pool(x: &Array, window: &Window, count_include_pad: bool) -> Array {
    let lengths = &x.shape[2..];
    pool(x, window, |seen, position| {
        let extent = |axis: usize| {
            let start = position[axis] * window.stride[axis];
            (start + window.size[axis]).min(lengths[axis] + 2 * window.padding[axis]) - start
        };
        let padded: usize = (0..lengths.len()).map(extent).product();
        let count = if count_include_pad { padded } else { seen.len() };
        seen.iter().sum::<f64>() / count as f64
    })
}

/// Position i of n takes the elements from ⌊i·length/n⌋ to ⌈(i+1)·length/n⌉.
pub fn adaptive_avg_pool(x: &Array, size: &[usize]) -> Array {
    let lengths = &x.shape[2..];
    Array::from_fn(&[&x.shape[..2], size].concat(), |index| {
        let from = |axis: usize| index[2 + axis] * lengths[axis] / size[axis];
        let to = |axis: usize| ((index[2 + axis] + 1) * lengths[axis]).div_ceil(size[axis]);
        let extents: Vec<usize> = (0..size.len()).map(|axis| to(axis) - from(axis)).collect();
        let mut sum = 0.0;
        for_each_index(&extents, |element| {
            let at: Vec<usize> = (0..size.len()).map(|axis| from(axis) + element[axis]).collect();
            sum += x.at(&[&index[..2], &at].concat());
        });
        sum / extents.iter().product::<usize>() as f64
    })
}

/// Bilinear interpolation of [n, c, h, w]: the output's centres, or with `align_corners` its corners, lie on
/// those of the input; beyond the outermost centres the border goes on.
pub fn bilinear(x: &Array, size: [usize; 2], align_corners: bool) -> Array {
    let source = |axis: usize, i: usize| {
        let (from, to) = (x.shape[2 + axis] as f64, size[axis] as f64);
        match align_corners {
            true if size[axis] == 1 => 0.0,
            true => i as f64 * (from - 1.0) / (to - 1.0),
            false => ((i as f64 + 0.5) * from / to - 0.5).clamp(0.0, from - 1.0),
        }
    };
    Array::from_fn(&[&x.shape[..2], &size[..]].concat(), |index| {
        let places = [0, 1].map(|axis| source(axis, index[2 + axis]));
        let mut sum = 0.0;
        for (dy, dx) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            let corner =
                |axis: usize, d: usize| (places[axis].floor() as usize + d).min(x.shape[2 + axis] - 1);
            let weight = |axis: usize, d: usize| {
                let part = places[axis].fract();
                if d == 1 { part } else { 1.0 - part }
            };
            sum += weight(0, dy) * weight(1, dx) * x.at(&[index[0], index[1], corner(0, dy), corner(1, dx)]);
        }
        sum
    })
}

/// Each element so many times along each axis.
pub fn repeated(x: &Array, times: [usize; 2]) -> Array {
    let shape = [x.shape[0], x.shape[1], x.shape[2] * times[0], x.shape[3] * times[1]];
    Array::from_fn(&shape, |i| x.at(&[i[0], i[1], i[2] / times[0], i[3] / times[1]]))
}
