//! torch.matmul for ranks of two and more, and its backward pass.

use super::{
    Array, broadcast_shape, for_each_index,
    view::{broadcast_to, transpose},
};

/// a [.., m, k] · b [.., k, n] = [.., m, n]; the leading axes broadcast.
pub fn matmul(a: &Array, b: &Array) -> Array {
    let (a_lead, [m, k]) = split(&a.shape);
    let (b_lead, [k_b, n]) = split(&b.shape);
    assert_eq!(k, k_b, "inner sizes of {:?} and {:?}", a.shape, b.shape);
    let lead = broadcast_shape(a_lead, b_lead).expect("leading axes that broadcast");
    let a = broadcast_to(a, &[&lead, &[m, k][..]].concat());
    let b = broadcast_to(b, &[&lead, &[k, n][..]].concat());
    let mut data = Vec::with_capacity(lead.iter().product::<usize>() * m * n);
    for batch in 0..lead.iter().product() {
        for row in 0..m {
            for column in 0..n {
                let product = |i| a.data[(batch * m + row) * k + i] * b.data[(batch * k + i) * n + column];
                data.push((0..k).map(product).sum());
            }
        }
    }
    Array::new(&[&lead, &[m, n][..]].concat(), data)
}

/// Gradients of Σ u ∘ (a·b): u·bᵀ and aᵀ·u, summed over the leading axes that were broadcast.
pub fn matmul_backward(a: &Array, b: &Array, u: &Array) -> (Array, Array) {
    let da = matmul(u, &transpose(b, -1, -2));
    let db = matmul(&transpose(a, -1, -2), u);
    (sum_to(&da, &a.shape), sum_to(&db, &b.shape))
}

/// Adds up what broadcasting `shape` to `a.shape` had repeated.
pub fn sum_to(a: &Array, shape: &[usize]) -> Array {
    let extra = a.rank() - shape.len();
    let mut out = Array::full(shape, 0.0);
    for_each_index(&a.shape, |index| {
        let target: Vec<usize> =
            shape.iter().zip(&index[extra..]).map(|(&size, &i)| if size == 1 { 0 } else { i }).collect();
        out.data[super::offset(shape, &target)] += a.at(index);
    });
    out
}

fn split(shape: &[usize]) -> (&[usize], [usize; 2]) {
    let (lead, last) = shape.split_last_chunk::<2>().expect("rank at least 2");
    (lead, *last)
}
