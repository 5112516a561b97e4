//! Convolution along one or more axes, and its two gradients. Each is a matrix product over a view through windows.
//!
//! `kernel/map.rs` prints the address of an operand's element into the loader of the matmul. It separates the parts that
//! depend on the row, on the position along K, and on both, so that divisions leave the inner loop. No column matrix is
//! ever in memory. Pools and their gradients are reductions over the same views.
//!
//! The columns of the product run over batch and positions together, so a result lies channel by channel. It is permuted
//! as a view, and elementwise ops and reductions on a permuted tensor are computed in the order of memory
//! (`Tensor::in_memory_order`), so bias, activation and batch norm fuse as after a dense layer. With one output channel a
//! group (depthwise) the convolution is a reduction.

use super::{Tensor, Window};
use crate::shape::Shape;

/// The geometry of a convolution's windows, with an entry for each spatial axis.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Geometry {
    /// Distance from window to window.
    pub stride: Vec<usize>,
    /// Distance from element to element.
    pub dilation: Vec<usize>,
    /// Zeros before the first element. Those after the last follow from the number of positions.
    pub padding: Vec<usize>,
    /// Number of window positions.
    pub positions: Vec<usize>,
    /// Number of equal groups; channels are connected within their group only.
    pub groups: usize,
}

impl Geometry {
    fn window(&self, i: usize, axis: usize, element: usize) -> Window {
        Window { axis, element, stride: self.stride[i], dilation: self.dilation[i], padding: self.padding[i] }
    }

    fn rank(&self) -> usize {
        self.stride.len()
    }
}

/// The permutation that puts the axes `order` first and the spatial axes after them.
fn axes(order: &[usize], rest: std::ops::Range<usize>) -> Vec<usize> {
    order.iter().copied().chain(rest).collect()
}

fn product(dims: &[usize]) -> usize {
    dims.iter().product()
}

/// A shape from parts.
fn shape(parts: &[&[usize]]) -> Shape {
    Shape::from(parts.concat())
}

impl Tensor {
    /// x [n, c, length..] with weight [o, c/groups, size..] to [n, o, positions..]:
    ///
    /// y[n, o, p..] = Σ over c', j.. of weight[o, c', j..] · x[n, group(o)·c/groups + c', p·stride + j·dilation −
    /// padding..]. Shapes are the caller's to check.
    pub(crate) fn convolve(&self, weight: &Tensor, g: &Geometry) -> Tensor {
        let y = self.convolved(weight, g);
        let geometry = g.clone();
        self.graph.custom_gradient(&y, &[self, weight], &[], move |dy, inputs, _| {
            let (x, w) = (&inputs[0], &inputs[1]);
            let dx = dy.convolve_back(w, &geometry, &x.shape[2..]);
            vec![Some(dx), Some(x.convolve_weight(dy, &geometry, &w.shape[2..]))]
        })
    }

    /// The transpose of [`Tensor::convolve`] in x: y [n, o, positions..] to x [n, c, length..].
    pub(crate) fn convolve_back(&self, weight: &Tensor, g: &Geometry, length: &[usize]) -> Tensor {
        let x = self.convolved_back(weight, g, length);
        let geometry = g.clone();
        self.graph.custom_gradient(&x, &[self, weight], &[], move |dx, inputs, _| {
            let (y, w) = (&inputs[0], &inputs[1]);
            let dy = dx.convolve(w, &geometry);
            vec![Some(dy), Some(dx.convolve_weight(y, &geometry, &w.shape[2..]))]
        })
    }

    /// Windows of x, [n, groups, c', length..] to [n, groups, c', positions.., size..].
    fn windows(&self, g: &Geometry, size: &[usize]) -> Tensor {
        let split = [self.shape[0], g.groups, self.shape[1] / g.groups];
        let mut x = self.reshape(shape(&[&split, &self.shape[2..]]));
        for (i, &k) in size.iter().enumerate() {
            x = x.unfold(g.window(i, 3 + i, x.shape.len()), g.positions[i], k, 0.0);
        }
        x
    }

    fn convolved(&self, weight: &Tensor, g: &Geometry) -> Tensor {
        let (rank, size) = (g.rank(), &weight.shape[2..]);
        let (n, o, c) = (self.shape[0], weight.shape[0] / g.groups, weight.shape[1]);
        let windows = self.windows(g, size);
        let positions = product(&g.positions);
        if o == 1 {
            // With one row a group this is no matrix product: sum the window where it is read.
            let y = &windows * &weight.reshape(shape(&[&[g.groups, c], &vec![1; rank], size]));
            let mut folded: Vec<isize> = vec![2];
            folded.extend((3 + rank..3 + 2 * rank).map(|a| a as isize));
            return y.sum(&folded, false);
        }
        // [groups, c', size.., n, positions..]
        let order: Vec<usize> =
            axes(&[1, 2], 3 + rank..3 + 2 * rank).into_iter().chain(axes(&[0], 3..3 + rank)).collect();
        let columns = windows.permute(&order).reshape([g.groups, c * product(size), n * positions]);
        let rows = weight.reshape([g.groups, o, c * product(size)]);
        let y = rows.matmul_node(&columns, false, false);
        let y = y.reshape(shape(&[&[g.groups * o, n], &g.positions]));
        y.permute(&axes(&[1, 0], 2..2 + rank))
    }

    fn convolved_back(&self, weight: &Tensor, g: &Geometry, length: &[usize]) -> Tensor {
        let (rank, size) = (g.rank(), &weight.shape[2..]);
        let (n, o, c) = (self.shape[0], weight.shape[0] / g.groups, weight.shape[1]);
        // [n, groups, o', length.., size..]
        let mut spread = self.reshape(shape(&[&[n, g.groups, o], &g.positions, &vec![1; rank]]));
        spread = spread.broadcast_to(shape(&[&[n, g.groups, o], &g.positions, size]));
        for (i, &extent) in length.iter().enumerate() {
            spread = spread.fold_windows(g.window(i, 3 + i, 3 + rank + i), extent);
        }
        if o == 1 && c == 1 {
            let x = &spread * &weight.reshape(shape(&[&[g.groups, 1], &vec![1; rank], size]));
            let mut folded: Vec<isize> = vec![2];
            folded.extend((3 + rank..3 + 2 * rank).map(|a| a as isize));
            return x.sum(&folded, false);
        }
        // [groups, o', size.., n, length..]
        let order: Vec<usize> =
            axes(&[1, 2], 3 + rank..3 + 2 * rank).into_iter().chain(axes(&[0], 3..3 + rank)).collect();
        let columns = spread.permute(&order).reshape([g.groups, o * product(size), n * product(length)]);
        // [groups, c', o', size..]
        let rows = weight.reshape(shape(&[&[g.groups, o, c], size])).permute(&axes(&[0, 2, 1], 3..3 + rank));
        let rows = rows.reshape([g.groups, c, o * product(size)]);
        let x = rows.matmul_node(&columns, false, false);
        let x = x.reshape(shape(&[&[g.groups * c, n], length]));
        x.permute(&axes(&[1, 0], 2..2 + rank))
    }

    /// The gradient of the weight [o, c/groups, size..] from x (`self`) and dy [n, o, positions..].
    pub(crate) fn convolve_weight(&self, dy: &Tensor, g: &Geometry, size: &[usize]) -> Tensor {
        let rank = g.rank();
        let (n, o, c) = (self.shape[0], dy.shape[1] / g.groups, self.shape[1] / g.groups);
        let windows = self.windows(g, size);
        let dy = dy.reshape(shape(&[&[n, g.groups, o], &g.positions]));
        if o == 1 {
            let dw = &windows * &dy.reshape(shape(&[&[n, g.groups, 1], &g.positions, &vec![1; rank]]));
            let mut folded: Vec<isize> = vec![0];
            folded.extend((3..3 + rank).map(|a| a as isize));
            return dw.sum(&folded, false).reshape(shape(&[&[g.groups, c], size]));
        }
        let positions = n * product(&g.positions);
        let rows = dy.permute(&axes(&[1, 2, 0], 3..3 + rank)).reshape([g.groups, o, positions]);
        // [groups, n, positions.., c', size..]
        let order: Vec<usize> =
            axes(&[1, 0], 3..3 + rank).into_iter().chain(axes(&[2], 3 + rank..3 + 2 * rank)).collect();
        let columns = windows.permute(&order).reshape([g.groups, positions, c * product(size)]);
        let dw = rows.matmul_node(&columns, false, false);
        dw.reshape(shape(&[&[g.groups * o, c], size]))
    }
}
