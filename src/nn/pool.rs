//! Pools: the maximum or the mean of windows along one or two axes.

use super::conv::{check_windows, demand, span};
use crate::graph::{DType, Tensor, Window};
use crate::shape::Shape;

/// Options of a pool along N axes; torch's names and defaults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pool<const N: usize> {
    /// Extents of a window.
    pub kernel_size: [usize; N],
    /// Distance from window to window. Default in a config: the window's extents.
    pub stride: [usize; N],
    /// Elements around the input, at most half a window: −∞ for a maximum, 0 for a mean.
    pub padding: [usize; N],
    /// Distance from element to element of a window; 1 for a mean. Default: 1.
    pub dilation: [usize; N],
    /// Includes a last window that reaches past the input, if it begins inside. Default: false.
    pub ceil_mode: bool,
}

/// Along one axis.
pub type Pool1d = Pool<1>;
/// Along two axes.
pub type Pool2d = Pool<2>;

impl<const N: usize> Pool<N> {
    /// Windows side by side, no padding.
    pub fn new(kernel_size: [usize; N]) -> Self {
        Pool { kernel_size, stride: kernel_size, padding: [0; N], dilation: [1; N], ceil_mode: false }
    }

    /// Positions of windows along each axis.
    fn positions(&self, x: &Tensor, what: &str) -> Result<Vec<usize>, String> {
        let axes = ["batch, channels, length", "batch, channels, height, width"][N.min(2) - 1];
        let shape = x.shape();
        demand(&[
            (shape.len() == N + 2, format!("{what} needs an input [{axes}]; got {shape:?}")),
            (x.dtype() == DType::F32, format!("{what} needs an f32 tensor")),
        ])?;
        check_windows(&self.kernel_size, &self.stride, &self.dilation)?;
        (0..N)
            .map(|i| {
                let (length, k, pad) = (shape[2 + i], self.kernel_size[i], self.padding[i]);
                let spans = span(k, self.dilation[i]);
                demand(&[
                    (
                        2 * pad <= k,
                        format!("padding = {pad} must be at most half of the kernel of {k} along axis {}", 2 + i),
                    ),
                    (
                        spans <= length + 2 * pad,
                        format!(
                            "a kernel of {k} (dilation {}, {spans} in all) is larger than the padded input of {} \
                             along axis {}; the input is {shape:?}",
                            self.dilation[i],
                            length + 2 * pad,
                            2 + i
                        ),
                    ),
                ])?;
                let (room, stride) = (length + 2 * pad - spans, self.stride[i]);
                let more = self.ceil_mode && room % stride > 0 && (room / stride + 1) * stride < length + pad;
                Ok(room / stride + 1 + usize::from(more))
            })
            .collect()
    }

    /// True for windows side by side that cover the whole input: a reshape is then enough.
    fn is_tiling(&self, x: &[usize], positions: &[usize]) -> bool {
        (0..N).all(|i| {
            self.stride[i] == self.kernel_size[i]
                && self.padding[i] == 0
                && self.dilation[i] == 1
                && positions[i] * self.kernel_size[i] <= x[2 + i]
        })
    }

    fn window(&self, i: usize, axis: usize, element: usize) -> Window {
        Window { axis, element, stride: self.stride[i], dilation: self.dilation[i], padding: self.padding[i] }
    }

    /// [n, c, length..] to [n, c, positions.., kernel..].
    fn windows(&self, x: &Tensor, positions: &[usize], fill: f32) -> Tensor {
        if self.is_tiling(x.shape(), positions) {
            let mut shape = x.shape()[..2].to_vec();
            let mut cut = x.clone();
            for (i, (&count, size)) in positions.iter().zip(self.kernel_size).enumerate() {
                cut = cut.slice(2 + i as isize, 0, count * size);
                shape.extend([count, size]);
            }
            let order: Vec<usize> =
                (0..2).chain((0..N).map(|i| 2 + 2 * i)).chain((0..N).map(|i| 3 + 2 * i)).collect();
            return cut.reshape(shape).permute(&order);
        }
        (0..N).fold(x.clone(), |x, i| {
            let element = x.shape().len();
            x.unfold(self.window(i, 2 + i, element), positions[i], self.kernel_size[i], fill)
        })
    }

    /// The transpose of `windows`: sums [n, c, positions.., kernel..] at the coordinates that elements came from.
    fn gather(&self, windows: &Tensor, positions: &[usize], length: &[usize]) -> Tensor {
        let lead = windows.shape()[..2].to_vec();
        if self.is_tiling(&[&lead, length].concat(), positions) {
            let order: Vec<usize> = (0..2).chain((0..N).flat_map(|i| [2 + i, 2 + N + i])).collect();
            let covered: Vec<usize> = (0..N).map(|i| positions[i] * self.kernel_size[i]).collect();
            let whole = windows.permute(&order).reshape([lead.as_slice(), &covered].concat());
            return whole.pad(vec![0; 2 + N], Shape::from([lead.as_slice(), length].concat()));
        }
        let placed =
            (0..N).fold(windows.clone(), |w, i| w.fold_windows(self.window(i, 2 + i, 2 + N + i), length[i]));
        placed.sum(&last_axes::<N>(), false)
    }
}

/// The axes of a window's elements.
fn last_axes<const N: usize>() -> Vec<isize> {
    (0..N).map(|i| -1 - i as isize).collect()
}

/// A tensor with an axis of 1 for each axis of a window's elements.
fn beside<const N: usize>(x: &Tensor) -> Tensor {
    x.reshape([x.shape(), &[1; N]].concat())
}

impl Tensor {
    /// The maximum of each window: [n, c, length..] to [n, c, positions..]; NaN if one of them is. Of equal maxima the
    /// first takes the gradient. Source: `torch.nn.functional.max_pool2d`.
    pub fn max_pool<const N: usize>(&self, options: &Pool<N>) -> Tensor {
        let positions = match options.positions(self, "max_pool") {
            Ok(positions) => positions,
            Err(text) => return self.fail(text),
        };
        let windows = options.windows(self, &positions, f32::NEG_INFINITY);
        let y = windows.amax(&last_axes::<N>(), false);
        let pool = *options;
        self.graph().custom_gradient(&y, &[self], &[&y], move |dy, inputs, saved| {
            let (input, values) = (&inputs[0], &saved[0]);
            // Minus the index of the first element that equals the maximum.
            let mut counts = vec![1; 2 + N];
            counts.extend(pool.kernel_size);
            let counts = Shape::from(counts);
            let flat = Shape::from([counts.elements()]);
            let number = input.graph().iota(0, &flat).to_f32().neg().reshape(counts);
            let windows = pool.windows(input, &positions, f32::NEG_INFINITY);
            // Padding is no maximum, even if the whole window is −∞.
            let one = input.graph().constant(1.0).broadcast_to(input.shape());
            let hit = windows.eq(&beside::<N>(values)).mul(&pool.windows(&one, &positions, 0.0));
            let first = hit.select(&number, &input.graph().constant(f32::NEG_INFINITY));
            let first = first.amax(&last_axes::<N>(), false);
            let share = |t: &Tensor| beside::<N>(t).broadcast_to(windows.shape());
            // The comparison with the maximum's index is made at the elements' own coordinates.
            let zero = input.graph().constant(0.0);
            let part = share(&first).eq(&number).select(&share(dy), &zero);
            vec![Some(pool.gather(&part, &positions, &input.shape()[2..]))]
        })
    }

    /// The mean of each window: [n, c, length..] to [n, c, positions..]. Zeros of the padding count if `count_include_pad`;
    /// elements that `ceil_mode` adds past the padding never do. Source: `torch.nn.functional.avg_pool2d`.
    pub fn avg_pool<const N: usize>(&self, options: &Pool<N>, count_include_pad: bool) -> Tensor {
        let positions = match options.positions(self, "avg_pool") {
            Ok(_) if options.dilation != [1; N] => return self.fail("avg_pool takes no dilation".into()),
            Ok(positions) => positions,
            Err(text) => return self.fail(text),
        };
        let windows = options.windows(self, &positions, 0.0);
        let mut y = windows.sum(&last_axes::<N>(), false);
        for i in 0..N {
            let (length, pad) = (self.shape()[2 + i], options.padding[i]);
            let (k, stride) = (options.kernel_size[i], options.stride[i]);
            let reaches = (positions[i] - 1) * stride + k;
            if reaches <= length + 2 * pad && (count_include_pad || pad == 0) {
                y = y.mul_scalar(1.0 / k as f32);
                continue;
            }
            // The number of a window's elements that count at each position: from `begin` to `end`, padding included.
            let mut shape = vec![1; 2 + N];
            shape[2 + i] = positions[i];
            let g = self.graph();
            let begin = g.iota(2 + i, &Shape::from(shape)).to_f32().mul_scalar(stride as f32);
            let end = begin.add_scalar(k as f32);
            let (first, last) = if count_include_pad { (0, length + 2 * pad) } else { (pad, pad + length) };
            let count = end.minimum(&g.constant(last as f32)).sub(&begin.maximum(&g.constant(first as f32)));
            y = y.div(&count);
        }
        y
    }

    /// The mean of windows that cover the input evenly: [n, c, h, w] to [n, c, oh, ow]; window i is from ⌊i·h/oh⌋ to
    /// ceil((i + 1)·h/oh). Source: `torch.nn.functional.adaptive_avg_pool2d`.
    pub fn adaptive_avg_pool2d(&self, size: [usize; 2]) -> Tensor {
        let &[_, _, h, w] = self.shape() else {
            return self.fail(format!(
                "adaptive_avg_pool2d needs an input [batch, channels, height, width]; got {:?}",
                self.shape()
            ));
        };
        if size.contains(&0) {
            return self.fail(format!("output_size = {size:?}: at least 1 is needed"));
        }
        if h % size[0] == 0 && w % size[1] == 0 {
            return self.avg_pool(&Pool2d::new([h / size[0], w / size[1]]), true);
        }
        let mean = |length: usize, out: usize| {
            // Element j is in window i where (j + 1)·out > i·length and j·out < (i + 1)·length.
            let g = self.graph();
            let shape = Shape::from([length, out]);
            let (j, i) = (g.iota(0, &shape).to_f32(), g.iota(1, &shape).to_f32());
            let (j, i) = (j.mul_scalar(out as f32), i.mul_scalar(length as f32));
            let inside = j.add_scalar(out as f32).gt(&i).mul(&j.lt(&i.add_scalar(length as f32)));
            inside.div(&inside.sum(&[0], true))
        };
        self.along(2, &mean(h, size[0])).along(3, &mean(w, size[1]))
    }

    /// The mean of each channel: [n, c, ..] to [n, c].
    pub fn global_avg_pool(&self) -> Tensor {
        self.globally("global_avg_pool", |x, axes| x.mean(axes, false))
    }

    /// The maximum of each channel: [n, c, ..] to [n, c]. Of equal maxima each takes an equal part of the gradient.
    pub fn global_max_pool(&self) -> Tensor {
        self.globally("global_max_pool", |x, axes| x.amax(axes, false))
    }

    fn globally(&self, what: &str, fold: impl Fn(&Tensor, &[isize]) -> Tensor) -> Tensor {
        if self.shape().len() < 3 {
            return self.fail(format!("{what} needs an input [batch, channels, ..]; got {:?}", self.shape()));
        }
        fold(self, &(2..self.shape().len() as isize).collect::<Vec<_>>())
    }

    /// The product with a matrix [length, out] along one axis.
    pub(super) fn along(&self, axis: usize, matrix: &Tensor) -> Tensor {
        let last = self.shape().len() as isize - 1;
        self.transpose(axis as isize, last).matmul(matrix).transpose(axis as isize, last)
    }
}
