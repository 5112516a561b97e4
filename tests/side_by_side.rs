//! Kernels side by side compute what they compute one by one, to the bit.

mod adapter;
mod example_configs;

use downhill::compile::TrainPlan;
use downhill::config::Config;
use downhill::data::Dataset;
use downhill::gpu::Family;
use downhill::kernel::side_by_side::ENTRY;
use downhill::kernel::{JOINT_BUFFERS, JOINT_WORKGROUP_BYTES, ProductTiles, Target};
use downhill::nn::loss;
use downhill::plan::{NamedTensor, Plan, Ring, Sink};
use downhill::shape::Shape;
use downhill::train::Trainer;
use downhill::{Function, Graph, Init, Tensor, Value};
use example_configs::StandIn;

fn config(example: &str, settings: &[&str]) -> (Config, Dataset) {
    let path = example_configs::all().into_iter().find(|path| path.ends_with(example)).expect("an example");
    let mut all = StandIn::new().settings(&path);
    all.extend(settings.iter().map(|&setting| setting.to_owned()));
    let config = Config::load(&path, &all).unwrap_or_else(|err| panic!("{example}: {err}"));
    let data = config.dataset().unwrap_or_else(|err| panic!("{example}: {err}"));
    (config, data)
}

/// What steps leave.
struct Run {
    plan: TrainPlan,
    losses: Vec<u32>,
    weights: Vec<(String, Vec<u32>)>,
}

/// Three steps.
fn steps(config: &Config, data: &Dataset, one_by_one: bool) -> Run {
    let gpu = adapter::open(Family::Tiled);
    let target = Target::for_gpu(&gpu).kernel_by_kernel().with_precision(config.options.precision);
    let mut plan = config.plan(data, Target { side_by_side: true, ..target }).expect("a plan");
    if one_by_one {
        let plans = plan.train.iter_mut().map(|build| &mut build.plan).chain(&mut plan.update);
        plans.for_each(Plan::one_by_one);
    }
    let mut trainer = Trainer::from_plan(&gpu, plan, data, &config.options).expect("a trainer");
    let losses = trainer.advance(3).expect("steps").iter().map(|record| record.loss.to_bits()).collect();
    let bits = |values: Vec<f32>| values.into_iter().map(f32::to_bits).collect();
    let weights = trainer.state_dict().expect("weights").into_iter().map(|t| (t.name, bits(t.values)));
    Run { weights: weights.collect(), plan: trainer.plan().clone(), losses }
}

/// An example saves so many dispatches a step, and computes the same.
fn check(example: &str, settings: &[&str], least: usize) {
    let (config, data) = config(example, settings);
    let [single, joined] = [true, false].map(|one_by_one| steps(&config, &data, one_by_one));
    let dispatches = |plan: &TrainPlan| plan.train[0].plan.steps.len();
    assert!(single.plan.train[0].plan.steps.iter().all(|step| step.kernel.entry != ENTRY));
    let saved = dispatches(&single.plan) - dispatches(&joined.plan);
    assert!(saved >= least, "{example}: {saved} dispatches fewer");
    assert!(single.losses == joined.losses, "{example}: losses {:?} and {:?}", single.losses, joined.losses);
    for (one, other) in single.weights.iter().zip(&joined.weights) {
        assert!(one == other, "{example}: {}", one.0);
    }
}

#[test]
fn a_convolutional_net() {
    check("digits_cnn.toml", &[], 6);
}

#[test]
fn batch_norms_and_shortcuts() {
    check("digits_resnet.toml", &["data.batch_size=12"], 8);
}

#[test]
fn attention_and_an_embedding() {
    let small = ["data.context=16", "data.batch_size=3"];
    check("tiny_gpt.toml", &small, 20);
}

#[test]
fn micro_batches_and_clipping() {
    check("digits_cnn.toml", &["train.micro_batch=8", "optimizer.clip_norm=1.0"], 4);
}

#[test]
fn halves() {
    if adapter::open(Family::Tiled).adapter().features.contains(&("shader-f16", true)) {
        check("digits_cnn.toml", &["train.precision=f16"], 4);
    }
}

/// What a dispatch binds and holds in workgroup memory stays within the limits that a plan assumes.
#[test]
fn limits_hold() {
    for example in ["tiny_gpt.toml", "digits_resnet.toml", "digits_cnn.toml"] {
        let (config, data) = config(example, &[]);
        let plan = config.plan(&data, Target::new(Family::Tiled)).expect("a plan");
        let joined = plan.train[0].plan.steps.iter().filter(|step| step.kernel.entry == ENTRY);
        let mut count = 0;
        for step in joined {
            assert!(step.bindings.len() <= JOINT_BUFFERS, "{}", step.title);
            let shared = step.kernel.wgsl.lines().filter_map(|line| line.strip_prefix("var<workgroup> "));
            let bytes: usize = shared.map(bytes).sum();
            assert!(bytes <= JOINT_WORKGROUP_BYTES, "{}: {bytes} bytes", step.title);
            assert_eq!(step.kernel.parts.len(), step.parts.len());
            count += 1;
        }
        assert!(count > 2, "{example}: {count} joined");
    }
}

/// Bytes of `name: array<vec4<f32>, 64>;`.
fn bytes(declared: &str) -> usize {
    let numbers = if declared.contains("vec4") { 4 } else { 1 };
    let length =
        declared.rsplit_once(", ").map_or(1, |(_, n)| n.trim_end_matches(">;").parse().expect("a length"));
    4 * numbers * length
}

/// A value that another kernel reads comes in an earlier dispatch.
#[test]
fn what_depends_on_each_other_is_apart() {
    let graph = Graph::new();
    let x = graph.input("x", [40, 50]);
    let y = graph.input("y", [50, 30]);
    let first = x.matmul(&y);
    let second = first.exp().sum(&[1], false);
    let third = x.exp();
    let outputs = [&first, &second, &third];
    let sinks: Vec<_> =
        (0..).zip(outputs).map(|(i, t)| (t.clone(), Sink::Buffer(format!("output {i}")))).collect();
    let ring = Ring { columns: 0, rows: 0 };
    let plan = Plan::new(&graph, &sinks, ring, Target::new(Family::Tiled)).expect("a plan");
    let places = |name: &str| -> Vec<usize> {
        let buffer = plan.buffers.iter().position(|b| b.name == name).expect("a buffer");
        let binds = |step: &&downhill::plan::Step| step.bindings.iter().any(|b| b.2.buffer == buffer);
        (0..).zip(&plan.steps).filter(|(_, step)| binds(step)).map(|(i, _)| i).collect()
    };
    assert_eq!((plan.steps.len(), places("output 0")), (2, vec![0, 1]));
    assert_eq!((places("output 1"), places("output 2")), (vec![1], vec![0]));
}

/// The outputs of a graph with one parameter [k, 5] named w, and the kernels of its plan.
fn outputs(
    target: Target,
    [rows, k]: [usize; 2],
    build: &dyn Fn(&Graph, [&Tensor; 3]) -> Vec<Tensor>,
) -> (Vec<Vec<f32>>, Vec<&'static str>) {
    let gpu = adapter::open(Family::Tiled);
    let graph = Graph::new();
    let (x, t) = (graph.input("x", [rows, k]), graph.input_i32("t", [rows]));
    let w = graph.parameter("w", [k, 5], Init::Constant(0.0));
    let made = build(&graph, [&x, &t, &w]);
    let mut function =
        Function::for_target(&gpu, &graph, &made.iter().collect::<Vec<_>>(), target).expect("a function");
    let numbers = |n: usize| -> Vec<f32> {
        (0..n).map(|i| ((i * 7919 + i / 13) % 1000) as f32 / 500.0 - 1.0).collect()
    };
    let shape = Shape::from([k, 5]);
    let weights = [NamedTensor { name: "w".into(), shape, values: numbers(5 * k) }];
    function.load_state_dict(&weights).expect("weights");
    let labels: Vec<i32> = (0..rows as i32).map(|i| i * 3 % 5).collect();
    let given = [("x", Value::F32(&numbers(rows * k))), ("t", Value::I32(&labels))];
    let got = function.call(&given).expect("a call");
    let kernels = function.plan().steps.iter().flat_map(|step| step.kernel.each()).map(|kernel| kernel.entry);
    (got, kernels.collect())
}

/// Graphs at which the end of a net, or kernels side by side, could go wrong: results are those of one kernel after the
/// other within rounding.
fn near(
    what: &str,
    sizes: [usize; 2],
    build: &dyn Fn(&Graph, [&Tensor; 3]) -> Vec<Tensor>,
) -> Vec<&'static str> {
    let gpu = adapter::open(Family::Tiled);
    if Target::for_gpu(&gpu).tiles != ProductTiles::Predicted {
        return vec!["mlp_rows", "cross_entropy_both"]; // a software adapter without such kernels
    }
    let target = Target { side_by_side: true, ..Target::for_gpu(&gpu) };
    let ((got, kernels), (want, _)) =
        (outputs(target, sizes, build), outputs(target.kernel_by_kernel(), sizes, build));
    for (i, (got, want)) in got.iter().zip(&want).enumerate() {
        let largest = want.iter().fold(0.0_f32, |a, x| a.max(x.abs()));
        for (got, want) in got.iter().zip(want) {
            assert!((got - want).abs() <= 4e-6 * largest, "{what}, output {i}: {got} and {want}");
        }
    }
    kernels
}

fn gradients(graph: &Graph, loss: Tensor, of: [&Tensor; 2]) -> Vec<Tensor> {
    let gradients = graph.grad(&loss, &of);
    [vec![loss], gradients].concat()
}

#[test]
fn the_end_of_a_net() {
    let plain = loss::CrossEntropy::default;
    let smooth = || loss::CrossEntropy { label_smoothing: 0.1, ..plain() };
    let sizes = [37, 24];
    let kernels = near("a layer", sizes, &|graph, [x, t, w]| {
        gradients(graph, loss::cross_entropy(&x.tanh().matmul(w), t, &smooth()), [x, w])
    });
    assert!(kernels.contains(&"mlp_rows"), "{kernels:?}");
    near("a value of the layer that is read again", sizes, &|graph, [x, t, w]| {
        let y = x.matmul(w).tanh().mul_scalar(30.0);
        gradients(graph, loss::cross_entropy(&y, t, &plain()), [x, w])
    });
    near("a loss beside that reads the same logits", sizes, &|graph, [x, t, w]| {
        let y = x.tanh().matmul(w);
        let other = loss::cross_entropy(&y, t, &plain());
        let all = gradients(graph, loss::cross_entropy(&y, t, &smooth()), [x, w]);
        [all, vec![other]].concat()
    });
    near("two losses of the same logits", sizes, &|graph, [x, t, w]| {
        let y = x.tanh().matmul(w);
        let both = loss::cross_entropy(&y, t, &plain()).mul_scalar(0.3);
        gradients(graph, both.add(&loss::cross_entropy(&y, t, &smooth()).mul_scalar(0.7)), [x, w])
    });
    near("logits that are an output too", sizes, &|graph, [x, t, w]| {
        let y = x.tanh().matmul(w);
        let all = gradients(graph, loss::cross_entropy(&y, t, &plain()), [x, w]);
        [all, vec![y]].concat()
    });
}

/// A product that reads one value twice has two names for it.
#[test]
fn a_product_of_a_value_with_itself() {
    near("a Gram matrix beside a layer", [40, 32], &|_, [x, _, w]| {
        vec![x.matmul(w).exp(), x.matmul(&x.permute(&[1, 0])).maximum(&x.sum_all())]
    });
}

/// Classes that no kernel of one invocation a row could loop over.
#[test]
fn many_classes() {
    let graph = Graph::new();
    let (y, t) = (graph.input("y", [4, 100_000]), graph.input_i32("t", [4]));
    let loss = loss::cross_entropy(&y, &t, &loss::CrossEntropy::default());
    let ring = Ring { columns: 0, rows: 0 };
    let sinks = [(loss, Sink::Buffer("loss".into()))];
    assert!(Plan::new(&graph, &sinks, ring, Target::new(Family::Tiled)).is_ok());
    assert!(Plan::new(&graph, &sinks, ring, Target::new(Family::Tiled).kernel_by_kernel()).is_err());
}
