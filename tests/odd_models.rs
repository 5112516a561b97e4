//! Models at the edges of what a plan expects, each small enough to work out by hand. All numbers are exact
//! in f32.

mod adapter;

use downhill::compile::TrainOptions;
use downhill::data::{BatchSize, Dataset};
use downhill::nn::Net;
use downhill::nn::loss::{CrossEntropy, cross_entropy};
use downhill::optim::{Optimizer, Sgd};
use downhill::plan::NamedTensor;
use downhill::train::Trainer;
use downhill::{Error, GpuOptions, Init, Tensor};

const X: [f32; 3] = [1.0, -2.0, 4.0];

/// One step of sgd at lr 0.5 on the one sample [`X`], on both families: the loss, and the parameters after it.
fn step(
    what: &str,
    model: impl Fn(&Net, &Tensor) -> Tensor,
    initial: &[(&str, &[usize], &[f32])],
    loss: f32,
    after: &[&[f32]],
) {
    for &family in adapter::families() {
        let what = format!("{what} on {family:?}");
        let gpu = adapter::open(family);
        let data = Dataset::from_arrays("one", [3], X.to_vec(), [], vec![0.0]).expect("a sample");
        let options = TrainOptions { batch_size: BatchSize::Full, ..TrainOptions::default() };
        let sgd = Optimizer::Sgd(Sgd { lr: 0.5, ..Sgd::default() });
        let made = Trainer::new(&gpu, &|net, x| model(net, x), &|y, _| y.clone(), &sgd, &data, &options);
        let mut trainer = made.unwrap_or_else(|err| panic!("{what}: {err}"));
        let named = |(name, shape, values): &(&str, &[usize], &[f32])| NamedTensor {
            name: (*name).into(),
            shape: (*shape).into(),
            values: values.to_vec(),
        };
        let start: Vec<NamedTensor> = initial.iter().map(named).collect();
        trainer.load_state_dict(&start).expect("the model's own");
        assert_eq!(trainer.state_dict().expect("parameters"), start, "{what}: before the step");
        let records = trainer.advance(1).expect("a step");
        assert_eq!(records[0].loss, loss, "{what}: loss");
        let got: Vec<Vec<f32>> =
            trainer.state_dict().expect("parameters").into_iter().map(|t| t.values).collect();
        assert_eq!(got, after, "{what}: after the step");
    }
}

fn parameter(net: &Net, name: &str, shape: &[usize]) -> Tensor {
    net.parameter(name, shape, Init::Constant(0.0))
}

#[test]
fn a_parameter_used_twice_gets_both_gradients() {
    // Σ w·x + Σ w²: the gradient is x + 2w
    step(
        "twice",
        |net, x| {
            let w = parameter(net, "w", &[3]);
            w.mul(&x.reshape([3])).sum_all().add(&w.square().sum_all())
        },
        &[("w", &[3], &[1.0, 2.0, -1.0])],
        1.0 - 4.0 - 4.0 + 6.0,
        &[&[-0.5, 1.0, -2.0]],
    );
    // Through two products: y = x W Wᵀ summed, W [3, 2]; the gradient is xᵀ(1ᵀW) + 1 (xW).
    step(
        "twice, products",
        |net, x| {
            let w = parameter(net, "w", &[3, 2]);
            x.matmul(&w).matmul(&w.transpose(0, 1)).sum_all()
        },
        &[("w", &[3, 2], &[1.0, 0.0, 0.0, 1.0, 1.0, 1.0])],
        // xW = [5, 2], column sums of W = [2, 2]
        14.0,
        &[&[-2.5, -2.0, -0.5, 2.0, -5.5, -4.0]],
    );
}

#[test]
fn a_parameter_the_loss_does_not_use_stays() {
    step(
        "unused",
        |net, x| {
            let w = parameter(net, "w", &[3]);
            let _ = parameter(net, "idle", &[2, 2]);
            let sum = w.mul(&x.reshape([3])).sum_all();
            let _ = parameter(net, "late", &[1]);
            sum
        },
        &[("w", &[3], &[1.0, 1.0, 1.0]), ("idle", &[2, 2], &[1.0, 2.0, 3.0, 4.0]), ("late", &[1], &[7.0])],
        3.0,
        &[&[0.5, 2.0, -1.0], &[1.0, 2.0, 3.0, 4.0], &[7.0]],
    );
}

#[test]
fn gradients_that_are_one_node_reach_every_parameter() {
    step(
        "two biases",
        |net, x| {
            let w = parameter(net, "w", &[2, 3]);
            let [a, b] = ["a", "b"].map(|name| parameter(net, name, &[2]));
            let y = x.matmul(&w.transpose(0, 1)).add(&a).add(&b);
            y.square().sum_all()
        },
        &[
            ("w", &[2, 3], &[1.0, 0.0, 0.0, 0.0, 1.0, 0.0]),
            ("a", &[2], &[1.0, 1.0]),
            ("b", &[2], &[0.0, 2.0]),
        ],
        // y = [2, 1], and lr times its gradient is y itself
        5.0,
        &[&[-1.0, 4.0, -8.0, -1.0, 3.0, -4.0], &[-1.0, 0.0], &[-2.0, 1.0]],
    );
    step(
        "the same vector three times",
        |net, x| {
            let [a, b, c] = ["a", "b", "c"].map(|name| parameter(net, name, &[3]));
            a.add(&b).sub(&c).mul(&x.reshape([3])).sum_all()
        },
        &[("a", &[3], &[0.0; 3]), ("b", &[3], &[1.0; 3]), ("c", &[3], &[2.0; 3])],
        -3.0,
        &[&[-0.5, 1.0, -2.0], &[0.5, 2.0, -1.0], &[2.5, 1.0, 4.0]],
    );
}

#[test]
fn a_loss_may_be_a_product_a_parameter_or_a_constant() {
    let w = ("w", &[3, 1][..], &[1.0, 1.0, 1.0][..]);
    step("product", |net, x| x.matmul(&parameter(net, "w", &[3, 1])), &[w], 3.0, &[&[0.5, 2.0, -1.0]]);
    step(
        "product, used again",
        |net, x| {
            let y = x.matmul(&parameter(net, "w", &[3, 1]));
            y.mul(&y)
        },
        &[w],
        9.0,
        &[&[-2.0, 7.0, -11.0]],
    );
    step("parameter", |net, _| parameter(net, "w", &[1]), &[("w", &[1], &[4.0])], 4.0, &[&[3.5]]);
    step("scalar", |net, _| parameter(net, "w", &[]).neg(), &[("w", &[], &[4.0])], -4.0, &[&[4.5]]);
    step(
        "constant",
        |net, x| {
            let _ = parameter(net, "w", &[2]);
            x.graph().constant(2.5)
        },
        &[("w", &[2], &[1.0, -1.0])],
        2.5,
        &[&[1.0, -1.0]],
    );
    step(
        "input",
        |net, x| {
            let _ = parameter(net, "w", &[2]);
            x.slice(1, 2, 3).reshape([])
        },
        &[("w", &[2], &[1.0, -1.0])],
        4.0,
        &[&[1.0, -1.0]],
    );
    step(
        "detached",
        |net, x| parameter(net, "w", &[3]).detach().mul(&x.reshape([3])).sum_all(),
        &[("w", &[3], &[1.0, 1.0, 1.0])],
        3.0,
        &[&[1.0, 1.0, 1.0]],
    );
}

/// A parameter that is reshaped, sliced, permuted and broadcast before it is used.
#[test]
fn views_of_a_parameter_lead_its_gradient_back() {
    step(
        "views",
        |net, x| {
            let w = parameter(net, "w", &[2, 3]);
            let row = w.transpose(0, 1).slice(1, 1, 2).reshape([1, 3]);
            row.broadcast_to([4, 3]).mul(x).sum_all()
        },
        &[("w", &[2, 3], &[9.0, 9.0, 9.0, 1.0, 1.0, 1.0])],
        12.0,
        &[&[9.0, 9.0, 9.0, -1.0, 5.0, -7.0]],
    );
}

#[test]
fn what_cannot_train_is_refused() {
    let gpu = adapter::open_with(GpuOptions::default());
    let data = Dataset::from_arrays("one", [3], X.to_vec(), [], vec![0.0]).expect("a sample");
    let sgd = Optimizer::Sgd(Sgd::default());
    let refused = |model: &dyn Fn(&Net, &Tensor) -> Tensor, words: &[&str]| {
        let made = Trainer::new(&gpu, &model, &|y, _| y.clone(), &sgd, &data, &TrainOptions::default());
        let text = made.expect_err("refused").to_string();
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
        assert_eq!(gpu.ledger().total(), 0);
    };
    refused(&|_, x| x.sum_all(), &["no parameters"]);
    refused(&|net, x| x.matmul(&parameter(net, "w", &[3, 2])), &["scalar", "[1, 2]"]);
    refused(&|net, x| x.matmul(&parameter(net, "w", &[4, 1])), &["[1, 3]", "[4, 1]"]);
    let twice =
        |net: &Net, x: &Tensor| x.mul(&parameter(net, "w", &[3])).add(&parameter(net, "w", &[3])).sum_all();
    refused(&twice, &["two parameters", "\"w\""]);

    // Weights that do not fit: both sides are listed, and nothing changes.
    let model = |net: &Net, x: &Tensor| x.matmul(&parameter(net, "w", &[3, 1]));
    let made = Trainer::new(&gpu, &model, &|y, _| y.clone(), &sgd, &data, &TrainOptions::default());
    let mut trainer = made.expect("a trainer");
    let before = trainer.state_dict().expect("parameters");
    for (name, shape) in [("v", [3, 1]), ("w", [1, 3])] {
        let values = vec![1.0; 3];
        let err = trainer.load_state_dict(&[NamedTensor { name: name.into(), shape: shape.into(), values }]);
        let text = err.expect_err("refused").to_string();
        assert!(text.contains("w [3, 1]") && text.contains(&format!("{name} {shape:?}")), "{text}");
    }
    // The right names and shapes, and too few values.
    let short = NamedTensor { name: "w".into(), shape: [3, 1].into(), values: vec![1.0; 2] };
    assert!(matches!(trainer.load_state_dict(&[short]), Err(Error::Weights(_))));
    assert_eq!(trainer.state_dict().expect("parameters"), before);
}

/// Three samples of classes 0, 1 and 2, and logits that are the same for all: how many are predicted right.
fn accuracy_of(logits: [f32; 3]) -> Vec<f64> {
    let share = |&family| {
        let x = vec![0.0, 0.0, 0.0];
        let data = Dataset::from_arrays("three", [1], x.clone(), [], vec![0, 1, 2]).expect("samples");
        let data = data.with_eval(x, vec![0, 1, 2]).and_then(|data| data.with_classes(3)).expect("classes");
        let model = |net: &Net, x: &Tensor| x.add(&parameter(net, "logits", &[3]));
        let loss = |y: &Tensor, t: &Tensor| cross_entropy(y, t, &CrossEntropy::default());
        let sgd = Optimizer::Sgd(Sgd::default());
        let gpu = adapter::open(family);
        let options = TrainOptions::default();
        let mut trainer = Trainer::new(&gpu, &model, &loss, &sgd, &data, &options).expect("a trainer");
        let logits =
            NamedTensor { name: "logits".into(), shape: [3].as_slice().into(), values: logits.to_vec() };
        trainer.load_state_dict(&[logits]).expect("the model's own");
        trainer.evaluate().expect("an evaluation").expect("a part").accuracy.expect("classes")
    };
    adapter::families().iter().map(share).collect()
}

/// Else a net whose outputs are all alike would read every image right.
#[test]
fn of_equal_outputs_the_first_is_the_prediction() {
    let nan = f32::NAN;
    for (logits, right) in [
        ([1.0, 1.0, 1.0], 1.0),
        ([0.0, 2.0, 2.0], 1.0),
        ([0.0, 2.0, 1.0], 1.0),
        ([2.0, 0.0, 2.0], 1.0),
        ([nan, nan, nan], 0.0),
    ] {
        for accuracy in accuracy_of(logits) {
            assert!((accuracy - right / 3.0).abs() <= 1e-6, "{logits:?}: {accuracy}");
        }
    }
}
