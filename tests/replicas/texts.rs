//! Every kernel's text for replicas is that of one net, but for where a replica's part begins: naga's reading of both texts
//! shows it.

use std::collections::HashSet;

use downhill::compile::{MicroBatch, Orders, TrainOptions, TrainPlan};
use downhill::config::Config;
use downhill::gpu::replicas::proof;
use downhill::gpu::{Family, Reads};
use downhill::kernel::{Precision, Target};
use downhill::metrics::Metric;
use downhill::optim::{Average, Clip, Optimizer, Update};
use downhill::plan::{Plan, Spread};

use crate::example_configs::{self, StandIn};
use crate::nets::{self, MODELS, half, options, plan, targets, update};

/// The plans of a run.
fn plans(plan: &TrainPlan) -> Vec<&Plan> {
    let steps = plan.train.iter().chain(&plan.eval).map(|build| &build.plan);
    let rest = plan.update.iter().chain(&plan.average);
    steps.chain(rest).chain(plan.statistics_plans().into_iter().map(|(_, plan)| plan)).collect()
}

/// A text, its entry point, and the strides of its private bindings.
type Text = (String, &'static str, Vec<(u32, u64)>);

/// What has been proved.
#[derive(Default)]
struct Proved {
    texts: HashSet<Text>,
    elements: usize,
    once: usize,
}

impl Proved {
    /// Three replicas of a run: every text.
    fn check(&mut self, what: &str, alone: &TrainPlan, orders: Orders) {
        let all = alone.replicated(3, orders).unwrap_or_else(|err| panic!("{what}: {err}"));
        let replicas = all.replicas.as_ref().expect("replicas");
        for (one, many) in plans(alone).into_iter().zip(plans(&all)) {
            assert_eq!(many.spread.len(), one.steps.len());
            for ((own, of_all), spread) in one.steps.iter().zip(&many.steps).zip(&many.spread) {
                let pairs = own.bindings.iter().zip(&of_all.bindings);
                let mut private = Vec::new();
                for ((slot, access, a), (other_slot, other_access, b)) in pairs {
                    assert_eq!((slot, access), (other_slot, other_access));
                    let stride = replicas.stride(&one.buffers[a.buffer].name);
                    assert_eq!((a.buffer, a.offset), (b.buffer, b.offset), "{what}: {}", own.title);
                    assert!(b.bytes == a.bytes || b.bytes == a.bytes + 2 * stride, "{what}: {}", own.title);
                    assert!(b.offset + b.bytes <= many.buffers[b.buffer].bytes, "{what}: {}", own.title);
                    if b.bytes > a.bytes {
                        private.push((*slot, stride));
                    }
                }
                let [x, y, z] = own.kernel.grid;
                if *spread == Spread::Once {
                    assert_eq!(own.kernel.wgsl, of_all.kernel.wgsl, "{what}: {}", own.title);
                    assert_eq!(own.kernel.grid, of_all.kernel.grid, "{what}: {}", own.title);
                    self.once += 1;
                    continue;
                }
                assert_eq!(of_all.kernel.grid, [x, y, 3 * z], "{what}: {}", own.title);
                assert_eq!(own.kernel.constants, of_all.kernel.constants, "{what}: {}", own.title);
                let key = (of_all.kernel.wgsl.clone(), own.kernel.entry, private);
                if self.texts.contains(&key) {
                    continue;
                }
                let proved = proof::check(&own.kernel.wgsl, &of_all.kernel.wgsl, own.kernel.entry, &key.2, z);
                let elements = proved.unwrap_or_else(|err| panic!("{what}: {}: {err}", own.title));
                assert!(elements > 0, "{what}: {} has no element of its own", own.title);
                self.elements += elements;
                self.texts.insert(key);
            }
        }
    }
}

#[test]
fn of_the_example_configs() {
    let stand_in = StandIn::new();
    let mut proved = Proved::default();
    let half = (Target::new(Family::Tiled), Precision::F16);
    for path in example_configs::all() {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let config = Config::load(&path, &stand_in.settings(&path)).expect("a config");
        let data = config.dataset().expect("a data set");
        // Kernel by kernel they are those of every way to train, which has every layer's.
        let [whole, _, software] = targets();
        for (target, precision) in [(whole, Precision::F32), (software, Precision::F32), half] {
            let mut config = config.clone();
            config.options.precision = precision;
            let alone = config.plan(&data, target).unwrap_or_else(|err| panic!("{name}: {err}"));
            proved.check(&name, &alone, Orders::Own);
            if precision == Precision::F32 {
                proved.check(&name, &alone, Orders::Shared);
            }
        }
    }
    println!("{} texts, {} elements, {} once", proved.texts.len(), proved.elements, proved.once);
    assert!(proved.texts.len() > 300 && proved.elements > 1_000 && proved.once > 20);
}

#[test]
fn of_every_optimizer() {
    let mut proved = Proved::default();
    for name in Optimizer::NAMES {
        for target in targets() {
            let plain = update(name, "");
            let clipped = Update { clip: Some(Clip::Norm(1.0)), ..plain.clone() };
            for update in [plain, clipped] {
                proved.check(name, &plan(nets::perceptron, &update, &options(), target), Orders::Own);
            }
        }
    }
    let forms = [
        ("adamw", "state_bits = 8"),
        ("adam", "amsgrad = true"),
        ("sgd", "momentum = 0.9, nesterov = true"),
        ("rmsprop", "momentum = 0.9, centered = true"),
        ("muon", "nesterov = false"),
    ];
    for (name, settings) in forms {
        for target in targets() {
            let plan = plan(nets::wide, &update(name, settings), &options(), target);
            proved.check(settings, &plan, Orders::Own);
        }
    }
    assert!(proved.texts.len() > 60, "{}", proved.texts.len());
}

#[test]
fn of_every_way_to_train() {
    let mut proved = Proved::default();
    let adamw = update("adamw", "");
    let averaged = |average| Update { average: Some(average), ..adamw.clone() };
    let ema = averaged(Average::Ema { decay: 0.9, eval: true });
    let value = Update { clip: Some(Clip::Value(0.5)), ..adamw.clone() };
    let norm = Update { clip: Some(Clip::Norm(0.5)), ..ema.clone() };
    let parts = TrainOptions { micro_batch: MicroBatch::Rows(3), ..options() };
    let counted = TrainOptions { statistics: Some(1), metrics: vec![Metric::ConfusionMatrix], ..options() };
    let half_parts =
        TrainOptions { statistics: Some(1), ..TrainOptions { micro_batch: MicroBatch::Rows(3), ..half() } };
    for (what, model) in MODELS {
        for target in targets() {
            let ways = [
                (&ema, &options()),
                (&value, &parts),
                (&norm, &parts),
                (&adamw, &counted),
                (&adamw, &half()),
                (&norm, &half_parts),
            ];
            for (update, options) in ways {
                let alone = plan(model, update, options, target);
                proved.check(what, &alone, Orders::Own);
                if update.clip.is_none() {
                    proved.check(what, &alone, Orders::Shared);
                }
            }
        }
    }
    assert!(proved.texts.len() > 200, "{}", proved.texts.len());
}

/// One replica is a net alone, byte for byte; and a plan is replicated once, before reads are chosen.
#[test]
fn one_replica_is_a_net_alone() {
    for target in targets() {
        let alone = plan(nets::convolutions, &update("adamw", ""), &options(), target);
        let one = alone.replicated(1, Orders::Own).expect("a plan");
        assert_eq!(format!("{one:?}"), format!("{alone:?}"));
        assert!(one.replica_bytes().is_none());
        let two = alone.replicated(2, Orders::Own).expect("a plan");
        let again = two.replicated(2, Orders::Own).expect_err("once").to_string();
        assert!(again.contains("replicated once"), "{again}");
        let none = alone.replicated(0, Orders::Own).expect_err("none").to_string();
        assert!(none.contains("the least is 1"), "{none}");
        let many = alone.replicated(70_000, Orders::Own).expect_err("too many").to_string();
        assert!(many.contains("at most"), "{many}");
    }
    let images = Target::new(Family::Subgroup).with_reads(Reads::IMAGES);
    let read = plan(nets::convolutions, &update("adamw", ""), &options(), images);
    let late = read.replicated(2, Orders::Own).expect_err("too late").to_string();
    assert!(late.contains("before it is chosen how operands are read"), "{late}");
}
