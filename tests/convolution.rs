//! Convolutions and their gradients against loops in f64, over strides, paddings, dilations, groups and odd sizes.

mod adapter;

use adapter::{families, open_with};
use downhill::nn::{Conv2d, ConvTranspose2d, Padding};
use downhill::{Function, Gpu, GpuOptions, Graph, Tensor, Value};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Sizes of a convolution along two axes.
#[derive(Debug, Clone)]
struct Case {
    n: usize,
    c: usize,
    o: usize,
    groups: usize,
    input: [usize; 2],
    size: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
    dilation: [usize; 2],
}

impl Case {
    fn positions(&self) -> [usize; 2] {
        std::array::from_fn(|i| {
            let span = (self.size[i] - 1) * self.dilation[i] + 1;
            (self.input[i] + 2 * self.padding[i] - span) / self.stride[i] + 1
        })
    }

    fn fits(&self) -> bool {
        (0..2).all(|i| (self.size[i] - 1) * self.dilation[i] < self.input[i] + 2 * self.padding[i])
    }

    /// Calls `visit` with the indices of y, w and x of each term of the sum.
    fn terms(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let [ph, pw] = self.positions();
        let ([h, w], [kh, kw]) = (self.input, self.size);
        let (cg, og) = (self.c / self.groups, self.o / self.groups);
        for n in 0..self.n {
            for o in 0..self.o {
                for (py, px) in (0..ph).flat_map(|y| (0..pw).map(move |x| (y, x))) {
                    for c in 0..cg {
                        for (ky, kx) in (0..kh).flat_map(|y| (0..kw).map(move |x| (y, x))) {
                            let y = py * self.stride[0] + ky * self.dilation[0];
                            let x = px * self.stride[1] + kx * self.dilation[1];
                            let (y, x) = (y.wrapping_sub(self.padding[0]), x.wrapping_sub(self.padding[1]));
                            if y < h && x < w {
                                let channel = o / og * cg + c;
                                visit(
                                    ((n * self.o + o) * ph + py) * pw + px,
                                    ((o * cg + c) * kh + ky) * kw + kx,
                                    ((n * self.c + channel) * h + y) * w + x,
                                );
                            }
                        }
                    }
                }
            }
        }
    }
}

fn numbers(n: usize, seed: u64) -> Vec<f32> {
    (0..n as u64)
        .map(|i| {
            let z = (i + 1)
                .wrapping_mul(0x9E37_79B9_7F4A_7C15)
                .wrapping_add(seed.wrapping_mul(0xD1B5_4A32_D192_ED03));
            let z = (z ^ (z >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            ((z >> 40) as f64 / (1u64 << 23) as f64 - 1.0) as f32
        })
        .collect()
}

/// Compares with the sum of the magnitudes of the terms as the scale of rounding.
fn close(what: &str, got: &[f32], wanted: &[f64], scale: &[f64]) -> Result<(), TestCaseError> {
    prop_assert_eq!(got.len(), wanted.len());
    for (i, (g, w)) in got.iter().zip(wanted).enumerate() {
        let bound = 1e-6 * scale[i] + 1e-12;
        prop_assert!((f64::from(*g) - w).abs() <= bound, "{} [{}]: {} for {}", what, i, g, w);
    }
    Ok(())
}

fn check(gpu: &Gpu, case: &Case, transposed: bool) -> Result<(), TestCaseError> {
    let [ph, pw] = case.positions();
    let [h, w] = case.input;
    let weight = [case.o, case.c / case.groups, case.size[0], case.size[1]];
    let (big, small) = ([case.n, case.c, h, w], [case.n, case.o, ph, pw]);
    let graph = Graph::new();
    let wt = graph.input("w", weight);
    // Transposed, the roles of x and y change: y goes in and x comes out.
    let (from, to) = if transposed { (small, big) } else { (big, small) };
    let x = graph.input("x", from);
    let y = if transposed {
        let spans: [usize; 2] = std::array::from_fn(|i| (case.size[i] - 1) * case.dilation[i] + 1);
        let whole = |i: usize| (case.positions()[i] - 1) * case.stride[i] + spans[i] - 2 * case.padding[i];
        let options = ConvTranspose2d {
            stride: case.stride,
            padding: case.padding,
            dilation: case.dilation,
            groups: case.groups,
            output_padding: [h - whole(0), w - whole(1)],
            ..ConvTranspose2d::new(case.c, case.size)
        };
        x.conv_transpose(&wt, &options)
    } else {
        let options = Conv2d {
            stride: case.stride,
            padding: Padding::Explicit(case.padding),
            dilation: case.dilation,
            groups: case.groups,
            ..Conv2d::new(case.o, case.size)
        };
        x.conv(&wt, &options)
    };
    prop_assert_eq!(y.shape(), &to[..]);
    let u = graph.input("u", to);
    let grads = graph.grad(&(&y * &u).sum_all(), &[&x, &wt]);
    let outputs: Vec<&Tensor> = [&y].into_iter().chain(&grads).collect();
    let mut function =
        Function::new(gpu, &graph, &outputs).map_err(|e| TestCaseError::fail(e.to_string()))?;

    let elements = |s: &[usize]| s.iter().product::<usize>();
    let (xs, ws, us) =
        (numbers(elements(&from), 1), numbers(elements(&weight), 2), numbers(elements(&to), 3));
    let got = function
        .call(&[("x", Value::F32(&xs)), ("w", Value::F32(&ws)), ("u", Value::F32(&us))])
        .map_err(|e| TestCaseError::fail(e.to_string()))?;

    let mut sums = [vec![(0.0, 0.0); us.len()], vec![(0.0, 0.0); xs.len()], vec![(0.0, 0.0); ws.len()]];
    case.terms(|small, k, big| {
        let (i, j) = if transposed { (small, big) } else { (big, small) };
        let (x, w, u) = (f64::from(xs[i]), f64::from(ws[k]), f64::from(us[j]));
        for (sum, at, term) in [(0, j, x * w), (1, i, u * w), (2, k, x * u)] {
            sums[sum][at].0 += term;
            sums[sum][at].1 += term.abs();
        }
    });
    for (what, (got, sum)) in ["y", "dx", "dw"].iter().zip(got.iter().zip(&sums)) {
        let (wanted, scale): (Vec<f64>, Vec<f64>) = sum.iter().copied().unzip();
        close(what, got, &wanted, &scale)?;
    }
    Ok(())
}

fn cases() -> impl Strategy<Value = Case> {
    let pair = |r: std::ops::RangeInclusive<usize>| prop::array::uniform2(r);
    (
        1..=3usize,
        1..=3usize,
        1..=5usize,
        1..=3usize,
        (pair(1..=11), pair(1..=4), pair(1..=3), pair(0..=2), pair(1..=2)),
    )
        .prop_map(|(n, c, o, groups, (input, size, stride, padding, dilation))| Case {
            n,
            c: c * groups,
            o: o * groups,
            groups,
            input,
            size,
            stride,
            padding,
            dilation,
        })
        .prop_filter("the kernel fits", Case::fits)
}

fn run(count: u32, transposed: bool) {
    for &family in families() {
        let gpu =
            open_with(GpuOptions { family: Some(family), shader_checks: true, ..GpuOptions::default() });
        let config = Config { cases: count, failure_persistence: None, ..Config::default() };
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        TestRunner::new_with_rng(config, rng)
            .run(&cases(), |case| {
                // A transposed convolution leaves out at most what one stride or dilation covers.
                let left = |i: usize| {
                    let span = (case.size[i] - 1) * case.dilation[i] + 1;
                    (case.input[i] + 2 * case.padding[i] - span) % case.stride[i]
                };
                prop_assume!(!transposed || (0..2).all(|i| left(i) < case.stride[i].max(case.dilation[i])));
                check(&gpu, &case, transposed)
            })
            .unwrap_or_else(|e| panic!("{family:?}: {e}"));
    }
}

#[test]
fn convolutions_are_the_sums_they_stand_for() {
    run(40, false);
}

#[test]
fn transposed_convolutions_are_the_sums_they_stand_for() {
    run(25, true);
}
