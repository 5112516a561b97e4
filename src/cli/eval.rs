//! `downhill eval`

use std::path::{Path, PathBuf};

use clap::Args;
use downhill::compile::{MicroBatch, TrainOptions};
use downhill::data::{BatchSize, Dataset, Part};
use downhill::engine::Evaluation;
use downhill::kernel::Target;
use downhill::metrics::Metrics;
use downhill::plan::NamedTensor;
use downhill::run::Assertion;
use downhill::train::Trainer;
use downhill::units::plural;
use downhill::{Error, Gpu};
use serde::Serialize;

use super::finished::Finished;
use super::output::println;
use super::ranks::ranks;
use super::run_args::{DataRootArg, FinishedArgs};
use super::targets::{confusion, named, unit_note};

/// Evaluate the weights of a run
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill eval runs/digits-1
  downhill eval runs/digits-1 --part train --json
  downhill eval runs/garden-1 --data next_year.csv
  downhill eval runs/digits-1 --average
  downhill eval runs/digits-1 --set 'eval.metrics=[\"f1\", \"confusion_matrix\"]'

Evaluates the weights of a finished run. On the same adapter the loss, the accuracy and the metrics equal those of the
last epoch in metrics.jsonl to the bit (with --average, where the run evaluated its average). Other data are encoded as
the run's were, with the means, categories, classes and vocabulary of data.json.
Exit code: 0; 1 no weights, data that do not fit, a loss that is not a finite number (null in JSON), or no adapter;
2 the command line or the config is wrong; 3 an assertion does not hold.")]
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
    /// Override a setting of the run's config, as eval.metrics=["f1"] (repeatable)
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
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
    /// Names of the matrix's rows and columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    classes: Option<&'a Vec<String>>,
}

impl EvalArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        let mut run = Finished::open_with(&self.finished.run, &self.own, &self.settings)?;
        let (path, weights) = run.weights(&self.finished)?;
        let (data, part) = data(&mut run, self)?;
        share(&mut run.config.options, ranks().count())?;
        let gpu = run.shared_gpu(&self.finished.adapter)?;
        let found = evaluate(&run, &gpu, &data, &weights, self.finished.batch)?;

        let samples = data.eval().map_or(0, Part::len);
        let names = found
            .confusion
            .as_ref()
            .map(|matrix| named(run.config.class_names(run.encoding.as_ref()), matrix.len()));
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
                classes: names.as_ref(),
            };
            println(&serde_json::to_string(&report)?);
            check_finite(found.loss, &path, &weights)?;
            return Ok(Assertion::check_all(&self.assertions, &found.values())?);
        }
        let what = match part {
            Some("eval") => format!("the evaluation part, {}", plural(samples, "sample")),
            Some(_) => format!("the training part, {}", plural(samples, "sample")),
            None => plural(samples, "sample"),
        };
        println(&format!("data     {}: {what}", data.name()));
        println(&format!("weights  {}", path.display()));
        if let Some(note) = unit_note(&data) {
            println(&format!("target   {note}"));
        }
        println(&format!("loss     {:.6}", found.loss));
        if let Some(accuracy) = found.accuracy {
            println(&format!("accuracy {:.2}%", 100.0 * accuracy));
        }
        for (name, value) in found.metrics.iter() {
            println(&format!("{name:<8} {value:.6}"));
        }
        if let (Some(matrix), Some(names)) = (&found.confusion, &names) {
            println(&confusion(matrix, names));
        }
        check_finite(found.loss, &path, &weights)?;
        Ok(Assertion::check_all(&self.assertions, &found.values())?)
    }
}

/// Plans for ranks that share an evaluation. Batches of training, which has none here, are shared by shards.
fn share(options: &mut TrainOptions, ranks: usize) -> Result<(), Error> {
    if !ranks.is_power_of_two() {
        return Err(Error::Config(format!("{ranks} ranks: 1, 2, 4, 8 .. can share an evaluation")));
    }
    if ranks > 1 {
        options.shards = options.shards.max(ranks);
        if let BatchSize::Rows(rows) = &mut options.batch_size {
            *rows = rows.next_multiple_of(options.shards);
        }
    }
    Ok(())
}

/// Refuses a loss that is not a number.
fn check_finite(loss: f64, path: &Path, weights: &[NamedTensor]) -> Result<(), Error> {
    if loss.is_finite() {
        return Ok(());
    }
    let wild = |tensor: &NamedTensor| tensor.values.iter().filter(|value| !value.is_finite()).count();
    match weights.iter().map(wild).sum::<usize>() {
        0 => Err(Error::Data(format!(
            "the loss is {loss}, and every weight is finite: look for infinite or very large numbers in the data"
        ))),
        wild => Err(Error::Weights(format!(
            "the loss is {loss}: {} of {} not finite, so the training diverged; give the weights of an earlier checkpoint \
             as --weights, or train again with a smaller learning rate",
            plural(wild, "weight"),
            if wild == 1 { format!("{} is", path.display()) } else { format!("{} are", path.display()) }
        ))),
    }
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
