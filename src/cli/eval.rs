//! `downhill eval`

use downhill::data::{BatchSize, Dataset, Part};
use downhill::kernel::Target;
use downhill::train::{Evaluation, MicroBatch, Trainer};
use downhill::{Error, Gpu};
use serde_json::{Map, Value};

use super::finished::Finished;
use super::say;
use super::use_args::EvalArgs;

/// Samples of a batch of other data than a run's evaluation part, where its own batch was "full".
const FULL: usize = 512;

pub(super) fn eval(args: &EvalArgs) -> anyhow::Result<()> {
    let mut run = Finished::open(&args.of.run)?;
    let (path, weights) = run.weights(&args.of)?;
    let (data, part) = data(&mut run, args)?;
    let gpu = run.gpu(&args.of.adapter)?;
    let found = evaluate(&run, &gpu, &data, &weights, args.of.batch)?;

    let samples = data.eval().map_or(0, Part::len);
    if args.json {
        let mut object = Map::new();
        object.insert("run".into(), run.path.display().to_string().into());
        object.insert("weights".into(), path.display().to_string().into());
        object.insert("data".into(), data.name().into());
        object.insert("part".into(), part.into());
        object.insert("samples".into(), samples.into());
        object.insert("loss".into(), found.loss.into());
        if let Some(accuracy) = found.accuracy {
            object.insert("accuracy".into(), accuracy.into());
        }
        if !found.metrics.is_empty() {
            object.insert("metrics".into(), serde_json::to_value(&found.metrics)?);
        }
        say(&serde_json::to_string(&Value::Object(object))?);
        return Ok(());
    }
    let what = match part {
        Some(part) => {
            format!("the {} part, {samples} samples", if part == "eval" { "evaluation" } else { part })
        }
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
    Ok(())
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
    weights: &[downhill::train::NamedTensor],
    batch: Option<u32>,
) -> anyhow::Result<Evaluation> {
    let mut target = Target::of(gpu);
    target.room.eval_batch = batch.map(|rows| rows as usize);
    let blueprint = run.config.blueprint(data, target)?;
    let mut trainer = Trainer::from_blueprint(gpu, blueprint, data, &run.config.options)?;
    trainer.load_state_dict(weights)?;
    let found = trainer.evaluate()?;
    Ok(found.ok_or_else(|| Error::Data("there is nothing to evaluate on".into()))?)
}
