//! Right predictions among the first k, as tensor operations.

use crate::graph::Tensor;
use crate::shape::Shape;

/// True where `y` [n, .., classes] has a number for each class and `t` [n, ..] a label.
pub(crate) fn is_classification(y: &Tensor, t: &Tensor) -> bool {
    matches!(y.shape().split_last(), Some((_, lead)) if !lead.is_empty() && lead == t.shape())
}

/// Counts the labels of `t` that the outputs `y` predict. The prediction is the first of the largest outputs, as in
/// `torch.argmax`: outputs that do not differ predict class 0 and no other. NaN predicts nothing.
pub(crate) fn correct(y: &Tensor, t: &Tensor) -> Tensor {
    in_top_k(y, t, 1).sum_all()
}

/// [rows]: 1 where the label's output is among the `k` largest. Of equal outputs the first counts as larger, and NaN as
/// larger than any number; a label whose own output is NaN is not among them.
pub(crate) fn in_top_k(y: &Tensor, t: &Tensor, k: usize) -> Tensor {
    let rows = Shape::from(t.shape()).elements();
    let classes = y.shape()[y.shape().len() - 1];
    let (y, t) = (y.reshape([rows, classes]), t.reshape([rows, 1]));
    let (said, class) = (y.gather(1, &t), y.graph().iota(1, &Shape::from([rows, classes])));
    let not_past = y.lt(&said).maximum(&y.eq(&said).mul(&class.ge(&t)));
    let behind = (classes + 1).saturating_sub(k).max(1);
    not_past.sum(&[1], false).ge(&y.graph().constant(behind as f32))
}
