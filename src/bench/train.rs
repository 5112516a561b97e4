//! `downhill bench train`: whole training steps, and each of their kernels under the roofline.

use std::time::Instant;

use super::bench_context::BenchContext;
use super::nets::Workload;
use super::options::Options;
use super::place::{self, Deed, dots, roofline};
use super::report::{Report, machine};
use super::sheet::{Cell, Column, Sheet, Unit};
use super::torch::{self, Clock, Job, Torch};
use super::{Roof, Summary};
use crate::compile::TrainOptions;
use crate::data::BatchSize;
use crate::error::{Error, Result};
use crate::figure::Series;
use crate::gpu::Gpu;
use crate::nn::loss::{CrossEntropy, cross_entropy};
use crate::optim::{AdamW, Optimizer};
use crate::train::Trainer;

/// Plans, allocates and compiles a net.
type Make<'s> = dyn FnOnce(&Gpu) -> Result<Trainer> + 's;

/// A net to be measured.
pub struct Subject<'s> {
    /// Its name in the tables.
    pub name: String,
    /// Makes its trainer; called when its turn comes, so that one net at a time takes memory.
    pub trainer: Box<Make<'s>>,
}

impl std::fmt::Debug for Subject<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Subject").field("name", &self.name).finish_non_exhaustive()
    }
}

impl From<Workload> for Subject<'static> {
    /// Trained with AdamW under cross-entropy.
    fn from(workload: Workload) -> Self {
        let Workload { name, batch, model, data } = workload;
        let trainer = move |gpu: &Gpu| {
            let options = TrainOptions { batch_size: BatchSize::Rows(batch), ..TrainOptions::default() };
            let adamw = Optimizer::AdamW(AdamW::default());
            let loss = |y: &_, t: &_| cross_entropy(y, t, &CrossEntropy::default());
            Trainer::new(gpu, &*model, &loss, &adamw, &data, &options)
        };
        Subject { name, trainer: Box::new(trainer) }
    }
}

const STEPS: [Column; 12] = [
    Column::new("net", "net", Unit::Text),
    Column::new("batch", "batch", Unit::Whole),
    Column::new("parameters", "parameters", Unit::Whole),
    Column::new("dispatches", "dispatches", Unit::Whole),
    Column::new("step_seconds", "a step", Unit::Seconds),
    Column::new("lower_seconds", "quartiles", Unit::Seconds),
    Column::new("upper_seconds", "", Unit::Seconds),
    Column::new("runs", "runs", Unit::Whole),
    Column::new("samples_per_second", "samples/s", Unit::Count),
    Column::new("flops_per_second", "GFLOP/s", Unit::Flops),
    Column::new("kernel_seconds", "all kernels", Unit::Seconds),
    Column::new("kernels_of_step", "of the step", Unit::Share),
];

const KERNELS: [Column; 9] = [
    Column::new("net", "net", Unit::Text),
    Column::new("number", "#", Unit::Whole),
    Column::new("kernel", "kernel", Unit::Text),
    Column::new("what", "what", Unit::Text),
    Column::new("makes", "makes", Unit::Text),
    Column::new("device_seconds", "device", Unit::Seconds),
    Column::new("of_kernels", "of all", Unit::Share),
    Column::new("flops", "FLOPs", Unit::Count),
    Column::new("bytes", "bytes", Unit::Bytes),
];

/// Measures each subject in turn.
///
/// # Errors
/// An error of a trainer; a loss that is not finite; no subject.
pub fn train(gpu: &Gpu, options: &Options, subjects: Vec<Subject<'_>>) -> Result<Report> {
    if subjects.is_empty() {
        return Err(Error::Config("there is no net to measure".into()));
    }
    let mut torch = Torch::start(options.python.as_deref())?;
    let BenchContext { roof, .. } = BenchContext::new(gpu, options)?;
    let mut columns = STEPS.to_vec();
    columns.extend(torch.iter().flat_map(|_| torch::COLUMNS));
    let mut steps = Sheet::new("Training steps", &columns);
    let mut kernels = Sheet::new("Their kernels", &[&KERNELS[..], &place::COLUMNS].concat());
    let mut series = Vec::new();
    for subject in subjects {
        options.progress(&subject.name);
        let mut trainer = (subject.trainer)(gpu)?;
        let case = Case { name: &subject.name, options, roof: &roof };
        let times = case.steps(&mut trainer)?;
        let profile = case.kernels(&mut trainer, &mut kernels, &mut series)?;
        let mut row = case.row(&trainer, &times, profile);
        if let Some(torch) = &mut torch {
            let of_torch = torch.measure(Job::Train { net: &subject.name }, options.effort)?;
            if let Some(of_torch) = &of_torch {
                of_torch.check_parameters(&subject.name, trainer.plan().parameter_count())?;
            }
            row.extend(torch::cells(of_torch.as_ref(), Clock::Wall, Summary::of(&times).median));
        }
        steps.rows.push(row);
    }
    steps.notes.push(
        "A step: submissions and the readback of every loss included, by the wall's clock. All kernels: the sum of their \
         medians by the device's clock, each in a pass of its own."
            .into(),
    );
    if torch.is_some() {
        steps.notes.push(torch::NOTE.into());
    }
    kernels.notes.push(place::NOTE.into());
    kernels.notes.push(
        "Bytes are those of everything a kernel is bound to: of feed_gather that is the whole data set, of which it reads a \
         batch."
            .into(),
    );
    if kernels.rows.is_empty() {
        kernels.notes.push(format!("{} has no timestamps, so kernels are not timed.", gpu.adapter().name));
    }
    let figure = roofline("Kernels of training steps", gpu.adapter().name.clone(), &roof, series);
    let (roof, torch) = (Some(roof), torch.map(|torch| torch.device.clone()));
    Ok(Report { bench: "train", machine: machine(gpu), roof, torch, sheets: vec![steps, kernels], figure })
}

struct Case<'c> {
    name: &'c str,
    options: &'c Options,
    roof: &'c Roof,
}

impl Case<'_> {
    /// Seconds of a step, one number a run.
    fn steps(&self, trainer: &mut Trainer) -> Result<Vec<f64>> {
        let effort = self.options.effort;
        let sample = |trainer: &mut Trainer, count: u64| -> Result<f64> {
            let start = Instant::now();
            let records = trainer.advance(count)?;
            match records.iter().find(|r| !r.loss.is_finite()) {
                None => Ok(start.elapsed().as_secs_f64()),
                Some(r) => {
                    Err(Error::Gpu(format!("{}: the loss of step {} is {}", self.name, r.step, r.loss)))
                }
            }
        };
        // The first steps compile, and the trainer finds out how many steps a submission takes.
        sample(trainer, 2)?;
        let mut count = 1;
        loop {
            let wall = sample(trainer, count)?;
            // A sample needs several submissions, since two are always in flight.
            let least = 20.0 * effort.least;
            if wall >= least || count >= 10_000 {
                break;
            }
            count = ((count as f64 * 1.2 * least / wall) as u64).clamp(count + 1, 8 * count);
        }
        (0..effort.rounds).map(|_| Ok(sample(trainer, count)? / count as f64)).collect()
    }

    /// Rows and points of the kernels, and the sum of their medians; `None` where the adapter has no timestamps.
    fn kernels(
        &self,
        trainer: &mut Trainer,
        sheet: &mut Sheet,
        series: &mut Vec<Series>,
    ) -> Result<Option<f64>> {
        let Some(rounds) = trainer.profile(self.options.effort.rounds)? else { return Ok(None) };
        let plan = &trainer.plan().train[0].plan;
        let median = |i: usize| Summary::of(&rounds.iter().map(|round| round[i]).collect::<Vec<_>>()).median;
        let times: Vec<f64> = (0..plan.steps.len()).map(median).collect();
        let sum: f64 = times.iter().sum();
        let mut points = Vec::new();
        for (i, (step, &seconds)) in plan.steps.iter().zip(&times).enumerate() {
            let deed = Deed { flops: step.kernel.flops as f64, bytes: step.bytes() as f64, seconds };
            let mut row: Vec<Cell> = vec![
                self.name.into(),
                (i + 1).into(),
                step.kernel.entry.into(),
                step.title.clone().into(),
                step.shape.to_string().into(),
                seconds.into(),
                (seconds / sum).into(),
                deed.flops.into(),
                deed.bytes.into(),
            ];
            row.extend(deed.cells(self.roof));
            sheet.rows.push(row);
            points.push(deed.point());
        }
        series.push(dots(self.name.to_owned(), series.len(), points));
        Ok(Some(sum))
    }

    fn row(&self, trainer: &Trainer, times: &[f64], kernels: Option<f64>) -> Vec<Cell> {
        let train_plan = trainer.plan();
        let build = &train_plan.train[0];
        let step = Summary::of(times);
        vec![
            self.name.into(),
            build.batch.into(),
            train_plan.parameter_count().into(),
            build.plan.steps.len().into(),
            step.median.into(),
            step.lower.into(),
            step.upper.into(),
            step.runs.into(),
            (build.batch as f64 / step.median).into(),
            (build.plan.flops() as f64 / step.median).into(),
            kernels.into(),
            kernels.map(|sum| sum / step.median).into(),
        ]
    }
}
