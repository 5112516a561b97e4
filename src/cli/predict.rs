//! `downhill predict`

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use downhill::config::DataSpec;
use downhill::data::{self, BatchSize, Encoding, Field, TableRows};
use downhill::error::Result;
use downhill::graph::DType;
use downhill::infer::Predictor;
use downhill::{Error, Value};

use super::answers::{Answers, Output, Row};
use super::finished::Finished;
use super::use_args::PredictArgs;

/// Samples that go through the model at once, at most, unless told otherwise.
const BATCH: usize = 256;

pub(super) fn predict(args: &PredictArgs) -> anyhow::Result<()> {
    let run = Finished::open(&args.of.run)?;
    let mut inputs = Inputs::open(&run, &args.inputs)?;
    let (_, weights) = run.weights(&args.of)?;
    let gpu = run.gpu(&args.of.adapter)?;
    let own = match run.config.options.batch_size {
        BatchSize::Rows(rows) => rows.min(BATCH),
        BatchSize::Full => BATCH,
    };
    let batch = args.of.batch.map_or(own, |rows| rows as usize).min(inputs.most());
    let (sample, dtype) = inputs.sample();
    let mut predictor = run.config.predictor(&gpu, &sample.into(), dtype, batch, &weights)?;
    let top = args.top.map(|k| k as usize);
    let answers = Answers::new(&run.config, run.encoding.as_ref(), predictor.output(), top)?;
    let json = match args.format.as_deref() {
        Some(format) => format == "jsonl",
        None => args.out.as_deref().is_some_and(|path| path.extension().is_some_and(|e| e == "jsonl")),
    };
    let mut output = Output::open(args.out.as_deref(), json, &answers, inputs.paths.is_some())?;
    if run_through(&mut inputs, &mut predictor, &answers, &mut output)? {
        output.finish()?;
    }
    Ok(())
}

/// Reads a batch, writes a batch, to the end; false where the reader went away before.
fn run_through(
    inputs: &mut Inputs,
    predictor: &mut Predictor,
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
        let outputs = match inputs.sample().1 {
            DType::F32 => {
                predictor.predict(Value::F32(&numbers.iter().map(|v| *v as f32).collect::<Vec<_>>()))
            }
            DType::I32 => {
                predictor.predict(Value::I32(&numbers.iter().map(|v| *v as i32).collect::<Vec<_>>()))
            }
        }?;
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

/// What predictions are made for, in order.
struct Inputs {
    from: From,
    /// The files, where a sample is one.
    paths: Option<Vec<PathBuf>>,
    /// Samples read.
    at: usize,
}

enum From {
    Rows(Box<TableRows>, usize),
    Field(Field),
}

impl Inputs {
    /// What a run of this kind takes.
    fn open(run: &Finished, given: &[PathBuf]) -> Result<Inputs> {
        let kind = match &run.config.data {
            DataSpec::Inputs(of) => of,
            own => own,
        };
        let (from, paths) = match (&run.encoding, kind) {
            (Some(Encoding::Text { .. }), _) | (_, DataSpec::Text(_)) => {
                return Err(Error::Config(format!(
                    "{}: the run of a text, which goes on with: downhill sample {}",
                    run.path.display(),
                    run.path.display()
                )));
            }
            (Some(Encoding::Table(encoding)), kind) => {
                let delimiter = match kind {
                    DataSpec::Table(table) => table.options.delimiter,
                    _ => None,
                };
                let path = only(given)?.unwrap_or(Path::new("-"));
                let rows = TableRows::new(&shown(path), opened(path)?, delimiter, encoding)?;
                if !rows.ignored().is_empty() {
                    let names = rows.ignored().join(", ");
                    eprintln!("note: columns that are no input of the model are passed over: {names}");
                }
                (From::Rows(Box::new(rows), encoding.width()), None)
            }
            (Some(Encoding::Images(encoding)), _) => {
                if given.is_empty() || given.iter().any(|path| path == Path::new("-")) {
                    return Err(Error::Config(
                        "the run is one of images: name PNG or JPEG files, or folders of them".into(),
                    ));
                }
                let (paths, field) = data::image_inputs(given, encoding)?;
                (From::Field(field), Some(paths))
            }
            (encoding, kind) => {
                let path = only(given)?.filter(|path| *path != Path::new("-")).ok_or_else(|| {
                    Error::Config("the run is one of arrays: name an NPY or IDX file of inputs".into())
                })?;
                let digits = matches!(kind, DataSpec::Digits).then(data::digits_encoding);
                let encoding = match encoding {
                    Some(Encoding::Array(encoding)) => Some(encoding),
                    _ => digits.as_ref(),
                };
                (From::Field(data::array_inputs(path, encoding)?), None)
            }
        };
        Ok(Inputs { from, paths, at: 0 })
    }

    /// The shape of a sample, and its type.
    fn sample(&self) -> (Vec<usize>, DType) {
        match &self.from {
            From::Rows(_, width) => (vec![*width], DType::F32),
            From::Field(field) => {
                let dtype = if field.is_float() { DType::F32 } else { DType::I32 };
                (field.shape().to_vec(), dtype)
            }
        }
    }

    /// How many samples there are, at most.
    fn most(&self) -> usize {
        match &self.from {
            From::Rows(..) => usize::MAX,
            From::Field(field) => field.len().max(1),
        }
    }

    /// The numbers of up to `count` more samples; none at the end.
    fn next(&mut self, count: usize) -> Result<Vec<f64>> {
        match &mut self.from {
            From::Rows(rows, _) => {
                let mut numbers = Vec::new();
                for _ in 0..count {
                    if !rows.next(&mut numbers)? {
                        break;
                    }
                }
                Ok(numbers.into_iter().map(f64::from).collect())
            }
            From::Field(field) => {
                let count = count.min(field.len() - self.at);
                let numbers = if count == 0 { Vec::new() } else { field.samples(self.at, count)? };
                self.at += count;
                Ok(numbers)
            }
        }
    }
}

/// The one path that is given, if any is.
fn only(given: &[PathBuf]) -> Result<Option<&Path>> {
    match given {
        [] => Ok(None),
        [one] => Ok(Some(one)),
        [_, other, ..] => Err(Error::Config(format!(
            "{}: one input is taken; put the others into it, or run the command for each",
            other.display()
        ))),
    }
}

/// A path as errors call it.
fn shown(path: &Path) -> String {
    if path == Path::new("-") { "standard input".into() } else { path.display().to_string() }
}

fn opened(path: &Path) -> Result<Box<dyn Read>> {
    if path == Path::new("-") {
        let input = std::io::stdin();
        if input.is_terminal() {
            eprintln!("note: reading CSV from standard input; a file's name goes after the run's");
        }
        return Ok(Box::new(input));
    }
    let fault = |err: std::io::Error| Error::io("cannot read", path, &err);
    let file = File::open(path).map_err(fault)?;
    if file.metadata().map_err(fault)?.is_dir() {
        return Err(Error::Data(format!("{}: it is a folder, and the run takes a CSV file", path.display())));
    }
    Ok(Box::new(file))
}
