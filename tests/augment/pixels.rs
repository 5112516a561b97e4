//! What becomes of an image's pixels.

use std::collections::BTreeMap;

use downhill::nn::augment::{
    Erasing, gaussian_noise, random_crop, random_erasing, random_horizontal_flip, random_rotation,
    random_shift, random_vertical_flip, rotate,
};
use downhill::{Function, Graph, Value};

use crate::{adapter, assert_mean, assert_share, built, counting, outputs, samples, scattered, small};

const N: usize = 4096;
const H: usize = 3;
const W: usize = 4;

/// Channels of h by w whose pixel at (row, column) is `x`'s at `from`, or 0 where there is none.
fn mapped(x: &[f32], h: usize, w: usize, from: impl Fn(i64, i64) -> (i64, i64)) -> Vec<f32> {
    let pixel = |at: usize| {
        let (channel, place) = (at / (h * w), at % (h * w));
        let (r, c) = from((place / w) as i64, (place % w) as i64);
        let inside = (0..h as i64).contains(&r) && (0..w as i64).contains(&c);
        if inside { x[channel * h * w + (r as usize) * w + c as usize] } else { 0.0 }
    };
    (0..x.len()).map(pixel).collect()
}

#[test]
fn flips_mirror_whole_images_as_often_as_asked() {
    let x = counting(N, 2 * H * W);
    let image = &x[..2 * H * W];
    let across = mapped(image, H, W, |r, c| (r, W as i64 - 1 - c));
    let down = mapped(image, H, W, |r, c| (H as i64 - 1 - r, c));
    for (p, mirrored, vertical) in [(0.5, &across, false), (0.125, &across, false), (0.75, &down, true)] {
        let all = samples(&[N, 2, H, W], &x, |net, x| {
            if vertical { random_vertical_flip(net, x, p) } else { random_horizontal_flip(net, x, p) }
        });
        assert!(all.iter().all(|y| y == image || y == mirrored));
        assert_share(all.iter().filter(|y| *y == mirrored).count(), N, p);
        // One image says nothing of the next.
        let pairs = all.windows(2).filter(|y| y[0] == *mirrored && y[1] == *mirrored).count();
        let (share, n) = (p * p, (N - 1) as f64);
        // Pairs overlap: the variance of a count is n s (1 − s) + 2 n (p³ − s²).
        let deviation = (n * (share * (1.0 - share) + 2.0 * (p * share - share * share))).sqrt();
        assert!((pairs as f64 - n * share).abs() <= 5.0 * deviation, "{pairs} pairs at {p}");
    }
    for p in [0.0, 1.0] {
        let all = samples(&[N, 2, H, W], &x, |net, x| random_horizontal_flip(net, x, p));
        assert!(all.iter().all(|y| if p == 0.0 { y == image } else { *y == across }));
    }
}

/// Images without channels are images of one channel.
#[test]
fn a_channel_need_not_be_said() {
    let x = counting(64, H * W);
    let plain = samples(&[64, H, W], &x, |net, x| random_shift(net, &random_horizontal_flip(net, x, 0.5), 1));
    let said =
        samples(&[64, 1, H, W], &x, |net, x| random_shift(net, &random_horizontal_flip(net, x, 0.5), 1));
    assert_eq!(plain, said);
    let graph = Graph::new();
    let net = downhill::nn::Net::new(&graph, true);
    assert_eq!(random_rotation(&net, &graph.input("x", [5, H, W]), 10.0).shape(), [5, H, W]);
    graph.check().expect("no fault");
}

#[test]
fn shifts_and_crops_are_uniform_over_all_places() {
    const P: i64 = 2;
    let x = counting(N, 2 * H * W);
    let image = &x[..2 * H * W];
    // What torchvision's crop does: zeros around, then a window that begins at (top, left).
    let padded = |top: i64, left: i64| mapped(image, H, W, |r, c| (r + top - P, c + left - P));
    let places: Vec<Vec<f32>> =
        (0..=2 * P).flat_map(|t| (0..=2 * P).map(move |l| (t, l))).map(|(t, l)| padded(t, l)).collect();
    for crop in [true, false] {
        let all = samples(&[N, 2, H, W], &x, |net, x| {
            if crop { random_crop(net, x, P as usize) } else { random_shift(net, x, P as usize) }
        });
        let mut counts = vec![0; places.len()];
        for y in &all {
            counts[places.iter().position(|place| place == y).expect("a shifted image")] += 1;
        }
        for count in counts {
            assert_share(count, N, 1.0 / 25.0);
        }
    }
}

/// x turned, in f64: the four pixels around a place in units of half an image, as `grid_sample` says it.
fn turned(x: &[f32], h: usize, w: usize, degrees: f64) -> Vec<f64> {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let pixel = |place: usize| {
        let (i, j) = ((place / w) as f64 + 0.5 - h as f64 / 2.0, (place % w) as f64 + 0.5 - w as f64 / 2.0);
        let (u, v) = (2.0 * (cos * j - sin * i) / w as f64, 2.0 * (sin * j + cos * i) / h as f64);
        let (col, row) = (((u + 1.0) * w as f64 - 1.0) / 2.0, ((v + 1.0) * h as f64 - 1.0) / 2.0);
        let mut sum = 0.0;
        for r in 0..h {
            for c in 0..w {
                let weight = |at: f64, of: usize| (1.0 - (at - of as f64).abs()).max(0.0);
                sum += weight(row, r) * weight(col, c) * f64::from(x[r * w + c]);
            }
        }
        sum
    };
    (0..h * w).map(pixel).collect()
}

/// Coordinates within 9 pixels of the centre are sums of three products, of cosines good to 2 ulp of an angle rounded
/// twice: off by 6e-6 at most. Pixels in ±1 change by 2 a pixel on each axis, and four products are added.
const OFF: f64 = 2.5e-5;

#[test]
fn rotation_is_bilinear_about_the_centre() {
    for (h, w) in [(7, 7), (5, 8), (1, 6)] {
        let angles = [0.0f32, 90.0, -90.0, 180.0, 17.5, -33.0, 45.0, 123.456, -179.0, 1e-3];
        let (n, pixels) = (angles.len(), h * w);
        let x = scattered(n * 2 * pixels);
        let graph = Graph::new();
        let y = rotate(&graph.input("x", [n, 2, h, w]), &graph.input("degrees", [n]));
        let gpu = adapter::open(adapter::families()[0]);
        let mut function = Function::new(&gpu, &graph, &[&y]).expect("a function");
        let got = function.call(&[("x", Value::F32(&x)), ("degrees", Value::F32(&angles))]).expect("images");
        for (k, (y, x)) in got[0].chunks(pixels).zip(x.chunks(pixels)).enumerate() {
            let want = turned(x, h, w, angles[k / 2].into());
            for (y, want) in y.iter().zip(want) {
                assert!((f64::from(*y) - want).abs() <= OFF, "{h}×{w}, {}°: {y}, not {want}", angles[k / 2]);
            }
        }
    }
}

/// From torch 2.15 in f64, a the angle in radians, h = 3, w = 4:
///
/// ```python
/// theta = torch.tensor([[[cos(a), -sin(a) * h / w, 0], [sin(a) * w / h, cos(a), 0]]], dtype=torch.float64)
/// grid = F.affine_grid(theta, (1, 1, h, w), align_corners=False)
/// F.grid_sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
/// ```
#[test]
fn rotation_is_that_of_torch() {
    let x = [0.5, -1.0, 2.0, 0.25, 1.0, 3.0, -0.5, 1.5, -2.0, 0.75, 1.0, 4.0];
    let golden: [(f64, [f64; 12]); 3] = [
        (
            30.0,
            [
                -0.211_740_042,
                0.619_632_507,
                0.905_788_321,
                0.949_781_108,
                0.499_398_816,
                1.874_398_816,
                0.046_654_951,
                2.822_354_791,
                0.456_973_734,
                0.547_857_319,
                0.758_674_004,
                0.728_443_704,
            ],
        ),
        (
            -75.0,
            [
                -1.295_017_477,
                1.204_925_023,
                0.233_515_589,
                -0.258_226_76,
                0.428_733_069,
                1.287_447_237,
                0.841_094_486,
                0.917_427_036,
                0.360_423_127,
                1.535_327_268,
                0.750_627_488,
                0.409_200_935,
            ],
        ),
        (90.0, [0.5625, 0.8125, 1.5, 1.25, 0.25, 0.875, 1.0625, 0.4375, -0.125, 0.875, 0.6875, -0.3125]),
    ];
    for (degrees, golden) in golden {
        let y = outputs(&[1, 1, 3, 4], &x, |net, x| {
            let angle = net.graph().constant(degrees as f32).broadcast_to([1]);
            vec![rotate(x, &angle)]
        });
        for ((y, naive), want) in y[0].iter().zip(turned(&x, 3, 4, degrees)).zip(golden) {
            // Nine digits were kept; pixels are up to four times as large as `OFF` allows for.
            assert!((naive - want).abs() <= 1e-9, "{degrees}°: the reference has {naive}, torch {want}");
            assert!((f64::from(*y) - want).abs() <= 4.0 * OFF, "{degrees}°: {y}, not {want}");
        }
    }
}

#[test]
fn angles_are_uniform_and_one_an_image() {
    const S: usize = 7;
    let (bound, n) = (40.0f64, 1024);
    // Two channels of offsets from the centre: one pixel beside it they are cosine and sine; the third is any image.
    let third = scattered(S * S);
    let plane = |f: &dyn Fn(usize) -> f32| (0..S * S).map(f).collect::<Vec<f32>>();
    let image = [plane(&|i| (i % S) as f32 - 3.0), plane(&|i| (i / S) as f32 - 3.0), third.clone()].concat();
    let all = samples(&[n, 3, S, S], &image.repeat(n), |net, x| random_rotation(net, x, bound));
    let beside = 3 * S + 4;
    let mut angles = Vec::new();
    for y in &all {
        let degrees = f64::from(y[S * S + beside]).atan2(y[beside].into()).to_degrees();
        assert!(degrees.abs() <= bound + 1e-3, "{degrees}");
        // The angle itself comes from pixels that are off by OFF at most, 3 pixels from the centre at most 4.3 OFF.
        for (y, want) in y[2 * S * S..].iter().zip(turned(&third, S, S, degrees)) {
            assert!((f64::from(*y) - want).abs() <= 20.0 * OFF, "{degrees}°: {y}, not {want}");
        }
        angles.push(degrees);
    }
    assert_mean(&angles, 0.0, bound / 3f64.sqrt());
    let squares: Vec<f64> = angles.iter().map(|a| a * a).collect();
    assert_mean(&squares, bound * bound / 3.0, bound * bound * (4.0f64 / 45.0).sqrt());
    let beyond = angles.iter().filter(|a| a.abs() > 0.9 * bound).count();
    assert_share(beyond, n, 0.1);
}

/// Rows and columns, first and number, that are 0 in an image of ones, if any are; they are a rectangle.
fn erased(y: &[f32], h: usize, w: usize) -> Option<[usize; 4]> {
    let zeros: Vec<(usize, usize)> = (0..h * w).filter(|&i| y[i] == 0.0).map(|i| (i / w, i % w)).collect();
    let (top, left) = (zeros.iter().map(|z| z.0).min()?, zeros.iter().map(|z| z.1).min()?);
    let (bottom, right) = (zeros.iter().map(|z| z.0).max()?, zeros.iter().map(|z| z.1).max()?);
    let (tall, wide) = (bottom - top + 1, right - left + 1);
    assert_eq!(zeros.len(), tall * wide, "zeros at {zeros:?} are no rectangle");
    Some([top, left, tall, wide])
}

/// Rectangles by size against the shares of torchvision's rule, from 1000 by 1000 places of both uniform numbers.
#[test]
fn erased_rectangles_are_those_of_the_rule() {
    let (h, w, n) = (8usize, 10usize, 1 << 14);
    let options = Erasing { p: 0.75, ..Erasing::default() };
    let pixels = h * w;
    let all = samples(&[n, 2, h, w], &vec![1.0; n * 2 * pixels], |net, x| random_erasing(net, x, options));
    let mut sizes: BTreeMap<[usize; 2], usize> = BTreeMap::new();
    let (mut tops, mut lefts) = (Vec::new(), Vec::new());
    for y in &all {
        assert!(y.iter().all(|x| *x == 0.0 || *x == 1.0));
        assert_eq!(y[..pixels], y[pixels..], "both channels lose the same");
        let Some([top, left, tall, wide]) = erased(y, h, w) else { continue };
        *sizes.entry([tall, wide]).or_default() += 1;
        if [tall, wide] == [3, 3] {
            tops.push(top);
            lefts.push(left);
        }
    }
    assert_share(sizes.values().sum(), n, options.p);
    let mut rule: BTreeMap<[usize; 2], f64> = BTreeMap::new();
    let grid = 1000;
    for i in 0..grid {
        for j in 0..grid {
            let at = |k: usize, [from, to]: [f64; 2]| from + (to - from) * (k as f64 + 0.5) / grid as f64;
            let area = at(i, options.scale) * pixels as f64;
            let ratio = at(j, options.ratio.map(f64::ln)).exp();
            let side = |x: f64, extent: usize| (x.sqrt().round() as usize).min(extent - 1);
            *rule.entry([side(area * ratio, h), side(area / ratio, w)]).or_default() +=
                1.0 / (grid * grid) as f64;
        }
    }
    for (size, count) in &sizes {
        assert!(rule.contains_key(size), "{count} of {size:?}, which the rule never makes");
    }
    for (size, share) in rule.iter().filter(|(_, share)| **share > 0.01) {
        assert_share(sizes.get(size).copied().unwrap_or(0), n, share * options.p);
    }
    for (starts, places) in [(tops, h - 2), (lefts, w - 2)] {
        for place in 0..places {
            let hits = starts.iter().filter(|&&start| start == place).count();
            assert_share(hits, starts.len(), 1.0 / places as f64);
        }
        assert!(starts.len() > 200 && starts.iter().all(|&start| start < places));
    }
}

#[test]
fn noise_is_normal_and_of_any_shape() {
    let x = scattered(1 << 16);
    let y = outputs(&[256, 256], &x, |net, x| vec![gaussian_noise(net, x, 0.25)]).remove(0);
    let z: Vec<f64> = y.iter().zip(&x).map(|(y, x)| (f64::from(*y) - f64::from(*x)) / 0.25).collect();
    let power = |k| z.iter().map(|z| z.powi(k)).collect::<Vec<f64>>();
    assert_mean(&power(1), 0.0, 1.0);
    assert_mean(&power(2), 1.0, 2f64.sqrt());
    assert_mean(&power(4), 3.0, 96f64.sqrt());
    let products: Vec<f64> = z.iter().zip(&x).map(|(z, x)| z * f64::from(*x)).collect();
    assert_mean(&products, 0.0, 1.0);
}

/// Given what was drawn each is linear in x: sum(y·u) = sum(x·gradient), to the bit of whole numbers, and so for each
/// sample by itself.
#[test]
fn gradients_are_the_transposes() {
    let (n, pixels) = (256, 2 * H * W);
    let (x, u) = (small(n * pixels), small(n * pixels + 7)[7..].to_vec());
    type Change = fn(&downhill::nn::Net, &downhill::Tensor) -> downhill::Tensor;
    let changes: [(Change, f64); 6] = [
        (|net, x| random_horizontal_flip(net, x, 0.5), 0.0),
        (|net, x| random_vertical_flip(net, x, 0.5), 0.0),
        (|net, x| random_shift(net, x, 2), 0.0),
        (|net, x| random_erasing(net, x, Erasing { p: 0.9, ..Erasing::default() }), 0.0),
        (|net, x| random_shift(net, &random_horizontal_flip(net, x, 0.5), 1), 0.0),
        // 24 products of up to 16 on each side, of weights that round at 2⁻²⁴ a few times
        (|net, x| random_rotation(net, x, 45.0), 24.0 * 16.0 * 32.0 * 2f64.powi(-24)),
    ];
    for (k, (change, off)) in changes.into_iter().enumerate() {
        let graph = Graph::new();
        let (input, weights) = (graph.input("x", [n, 2, H, W]), graph.input("u", [n, 2, H, W]));
        let y = change(&downhill::nn::Net::new(&graph, true), &input);
        let grad = graph.grad(&y.mul(&weights).sum_all(), &[&input]).remove(0);
        let gpu = adapter::open(adapter::families()[0]);
        let mut function = Function::new(&gpu, &graph, &[&y, &grad]).expect("a function");
        let got = function.call(&[("x", Value::F32(&x)), ("u", Value::F32(&u))]).expect("outputs");
        let dot =
            |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum::<f64>();
        let mut moved = 0;
        for i in 0..n {
            let at = i * pixels..(i + 1) * pixels;
            let (by_y, by_x) =
                (dot(&got[0][at.clone()], &u[at.clone()]), dot(&got[1][at.clone()], &x[at.clone()]));
            assert!((by_y - by_x).abs() <= off, "change {k}, sample {i}: {by_y} and {by_x}");
            moved += usize::from(got[1][at.clone()] != u[at]);
        }
        assert!(moved > n / 4, "change {k}: only {moved} gradients differ from what came in");
    }
}

/// Noise is added: its gradient is the upstream one.
#[test]
fn noise_passes_the_gradient() {
    let u = scattered(64);
    let got = outputs(&[4, 16], &u, |net, u| {
        let w = net.parameter("w", [4, 16], downhill::Init::Constant(0.0));
        let y = gaussian_noise(net, &w, 1.0);
        net.graph().grad(&y.mul(u).sum_all(), &[&w])
    });
    assert_eq!(got[0], u);
}

#[test]
fn evaluation_sees_samples_as_they_are() {
    let x = scattered(6 * 2 * H * W);
    let got = built(&[6, 2, H, W], &x, false, |net, x| {
        let all = [
            random_horizontal_flip(net, x, 1.0),
            random_vertical_flip(net, x, 1.0),
            random_crop(net, x, 2),
            random_shift(net, x, 2),
            random_rotation(net, x, 90.0),
            random_erasing(net, x, Erasing { p: 1.0, ..Erasing::default() }),
            gaussian_noise(net, x, 1.0),
        ];
        // Nothing is even copied.
        assert!(all.iter().all(|y| format!("{y:?}") == format!("{x:?}")));
        vec![all[0].add(&all[6])]
    });
    assert_eq!(got[0], x.iter().map(|x| x + x).collect::<Vec<f32>>());
}

#[test]
fn what_does_not_fit_is_said_with_its_numbers() {
    type Change = fn(&downhill::nn::Net, &downhill::Tensor) -> downhill::Tensor;
    let cases: [(&[usize], Change, &[&str]); 8] = [
        (&[4, 9], |net, x| random_shift(net, x, 1), &["shift needs images", "[9]", "batch of 4"]),
        (&[4, 1, 8, 6], |net, x| random_shift(net, x, 6), &["shift pixels = 6", "8 by 6", "at most 5"]),
        (&[4, 1, 8, 6], |net, x| random_crop(net, x, 7), &["crop padding = 7", "at most 5"]),
        (
            &[4, 1, 8, 6],
            |net, x| random_horizontal_flip(net, x, 1.5),
            &["horizontal_flip p = 1.5", "from 0 to 1"],
        ),
        (&[4, 1, 8, 6], |net, x| random_rotation(net, x, 200.0), &["rotation degrees = 200", "180"]),
        (&[4], |net, x| gaussian_noise(net, x, f64::NAN), &["noise std = NaN"]),
        (
            &[4, 8, 6],
            |net, x| random_erasing(net, x, Erasing { scale: [0.5, 0.2], ..Erasing::default() }),
            &["erasing scale = [0.5, 0.2]", "smaller first"],
        ),
        (
            &[4, 8, 6],
            |net, x| random_erasing(net, x, Erasing { ratio: [0.0, 2.0], ..Erasing::default() }),
            &["erasing ratio = [0, 2]"],
        ),
    ];
    for (shape, change, words) in cases {
        // In evaluation too: a config is checked before it is run.
        for training in [true, false] {
            let graph = Graph::new();
            change(&downhill::nn::Net::new(&graph, training), &graph.input("x", shape));
            let text = graph.check().expect_err("a fault").to_string();
            assert!(words.iter().all(|word| text.contains(word)), "{text}");
        }
    }
    let graph = Graph::new();
    random_shift(&downhill::nn::Net::new(&graph, true), &graph.input_i32("x", [4, 8, 8]), 1);
    assert!(graph.check().expect_err("a fault").to_string().contains("f32 images"));
}
