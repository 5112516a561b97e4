//! The same seed gives the same bits, however the steps are submitted; another seed gives others.

mod adapter;

use std::path::Path;
use std::process::Command;

use downhill::compile::TrainOptions;
use downhill::data::{BatchSize, Dataset, Sampling, digits, epoch_order};
use downhill::gpu::Family;
use downhill::graph::DType;
use downhill::infer::{Head, Predictor};
use downhill::kernel::Residence;
use downhill::nn::{Net, loss};
use downhill::optim::{AdamW, Optimizer, Sgd};
use downhill::plan::NamedTensor;
use downhill::train::{EpochRecord, Observer, StepRecord, Trainer};
use downhill::{Gpu, GpuOptions, Tensor, Value};

fn gpu(family: Family) -> Gpu {
    adapter::open(family)
}

fn model(net: &Net, x: &Tensor) -> Tensor {
    let h = net.linear("0", &x.flatten(), 24).relu();
    net.linear("2", &h, 10)
}

fn cross_entropy(y: &Tensor, t: &Tensor) -> Tensor {
    loss::cross_entropy(y, t, &loss::CrossEntropy::default())
}

fn trainer(gpu: &Gpu, data: &Dataset, seed: u64) -> Trainer {
    let options =
        TrainOptions { batch_size: BatchSize::Rows(100), epochs: 2, seed, ..TrainOptions::default() };
    let optimizer = Optimizer::AdamW(AdamW::default());
    Trainer::new(gpu, &model, &cross_entropy, &optimizer, data, &options).expect("a trainer")
}

fn bits(tensors: &[NamedTensor]) -> Vec<(String, Vec<u32>)> {
    let bits = |t: &NamedTensor| (t.name.clone(), t.values.iter().map(|x| x.to_bits()).collect());
    tensors.iter().map(bits).collect()
}

fn losses(records: &[StepRecord]) -> Vec<u32> {
    records.iter().map(|r| r.loss.to_bits()).collect()
}

#[derive(Default)]
struct Heard {
    steps: Vec<StepRecord>,
    epochs: Vec<EpochRecord>,
}

impl Observer for Heard {
    fn steps(&mut self, steps: &[StepRecord]) -> downhill::error::Result<()> {
        self.steps.extend_from_slice(steps);
        Ok(())
    }

    fn epoch(&mut self, epoch: &EpochRecord) -> downhill::error::Result<()> {
        self.epochs.push(epoch.clone());
        Ok(())
    }
}

#[test]
fn submissions_of_any_size_give_the_same_bits() {
    let data = digits().expect("digits");
    for &family in adapter::families() {
        let gpu = gpu(family);
        // Two epochs of 15 steps, the last of each short.
        let mut whole = trainer(&gpu, &data, 3);
        let mut heard = Heard::default();
        whole.run(&mut heard).expect("a run");
        let want = bits(&whole.state_dict().expect("parameters"));
        assert_eq!((heard.steps.len(), heard.epochs.len()), (30, 2));
        for parts in [vec![1; 30], vec![30], vec![7, 8, 1, 14], vec![16, 14]] {
            let mut pieces = trainer(&gpu, &data, 3);
            let mut records = Vec::new();
            for &part in &parts {
                records.extend(pieces.advance(part).expect("steps"));
            }
            assert_eq!(bits(&pieces.state_dict().expect("parameters")), want, "{family:?}, {parts:?}");
            assert_eq!(losses(&records), losses(&heard.steps), "{family:?}, {parts:?}");
            assert_eq!(records, heard.steps);
        }
        // Evaluation in between changes nothing.
        let mut evaluated = trainer(&gpu, &data, 3);
        for _ in 0..30 {
            evaluated.advance(1).expect("a step");
            evaluated.evaluate().expect("an evaluation");
        }
        assert_eq!(bits(&evaluated.state_dict().expect("parameters")), want, "{family:?}, evaluated");
        let again = evaluated.evaluate().expect("an evaluation").expect("an evaluation part");
        let last = &heard.epochs[1];
        assert_eq!((Some(again.loss), again.accuracy), (last.eval_loss, last.eval_accuracy));
    }
}

/// However little a submission may hold, training, evaluation and prediction have the same bits; and no submission of
/// several kernels holds more.
#[test]
fn bounded_submissions_give_the_same_bits() {
    let data = digits().expect("digits");
    for &family in adapter::families() {
        let run = |submission_work: Option<u64>| {
            let options = GpuOptions { family: Some(family), submission_work, ..GpuOptions::default() };
            let gpu = adapter::open_with(options);
            let mut trainer = trainer(&gpu, &data, 3);
            let mut heard = Heard::default();
            trainer.run(&mut heard).expect("a run");
            let weights = trainer.state_dict().expect("parameters");
            let evaluated: Vec<_> = heard.epochs.iter().map(|e| (e.eval_loss, e.eval_accuracy)).collect();
            let trained = gpu.submission_counts();
            let mut predictor =
                Predictor::new(&gpu, &model, Head::Softmax, [1, 8, 8], DType::F32, 40, &weights).expect("it");
            let image: Vec<f32> = (0..64).map(|i| (i % 7) as f32 / 7.0).collect();
            let answer = predictor.predict(Value::F32(&image)).expect("an answer");
            (bits(&weights), losses(&heard.steps), evaluated, answer, [trained, gpu.submission_counts()])
        };
        let (weights, steps, evaluated, answer, [free, _]) = run(None);
        for most in [1, 150_000] {
            let bounded = run(Some(most));
            assert_eq!((&bounded.0, &bounded.1), (&weights, &steps), "{family:?}, {most}");
            assert_eq!((&bounded.2, &bounded.3), (&evaluated, &answer), "{family:?}, {most}");
            for counts in bounded.4 {
                assert!(counts.most_work <= most, "{family:?}, {most}: {counts:?}");
                assert!(counts.submissions > free.submissions, "{family:?}, {most}: {counts:?}, {free:?}");
            }
            let [trained, predicted] = bounded.4;
            assert_eq!(trained.kernels, free.kernels, "{family:?}, {most}");
            if most == 1 {
                assert_eq!(trained.submissions, trained.kernels, "each kernel alone");
                assert_eq!(predicted.submissions, predicted.kernels, "each kernel alone");
            } else {
                assert!(trained.submissions < trained.kernels && trained.most_work > most / 4, "{trained:?}");
            }
        }
    }
}

#[test]
fn seeds_decide_weights_and_order() {
    let data = digits().expect("digits");
    let gpu = gpu(adapter::families()[0]);
    let mut run = |seed| {
        let mut trainer = trainer(&gpu, &data, seed);
        let initial = bits(&trainer.state_dict().expect("parameters"));
        let losses = losses(&trainer.advance(20).expect("steps"));
        (initial, losses, bits(&trainer.state_dict().expect("parameters")))
    };
    let [first, again, other] = [5, 5, 6].map(&mut run);
    assert_eq!(first, again);
    assert_ne!(first.0, other.0);
    assert_ne!(first.1, other.1);
    assert_ne!(first.2, other.2);
    // The order alone differs too: other seed, the first one's weights.
    let mut mixed = trainer(&gpu, &data, 6);
    mixed.load_state_dict(&trainer(&gpu, &data, 5).state_dict().expect("parameters")).expect("they fit");
    assert_ne!(losses(&mixed.advance(20).expect("steps")), first.1);
}

/// Samples of the data of [`sampled`].
const SAMPLES: usize = 50;

/// Steps of two epochs of 7, the last of each short, over `order` of some samples; and the losses of each epoch, as bits.
fn sampled(gpu: &Gpu, order: &[u32], lr: f64, options: &TrainOptions) -> [Vec<u32>; 2] {
    let x: Vec<f32> =
        order.iter().flat_map(|s| (0..6).map(move |i| ((s * 37 + i * 11) % 101) as f32 / 40.0)).collect();
    let t: Vec<i32> = order.iter().map(|s| (s * 7 % 10) as i32).collect();
    let data =
        Dataset::from_arrays("made up", [6], x, [], t).expect("data").with_classes(10).expect("classes");
    let options = TrainOptions { batch_size: BatchSize::Rows(8), epochs: 2, ..options.clone() };
    let optimizer = Optimizer::Sgd(Sgd { lr, ..Sgd::default() });
    let mut trainer =
        Trainer::new(gpu, &model, &cross_entropy, &optimizer, &data, &options).expect("a trainer");
    [(); 2].map(|()| losses(&trainer.advance(7).expect("steps")))
}

/// Weights that stay as they are: losses show the samples alone.
#[test]
fn once_repeats_its_order_and_others_do_not() {
    let gpu = gpu(adapter::families()[0]);
    let file: Vec<u32> = (0..SAMPLES as u32).collect();
    for residence in [Residence::Resident, Residence::Streamed] {
        let run = |sampling| {
            let options = TrainOptions { sampling, residence, seed: 4, ..TrainOptions::default() };
            sampled(&gpu, &file, 0.0, &options)
        };
        let [epoch, once, file, replacement] =
            [Sampling::Epoch, Sampling::Once, Sampling::File, Sampling::Replacement].map(run);
        assert_eq!(once[0], once[1], "{residence:?}");
        assert_eq!(once[0], epoch[0], "the order of the first epoch, {residence:?}");
        assert_eq!(file[0], file[1], "{residence:?}");
        assert_ne!(epoch[0], epoch[1], "{residence:?}");
        assert_ne!(replacement[0], replacement[1], "{residence:?}");
    }
}

/// The samples that are drawn, in the order of a file, give the same bits.
#[test]
fn replacement_trains_on_the_samples_it_draws() {
    let gpu = gpu(adapter::families()[0]);
    let file: Vec<u32> = (0..SAMPLES as u32).collect();
    for residence in [Residence::Resident, Residence::Streamed] {
        let options = TrainOptions { residence, seed: 5, ..TrainOptions::default() };
        let replacement = TrainOptions { sampling: Sampling::Replacement, ..options.clone() };
        let order = epoch_order(SAMPLES, 5, 0, Sampling::Replacement);
        let has_twins = |batch: &[u32]| (1..batch.len()).any(|i| batch[..i].contains(&batch[i]));
        assert!(order.chunks(8).any(has_twins), "a batch has a sample twice");
        let drawn = sampled(&gpu, &order, 0.1, &TrainOptions { sampling: Sampling::File, ..options });
        assert_eq!(sampled(&gpu, &file, 0.1, &replacement)[0], drawn[0], "{residence:?}");
    }
}

#[test]
fn a_driver_that_checks_no_buffer_and_kept_pipelines_change_no_bit() {
    let data = digits().expect("digits");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let run = |gpu: &Gpu| {
        let mut trainer = trainer(gpu, &data, 3);
        let losses = losses(&trainer.advance(30).expect("steps"));
        (losses, bits(&trainer.state_dict().expect("weights")))
    };
    for &family in adapter::families() {
        let options = GpuOptions { family: Some(family), ..GpuOptions::default() };
        let usual = adapter::open_with(options.clone());
        let expected = run(&usual);
        let pipeline_cache = Some(folder.path().to_owned());
        for _ in 0..2 {
            let kept =
                adapter::open_with(GpuOptions { pipeline_cache: pipeline_cache.clone(), ..options.clone() });
            assert_eq!(run(&kept), expected);
        }
        let unchecked = GpuOptions { robust_buffers: false, adapter: adapter::wanted(), ..options.clone() };
        if usual.adapter().backend == "Vulkan" {
            let unchecked = Gpu::open(&unchecked).expect("a device");
            assert!(!unchecked.has_robust_buffers());
            assert_eq!(run(&unchecked), expected);
        } else {
            let text = Gpu::open(&unchecked).expect_err("another backend").to_string();
            assert!(text.contains("only a Vulkan driver") && text.contains(&usual.adapter().name), "{text}");
        }
    }
}

/// Everything a run leaves behind, but for the only number that depends on the clock.
fn run(out: &Path, seed: &str) -> (Vec<u8>, Vec<serde_json::Value>, String) {
    let config = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/digits.toml");
    let output = Command::new(env!("CARGO_BIN_EXE_downhill"))
        .args(["train", "--adapter", &adapter::wanted(), "--steps", "60", "--seed", seed, "--out"])
        .arg(out)
        .arg(config)
        .env("DOWNHILL_PIPELINE_CACHE", "off")
        .output()
        .expect("the binary");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = std::fs::read_to_string(out.join("metrics.jsonl")).expect("metrics");
    let mut lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).expect("a JSON line")).collect();
    for line in &mut lines {
        if let Some(speed) = line.get_mut("samples_per_second") {
            assert!(speed.as_f64().is_some_and(|s| s > 0.0), "{speed}");
            *speed = 0.into();
        }
    }
    let read = |name: &str| std::fs::read(out.join(name)).expect("a file of the run");
    (read("model.safetensors"), lines, String::from_utf8(read("config.toml")).expect("UTF-8"))
}

#[test]
fn runs_of_the_binary_repeat_to_the_bit() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [first, again, other] =
        [("a", "1"), ("b", "1"), ("c", "2")].map(|(name, seed)| run(&folder.path().join(name), seed));
    assert_eq!(first, again);
    assert_ne!(first.0, other.0);
    assert_ne!(first.1, other.1);
}
