//! Losses by their properties, and by numbers worked out by hand or by PyTorch 2.

mod adapter;

use std::sync::OnceLock;

use downhill::compile::{MicroBatch, TrainOptions};
use downhill::data::{BatchSize, Dataset};
use downhill::nn::Net;
use downhill::nn::loss::{self, CrossEntropy, KlDiv, KlReduction, Nll};
use downhill::optim::{AdamW, Optimizer};
use downhill::train::Trainer;
use downhill::{Function, Gpu, GpuOptions, Graph, Tensor, Value};

fn gpu() -> &'static Gpu {
    static GPU: OnceLock<Gpu> = OnceLock::new();
    GPU.get_or_init(|| adapter::open_with(GpuOptions::default()))
}

/// Numbers in [-3, 3) from a generator of this file's own.
fn numbers(n: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 * (6.0 / (1u32 << 24) as f32) - 3.0
    };
    (0..n).map(|_| next()).collect()
}

/// What each of `build`'s tensors is, and the gradient of the first for x.
fn values(
    shape: &[usize],
    x: &[f32],
    targets: (&[usize], &[i32]),
    build: impl Fn(&Tensor, &Tensor) -> Vec<Tensor>,
) -> Vec<Vec<f32>> {
    let graph = Graph::new();
    let (input, t) = (graph.input("x", shape), graph.input_i32("t", targets.0));
    let mut outputs = build(&input, &t);
    let gradients: Vec<Tensor> = outputs.iter().flat_map(|y| graph.grad(y, &[&input])).collect();
    outputs.extend(gradients);
    let mut function = Function::new(gpu(), &graph, &outputs.iter().collect::<Vec<_>>()).expect("compiles");
    function.call(&[("x", Value::F32(x)), ("t", Value::I32(targets.1))]).expect("runs")
}

fn close(a: &[f32], b: &[f32], tolerance: f32, what: &str) {
    assert_eq!(a.len(), b.len(), "{what}");
    let off = a.iter().zip(b).map(|(a, b)| (a - b).abs() / b.abs().max(1.0)).fold(0.0, f32::max);
    assert!(off <= tolerance && a.iter().all(|x| x.is_finite()), "{what}: {off} apart\n{a:?}\n{b:?}");
}

const SHAPE: [usize; 3] = [3, 4, 5];
const TARGETS: [i32; 12] = [0, 4, 2, 2, 1, 3, 3, 0, 4, 4, 1, 2];

#[test]
fn classes_are_last_and_other_axes_are_rows() {
    let x = numbers(60, 1);
    for ignore_index in [None, Some(4), Some(-100)] {
        let got = values(&SHAPE, &x, (&[3, 4], &TARGETS), |x, t| {
            let options = CrossEntropy { ignore_index, ..CrossEntropy::default() };
            vec![
                loss::cross_entropy(x, t, &options),
                loss::cross_entropy(&x.reshape([12, 5]), &t.reshape([12]), &options),
                loss::nll(&x.log_softmax(&[-1]), t, &Nll { ignore_index }),
            ]
        });
        assert_eq!(got[0], got[1]);
        assert_eq!(got[3], got[4]);
        close(&got[2], &got[0], 4e-7, "nll of log_softmax is cross-entropy");
        close(&got[5], &got[3], 4e-7, "and so is its gradient");
        // Rows of an ignored class count neither above nor below.
        let rows: Vec<usize> = (0..12).filter(|&i| Some(TARGETS[i]) != ignore_index).collect();
        let lse = |row: &[f32]| row.iter().map(|x| f64::from(*x).exp()).sum::<f64>().ln();
        let row = |i: usize| &x[i * 5..][..5];
        let sum: f64 = rows.iter().map(|&i| lse(row(i)) - f64::from(row(i)[TARGETS[i] as usize])).sum();
        close(&got[0], &[(sum / rows.len() as f64) as f32], 1e-6, "the mean over the rows that count");
        for i in (0..12).filter(|i| !rows.contains(i)) {
            assert_eq!(got[3][i * 5..][..5], [0.0; 5], "an ignored row has no gradient");
        }
    }
}

/// Probabilities add up to 1, so a row of the gradient adds up to 0: to a rounding of its own size, however large the
/// logits are and however sure of its target the net is.
#[test]
fn the_gradient_of_cross_entropy_moves_no_class_against_all_others() {
    const CLASSES: usize = 10;
    // Multiples of 1/8, which adding 2^20 does not round. Every other row is sure of its target.
    let x: Vec<f32> = numbers(64 * CLASSES, 5).iter().map(|x| (x * 32.0).round() / 8.0).collect();
    let largest = |row: &[f32]| (0..CLASSES).max_by(|&i, &j| row[i].total_cmp(&row[j])).expect("a class");
    let target = |(i, row): (usize, &[f32])| if i % 2 == 0 { largest(row) } else { i % CLASSES };
    let targets: Vec<i32> = x.chunks_exact(CLASSES).enumerate().map(|row| target(row) as i32).collect();
    for label_smoothing in [0.0, 0.1] {
        let entropy = |x: &[f32]| {
            values(&[64, CLASSES], x, (&[64], &targets), |x, t| {
                let options = CrossEntropy { label_smoothing, ..CrossEntropy::default() };
                vec![loss::cross_entropy(x, t, &options).mul_scalar(64.0)]
            })
        };
        let got = entropy(&x);
        let moved: Vec<f32> = x.iter().map(|x| x + 1_048_576.0).collect();
        assert_eq!(entropy(&moved), got, "adding one number to all logits changes nothing");
        for ((d, x), &t) in got[1].chunks_exact(CLASSES).zip(x.chunks_exact(CLASSES)).zip(&targets) {
            let s = f64::from(label_smoothing);
            let most = x[largest(x)];
            let e: Vec<f64> = x.iter().map(|x| f64::from(x - most).exp()).collect();
            let sum: f64 = e.iter().sum();
            let others: f64 = (0..CLASSES).filter(|&class| class != t as usize).map(|class| e[class]).sum();
            let size = (others / sum).max(s);
            for (class, &d) in d.iter().enumerate() {
                let want =
                    if class == t as usize { s - others / sum } else { e[class] / sum } - s / CLASSES as f64;
                assert!((f64::from(d) - want).abs() <= 1e-6 * size, "{x:?} of {t}: {d} {want}");
            }
            let rest: f64 = d.iter().map(|&d| f64::from(d)).sum();
            assert!(rest.abs() <= 1e-6 * size, "{x:?} of {t}: {rest} left of {size}");
        }
    }
}

#[test]
fn smooth_l1_is_huber_over_beta() {
    // beta a power of two, so that dividing rounds nothing
    let x = numbers(20, 2);
    for beta in [0.5, 1.0, 4.0] {
        let got = values(&[4, 5], &x, (&[1], &[0]), |x, _| {
            let zero = x.mul_scalar(0.25).detach();
            vec![
                loss::smooth_l1(x, &zero, beta),
                loss::huber(x, &zero, beta).mul_scalar(1.0 / beta),
                loss::smooth_l1(x, &zero, 0.0),
                loss::l1(x, &zero),
            ]
        });
        close(&got[0], &got[1], 3e-7, "value");
        close(&got[4], &got[5], 3e-7, "gradient");
        assert_eq!((&got[2], &got[6]), (&got[3], &got[7]), "beta 0 is l1");
    }
}

#[test]
fn kl_div_of_a_distribution_from_itself_is_nothing() {
    let x = numbers(20, 3);
    let got = values(&[4, 5], &x, (&[1], &[0]), |x, _| {
        let log = x.log_softmax(&[-1]);
        let other = x.mul_scalar(-0.5).log_softmax(&[-1]).detach();
        let log_target = KlDiv { log_target: true, ..KlDiv::default() };
        let by = |reduction| KlDiv { reduction, log_target: false };
        vec![
            loss::kl_div(&log, &log.exp().detach(), &KlDiv::default()),
            loss::kl_div(&log, &other.exp(), &KlDiv::default()),
            loss::kl_div(&log, &other, &log_target),
            loss::kl_div(&log, &other.exp(), &by(KlReduction::Mean)).mul_scalar(5.0),
            loss::kl_div(&log, &other.exp(), &by(KlReduction::Sum)).mul_scalar(0.25),
        ]
    });
    assert!(got[0][0].abs() < 1e-6 && got[1][0] > 0.1, "{:?}", &got[..5]);
    close(&got[5], &[0.0; 20], 1e-6, "at its least the gradient is 0");
    for (i, what) in [(2, "log targets"), (3, "mean times classes"), (4, "sum over batch")] {
        close(&got[i], &got[1], 1e-6, what);
        close(&got[i + 5], &got[6], 1e-6, what);
    }
}

/// `nll_loss`, `kl_div` and `smooth_l1_loss` of torch.nn.functional, PyTorch 2.15, f32.
#[test]
fn numbers_of_pytorch() {
    const X: [f32; 8] = [0.5, -1.0, 2.0, 0.25, 1.5, 0.0, -0.5, 3.0];
    const P: [f32; 8] = [0.1, 0.2, 0.7, 0.0, 0.25, 0.25, 0.25, 0.25];
    const Y: [f32; 8] = [0.0, -1.5, 0.0, 0.5, 1.0, 1.0, -0.5, 0.0];
    let got = values(&[2, 4], &X, (&[2], &[2, 0]), |x, t| {
        let fixed = |values: [f32; 8]| {
            let g = x.graph();
            let rows: Vec<Tensor> = values.iter().map(|v| g.constant(*v).reshape([1])).collect();
            Tensor::concat(&rows.iter().collect::<Vec<_>>(), 0).reshape([2, 4])
        };
        let log = x.log_softmax(&[-1]);
        let kl = |reduction| loss::kl_div(&log, &fixed(P), &KlDiv { reduction, log_target: false });
        let l1 = |beta| loss::smooth_l1(x, &fixed(Y), beta);
        vec![
            kl(KlReduction::BatchMean),
            l1(0.5),
            loss::nll(&log, t, &Nll::default()),
            loss::nll(&log, t, &Nll { ignore_index: Some(2) }),
            kl(KlReduction::Mean),
            kl(KlReduction::Sum),
            l1(1.0),
            l1(2.0),
            l1(0.0),
        ]
    });
    let torch = [
        0.597_961_66,
        0.757_812_5,
        1.067_018_2,
        1.764_757_3,
        0.149_490_42,
        1.195_923_3,
        0.613_281_25,
        0.431_640_63,
        0.968_75,
    ];
    close(&got[..9].concat(), &torch, 3e-7, "values");
    let kl = [0.0271, -0.0828, -0.0044, 0.0601, -0.0394, -0.1059, -0.1134, 0.2587];
    close(&got[9], &kl, 6e-5, "gradient of kl_div, which torch printed to four places");
    let l1 = [0.125, 0.125, 0.125, -0.0625, 0.125, -0.125, 0.0, 0.125];
    close(&got[10], &l1, 1e-7, "gradient of smooth_l1");
}

/// torch.nn.functional.kl_div(log_softmax(x), one_hot, reduction="batchmean") is nll of the same.
#[test]
fn a_target_of_zero_adds_nothing_to_kl_div() {
    let x = numbers(20, 4);
    let got = values(&[4, 5], &x, (&[4], &[1, 0, 4, 2]), |x, t| {
        let log = x.log_softmax(&[-1]);
        vec![loss::kl_div(&log, &t.one_hot(5), &KlDiv::default()), loss::nll(&log, t, &Nll::default())]
    });
    close(&got[0], &got[1], 4e-7, "value");
    close(&got[2], &got[3], 4e-7, "gradient");
}

#[test]
fn shapes_and_types_that_do_not_fit_are_named() {
    let graph = Graph::new();
    let x = graph.input("x", [3, 4, 5]);
    let refused = |build: &dyn Fn(&Tensor) -> Tensor, words: &[&str]| {
        let graph = Graph::new();
        build(&graph.input("x", x.shape()));
        let text = graph.check().expect_err("refused").to_string();
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    };
    let labels = |x: &Tensor, shape: &[usize]| x.graph().input_i32("t", shape);
    let entropy = CrossEntropy::default();
    refused(
        &|x| loss::cross_entropy(x, &labels(x, &[3]), &entropy),
        &["cross_entropy", "[3, 4, 5]", "[3]", "flatten"],
    );
    refused(&|x| loss::cross_entropy(x, &labels(x, &[3, 5]), &entropy), &["[3, 4, 5]", "[3, 5]"]);
    refused(&|x| loss::nll(x, &x.graph().input("t", [3, 4]), &Nll::default()), &["nll", "F32 [3, 4]"]);
    refused(&|x| loss::kl_div(x, &x.sum(&[2], false), &KlDiv::default()), &["kl_div", "[3, 4]"]);
    refused(&|x| loss::smooth_l1(x, &x.relu(), -1.0), &["smooth_l1", "beta = -1"]);
}

/// The mean over the targets that count is no mean of micro-batches' means.
#[test]
fn losses_that_ignore_targets_do_not_go_in_parts() {
    let data = Dataset::from_arrays("made up", [2], vec![0.5; 16], [], vec![0, 1, -1, 0, 1, -1, 1, 0]);
    let data = data.expect("data");
    let model = |net: &Net, x: &Tensor| net.linear("0", x, 2);
    let loss = |y: &Tensor, t: &Tensor| {
        loss::cross_entropy(y, t, &CrossEntropy { ignore_index: Some(-1), ..CrossEntropy::default() })
    };
    let trainer = |micro_batch| {
        let options = TrainOptions { batch_size: BatchSize::Rows(4), micro_batch, ..TrainOptions::default() };
        Trainer::new(gpu(), &model, &loss, Optimizer::AdamW(AdamW::default()), &data, &options)
    };
    trainer(MicroBatch::Whole).expect("whole batches");
    let err = trainer(MicroBatch::Rows(2)).expect_err("micro-batches").to_string();
    assert!(err.contains("train.micro_batch") && err.contains("ignore_index"), "{err}");
}

#[test]
fn a_shift_of_all_logits_changes_no_cross_entropy() {
    const CLASSES: usize = 5;
    let targets: Vec<i32> = vec![0, 4, 2, 1, 3, 0, 2, 4];
    for (shift, label_smoothing) in [(1e4f32, 0.0), (1e6, 0.0), (-1e6, 0.1), (1e8, 0.0), (1e30, 0.1)] {
        // The shift rounds the logits; what they are then is compared.
        let x: Vec<f32> = numbers(8 * CLASSES, 7).iter().map(|x| x + shift).collect();
        let options = CrossEntropy { label_smoothing, ..CrossEntropy::default() };
        let got =
            values(&[8, CLASSES], &x, (&[8], &targets), |x, t| vec![loss::cross_entropy(x, t, &options)]);
        let s = f64::from(label_smoothing);
        let (mut loss, mut gradient) = (0.0, Vec::new());
        for (row, &target) in x.chunks(CLASSES).zip(&targets) {
            let most = row.iter().copied().fold(f32::MIN, f32::max);
            let y: Vec<f64> = row.iter().map(|x| f64::from(*x) - f64::from(most)).collect();
            let sum: f64 = y.iter().map(|y| y.exp()).sum();
            let mean = y.iter().sum::<f64>() / CLASSES as f64;
            loss += (1.0 - s) * (sum.ln() - y[target as usize]) + s * (sum.ln() - mean);
            for (class, y) in y.iter().enumerate() {
                let hit = if class as i32 == target { 1.0 - s } else { 0.0 };
                gradient.push((y.exp() / sum - hit - s / CLASSES as f64) / 8.0);
            }
        }
        let off = (f64::from(got[0][0]) - loss / 8.0).abs();
        assert!(
            off <= 1e-6 * (loss / 8.0).max(1.0),
            "shift {shift:e}: {} where {} is right",
            got[0][0],
            loss / 8.0
        );
        for (got, want) in got[1].iter().zip(&gradient) {
            assert!((f64::from(*got) - want).abs() <= 1e-6, "shift {shift:e}: {got} where {want} is right");
        }
    }
}
