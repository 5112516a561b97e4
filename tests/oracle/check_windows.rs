//! Convolutions and pools of the oracle against numbers worked out by hand, and against each other.

use crate::{
    assert_close,
    oracle::{
        Array,
        draw::{rng_of, uniform},
        window::{Window, adaptive_avg_pool, avg_pool, bilinear, conv, conv_transpose, max_pool, repeated},
    },
};

fn counting(shape: &[usize]) -> Array {
    Array::new(shape, (0..shape.iter().product()).map(|i: usize| i as f64).collect())
}

fn line(size: usize, stride: usize, padding: usize, dilation: usize, ceil_mode: bool) -> Window {
    let [size, stride, padding, dilation] = [size, stride, padding, dilation].map(|n| vec![n]);
    Window { size, stride, padding, dilation, ceil_mode }
}

#[test]
fn convolutions_by_hand() {
    // the windows of 0 1 2 3 4 with (1, 10): 0 + 10, 1 + 20, ...
    let (x, w) = (counting(&[1, 1, 5]), Array::new(&[1, 1, 2], vec![1.0, 10.0]));
    assert_eq!(conv(&x, &w, &line(2, 1, 0, 1, false), 1).data, [10.0, 21.0, 32.0, 43.0]);
    assert_eq!(conv(&x, &w, &line(2, 2, 0, 1, false), 1).data, [10.0, 32.0]);
    assert_eq!(conv(&x, &w, &line(2, 1, 0, 3, false), 1).data, [30.0, 41.0]);
    assert_eq!(conv(&x, &w, &line(2, 3, 1, 1, false), 1).data, [0.0, 32.0]);
    assert_eq!(
        conv_transpose(&x, &w, &line(2, 1, 0, 1, false), 1, &[0]).data,
        [0.0, 1.0, 12.0, 23.0, 34.0, 40.0]
    );
    // positions are two apart, the first two elements are left out, one more comes after
    let far = conv_transpose(&x, &w, &line(2, 2, 2, 1, false), 1, &[1]);
    assert_eq!(far.data, [1.0, 10.0, 2.0, 20.0, 3.0, 30.0, 4.0]);
    // two groups: the second reads its own channels only
    let x = Array::new(&[1, 2, 2], vec![1.0, 2.0, 3.0, 4.0]);
    let w = Array::new(&[4, 1, 1], vec![1.0, 10.0, 100.0, 1000.0]);
    let y = conv(&x, &w, &line(1, 1, 0, 1, false), 2);
    assert_eq!(y.data, [1.0, 2.0, 10.0, 20.0, 300.0, 400.0, 3000.0, 4000.0]);
}

/// Σ u ∘ conv(x, w) = Σ x ∘ conv_transpose(u, w), whatever the numbers.
#[test]
fn a_transposed_convolution_is_the_transpose() {
    let mut rng = rng_of("transposed", 0);
    for (stride, padding, dilation, groups) in [(1, 0, 1, 1), (2, 1, 1, 2), (3, 2, 2, 1), (1, 2, 3, 2)] {
        let pair = |n| vec![n; 2];
        let size = vec![2, 3];
        let window = Window {
            size,
            stride: pair(stride),
            padding: pair(padding),
            dilation: pair(dilation),
            ceil_mode: false,
        };
        let x = uniform(&mut rng, &[2, 4, 9, 8], -1.0, 1.0);
        let w = uniform(&mut rng, &[6, 4 / groups, 2, 3], -1.0, 1.0);
        let y = conv(&x, &w, &window, groups);
        let u = uniform(&mut rng, &y.shape, -1.0, 1.0);
        let reach = |axis: usize| {
            let whole = (y.shape[2 + axis] - 1) * stride + dilation * (window.size[axis] - 1) + 1;
            x.shape[2 + axis] + 2 * padding - whole
        };
        let back = conv_transpose(&u, &w, &window, groups, &[reach(0), reach(1)]);
        let dot = |a: &Array, b: &Array| a.data.iter().zip(&b.data).map(|(a, b)| a * b).sum::<f64>();
        assert_eq!(back.shape, x.shape);
        assert_close(dot(&u, &y), dot(&x, &back), 1e-12);
    }
}

#[test]
fn pools_by_hand() {
    let x = Array::new(&[1, 1, 5], vec![3.0, 1.0, -4.0, 1.0, 5.0]);
    assert_eq!(max_pool(&x, &line(2, 2, 0, 1, false)).data, [3.0, 1.0]);
    assert_eq!(max_pool(&x, &line(2, 2, 0, 1, true)).data, [3.0, 1.0, 5.0]);
    assert_eq!(max_pool(&x, &line(2, 1, 0, 3, false)).data, [3.0, 5.0]);
    assert_eq!(max_pool(&x.map(|x| -x), &line(2, 3, 1, 1, false)).data, [-3.0, 4.0]);
    assert_eq!(avg_pool(&x, &line(2, 3, 1, 1, false), true).data, [1.5, -1.5]);
    assert_eq!(avg_pool(&x, &line(2, 3, 1, 1, false), false).data, [3.0, -1.5]);
    // the third window covers 5.0 and one element of padding; what is beyond does not count
    assert_eq!(avg_pool(&x, &line(3, 2, 1, 1, true), true).data, [4.0 / 3.0, -2.0 / 3.0, 2.0]);
    assert_eq!(avg_pool(&x, &line(4, 4, 1, 1, true), true).data, [0.0, 2.0]);
    // a third window would begin in the padding after the input
    assert_eq!(line(2, 3, 1, 1, true).positions(&[5]), [2]);
    assert_eq!(line(2, 3, 1, 1, true).positions(&[6]), [3]);
    assert_eq!(adaptive_avg_pool(&x, &[2]).data, [0.0, 2.0 / 3.0]);
    assert_eq!(adaptive_avg_pool(&counting(&[1, 1, 2]), &[3]).data, [0.0, 0.5, 1.0]);
}

#[test]
fn interpolation_by_hand() {
    let x = Array::new(&[1, 1, 2, 2], vec![0.0, 4.0, 8.0, 12.0]);
    assert_eq!(bilinear(&x, [1, 4], false).data, [4.0, 5.0, 7.0, 8.0]);
    assert_eq!(bilinear(&x, [3, 2], true).data, [0.0, 4.0, 4.0, 8.0, 8.0, 12.0]);
    assert_eq!(bilinear(&x, [1, 1], true).data, [0.0]);
    assert_eq!(bilinear(&x, [2, 2], false), x);
    assert_eq!(repeated(&x, [1, 2]).data, [0.0, 0.0, 4.0, 4.0, 8.0, 8.0, 12.0, 12.0]);
}
