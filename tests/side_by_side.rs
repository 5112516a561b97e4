//! Kernels side by side compute what they compute one by one, to the bit.

mod adapter;
mod example_configs;

use downhill::Graph;
use downhill::compile::TrainPlan;
use downhill::config::Config;
use downhill::data::Dataset;
use downhill::gpu::Family;
use downhill::kernel::side_by_side::ENTRY;
use downhill::kernel::{JOINT_BUFFERS, JOINT_WORKGROUP_BYTES, Target};
use downhill::plan::{Plan, Ring, Sink};
use downhill::train::Trainer;
use example_configs::StandIn;

fn config(example: &str, settings: &[&str]) -> (Config, Dataset) {
    let path = example_configs::all().into_iter().find(|path| path.ends_with(example)).expect("an example");
    let mut all = StandIn::new().settings(&path);
    all.extend(settings.iter().map(|&setting| setting.to_owned()));
    let config = Config::load(&path, &all).unwrap_or_else(|err| panic!("{example}: {err}"));
    let data = config.dataset().unwrap_or_else(|err| panic!("{example}: {err}"));
    (config, data)
}

/// Three steps: how many dispatches one has, the losses, and the weights.
fn steps(
    config: &Config,
    data: &Dataset,
    one_by_one: bool,
) -> (TrainPlan, Vec<u32>, Vec<(String, Vec<u32>)>) {
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
    (trainer.plan().clone(), losses, weights.collect())
}

/// An example saves so many dispatches a step, and computes the same.
fn check(example: &str, settings: &[&str], least: usize) {
    let (config, data) = config(example, settings);
    let [single, joined] = [true, false].map(|one_by_one| steps(&config, &data, one_by_one));
    let dispatches = |plan: &TrainPlan| plan.train[0].plan.steps.len();
    assert!(single.0.train[0].plan.steps.iter().all(|step| step.kernel.entry != ENTRY));
    let saved = dispatches(&single.0) - dispatches(&joined.0);
    assert!(saved >= least, "{example}: {saved} dispatches fewer");
    assert!(single.1 == joined.1, "{example}: losses {:?} and {:?}", single.1, joined.1);
    for (one, other) in single.2.iter().zip(&joined.2) {
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
