//! `downhill eval`

use std::path::PathBuf;

use clap::Args;
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
use super::output::println;
use super::run_args::{DataRootArg, FinishedArgs};

/// Evaluate the weights of a run
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill eval runs/digits-1
  downhill eval runs/digits-1 --part train --json
  downhill eval runs/garden-1 --data next_year.csv
  downhill eval runs/digits-1 --average

Evaluates the weights of a finished run. On the same adapter the loss, the accuracy and the metrics equal those of the
last epoch in metrics.jsonl to the bit (with --average, where the run evaluated its average). Other data are encoded as
the run's were, with the means, categories, classes and vocabulary of data.json.
Exit code: 0; 1 no weights, data that do not fit, or no adapter; 2 the command line or the config is wrong; 3 an
assertion does not hold.")]
pub struct EvalArgs {
    /// The run
    #[command(flatten)]
    finished: FinishedArgs,
    /// Other data of the same kind: a file or folder, a packed data set, or a config (.toml) whose [data] names them
    #[arg(long, value_name = "PATH", conflicts_with = "part")]
    data: Option<PathBuf>,
    /// The run's own data
    #[command(flatten)]
    own: DataRootArg,
    /// Part of the run's own data
    #[arg(long, value_name = "PART", default_value = "eval", value_parser = ["train", "eval"])]
    part: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Condition on the result, as "eval_accuracy >= 0.95"; works with --data and --part train too (repeatable)
    #[arg(long = "assert", value_name = "NAME OP NUMBER", value_parser = Assertion::parse)]
    assertions: Vec<Assertion>,
}

/// Batch size for data other than the run's evaluation part, where the run's batch size is "full".
const FULL_BATCH: usize = 512;

/// The output of `--json`.
#[derive(Serialize)]
struct Report<'a> {
    run: String,
    weights: String,
    data: &'a str,
    /// Part of the run's own data.
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

impl EvalArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        let mut run = Finished::open_from(&self.finished.run, &self.own)?;
        let (path, weights) = run.weights(&self.finished)?;
        let (data, part) = data(&mut run, self)?;
        let gpu = run.gpu(&self.finished.adapter)?;
        let found = evaluate(&run, &gpu, &data, &weights, self.finished.batch)?;

        let samples = data.eval().map_or(0, Part::len);
        if self.json {
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
            println(&serde_json::to_string(&report)?);
            return Ok(Assertion::check_all(&self.assertions, &found.values())?);
        }
        let what = match part {
            Some("eval") => format!("the evaluation part, {samples} samples"),
            Some(_) => format!("the training part, {samples} samples"),
            None => format!("{samples} samples"),
        };
        println(&format!("data     {}: {what}", data.name()));
        println(&format!("weights  {}", path.display()));
        println(&format!("loss     {:.6}", found.loss));
        if let Some(accuracy) = found.accuracy {
            println(&format!("accuracy {:.2}%", 100.0 * accuracy));
        }
        for (name, value) in found.metrics.iter() {
            println(&format!("{name:<8} {value:.6}"));
        }
        if let Some(matrix) = &found.confusion {
            println(&confusion(matrix));
        }
        Ok(Assertion::check_all(&self.assertions, &found.values())?)
    }
}

/// The confusion matrix as a table: a row for each true class, a column for each predicted one.
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

/// The data to evaluate on, as the evaluation part of a data set, and the part of the run's own data they are.
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
    // The data may have fewer samples than a batch, or more than the device holds at once.
    let options = &mut run.config.options;
    options.drop_last = false;
    if options.batch_size == BatchSize::Full {
        options.batch_size = BatchSize::Rows(FULL_BATCH);
        options.micro_batch = MicroBatch::Auto;
    }
    Ok((data, args.data.is_none().then_some(part)))
}

/// Evaluates these weights with the plans of the training run, and so with the same bits.
fn evaluate(
    run: &Finished,
    gpu: &Gpu,
    data: &Dataset,
    weights: &[NamedTensor],
    batch: Option<u32>,
) -> anyhow::Result<Evaluation> {
    let mut target = Target::for_gpu(gpu);
    target.memory.eval_batch = batch.map(|rows| rows as usize);
    let plan = run.config.plan(data, target)?;
    let mut trainer = Trainer::from_plan(gpu, plan, data, &run.config.options)?;
    trainer.load_state_dict(weights)?;
    let found = trainer.evaluate()?;
    Ok(found.ok_or_else(|| Error::Data("there is nothing to evaluate on".into()))?)
}
