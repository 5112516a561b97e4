//! Three steps of several nets at once leave in every private buffer, byte for byte, what three steps of each net alone
//! leave.

use std::collections::BTreeMap;

use downhill::compile::{MicroBatch, Orders, TrainOptions, TrainPlan};
use downhill::gpu::{Dispatch, Family, Reads};
use downhill::kernel::update::PARAMETERS;
use downhill::kernel::{Precision, Target};
use downhill::optim::{Average, Clip, Update};
use downhill::plan::{Memory, Program, Spread};
use downhill::{Gpu, GpuOptions};

use crate::nets::{self, Model, half, options, plan, update};
use crate::{adapter, fill};

/// Steps that are compared.
const STEPS: usize = 3;

fn open(family: Family, reads: Reads) -> Gpu {
    adapter::open_with(GpuOptions { family: Some(family), reads: Some(reads), ..GpuOptions::default() })
}

/// Runs the steps on buffers that are filled. A batch in parts is one program a part, and the update.
fn run(gpu: &Gpu, plan: &TrainPlan, memory: &Memory) {
    let parts = plan.batches.parts(plan.batches.rows);
    let builds = parts.map(|rows| plan.train.iter().find(|build| build.batch == rows).expect("a plan"));
    let plans = builds.map(|build| &build.plan).chain(&plan.update);
    let programs: Vec<Program> =
        plans.map(|plan| Program::new(gpu, plan, memory).expect("a program")).collect();
    let step: Vec<&[Dispatch]> = programs.iter().map(|program| &program.dispatches[..]).collect();
    let mut recorder = gpu.recorder();
    recorder.sequence(&step.repeat(STEPS));
    recorder.submit().expect("steps");
}

/// The bytes of every buffer of a net alone.
fn contents(gpu: &Gpu, plan: &TrainPlan, memory: &Memory) -> BTreeMap<String, Vec<u8>> {
    let held = plan.memory.iter().filter(|buffer| memory.find(&buffer.name).is_some());
    let read = |name: &str, bytes| pollster::block_on(gpu.read(memory.get(name), 0, bytes)).expect("bytes");
    held.map(|buffer| (buffer.name.clone(), read(&buffer.name, buffer.bytes))).collect()
}

struct Case<'a> {
    what: &'a str,
    model: Model,
    update: Update,
    options: TrainOptions,
    target: Target,
    /// The way in which both read operands.
    reads: Reads,
    orders: Orders,
}

impl Case<'_> {
    fn check(&self) {
        let Case { what, orders, .. } = *self;
        let gpu = open(self.target.family, self.reads);
        let has_half = gpu.adapter().features.contains(&("shader-f16", true));
        if self.options.precision == Precision::F16 && !has_half {
            println!("{what}: skipped, no f16");
            return;
        }
        let target = self.target.with_reads(self.reads).with_precision(self.options.precision);
        let stored = plan(self.model, &self.update, &self.options, self.target);
        let one = stored.clone().reading(target);
        let wanted: Vec<BTreeMap<String, Vec<u8>>> = (0..5)
            .map(|r| {
                let memory = Memory::allocate(&gpu, &one.memory).expect("memory");
                fill::alone(&gpu, &one, &memory, r, orders);
                run(&gpu, &one, &memory);
                contents(&gpu, &one, &memory)
            })
            .collect();
        assert_ne!(wanted[0][PARAMETERS], wanted[1][PARAMETERS], "{what}: replicas differ");
        {
            let count = 5;
            let all = stored.replicated(count, orders).expect("a plan").reading(target);
            let memory = Memory::allocate(&gpu, &all.memory).expect("memory");
            fill::together(&gpu, &stored, &all, &memory, orders);
            run(&gpu, &all, &memory);
            let found = contents(&gpu, &all, &memory);
            let plans = all.train.iter().map(|build| &build.plan).chain(&all.update);
            let has_once = plans.flat_map(|plan| &plan.spread).any(|spread| *spread == Spread::Once);
            let replicas = all.replicas.as_ref().expect("replicas");
            let mut compared = 0;
            for (name, bytes) in &found {
                let stride = replicas.stride(name) as usize;
                // What a kernel computed for all lies in the first part alone.
                let parts =
                    if stride == 0 || has_once && name.starts_with("activations") { 1 } else { count };
                for (r, wanted) in wanted.iter().enumerate().take(parts) {
                    let (own, wanted) = (&bytes[r * stride..], &wanted[name]);
                    assert!(own.len() >= wanted.len(), "{what}: {name}");
                    let words = wanted.chunks(4).zip(own.chunks(4)).enumerate();
                    let differing: Vec<String> = words
                        .filter(|(_, (a, b))| a[..] != b[..a.len()])
                        .map(|(i, (a, b))| format!("word {i}: {b:?} in place of {a:?}"))
                        .collect();
                    assert!(
                        differing.is_empty(),
                        "{what}: {name} of replica {r} of {count}, {orders:?}, {:?}: {} words differ: {:?}",
                        self.target.family,
                        differing.len(),
                        &differing[..differing.len().min(8)]
                    );
                    compared += usize::from(stride > 0);
                }
            }
            assert!(compared > 5 * count, "{what}: {compared} parts");
            let weights = |r: usize| &wanted[r][PARAMETERS];
            let before = fill::content(&one, PARAMETERS, weights(0).len(), 0, orders).expect("weights");
            assert_ne!(&before, weights(0), "{what}: weights move");
            let numbers: Vec<f32> = bytemuck::pod_collect_to_vec(weights(count - 1));
            assert!(numbers.iter().all(|x| x.is_finite()), "{what}: weights are finite");
        }
    }
}

/// The case on both families, and for GPUs with whole nets and without.
fn check(what: &str, model: Model, update: Update, options: TrainOptions) {
    for family in adapter::families() {
        let whole = Target::for_gpu(&open(*family, Reads::Storage)).with_reads(Reads::Storage);
        for target in [whole, whole.kernel_by_kernel()] {
            // Fleets have orders of their own, with evaluation, for all of these.
            let (update, options) = (update.clone(), options.clone());
            Case { what, model, update, options, target, reads: Reads::Storage, orders: Orders::Shared }
                .check();
            if !whole.whole_nets {
                break;
            }
        }
    }
}

#[test]
fn a_perceptron_by_adamw() {
    check("perceptron", nets::perceptron, update("adamw", ""), options());
}

#[test]
fn convolutions_with_batch_norm_and_dropout_by_momentum() {
    check("convolutions", nets::convolutions, update("sgd", "momentum = 0.9"), options());
}

#[test]
fn attention_by_lamb() {
    check("attention", nets::attention, update("lamb", ""), options());
}

#[test]
fn a_recurrent_net_clipped_by_norm() {
    let clipped = Update { clip: Some(Clip::Norm(0.05)), ..update("adamw", "") };
    check("recurrent", nets::recurrent, clipped, options());
}

#[test]
fn a_perceptron_by_muon() {
    check("perceptron by muon", nets::perceptron, update("muon", ""), options());
}

#[test]
fn moments_in_8_bits() {
    check("8 bits", nets::wide, update("adamw", "state_bits = 8"), options());
}

#[test]
fn micro_batches_clipped_by_value_with_an_average() {
    let average = Some(Average::Ema { decay: 0.9, eval: true });
    let update = Update { clip: Some(Clip::Value(0.5)), average, ..update("adamw", "") };
    let parts = TrainOptions { micro_batch: MicroBatch::Rows(3), ..options() };
    check("micro-batches", nets::convolutions, update, parts);
}

#[test]
fn halves() {
    check("halves", nets::convolutions, update("adamw", ""), half());
}

/// Operands in uniform buffers and images, which have the bytes of all replicas.
#[test]
fn however_operands_are_read() {
    for family in adapter::families() {
        for reads in [Reads::IMAGES, Reads::Images { above: 0 }, Reads::Products] {
            let target = Target::for_gpu(&open(*family, reads)).with_reads(Reads::Storage);
            let (update, orders) = (update("adamw", ""), Orders::Own);
            let model = nets::convolutions;
            Case { what: "reads", model, update, options: options(), target, reads, orders }.check();
        }
    }
}

/// The cases have whole nets, kernels side by side and blocked products, where the adapter has them.
#[test]
fn kernels_of_gpus_are_among_the_cases() {
    let target = Target::for_gpu(&open(Family::Tiled, Reads::Storage)).with_reads(Reads::Storage);
    let entries = |model: Model| -> Vec<&'static str> {
        let plan = plan(model, &update("adamw", ""), &options(), target);
        plan.train[0].plan.steps.iter().map(|step| step.kernel.entry).collect()
    };
    println!("{:?} {:?}", entries(nets::perceptron), entries(nets::convolutions));
    assert_eq!(entries(nets::perceptron).contains(&"mlp_rows"), target.whole_nets);
    assert_eq!(entries(nets::convolutions).contains(&"side_by_side"), target.side_by_side);
}
