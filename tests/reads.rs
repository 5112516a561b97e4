//! However operands are read, from storage, uniform buffers or images, every bit is the same.

mod adapter;

use downhill::compile::{MicroBatch, TrainOptions, TrainPlan};
use downhill::data::{BatchSize, Dataset};
use downhill::gpu::{Access, Family, Reads};
use downhill::kernel::{MemoryBudget, Precision, Target};
use downhill::nn::{BatchNorm, Conv2d, LayerNorm, MultiHeadAttention, Net, Padding, Pool2d, loss};
use downhill::optim::{Adam, AdamW, Average, Clip, Optimizer, RmsProp, Sgd, Update};
use downhill::train::Trainer;
use downhill::{GpuOptions, Tensor};

/// 40 samples of 2x12x12 in 5 classes.
fn data() -> Dataset {
    let value = |i: usize| ((i * 7919 + i / 13 * 104_729) % 1000) as f32 / 500.0 - 1.0;
    let inputs: Vec<f32> = (0..40 * 288).map(value).collect();
    let labels: Vec<i32> = (0..40).map(|i| i * i % 5).collect();
    let data = Dataset::from_arrays("made up", [2, 12, 12], inputs, [], labels).expect("a data set");
    data.with_classes(5).expect("five classes")
}

fn cross_entropy(y: &Tensor, t: &Tensor) -> Tensor {
    loss::cross_entropy(y, t, &loss::CrossEntropy::default())
}

/// Two layers of a perceptron.
fn perceptron(net: &Net, x: &Tensor) -> Tensor {
    let h = net.linear("0", &x.flatten(), 24).tanh();
    net.linear("1", &h, 5)
}

/// Convolutions, batch norm, pooling, dropout, then attention over the rows and a norm.
fn everything(net: &Net, x: &Tensor) -> Tensor {
    let h = net.conv2d("c", x, &Conv2d { padding: Padding::Same, ..Conv2d::new(8, [3, 3]) });
    let h = net.batch_norm("b", &h, &BatchNorm::default()).relu();
    let h = h.max_pool(&Pool2d::new([2, 2]));
    let h = net.dropout(&h, 0.2);
    let n = h.shape()[0];
    let rows = h.permute(&[0, 2, 1, 3]).reshape([n, 6, 48]);
    let rows = net.multi_head_attention("a", &rows, &MultiHeadAttention::new(4));
    let rows = net.layer_norm("n", &rows, &LayerNorm::default());
    net.linear("o", &rows.flatten(), 5)
}

/// Three steps: the losses and every number of the state that is left.
fn run(
    model: &dyn Fn(&Net, &Tensor) -> Tensor,
    update: &Update,
    precision: Precision,
    reads: Reads,
) -> (Vec<u32>, Vec<u32>, TrainPlan) {
    let gpu = adapter::open_with(GpuOptions {
        family: Some(Family::Subgroup),
        reads: Some(reads),
        ..GpuOptions::default()
    });
    let options =
        TrainOptions { batch_size: BatchSize::Rows(32), epochs: 2, precision, ..TrainOptions::default() };
    let mut trainer =
        Trainer::new(&gpu, model, &cross_entropy, update.clone(), &data(), &options).expect("a trainer");
    let losses = trainer.advance(3).expect("three steps").iter().map(|r| r.loss.to_bits()).collect();
    let state = trainer.state_dict().expect("weights");
    let bits = state.iter().flat_map(|t| t.values.iter().map(|x| x.to_bits())).collect();
    (losses, bits, trainer.plan().clone())
}

fn count(plan: &TrainPlan, is: impl Fn(Access) -> bool) -> usize {
    plan.train.iter().flat_map(|b| &b.plan.steps).flat_map(|s| &s.bindings).filter(|b| is(b.1)).count()
}

/// Equal bits in these ways and from storage; and each way is the one that was asked for.
fn assert_equal(
    what: &str,
    model: &dyn Fn(&Net, &Tensor) -> Tensor,
    update: &Update,
    precision: Precision,
    ways: &[Reads],
) {
    let (losses, bits, storage) = run(model, update, precision, Reads::Storage);
    assert_eq!(count(&storage, |a| matches!(a, Access::Uniform | Access::Image(_))), 0);
    assert!(losses.iter().all(|l| f32::from_bits(*l).is_finite()));
    for &reads in ways {
        let (other_losses, other_bits, plan) = run(model, update, precision, reads);
        assert_eq!(losses, other_losses, "{what}, {reads}");
        assert!(bits == other_bits, "{what}, {reads}: other weights");
        let (uniform, image) =
            (count(&plan, |a| a == Access::Uniform), count(&plan, |a| matches!(a, Access::Image(_))));
        match reads {
            Reads::Images { above: 0 } => assert!(uniform == 0 && image > 10, "{uniform} and {image}"),
            Reads::Products => {
                let storage = count(&plan, |a| a == Access::Read);
                assert!(uniform + image > 3 && storage > 10, "{uniform}, {image} and {storage}");
            }
            _ => assert!(uniform > 10, "{uniform} and {image}"),
        }
    }
}

fn subgroups() -> bool {
    adapter::families().contains(&Family::Subgroup)
}

#[test]
fn every_optimizer_has_the_same_bits() {
    if !subgroups() {
        return;
    }
    let more = [
        Optimizer::Sgd(Sgd { momentum: 0.9, nesterov: true, ..Sgd::default() }),
        Optimizer::RmsProp(RmsProp { centered: true, momentum: 0.9, ..RmsProp::default() }),
        Optimizer::Adam(Adam { amsgrad: true, ..Adam::default() }),
        Optimizer::AdamW(AdamW { state_bits: 8, ..AdamW::default() }),
    ];
    let named = |name: &str| toml::from_str(&format!("name = \"{name}\"")).expect("its defaults");
    for optimizer in Optimizer::NAMES.into_iter().map(named).chain(more) {
        let what = format!("{optimizer:?}");
        assert_equal(
            &what,
            &perceptron,
            &Update::from(&optimizer),
            Precision::F32,
            &[Reads::Images { above: 0 }],
        );
    }
}

#[test]
fn every_kind_of_layer_has_the_same_bits() {
    if !subgroups() {
        return;
    }
    let adamw = Update::from(&Optimizer::AdamW(AdamW::default()));
    let ways = [Reads::IMAGES, Reads::Images { above: 0 }, Reads::Products];
    assert_equal("f32", &everything, &adamw, Precision::F32, &ways);
    if adapter::open(Family::Subgroup).has_f16() {
        assert_equal("f16", &everything, &adamw, Precision::F16, &ways);
    }
}

/// Programs that share memory, and what the host writes between them: micro-batches, an update of its own with clipping and
/// an average, evaluations in between.
#[test]
fn programs_in_turn_have_the_same_bits() {
    if !subgroups() {
        return;
    }
    let update = Update {
        clip: Some(Clip::Norm(0.5)),
        average: Some(Average::Ema { decay: 0.9, eval: true }),
        ..Update::new(Optimizer::AdamW(AdamW::default()))
    };
    let whole = data();
    let inputs: Vec<f32> = (0..20 * 288).map(|i| (i % 97) as f32 / 97.0).collect();
    let whole = whole.with_eval(inputs, (0..20).map(|i| i % 5).collect::<Vec<i32>>()).expect("two parts");
    let run = |reads: Reads| {
        let gpu = adapter::open_with(GpuOptions {
            family: Some(Family::Subgroup),
            reads: Some(reads),
            ..GpuOptions::default()
        });
        let options = TrainOptions {
            batch_size: BatchSize::Rows(32),
            micro_batch: MicroBatch::Rows(12),
            epochs: 3,
            ..TrainOptions::default()
        };
        let mut trainer = Trainer::new(&gpu, &perceptron, &cross_entropy, update.clone(), &whole, &options)
            .expect("a trainer");
        let mut numbers = Vec::new();
        for _ in 0..4 {
            numbers.extend(trainer.advance(1).expect("a step").iter().map(|r| f64::from(r.loss).to_bits()));
            let evaluated = trainer.evaluate().expect("an evaluation").expect("a part for it");
            numbers.push(evaluated.loss.to_bits());
        }
        numbers
    };
    let storage = run(Reads::Storage);
    assert_eq!(storage.len(), 8);
    for reads in [Reads::IMAGES, Reads::Images { above: 0 }] {
        assert_eq!(run(reads), storage, "{reads}");
    }
}

/// Images take the memory that a budget leaves, and none where it does not suffice; the plan says so.
#[test]
fn images_keep_within_the_budget() {
    let data = data();
    let plan = |budget: Option<u64>| {
        let memory = MemoryBudget { budget, ..MemoryBudget::default() };
        TrainPlan::builder(&data, Optimizer::AdamW(AdamW::default()))
            .model(&everything, &cross_entropy)
            .target(Target::new(Family::Subgroup).with_reads(Reads::Images { above: 0 }).with_memory(memory))
            .build()
            .expect("a plan")
    };
    let images = |plan: &TrainPlan| count(plan, |a| matches!(a, Access::Image(_)));
    let free = plan(None);
    let peak = free.peak_bytes();
    let listed: u64 =
        free.all_buffers().iter().filter(|b| b.name.starts_with("image of ")).map(|b| b.bytes).sum();
    assert!(images(&free) > 10 && listed > 0 && free.budget_choice.choices.is_empty());
    assert_eq!(images(&plan(Some(peak))), images(&free));
    let tight = plan(Some(peak - 1));
    assert_eq!((images(&tight), tight.peak_bytes()), (0, peak - listed));
    assert!(
        tight.budget_choice.choices[0].contains("read from storage"),
        "{:?}",
        tight.budget_choice.choices
    );
}

/// A range that an image still holds is not copied again; one that was written since is.
#[test]
fn what_an_image_holds_is_not_copied_again() {
    let data = data();
    let plan = TrainPlan::builder(&data, Optimizer::AdamW(AdamW::default()))
        .model(&everything, &cross_entropy)
        .target(Target::new(Family::Subgroup).with_reads(Reads::Images { above: 0 }))
        .build()
        .expect("a plan");
    let plan = &plan.train[0].plan;
    let (mut copied, mut kept) = (0, 0);
    let mut held = std::collections::HashMap::new();
    for step in &plan.steps {
        for used in &step.images {
            let range = step.bindings.iter().find(|b| b.0 == used.slot).expect("its binding").2;
            match used.copied {
                true => drop(held.insert(used.image, range)),
                false => assert_eq!(held.get(&used.image), Some(&range), "{}", step.title),
            }
            *(if used.copied { &mut copied } else { &mut kept }) += 1;
        }
        let written = step.bindings.iter().filter(|b| b.1 == Access::Write);
        written.for_each(|w| held.retain(|_, range| range.buffer != w.2.buffer));
    }
    assert!(copied > 10 && kept > 3, "{copied} copied, {kept} kept");
}
