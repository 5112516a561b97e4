//! Ranks that share each batch have the bits of one process. Here they are threads, each with a device of its own; `tests/mpi.rs`
//! has processes.

mod adapter;

use std::thread;

use downhill::config::Config;
use downhill::data::Dataset;
use downhill::error::{Error, Result};
use downhill::gpu::Family;
use downhill::graph::Clock;
use downhill::ranks::{Ranks, Threads};
use downhill::train::{EpochRecord, Observer, Outcome, RunEnd, RunHandle, Snapshot, StepRecord, Trainer};
use downhill::{Gpu, GpuOptions};

/// 1,437 samples in batches of 64, the last of 29: of four shards of 16 it has one whole, one short and two empty.
const DIGITS: &str = r#"
seed = 3
[data]
source = "digits"
batch_size = 64
[model]
layers = ["flatten", { linear = 32 }, "relu", { linear = 10 }]
loss = "cross_entropy"
[optimizer]
name = "adamw"
lr = 3e-3
[train]
epochs = 2
shards = 4
[eval]
batch_size = 100
metrics = ["f1", "confusion_matrix"]
"#;

const LAYERS: &str = r#"["flatten", { linear = 32 }, "relu", { linear = 10 }]"#;
const CONV: &str = r#"[{ conv2d = { out_channels = 4, kernel_size = 3, stride = 2 } }, "batch_norm", "relu", "flatten", { linear = 10 }]"#;

/// The records that a rank saw, and the state that it ended in.
#[derive(Default)]
struct Seen {
    steps: Vec<StepRecord>,
    epochs: Vec<EpochRecord>,
    state: Vec<(String, Vec<u8>)>,
    end: Option<(RunEnd, u64)>,
}

impl Observer for Seen {
    fn steps(&mut self, steps: &[StepRecord]) -> Result<()> {
        self.steps.extend_from_slice(steps);
        Ok(())
    }

    fn epoch(&mut self, epoch: &EpochRecord) -> Result<()> {
        self.epochs.push(epoch.clone());
        Ok(())
    }
}

impl Seen {
    /// The state with those of the device's step words that outlive a window.
    fn kept(&self) -> Vec<(&str, Vec<u8>)> {
        let words = 4 * Clock::Scale as usize..4 * Clock::Overflow as usize;
        let own = |name: &str| if name == "state" { words.clone() } else { 0..usize::MAX };
        let part =
            |name, bytes: &'_ [u8]| bytes.get(own(name)).map_or_else(|| bytes.to_vec(), <[u8]>::to_vec);
        self.state.iter().map(|(name, bytes)| (name.as_str(), part(name, bytes))).collect()
    }

    /// Every number but times, to the bit.
    fn bits(&self) -> Vec<(String, Vec<u64>)> {
        let step = |step: &StepRecord| {
            let check = step.gradient_check.map(|check| {
                [u64::from(check.skipped), check.skipped_steps, u64::from(check.grad_norm.to_bits())]
            });
            let numbers = [step.step, u64::from(step.loss.to_bits()), step.lr.to_bits()];
            ("step".to_owned(), [numbers.to_vec(), check.unwrap_or_default().to_vec()].concat())
        };
        let epoch = |epoch: &EpochRecord| {
            let timed = |name: &str| name == "samples_per_second";
            let values = epoch.values().into_iter().filter(|(name, _)| !timed(name));
            let (names, values): (Vec<_>, Vec<_>) =
                values.map(|(name, value)| (name, value.to_bits())).unzip();
            (names.join(" "), values)
        };
        self.steps.iter().map(step).chain(self.epochs.iter().map(epoch)).collect()
    }
}

fn trainer(settings: &[String], family: Family, ranks: Ranks) -> Result<(Gpu, Dataset, Trainer)> {
    let config = Config::parse(DIGITS, settings)?;
    let data = config.dataset()?;
    let gpu = adapter::open_with(GpuOptions {
        family: Some(family),
        ranks,
        ..config.gpu_options(&GpuOptions::default())
    });
    let trainer = config.trainer(&gpu, &data)?;
    Ok((gpu, data, trainer))
}

fn run_in(trainer: &mut Trainer, seen: &mut Seen) -> Result<Outcome> {
    let outcome = trainer.run(seen)?;
    let snapshot: Snapshot = trainer.snapshot()?;
    seen.state = snapshot.buffers().map(|(name, bytes)| (name.to_owned(), bytes.to_vec())).collect();
    seen.end = Some((outcome.end, outcome.step));
    Ok(outcome)
}

/// Does `work` on so many ranks at once; gives what each made.
fn on_ranks<T: Send>(count: usize, work: impl Fn(Ranks) -> Result<T> + Sync) -> Vec<Result<T>> {
    thread::scope(|scope| {
        let ranks = Threads::group(count).into_iter().map(Ranks::new);
        let threads: Vec<_> = ranks
            .map(|ranks| {
                let work = &work;
                scope.spawn(move || ranks.clone().conclude(work(ranks)))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a rank that ends")).collect()
    })
}

fn run_on(count: usize, settings: &[String], family: Family) -> Vec<Seen> {
    let results = on_ranks(count, |ranks| {
        let (_gpu, _data, mut trainer) = trainer(settings, family, ranks)?;
        let mut seen = Seen::default();
        run_in(&mut trainer, &mut seen)?;
        Ok(seen)
    });
    results.into_iter().map(|result| result.unwrap_or_else(|err| panic!("{settings:?}: {err}"))).collect()
}

/// Fails where ranks have other bits than one process.
fn check(name: &str, settings: &[&str], counts: &[usize], family: Family) {
    let settings: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
    let alone = run_on(1, &settings, family).remove(0);
    assert!(
        !alone.steps.is_empty()
            && alone.epochs.iter().all(|epoch| epoch.eval_loss.is_some_and(f64::is_finite))
    );
    for &count in counts {
        for (rank, seen) in run_on(count, &settings, family).into_iter().enumerate() {
            assert_eq!(seen.bits(), alone.bits(), "{name}: records of rank {rank} of {count}");
            for ((buffer, ours), (_, theirs)) in seen.kept().into_iter().zip(alone.kept()) {
                assert!(ours == theirs, "{name}: \"{buffer}\" of rank {rank} of {count}");
            }
            assert_eq!((seen.state.len(), seen.end), (alone.state.len(), alone.end));
        }
    }
}

macro_rules! equal_bits {
    ($($(#[$doc:meta])* $name:ident: $($setting:expr),* => $counts:expr;)*) => {
        $(
            $(#[$doc])*
            #[test]
            fn $name() {
                let family = adapter::families()[0];
                check(stringify!($name), &[$($setting),*], &$counts, family);
            }
        )*
    };
}

equal_bits! {
    a_plain_net: => [2, 4];
    chance: &format!("model.layers={}", LAYERS.replace("\"relu\"", "\"relu\", { dropout = 0.3 }")),
        "data.augment=[{ shift = 1 }, { noise = 0.1 }]" => [2, 4];
    clipping_and_averages: "optimizer.clip_norm=0.5", "average.kind=ema", "average.decay=0.9", "schedule.name=one_cycle" => [4];
    batch_norm: &format!("model.layers={CONV}"), "train.micro_batch=8" => [2, 4];
    eight_bit_states: "optimizer.state_bits=8", "model.layers=[\"flatten\", { linear = 128 }, \"relu\", { linear = 10 }]" => [2];
    half_precision: "train.precision=f16", "train.weight_rounding=stochastic" => [2];
    streamed_samples: "data.residence=streamed", "data.workers=2" => [2, 4];
    statistics_of_epochs: "early_stopping.patience=1", "early_stopping.metric=eval_accuracy", "train.epochs=4",
        "schedule.name=plateau", "schedule.patience=0" => [2];
    ends_within_an_epoch: "train.steps=7", "data.drop_last=true" => [4];
    more_shards_than_ranks: "train.shards=16", "data.sampling=replacement" => [2, 8];
}

/// Memory decides how batches go, alike for any number of ranks.
#[test]
fn memory_that_decides_micro_batches() {
    let settings = ["data.batch_size=512", "train.micro_batch=auto", "train.steps=4", "train.shards=2"];
    let family = adapter::families()[0];
    let peak = |settings: &[&str]| {
        let settings: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
        trainer(&settings, family, Ranks::default()).unwrap().2.plan().peak_bytes()
    };
    let whole = peak(&settings);
    // A little less than whole shards need.
    let memory = format!("train.memory={}", whole - 4_096);
    let with = [&settings[..], &[&memory]].concat();
    assert!(peak(&with) < whole);
    check("memory", &with, &[2], family);
}

#[test]
fn ranks_of_gpus_kernels_too() {
    if let Some(&family) = adapter::families().get(1) {
        let layers = format!("model.layers={CONV}");
        check("tiled", &[&layers, "optimizer.clip_norm=1.0", "train.steps=8"], &[2], family);
    }
}

#[test]
fn shards_change_the_order_of_sums_alone() {
    let family = adapter::families()[0];
    let losses = |setting: &str| -> Vec<f32> {
        let seen = run_on(1, &[setting.to_owned(), "train.steps=10".into()], family).remove(0);
        seen.steps.iter().map(|step| step.loss).collect()
    };
    let whole = losses("train.shards=1");
    for shards in ["train.shards=2", "train.shards=16"] {
        for (ours, theirs) in losses(shards).iter().zip(&whole) {
            assert!((ours - theirs).abs() < 1e-4 * theirs, "{shards}: {ours} and {theirs}");
        }
    }
}

/// Asks for a stop after a step.
struct Stops(Option<(RunHandle, u64)>, Seen);

impl Observer for Stops {
    fn steps(&mut self, steps: &[StepRecord]) -> Result<()> {
        if let Some((handle, at)) = &self.0
            && steps.iter().any(|step| step.step == *at)
        {
            handle.stop();
        }
        self.1.steps(steps)
    }

    fn epoch(&mut self, epoch: &EpochRecord) -> Result<()> {
        self.1.epoch(epoch)
    }
}

#[test]
fn a_stop_of_one_stops_all_after_the_same_step_and_any_number_goes_on() {
    let (family, settings) = (adapter::families()[0], ["optimizer.clip_norm=1.0".to_owned()]);
    let whole = run_on(1, &settings, family).remove(0);
    let stopped = on_ranks(4, |ranks| {
        let rank = ranks.rank();
        let (_gpu, _data, mut trainer) = trainer(&settings, family, ranks)?;
        let mut observer = Stops((rank == 2).then(|| (trainer.handle(), 9)), Seen::default());
        let outcome = trainer.run(&mut observer)?;
        assert_eq!(outcome.end, RunEnd::Stopped);
        Ok((outcome.step, observer.1, trainer.snapshot()?.to_bytes()?))
    });
    let mut stopped: Vec<_> = stopped.into_iter().map(|result| result.unwrap()).collect();
    let (step, before, state) = stopped.remove(3);
    // The step in flight, and the one that is exchanged after it was asked for.
    assert!((10..=12).contains(&step), "stopped after step {step}");
    assert!(stopped.iter().all(|(other, ..)| *other == step));
    for count in [1, 2] {
        let resumed = on_ranks(count, |ranks| {
            let (_gpu, _data, mut trainer) = trainer(&settings, family, ranks)?;
            trainer.restore(&Snapshot::from_bytes(&state)?)?;
            let mut seen = Seen::default();
            run_in(&mut trainer, &mut seen)?;
            Ok(seen)
        });
        for seen in resumed {
            let seen = seen.unwrap();
            assert_eq!(seen.kept(), whole.kept(), "{count} ranks");
            assert_eq!([before.steps.len(), seen.steps.len()].iter().sum::<usize>(), whole.steps.len());
            assert_eq!(seen.epochs.len(), whole.epochs.len());
        }
    }
}

/// Fails at a step.
struct Fails(u64);

impl Observer for Fails {
    fn steps(&mut self, steps: &[StepRecord]) -> Result<()> {
        match steps.iter().any(|step| step.step == self.0) {
            true => Err(Error::Data("no space is left".into())),
            false => Ok(()),
        }
    }
}

#[test]
fn all_see_the_error_of_one() {
    let family = adapter::families()[0];
    let ends = on_ranks(2, |ranks| {
        let fails = if ranks.is_first() { Fails(5) } else { Fails(0) };
        let (_gpu, _data, mut trainer) = trainer(&[], family, ranks)?;
        trainer.run(&mut { fails })
    });
    let texts: Vec<String> = ends.into_iter().map(|end| end.unwrap_err().to_string()).collect();
    assert_eq!(texts, ["no space is left", "rank 0: no space is left"]);
}

#[test]
fn faults_name_shards_and_ranks() {
    let family = adapter::families()[0];
    let fault = |count: usize, settings: &[&str]| {
        let settings: Vec<String> = settings.iter().map(|setting| (*setting).to_owned()).collect();
        let mut ends = on_ranks(count, |ranks| trainer(&settings, family, ranks).map(drop));
        ends.remove(0).unwrap_err().to_string()
    };
    for (count, settings, expected) in [
        (1, &["train.shards=3"][..], "train.shards = 3: a power of 2 is needed"),
        (
            1,
            &["train.shards=64", "data.batch_size=32"],
            "train.shards = 64: a batch of 32 samples has too few to share",
        ),
        (1, &["train.shards=64", "data.batch_size=128", "train.micro_batch=1"], "at most 64 fit"),
        (4, &["train.shards=2"], "train.shards = 2 and 4 ranks"),
        (2, &["train.shards=1"], "--set train.shards=2"),
        (3, &["train.shards=4"], "start 2, 4, 8 .. ranks"),
        (2, &["train.shards=2", "watch.statistics=5"], "watch.statistics"),
    ] {
        let text = fault(count, settings);
        assert!(text.contains(expected), "{count} ranks, {settings:?}: {text}");
    }
    let momentum = CONV.replace("\"batch_norm\"", "{ batch_norm = { momentum = \"none\" } }");
    let text = fault(1, &[&format!("model.layers={momentum}")]);
    assert!(text.contains("train.shards: batch_norm with momentum"), "{text}");
}
