//! Matrix products and the fused cross-entropy rows.

use super::{CrossEntropyAttrs, DType, Op, Tensor};
use crate::shape::Shape;

/// A matrix operand: the tensor to read and whether it is stored transposed.
fn operand(t: &Tensor) -> (Tensor, bool) {
    let rank = t.shape.len();
    let inner = t.graph.inner.borrow();
    let node = &inner.nodes[t.id.0];
    if let Op::Permute(perm) = &node.op {
        let swapped = perm[rank - 1] == rank - 2 && perm[rank - 2] == rank - 1;
        if swapped && perm[..rank - 2].is_sorted() {
            let source = node.inputs[0];
            drop(inner);
            return (t.graph.tensor(source), true);
        }
    }
    drop(inner);
    (t.clone(), false)
}

impl Tensor {
    /// Matrix product over the last two axes, the leading axes broadcast (`torch.matmul` from rank 2 on).
    ///
    /// A transpose of the last two axes just before is folded into the kernel.
    pub fn matmul(&self, other: &Tensor) -> Tensor {
        if [self, other].iter().any(|t| t.dtype != DType::F32) {
            return self.fail(format!(
                "matmul of {:?} {} and {:?} {}: both must be f32; integers become that by an embedding, one_hot or to_f32",
                self.dtype, self.shape, other.dtype, other.shape
            ));
        }
        let fits = self.shape.len() >= 2
            && other.shape.len() >= 2
            && self.shape[self.shape.len() - 1] == other.shape[other.shape.len() - 2];
        if !fits {
            return self.fail(format!(
                "matmul of {} and {}: the last axis of the first must equal the last but one of the second",
                self.shape, other.shape
            ));
        }
        let (ra, rb) = (self.shape.len(), other.shape.len());
        let (lead_a, lead_b) = (Shape::from(&self.shape[..ra - 2]), Shape::from(&other.shape[..rb - 2]));
        let Some(lead) = lead_a.broadcast(&lead_b) else {
            return self.fail(format!(
                "matmul of {} and {}: the leading axes do not broadcast",
                self.shape, other.shape
            ));
        };
        let (a, trans_a) = operand(self);
        let (b, trans_b) = operand(other);
        // A plain [.., k] by [k, n] with one right-hand matrix is one tall product.
        if !lead.is_empty() && lead_b.elements() == 1 && !trans_a {
            let k = self.shape[ra - 1];
            let rows = self.shape.elements() / k;
            let n = other.shape[rb - 1];
            let b = b.reshape(&b.shape[rb - 2..]);
            let mut shape = lead.to_vec();
            shape.extend([self.shape[ra - 2], n]);
            let product = a.reshape([rows, k]).matmul_node(&b, false, trans_b);
            return product.reshape(shape);
        }
        let lift = |t: &Tensor| {
            let mut shape = lead.to_vec();
            shape.extend(&t.shape[t.shape.len() - 2..]);
            t.broadcast_to(shape)
        };
        lift(&a).matmul_node(&lift(&b), trans_a, trans_b)
    }

    /// The matmul node: operands of one rank with equal batch axes.
    pub(crate) fn matmul_node(&self, other: &Tensor, trans_a: bool, trans_b: bool) -> Tensor {
        let rank = self.shape.len();
        let m = self.shape[if trans_a { rank - 1 } else { rank - 2 }];
        let n = other.shape[if trans_b { rank - 2 } else { rank - 1 }];
        let mut shape = self.shape[..rank - 2].to_vec();
        shape.extend([m, n]);
        self.graph.push(Op::Matmul { trans_a, trans_b }, &[self, other], shape.into(), DType::F32)
    }

    /// The loss of each row of `self` [n, c] against integer targets [n]; see `nn::loss::cross_entropy`.
    pub(crate) fn cross_entropy_rows(&self, targets: &Tensor, attrs: CrossEntropyAttrs) -> Tensor {
        let fits = self.shape.len() == 2
            && targets.dtype == DType::I32
            && targets.shape() == &self.shape[..1]
            && self.dtype == DType::F32;
        if !fits {
            let hint = if self.shape.len() > 2 { "; is a flatten missing before the layers?" } else { "" };
            return self.fail(format!(
                "cross_entropy needs logits [n, classes] and integer targets [n]; got {:?} {} and {:?} {}{hint}",
                self.dtype, self.shape, targets.dtype, targets.shape
            ));
        }
        let rows = Shape::from(&self.shape[..1]);
        self.graph.push(Op::CrossEntropy(attrs), &[self, targets], rows, DType::F32)
    }

    pub(crate) fn cross_entropy_grad(
        &self,
        targets: &Tensor,
        upstream: &Tensor,
        attrs: CrossEntropyAttrs,
    ) -> Tensor {
        let inputs = [self, targets, upstream];
        self.graph.push(Op::CrossEntropyGrad(attrs), &inputs, self.shape.clone(), DType::F32)
    }
}
