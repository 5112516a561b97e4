//! `downhill eval`

use downhill::compile::MicroBatch;
use downhill::data::{BatchSize, Dataset, Part};
use downhill::engine::Evaluation;
use downhill::kernel::Target;
use downhill::metrics::Metrics;
use downhill::plan::NamedTensor;
use downhill::run::Assertion;
use downhill::train::Trainer;
use downhill::{Error, Gpu};
use serde::Serialize;

use super::finished::Finished;
use super::say;
use super::use_args::EvalArgs;

/// Samples of a batch of other data than a run's evaluation part, where its own batch was "full".
const FULL: usize = 512;

/// What `--json` prints.
#[derive(Serialize)]
struct Report<'a> {
    run: String,
    weights: String,
    data: &'a str,
    /// Of the run's own data.
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<&'a str>,
    samples: usize,
    loss: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    accuracy: Option<f64>,
    #[serde(skip_serializing_if = "Metrics::is_empty")]
    metrics: &'a Metrics<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    confusion: Option<&'a Vec<Vec<u64>>>,
}

pub(super) fn eval(args: &EvalArgs) -> anyhow::Result<()> {
    let mut run = Finished::open(&args.of.run)?;
    let (path, weights) = run.weights(&args.of)?;
    let (data, part) = data(&mut run, args)?;
    let gpu = run.gpu(&args.of.adapter)?;
    let found = evaluate(&run, &gpu, &data, &weights, args.of.batch)?;

    let samples = data.eval().map_or(0, Part::len);
    if args.json {
        let report = Report {
            run: run.path.display().to_string(),
            weights: path.display().to_string(),
            data: data.name(),
            part,
            samples,
            loss: found.loss,
            accuracy: found.accuracy,
            metrics: &found.metrics,
            confusion: found.confusion.as_ref(),
        };
        say(&serde_json::to_string(&report)?);
        return Ok(Assertion::check_all(&args.assertions, &found.values())?);
    }
    let what = match part {
        Some("eval") => format!("the evaluation part, {samples} samples"),
        Some(_) => format!("the training part, {samples} samples"),
        None => format!("{samples} samples"),
    };
    say(&format!("data     {}: {what}", data.name()));
    say(&format!("weights  {}", path.display()));
    say(&format!("loss     {:.6}", found.loss));
    if let Some(accuracy) = found.accuracy {
        say(&format!("accuracy {:.2}%", 100.0 * accuracy));
    }
    for (name, value) in found.metrics.iter() {
        say(&format!("{name:<8} {value:.6}"));
    }
    if let Some(matrix) = &found.confusion {
        say(&confusion(matrix));
    }
    Ok(Assertion::check_all(&args.assertions, &found.values())?)
}

/// The matrix as a table: rows are the true classes, columns the predicted ones.
fn confusion(matrix: &[Vec<u64>]) -> String {
    let widest = matrix.iter().flatten().copied().max().unwrap_or(0).max(matrix.len() as u64);
    let width = widest.to_string().len() + 1;
    let row = |head: String, cells: &mut dyn Iterator<Item = u64>| {
        let cells: String = cells.map(|cell| format!("{cell:>width$}")).collect();
        format!("{head:>8} {cells}")
    };
    let head = row("true".into(), &mut (0..matrix.len() as u64));
    let rows =
        matrix.iter().enumerate().map(|(class, cells)| row(class.to_string(), &mut cells.iter().copied()));
    std::iter::once(head).chain(rows).collect::<Vec<_>>().join("\n")
}

/// The data to evaluate on, as the evaluation part, and which part of the run's own they are.
fn data<'a>(run: &mut Finished, args: &'a EvalArgs) -> anyhow::Result<(Dataset, Option<&'a str>)> {
    let part = args.part.as_str();
    let data = match &args.data {
        Some(path) => run.config.data.other(path, run.encoding.as_ref())?,
        None => {
            let own = run.config.dataset()?;
            if part == "eval" {
                return match own.eval() {
                    Some(_) => Ok((own, Some(part))),
                    None => Err(Error::Config(format!(
                        "{}: the run has no part to evaluate on; give --part train, or other data as --data PATH",
                        run.path.display()
                    ))
                    .into()),
                };
            }
            let train = own.train().clone();
            let data = Dataset::new(own.name(), train.clone(), Some(train), own.classes())?;
            match own.encoding() {
                Some(encoding) => data.with_encoding(encoding.clone()),
                None => data,
            }
        }
    };
    // There may be fewer samples than a batch has, or more than the device holds at once.
    let options = &mut run.config.options;
    options.drop_last = false;
    if options.batch_size == BatchSize::Full {
        options.batch_size = BatchSize::Rows(FULL);
        options.micro_batch = MicroBatch::Auto;
    }
    Ok((data, args.data.is_none().then_some(part)))
}

/// The evaluation of a training run with these weights: its own plans, and so its own bits.
fn evaluate(
    run: &Finished,
    gpu: &Gpu,
    data: &Dataset,
    weights: &[NamedTensor],
    batch: Option<u32>,
) -> anyhow::Result<Evaluation> {
    let mut target = Target::for_gpu(gpu);
    target.memory.eval_batch = batch.map(|rows| rows as usize);
    let train_plan = run.config.plan(data, target)?;
    let mut trainer = Trainer::from_plan(gpu, train_plan, data, &run.config.options)?;
    trainer.load_state_dict(weights)?;
    let found = trainer.evaluate()?;
    Ok(found.ok_or_else(|| Error::Data("there is nothing to evaluate on".into()))?)
}
