//! Samples that are streamed make the run that samples on the device make, to the bit; and what cannot be read is told.

mod adapter;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use downhill::compile::{MicroBatch, TrainOptions};
use downhill::data::{
    BatchSize, DataFile, Dataset, Field, FileValues, Part, Sampling, Scale, TextOptions, Values, Written,
    digits, text,
};
use downhill::kernel::Residence;
use downhill::nn::{Net, loss};
use downhill::optim::{AdamW, Optimizer};
use downhill::prelude::{Kind, Source};
use downhill::train::{RunEnd, StepRecord, Trainer};
use downhill::{Error, Gpu, Tensor};

fn options() -> TrainOptions {
    TrainOptions { batch_size: BatchSize::Rows(100), epochs: 2, seed: 4, ..TrainOptions::default() }
}

fn streamed(options: &TrainOptions, workers: usize) -> TrainOptions {
    TrainOptions { residence: Residence::Streamed, workers: Some(workers), ..options.clone() }
}

fn trainer(gpu: &Gpu, data: &Dataset, options: &TrainOptions) -> Result<Trainer, Error> {
    let classes = data.classes().expect("labels");
    let model = |net: &Net, x: &Tensor| {
        let x = match data.train().inputs().is_float() {
            true => x.flatten(),
            false => x.one_hot(classes).reshape([x.shape()[0] * x.shape()[1], classes]),
        };
        net.linear("1", &net.linear("0", &x, 24).tanh(), classes)
    };
    let loss = |y: &Tensor, t: &Tensor| {
        loss::cross_entropy(y, &t.reshape([y.shape()[0]]), &loss::CrossEntropy::default())
    };
    Trainer::new(gpu, &model, &loss, Optimizer::AdamW(AdamW::default()), data, options)
}

/// Losses of all steps and evaluations, and the last weights, as bits.
fn bits(trainer: &mut Trainer) -> (Vec<u32>, Vec<u64>, Vec<u32>) {
    let (mut losses, mut evals) = (Vec::new(), Vec::new());
    let each = trainer.plan().batches.steps() as u64;
    while trainer.steps_done() < trainer.total_steps() {
        losses.extend(trainer.advance(each).expect("an epoch").iter().map(|s: &StepRecord| s.loss.to_bits()));
        let eval = trainer.evaluate().expect("an evaluation");
        evals.extend(eval.map(|e| e.loss.to_bits()));
    }
    let weights = trainer.state_dict().expect("weights");
    (losses, evals, weights.iter().flat_map(|t| t.values.iter().map(|v| v.to_bits())).collect())
}

/// Bytes, a scale for each of two channels, labels of a byte, rows of a split; a last batch that is short.
fn planes() -> Dataset {
    let (n, each) = (407, 2 * 3 * 5);
    let pixels: Vec<u8> = (0..n * each).map(|i| (i * i % 253) as u8).collect();
    let x = Field::new([2, 3, 5], pixels).expect("pixels");
    let x = x.scaled(Scale::standard(&[100.0, 140.0], &[70.0, 60.0])).expect("a scale");
    let t = Field::new([], (0..n).map(|i| (i % 3) as u8).collect::<Vec<_>>()).expect("labels");
    let hold = downhill::data::Holdout::new(8);
    Dataset::split("planes", Part::new(x, t).expect("a part"), hold, Some(3)).expect("a data set")
}

#[test]
fn streamed_and_resident_runs_are_one() {
    let letters: String = (0..3000).map(|i| char::from(b'a' + (i * i % 7) as u8)).collect();
    let letters = text("letters", &letters, &TextOptions { hop: Some(5), ..TextOptions::new(12) });
    let sets = [digits().expect("digits"), planes(), letters.expect("a text")];
    for (i, data) in sets.iter().enumerate() {
        let all = [
            options(),
            TrainOptions { batch_size: BatchSize::Rows(33), sampling: Sampling::File, ..options() },
            TrainOptions { batch_size: BatchSize::Rows(33), sampling: Sampling::Replacement, ..options() },
            TrainOptions { batch_size: BatchSize::Full, ..options() },
            TrainOptions { batch_size: BatchSize::Rows(7), drop_last: true, epochs: 1, ..options() },
            TrainOptions { micro_batch: MicroBatch::Rows(17), ..options() },
        ];
        // The digits, which are many, in two ways.
        for options in all.into_iter().step_by(if i == 0 { 4 } else { 1 }) {
            let family = adapter::families()[0];
            let gpu = adapter::open(family);
            let resident = TrainOptions { residence: Residence::Resident, ..options.clone() };
            let want = bits(&mut trainer(&gpu, data, &resident).expect("a trainer"));
            for workers in [1, 8] {
                let mut run = trainer(&gpu, data, &streamed(&options, workers)).expect("a trainer");
                assert!(run.plan().memory.iter().all(|b| b.name != "train x"), "nothing is resident");
                let peak = run.plan().peak_bytes();
                let got = bits(&mut run);
                assert!(got == want, "{}, {workers} workers, {options:?}", data.name());
                assert_eq!(gpu.ledger().total(), peak, "the plan is what is held");
            }
        }
    }
    // A run that is not as these would not pass.
    let gpu = adapter::open(adapter::families()[0]);
    let a = bits(&mut trainer(&gpu, &sets[0], &streamed(&options(), 2)).expect("a trainer"));
    let other = TrainOptions { seed: 5, ..options() };
    assert!(a != bits(&mut trainer(&gpu, &sets[0], &streamed(&other, 2)).expect("a trainer")));
}

#[test]
fn a_run_goes_on_from_any_step() {
    let gpu = adapter::open(adapter::families()[0]);
    let data = planes();
    let options = TrainOptions { batch_size: BatchSize::Rows(10), ..options() };
    let losses = |steps: Vec<StepRecord>| steps.iter().map(|s| s.loss.to_bits()).collect::<Vec<_>>();
    let mut whole = trainer(&gpu, &data, &TrainOptions { residence: Residence::Resident, ..options.clone() })
        .expect("a trainer");
    let want = losses(whole.advance(90).expect("steps"));
    let mut run = trainer(&gpu, &data, &streamed(&options, 3)).expect("a trainer");
    for at in [0, 1, 32, 33, 40, 65] {
        let mut other = trainer(&gpu, &data, &streamed(&options, 2)).expect("a trainer");
        other.advance(at).expect("steps");
        let state = other.snapshot().expect("a state");
        drop(other);
        // Forwards and backwards in one trainer.
        run.restore(&state).expect("its state");
        assert_eq!(losses(run.advance(90 - at).expect("steps")), want[at as usize..], "from {at}");
    }
}

/// Numbers that are made when they are asked for, and count how often.
#[derive(Debug)]
struct Made {
    len: usize,
    /// From which number on reading fails, and whether by a panic.
    fault: Option<(usize, bool)>,
    reads: Arc<AtomicUsize>,
}

impl Source for Made {
    fn kind(&self) -> Kind {
        Kind::U8
    }

    fn len(&self) -> usize {
        self.len
    }

    fn read(&self, at: usize, into: &mut [u8]) -> Result<(), Error> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        // Some samples take longer, so that threads come in by another order than they went out.
        std::thread::sleep(Duration::from_micros((at % 7 * 40) as u64));
        match self.fault {
            Some((from, panics)) if at + into.len() > from => {
                assert!(!panics, "the source breaks");
                Err(Error::Data(format!("number {from} is gone")))
            }
            _ => {
                into.iter_mut().zip(at..).for_each(|(byte, i)| *byte = (i * 31 % 251) as u8);
                Ok(())
            }
        }
    }
}

fn made(fault: Option<(usize, bool)>) -> (Dataset, Arc<AtomicUsize>) {
    let reads = Arc::new(AtomicUsize::new(0));
    let source = Made { len: 300 * 6, fault, reads: Arc::clone(&reads) };
    let x = Field::new([6], Values::from_source(source))
        .expect("samples")
        .scaled(Scale::unit())
        .expect("a scale");
    let t = Field::new([], (0..300).map(|i| (i % 4) as u8).collect::<Vec<_>>()).expect("labels");
    let part = Part::new(x, t).expect("a part");
    (Dataset::new("made", part, None, Some(4)).expect("a data set"), reads)
}

#[test]
fn a_source_of_ones_own_is_streamed_or_read_once() {
    let gpu = adapter::open(adapter::families()[0]);
    let options = TrainOptions { batch_size: BatchSize::Rows(25), epochs: 2, ..options() };
    let (data, reads) = made(None);
    let resident = bits(&mut trainer(&gpu, &data, &options).expect("a trainer"));
    assert_eq!(reads.load(Ordering::Relaxed), 1, "an upload reads it once");
    for workers in [1, 4] {
        let run = bits(&mut trainer(&gpu, &data, &streamed(&options, workers)).expect("a trainer"));
        assert!(run == resident, "{workers} workers");
    }
}

/// The step that a sample which cannot be read belongs to is where the run ends, whatever the slots and the threads; the
/// steps before it are told, and the trainer is still good for all else.
#[test]
fn what_cannot_be_read_ends_the_run_at_its_step() {
    let gpu = adapter::open(adapter::families()[0]);
    let options = TrainOptions { batch_size: BatchSize::Rows(25), epochs: 2, ..options() };
    let want = bits(&mut trainer(&gpu, &made(None).0, &options).expect("a trainer")).0;
    for (panics, words) in [(false, "number 1500 is gone"), (true, "panicked")] {
        for workers in [1, 5] {
            for (sampling, first) in
                [(Sampling::File, Some(10)), (Sampling::Epoch, None), (Sampling::Replacement, None)]
            {
                let (data, _) = made(Some((1500, panics)));
                let options = TrainOptions { sampling, ..options.clone() };
                let mut run = trainer(&gpu, &data, &streamed(&options, workers)).expect("a trainer");
                let state = run.snapshot().expect("a state");
                let mut told = Told::default();
                let err = run.run(&mut told).expect_err("a fault").to_string();
                assert!(err.contains(words), "{err}");
                // Sample 250 is the first one: in the order of the file in step 11, else where the shuffle has one.
                let order = downhill::data::epoch_order(300, options.seed, 0, sampling);
                let at = order.iter().position(|&sample| sample >= 250).expect("a sample") / 25;
                assert!(first.is_none_or(|first| first == at));
                // A panic is told by its task.
                if !panics {
                    assert_eq!(told.0.len(), at, "steps before the fault");
                    assert!(sampling != Sampling::Epoch || told.0 == want[..at], "{workers} workers");
                }
                assert!(!run.state_dict().expect("weights").is_empty());
                assert!(run.evaluate().expect("nothing to evaluate on").is_none());
                // Back to the beginning, and the same again.
                run.restore(&state).expect("its state");
                let again = run.advance(24).map(|steps| steps.len()).expect_err("a fault").to_string();
                assert!(again.contains(words), "{again}");
            }
        }
    }
    assert_eq!(gpu.ledger().total(), 0);
}

/// Losses of the steps that were told.
#[derive(Default)]
struct Told(Vec<u32>);

impl downhill::train::Observer for Told {
    fn steps(&mut self, steps: &[StepRecord]) -> Result<(), Error> {
        self.0.extend(steps.iter().map(|step| step.loss.to_bits()));
        Ok(())
    }
}

/// Stops a run that is on its way.
struct Stop;

impl downhill::train::Observer for Stop {
    fn steps(&mut self, _: &[StepRecord]) -> Result<(), Error> {
        Err(Error::Cancelled)
    }
}

/// A trainer that goes while its steps are in flight takes everything along; one that is set back forgets them.
#[test]
fn a_run_that_is_stopped_leaves_nothing_behind() {
    let gpu = adapter::open(adapter::families()[0]);
    let data = planes();
    let options = TrainOptions { batch_size: BatchSize::Rows(10), epochs: 20, ..options() };
    let losses = |steps: Vec<StepRecord>| steps.iter().map(|s| s.loss.to_bits()).collect::<Vec<_>>();
    let mut run = trainer(&gpu, &data, &streamed(&options, 2)).expect("a trainer");
    let state = run.snapshot().expect("a state");
    let want = losses(run.advance(50).expect("steps"));
    for _ in 0..3 {
        assert_eq!(run.run(&mut Stop).expect("a stop").end, RunEnd::Stopped);
        run.evaluate().expect("an evaluation");
        assert_eq!(run.run(&mut Stop).expect("a stop").end, RunEnd::Stopped);
        run.restore(&state).expect("its state");
        assert_eq!(losses(run.advance(50).expect("steps")), want);
    }
    assert_eq!(run.run(&mut Stop).expect("a stop").end, RunEnd::Stopped);
    drop(run);
    assert_eq!(gpu.ledger().total(), 0, "no slot is kept");
}

/// A plan of streamed samples made for other data is refused.
#[test]
fn a_plan_for_other_data_is_refused() {
    let gpu = adapter::open(adapter::families()[0]);
    let options = streamed(&options(), 1);
    let plan = trainer(&gpu, &digits().expect("digits"), &options).expect("a trainer").plan().clone();
    let err = Trainer::from_plan(&gpu, plan, &planes(), &options).expect_err("other data");
    assert!(err.to_string().contains("made for another data set"), "{err}");
}

#[test]
fn a_file_that_shrinks_is_told() {
    let gpu = adapter::open(adapter::families()[0]);
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("pixels");
    let (n, each) = (5000, 1024);
    std::fs::write(&path, vec![7; n * each]).expect("a file");
    let file = DataFile::open(&path).expect("the file");
    let pixels = FileValues::open(&file, 0, n * each, Written::As(Kind::U8), false).expect("numbers");
    let x = Field::new([each], pixels).expect("samples").scaled(Scale::unit()).expect("a scale");
    let t = Field::new([], (0..n).map(|i| (i % 4) as u8).collect::<Vec<_>>()).expect("labels");
    let data = Dataset::new("pixels", Part::new(x, t).expect("a part"), None, Some(4)).expect("a data set");
    let mut run = trainer(&gpu, &data, &streamed(&options(), 2)).expect("a trainer");
    run.advance(3).expect("the file is whole");
    std::fs::File::options().write(true).open(&path).expect("the file").set_len(2_000_000).expect("cut");
    // Three slots may be full already, an epoch in each.
    let err = run.advance(300).map(|steps| steps.len()).expect_err("a fault").to_string();
    for words in ["pixels, byte", "the file has 2000000", "had 5120000 when it was opened", "cut short"] {
        assert!(err.contains(words), "{words}: {err}");
    }
    assert!(!run.state_dict().expect("weights").is_empty());
}

#[test]
fn workers_are_counted() {
    let gpu = adapter::open(adapter::families()[0]);
    let err = trainer(&gpu, &planes(), &streamed(&options(), 1000)).expect_err("too many").to_string();
    assert!(err.contains("data.workers = 1000") && err.contains("256"), "{err}");
}
