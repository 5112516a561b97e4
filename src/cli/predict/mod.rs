//! `downhill predict`

mod answers;
mod ensemble;
mod inputs;
mod output;

use std::path::PathBuf;

use clap::Args;
use downhill::Error;
use downhill::data::{BatchSize, Fit, ImageChanges};
use downhill::error::Result;
use downhill::graph::DType;
use downhill::infer::{Ensemble, mean};

use self::answers::Answers;
use self::ensemble::Members;
use self::inputs::Inputs;
use self::output::{Output, Row};
use super::finished::Finished;
use super::output::eprintln;
use super::run_args::FinishedArgs;

/// Largest default batch.
const MAX_BATCH: usize = 256;

/// Predict with the model of a run: rows, images or arrays in, classes with probabilities or numbers out
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  downhill predict runs/garden-1 new_rows.csv --out predictions.csv
  cat new_rows.csv | downhill predict runs/garden-1 --json
  downhill predict runs/cats-1 photos/ --top 3
  downhill predict runs/digits-1 images.npy
  downhill predict runs/digits-1 scan.png --fit stretch --invert
  downhill predict runs/digits-sweep-1 images.npy --ensemble best:5

The run of a table takes CSV with the columns it was trained on, from a file or standard input. The run of images takes
PNG and JPEG files, and folders of them. The run of arrays, or of the digits, takes an NPY or IDX file with the samples
along the first axis, and, if its samples were images of bytes, PNG and JPEG files too. Classes are printed with their probabilities, numbers in the unit of the target. Each batch is
written before the next is read. downhill sample continues a text.
Exit code: 0; 1 inputs that do not fit, no weights, or no adapter; 2 the command line or the config is wrong.")]
pub struct PredictArgs {
    /// The run
    #[command(flatten)]
    finished: FinishedArgs,
    /// The inputs: a file, or images and folders of them; `-` for standard input [default: -]
    #[arg(value_name = "INPUT")]
    inputs: Vec<PathBuf>,
    /// Write to this file in place of standard output; it appears when it is complete
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON object a line in place of CSV; so does --out FILE.jsonl
    #[arg(long, conflicts_with = "format")]
    json: bool,
    /// The older name: jsonl for --json, csv for none
    #[arg(long, value_name = "FORMAT", value_parser = ["csv", "jsonl"], hide = true)]
    format: Option<String>,
    /// Scale images of another size: crop takes the largest part in the middle, stretch all of it
    #[arg(long, value_name = "HOW", value_parser = ["crop", "stretch"])]
    fit: Option<String>,
    /// Make black white in images, as for a net of white digits on black
    #[arg(long)]
    invert: bool,
    /// RUN is a sweep: average the answers of its best K runs, as best:5; on standard error it says how often they are right
    /// together, and the best alone
    #[arg(long, value_name = "best:K", value_parser = ensemble::best, conflicts_with_all = ["weights", "average"])]
    ensemble: Option<usize>,
    /// Print the K likeliest classes only
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    top: Option<u32>,
}

impl PredictArgs {
    pub fn run(&self) -> anyhow::Result<()> {
        let members = self.ensemble.map(|best| Members::find(&self.finished.run, best)).transpose()?;
        let first = members.as_ref().map_or(&self.finished.run, |members| &members.runs[0]);
        let run = Finished::open(first)?;
        let fit = self.fit.as_ref().map(|how| if how == "crop" { Fit::Crop } else { Fit::Stretch });
        let changes = ImageChanges { fit, invert: self.invert };
        let mut inputs = Inputs::open(&run, &self.inputs, changes)?;
        let gpu = run.gpu(&self.finished.adapter)?;
        let own = match run.config.options.batch_size {
            BatchSize::Rows(rows) => rows.min(MAX_BATCH),
            BatchSize::Full => MAX_BATCH,
        };
        let batch = self.finished.batch.map_or(own, |rows| rows as usize).min(inputs.most());
        let (sample, dtype) = inputs.sample();
        let sample = sample.into();
        let mut predictor = match &members {
            None => {
                let (_, weights) = run.weights(&self.finished)?;
                Ensemble::new(vec![run.config.predictor(&gpu, &sample, dtype, batch, &weights)?])?
            }
            Some(members) => {
                let open = |path: &PathBuf| {
                    let run = Finished::open(path)?;
                    run.config.predictor(&gpu, &sample, dtype, batch, &run.own_weights()?)
                };
                Ensemble::new(members.runs.iter().map(open).collect::<Result<Vec<_>>>()?)?
            }
        };
        if let Some(members) = &members {
            // The data may lie elsewhere by now: the answers do not depend on it.
            match members.accuracy(&run.config, &mut predictor) {
                Ok(told) => told.iter().for_each(|text| eprintln(text)),
                Err(err) => eprintln(&format!("note: the ensemble's accuracy is not known: {err}")),
            }
        }
        let top = self.top.map(|k| k as usize);
        let answers = Answers::new(&run.config, run.encoding.as_ref(), predictor.output(), top)?;
        let json = match self.format.as_deref() {
            Some(format) => format == "jsonl",
            None => {
                self.json
                    || self.out.as_deref().is_some_and(|path| path.extension().is_some_and(|e| e == "jsonl"))
            }
        };
        let mut output = Output::open(self.out.as_deref(), json, &answers, inputs.paths.is_some())?;
        if predict_all(&mut inputs, &mut predictor, &answers, &mut output)? {
            output.finish()?;
        }
        Ok(())
    }
}

/// Reads and writes batch by batch; false where the reader of the output went away before the end.
fn predict_all(
    inputs: &mut Inputs,
    predictor: &mut Ensemble,
    answers: &Answers,
    output: &mut Output,
) -> Result<bool> {
    let width = predictor.output().elements();
    let mut done = 0;
    loop {
        let numbers = inputs.next(predictor.batch())?;
        if numbers.is_empty() {
            return Ok(true);
        }
        let outputs = mean(&ensemble::answers(predictor, &numbers, inputs.sample().1 == DType::F32)?);
        for values in outputs.chunks_exact(width) {
            done += 1;
            let path = inputs.paths.as_ref().map(|paths| paths[done - 1].as_path());
            if values.iter().any(|value| !value.is_finite()) {
                let place = path.map_or_else(|| format!("row {done}"), |path| path.display().to_string());
                return Err(Error::Data(format!(
                    "{place}: the model's answer is not finite: an input or a weight is not, or is too large"
                )));
            }
            output.add(answers, &Row { number: done, path, values })?;
        }
        if !output.flush()? {
            return Ok(false);
        }
    }
}
