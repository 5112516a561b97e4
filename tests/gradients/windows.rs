//! Convolutions, pools and interpolation of random sizes against their definitions.

use downhill::nn::{Conv, ConvTranspose, Padding, Pool, Pool1d, Upsample, UpsampleMode, UpsampleSize};
use downhill::{Function, Graph, Tensor};
use rand::{RngExt, SeedableRng, seq::IndexedRandom};

use crate::case::{Case, Data, call, gpu, gpus};
use crate::oracle::{
    Array,
    compare::Cases,
    draw::{Domain, Input, Kind, Rng, cases, jittered, rng_of, uniform},
    window::{self, Window},
};

fn real(array: Array) -> Input {
    Input { array, kind: Kind::Real }
}

/// Runs what `draw` draws: inputs, the engine's function of them, the oracle's.
fn check<G, C>(name: &str, count: usize, draw: impl Fn(&mut Rng) -> (Vec<Input>, String, G, C))
where
    G: Fn(&[Tensor]) -> Tensor,
    C: Fn(&[Array]) -> Array,
{
    let mut all = Cases::default();
    for index in 0..cases(count) {
        let mut rng = rng_of(name, index as u64);
        let (inputs, what, build, oracle) = draw(&mut rng);
        let oracle = |arrays: &[Array], jitter: Option<u64>| {
            let Some(seed) = jitter else { return vec![oracle(arrays)] };
            let mut rng = Rng::seed_from_u64(seed);
            let arrays: Vec<Array> = arrays.iter().map(|array| jittered(&mut rng, array)).collect();
            vec![jittered(&mut rng, &oracle(&arrays))]
        };
        let case = Case {
            inputs: &inputs,
            build: &|x| vec![build(x)],
            oracle: &oracle,
            returned: &[0],
            in_loss: &[0],
        };
        let shapes: Vec<&[usize]> = inputs.iter().map(|input| &input.array.shape[..]).collect();
        all.run(&format!("{name} {index}"), || {
            // Neighbours run on different devices, and so does a case with more of them.
            let turn = index + index / 4;
            case.check(gpu(turn), &mut rng).map_err(|why| format!("{why}\n  of {shapes:?}, {what}"))
        });
    }
    all.finish();
}

/// Any windows along N axes that fit these lengths.
fn windows<const N: usize>(rng: &mut Rng, lengths: &[usize], most: usize) -> Window {
    loop {
        let mut some = |from: usize, to: usize| (0..N).map(|_| rng.random_range(from..=to)).collect();
        let (size, stride, dilation): (Vec<usize>, _, _) = (some(1, most), some(1, 3), some(1, 2));
        let padding = size.iter().map(|k| rng.random_range(0..=k / 2)).collect();
        let window = Window { size, stride, padding, dilation, ceil_mode: false };
        if window.fits(lengths) {
            return window;
        }
    }
}

fn lengths<const N: usize>(rng: &mut Rng) -> Vec<usize> {
    let most = if N == 1 { 24 } else { 9 };
    (0..N).map(|_| rng.random_range(1..=most)).collect()
}

fn array<const N: usize>(list: &[usize]) -> [usize; N] {
    list.try_into().expect("an entry for each axis")
}

/// Batch, groups, channels of the input and of the output; some convolutions are depthwise.
fn channels(rng: &mut Rng) -> [usize; 4] {
    let groups = *[1, 1, 2, 3].choose(rng).expect("groups");
    let [c, o] = if rng.random_bool(0.2) {
        [1, rng.random_range(1..=2)]
    } else {
        [1, 1].map(|n| rng.random_range(n..=4))
    };
    [rng.random_range(1..=3), groups, c * groups, o * groups]
}

fn convolutions<const N: usize>(name: &str) {
    check(name, 12, |rng| {
        let (lengths, [n, groups, c, o]) = (lengths::<N>(rng), channels(rng));
        let mut window = windows::<N>(rng, &lengths, 4);
        if rng.random_bool(0.2) {
            window.padding = window.size.clone();
        }
        let x = uniform(rng, &[&[n, c][..], &lengths].concat(), -1.0, 1.0);
        let w = uniform(rng, &[&[o, c / groups][..], &window.size].concat(), -1.0, 1.0);
        let options = Conv {
            stride: array(&window.stride),
            padding: Padding::Explicit(array(&window.padding)),
            dilation: array(&window.dilation),
            groups,
            ..Conv::<N>::new(o, array(&window.size))
        };
        let what = format!("{options:?}");
        let oracle = move |x: &[Array]| window::conv(&x[0], &x[1], &window, groups);
        (vec![real(x), real(w)], what, move |x: &[Tensor]| x[0].conv(&x[1], &options), oracle)
    });
}

fn transposed<const N: usize>(name: &str) {
    check(name, 8, |rng| {
        let (lengths, [n, groups, c, o]) = (lengths::<N>(rng), channels(rng));
        let window = windows::<N>(rng, &lengths, 4);
        // Of the output: nothing may be left over.
        let more = window.stride.iter().map(|stride| rng.random_range(0..*stride)).collect::<Vec<_>>();
        let left_out = |i: usize| {
            let whole = (lengths[i] - 1) * window.stride[i] + window.dilation[i] * (window.size[i] - 1) + 1;
            window.padding[i].min((whole + more[i] - 1) / 2)
        };
        let window = Window { padding: (0..N).map(left_out).collect(), ..window };
        let x = uniform(rng, &[&[n, c][..], &lengths].concat(), -1.0, 1.0);
        let w = uniform(rng, &[&[c, o / groups][..], &window.size].concat(), -1.0, 1.0);
        let options = ConvTranspose {
            stride: array(&window.stride),
            padding: array(&window.padding),
            output_padding: array(&more),
            dilation: array(&window.dilation),
            groups,
            ..ConvTranspose::<N>::new(o, array(&window.size))
        };
        let what = format!("{options:?}");
        let oracle = move |x: &[Array]| window::conv_transpose(&x[0], &x[1], &window, groups, &more);
        (vec![real(x), real(w)], what, move |x: &[Tensor]| x[0].conv_transpose(&x[1], &options), oracle)
    });
}

fn pools<const N: usize>(name: &str, maximum: bool) {
    check(name, 10, |rng| {
        let lengths = lengths::<N>(rng);
        let window = loop {
            let mut window = windows::<N>(rng, &lengths, 4);
            window.ceil_mode = rng.random_bool(0.4);
            if !maximum {
                window.dilation = vec![1; N];
            }
            if rng.random_bool(0.3) {
                window.stride = window.size.clone();
            }
            // A dilated window may step over an input of one element, and the maximum of nothing is −∞.
            let ones = Array::full(&[&[1, 1][..], &lengths].concat(), 1.0);
            if window::max_pool(&ones, &window).max_abs() == 1.0 {
                break window;
            }
        };
        let shape = [&[rng.random_range(1..=3), rng.random_range(1..=4)][..], &lengths].concat();
        let domain = if maximum { Domain::Distinct } else { Domain::Uniform(-3.0, 3.0) };
        let x = domain.draw(rng, &shape);
        let options = Pool::<N> {
            kernel_size: array(&window.size),
            stride: array(&window.stride),
            padding: array(&window.padding),
            dilation: array(&window.dilation),
            ceil_mode: window.ceil_mode,
        };
        let include = rng.random_bool(0.5);
        let what = format!("{options:?}, count_include_pad {include}");
        let build = move |x: &[Tensor]| {
            if maximum { x[0].max_pool(&options) } else { x[0].avg_pool(&options, include) }
        };
        let oracle = move |x: &[Array]| match maximum {
            true => window::max_pool(&x[0], &window),
            false => window::avg_pool(&x[0], &window, include),
        };
        (vec![real(x)], what, build, oracle)
    });
}

fn image(rng: &mut Rng) -> Array {
    let shape =
        [rng.random_range(1..=2), rng.random_range(1..=3), rng.random_range(1..=9), rng.random_range(1..=9)];
    uniform(rng, &shape, -3.0, 3.0)
}

#[test]
fn convolutions_of_any_windows() {
    convolutions::<1>("conv1d");
    convolutions::<2>("conv2d");
}

#[test]
fn transposed_convolutions_of_any_windows() {
    transposed::<1>("conv_transpose1d");
    transposed::<2>("conv_transpose2d");
}

#[test]
fn pools_of_any_windows() {
    pools::<1>("max_pool1d", true);
    pools::<2>("max_pool2d", true);
    pools::<1>("avg_pool1d", false);
    pools::<2>("avg_pool2d", false);
}

#[test]
fn images_of_any_size() {
    let size = |rng: &mut Rng| [rng.random_range(1..=9), rng.random_range(1..=9)];
    check("adaptive_avg_pool2d", 8, |rng| {
        let (x, size) = (image(rng), size(rng));
        let oracle = move |x: &[Array]| window::adaptive_avg_pool(&x[0], &size);
        (vec![real(x)], format!("{size:?}"), move |x: &[Tensor]| x[0].adaptive_avg_pool2d(size), oracle)
    });
    check("bilinear", 8, |rng| {
        let (x, size, align_corners) = (image(rng), size(rng), rng.random_bool(0.5));
        let mode = UpsampleMode::Bilinear { align_corners };
        let options = Upsample { size: UpsampleSize::Size(size), mode };
        let oracle = move |x: &[Array]| window::bilinear(&x[0], size, align_corners);
        (vec![real(x)], format!("{options:?}"), move |x: &[Tensor]| x[0].upsample(&options), oracle)
    });
    check("nearest", 4, |rng| {
        let (x, times) = (image(rng), [rng.random_range(1..=3), rng.random_range(1..=3)]);
        let size = UpsampleSize::Scale(times.map(|n: usize| n as f64));
        let options = Upsample { size, mode: UpsampleMode::Nearest };
        let oracle = move |x: &[Array]| window::repeated(&x[0], times);
        (vec![real(x)], format!("{options:?}"), move |x: &[Tensor]| x[0].upsample(&options), oracle)
    });
}

/// NaN and infinities go to the windows that see them, and to no other; of maxima that are −∞ the first within
/// the input takes the gradient.
#[test]
fn what_is_not_finite_stays_in_its_windows() {
    const LOW: f32 = f32::NEG_INFINITY;
    let pool = Pool1d { stride: [2], padding: [1], ..Pool1d::new([3]) };
    let build = |pooled: &dyn Fn(&Tensor) -> Tensor, x: &[f32]| {
        let graph = Graph::new();
        let input = graph.input("x", [1, 1, x.len()]);
        let y = pooled(&input);
        let dx = graph.grad(&y.mul(&graph.input("u", y.shape())).sum_all(), &[&input]).remove(0);
        let feed =
            [("x".to_owned(), Data::F32(x.to_vec())), ("u".to_owned(), Data::F32(vec![1.0, 2.0, 4.0]))];
        gpus()
            .iter()
            .map(|gpu| {
                let mut function = Function::new(gpu, &graph, &[&y, &dx]).expect("a function");
                call(&mut function, &feed).expect("a call")
            })
            .collect::<Vec<_>>()
    };
    // windows of _ 0 1, 1 2 3, 3 4 5
    for values in build(&|x| x.max_pool(&pool), &[1.0, 2.0, 5.0, 3.0, f32::NAN, 4.0]) {
        assert!(values[0][..2] == [2.0, 5.0] && values[0][2].is_nan(), "maximum: {values:?}");
    }
    for values in build(&|x| x.avg_pool(&pool, true), &[1.0, 2.0, 6.0, 4.0, f32::NAN, 4.0]) {
        assert!(values[0][..2] == [1.0, 4.0] && values[0][2].is_nan(), "mean: {values:?}");
        assert_eq!(values[1].iter().map(|g| g.is_finite()).collect::<Vec<_>>(), [true; 6], "{values:?}");
    }
    for values in build(&|x| x.max_pool(&pool), &[LOW, LOW, 5.0, LOW, LOW, LOW]) {
        assert_eq!(values, [vec![LOW, 5.0, LOW], vec![1.0, 0.0, 2.0, 4.0, 0.0, 0.0]], "of -inf");
    }
}
