//! What a model's numbers mean, as lines of CSV or JSON.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;

use downhill::Error;
use downhill::atomic_file::AtomicFile;
use downhill::config::{Config, DataSpec};
use downhill::data::{Encoding, TableEncoding, TargetKind};
use downhill::error::Result;
use downhill::infer::Head;
use downhill::shape::Shape;

/// The share from which on a label is said to be there.
const LIKELY: f32 = 0.5;

/// What the numbers of an answer are.
enum Meaning {
    /// A probability, or a number, for each class, of which one is said.
    Classes(Vec<String>),
    /// A probability for each label by itself.
    Labels(Vec<String>),
    /// Numbers, those of a table in its target's unit.
    Numbers(Option<TableEncoding>),
}

/// How answers are told.
pub(super) struct Answers {
    meaning: Meaning,
    /// What stands before a class in the name of its column: `p` for probabilities.
    prefix: &'static str,
    /// Only so many classes are told, the likeliest.
    top: Option<usize>,
    width: usize,
}

/// An answer with its place, which counts from 1.
pub(super) struct Row<'a> {
    pub number: usize,
    pub path: Option<&'a Path>,
    pub values: &'a [f32],
}

/// The names of the classes, where the run has some.
fn class_names(config: &Config, encoding: Option<&Encoding>) -> Option<Vec<String>> {
    match (encoding, &config.data) {
        (_, DataSpec::Inputs(_)) => None,
        (Some(Encoding::Table(table)), _) => match &table.target.kind {
            TargetKind::Classes { classes } => Some(classes.clone()),
            TargetKind::Numeric { .. } => None,
        },
        (Some(Encoding::Images(images)), _) => Some(images.classes.clone()),
        (_, DataSpec::Digits) => Some((0..10).map(|digit| digit.to_string()).collect()),
        _ => None,
    }
}

impl Answers {
    /// What the run's loss and data say of an output of this shape.
    pub fn new(
        config: &Config,
        encoding: Option<&Encoding>,
        output: &Shape,
        top: Option<usize>,
    ) -> Result<Answers> {
        let width = output.elements();
        let head = config.head();
        let names = class_names(config, encoding);
        let numbered = |from: usize| (from..width).map(|number| number.to_string());
        // Classes that the data do not have are told by their numbers.
        let named = |names: Vec<String>| {
            let from = names.len();
            names.into_iter().take(width).chain(numbered(from)).collect::<Vec<String>>()
        };
        let own_table = match (encoding, &config.data) {
            (_, DataSpec::Inputs(_)) => None,
            (Some(Encoding::Table(table)), _) => Some(table),
            _ => None,
        };
        let meaning = match (head, names) {
            (Head::Softmax | Head::Exp, _) if output.len() != 1 => {
                return Err(Error::Config(format!(
                    "the model's answer to a sample has shape {output}, a class at each of several places; predict tells \
                     one class a sample, of answers of one axis"
                )));
            }
            (Head::Softmax | Head::Exp, names) => Meaning::Classes(named(names.unwrap_or_default())),
            (_, Some(names)) if names.len() == width => Meaning::Classes(names),
            (Head::Sigmoid, _) => Meaning::Labels(match own_table {
                Some(table) if width == 1 => vec![table.target.name.clone()],
                _ => numbered(0).collect(),
            }),
            (Head::Numbers, _) => Meaning::Numbers(own_table.cloned()),
        };
        if let (Some(k), Meaning::Numbers(_) | Meaning::Labels(_)) = (top, &meaning) {
            return Err(Error::Config(format!(
                "--top {k} chooses among classes, and the run's loss knows none; leave it out"
            )));
        }
        if let Some(k) = top.filter(|k| *k > width) {
            return Err(Error::Config(format!("--top {k}: the model has {width} classes")));
        }
        let prefix = if head == Head::Numbers { "y" } else { "p" };
        Ok(Answers { meaning, prefix, top, width })
    }

    /// The places of the classes that are told, the likeliest first where not all are. Of equal ones the first is likelier.
    fn told(&self, values: &[f32]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..values.len()).collect();
        if let Some(k) = self.top {
            order.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
            order.truncate(k);
        }
        order
    }

    /// The number of a table's target in its own unit, else as the model gives it.
    fn number(table: Option<&TableEncoding>, value: f32) -> String {
        match table.map(|table| (table.value(value), &table.target.kind)) {
            Some((Some(own), TargetKind::Numeric { mean, std })) if (*mean, *std) != (0.0, 1.0) => {
                format!("{own:?}")
            }
            _ => format!("{value:?}"),
        }
    }

    /// The names of the columns after the path's.
    fn header(&self) -> Vec<String> {
        let p = self.prefix;
        let mut header = vec!["prediction".to_owned()];
        match (&self.meaning, self.top) {
            (Meaning::Classes(_), Some(k)) => {
                header.extend((1..=k).flat_map(|i| [format!("class_{i}"), format!("{p}_{i}")]));
            }
            (Meaning::Classes(names) | Meaning::Labels(names), _) => {
                header.extend(names.iter().map(|name| format!("{p}_{name}")));
            }
            (Meaning::Numbers(_), _) if self.width == 1 => {}
            (Meaning::Numbers(_), _) => header = (0..self.width).map(|i| format!("prediction_{i}")).collect(),
        }
        header
    }

    /// The cells under [`Answers::header`].
    fn cells(&self, values: &[f32]) -> Vec<String> {
        let shown = |value: f32| format!("{value:?}");
        match &self.meaning {
            Meaning::Classes(names) => {
                let mut cells = vec![names[likeliest(values)].clone()];
                for at in self.told(values) {
                    cells.extend(self.top.map(|_| names[at].clone()));
                    cells.push(shown(values[at]));
                }
                cells
            }
            Meaning::Labels(names) => {
                let said = match values {
                    [one] => u8::from(*one >= LIKELY).to_string(),
                    _ => there(names, values).join(" "),
                };
                std::iter::once(said).chain(values.iter().map(|value| shown(*value))).collect()
            }
            Meaning::Numbers(table) => {
                values.iter().map(|value| Self::number(table.as_ref(), *value)).collect()
            }
        }
    }

    /// The members of a line of JSON after the row's.
    fn json(&self, values: &[f32]) -> String {
        let key = if self.prefix == "p" { "probabilities" } else { "outputs" };
        let object = |names: &[String], places: Vec<usize>| {
            let members: Vec<String> =
                places.into_iter().map(|at| format!("{}:{:?}", quoted(&names[at]), values[at])).collect();
            format!("\"{key}\":{{{}}}", members.join(","))
        };
        match &self.meaning {
            Meaning::Classes(names) => {
                let said = quoted(&names[likeliest(values)]);
                format!("\"prediction\":{said},{}", object(names, self.told(values)))
            }
            Meaning::Labels(names) => {
                let said = match values {
                    [one] => u8::from(*one >= LIKELY).to_string(),
                    _ => format!(
                        "[{}]",
                        there(names, values).iter().map(|n| quoted(n)).collect::<Vec<_>>().join(",")
                    ),
                };
                format!("\"prediction\":{said},{}", object(names, (0..values.len()).collect()))
            }
            Meaning::Numbers(table) => {
                let numbers: Vec<String> =
                    values.iter().map(|value| Self::number(table.as_ref(), *value)).collect();
                match &numbers[..] {
                    [one] => format!("\"prediction\":{one}"),
                    all => format!("\"prediction\":[{}]", all.join(",")),
                }
            }
        }
    }
}

/// The place of the largest; of equal ones the first, as in `torch.argmax`.
fn likeliest(values: &[f32]) -> usize {
    (1..values.len()).fold(0, |best, at| if values[at] > values[best] { at } else { best })
}

/// The labels that are said to be there.
fn there<'n>(names: &'n [String], values: &[f32]) -> Vec<&'n str> {
    let all = names.iter().zip(values).filter(|(_, value)| **value >= LIKELY);
    all.map(|(name, _)| name.as_str()).collect()
}

/// As JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// What lines are written to.
enum Sink {
    /// Standard output, a device or a pipe.
    Stream(Box<dyn Write>),
    File(AtomicFile),
}

/// Writes lines, a batch at a time.
pub(super) struct Output {
    sink: Sink,
    json: bool,
    lines: Vec<u8>,
}

impl Output {
    /// Opens the file, or standard output; CSV begins with its header.
    pub fn open(path: Option<&Path>, json: bool, answers: &Answers, paths: bool) -> Result<Output> {
        let sink = match path {
            None => Sink::Stream(Box::new(std::io::stdout())),
            Some(path) if fs::metadata(path).is_ok_and(|meta| !meta.is_file()) => Sink::Stream(Box::new(
                File::create(path).map_err(|err| Error::io("cannot write", path, &err))?,
            )),
            Some(path) => Sink::File(AtomicFile::create(path)?),
        };
        let mut output = Output { sink, json, lines: Vec::new() };
        if !json {
            let path = paths.then(|| "path".to_owned());
            output.cells(path.into_iter().chain(answers.header()).collect())?;
        }
        Ok(output)
    }

    /// Adds a line.
    pub fn add(&mut self, answers: &Answers, row: &Row<'_>) -> Result<()> {
        let path = row.path.map(|path| path.to_string_lossy().into_owned());
        if !self.json {
            return self.cells(path.into_iter().chain(answers.cells(row.values)).collect());
        }
        let path = path.map(|path| format!("\"path\":{},", quoted(&path))).unwrap_or_default();
        let text = format!("{{\"row\":{},{path}{}}}\n", row.number, answers.json(row.values));
        self.lines.extend_from_slice(text.as_bytes());
        Ok(())
    }

    fn cells(&mut self, cells: Vec<String>) -> Result<()> {
        let mut writer = csv::Writer::from_writer(&mut self.lines);
        let written = writer.write_record(&cells).and_then(|()| Ok(writer.flush()?));
        written.map_err(|err| Error::Data(format!("cannot write a row: {err}")))
    }

    /// Writes all lines; false where the reader closed the pipe, which is no fault.
    pub fn flush(&mut self) -> Result<bool> {
        let written = match &mut self.sink {
            Sink::Stream(stream) => stream.write_all(&self.lines).and_then(|()| stream.flush()),
            Sink::File(file) => file.write_all(&self.lines).and_then(|()| file.flush()),
        };
        self.lines.clear();
        match (written, &self.sink) {
            (Ok(()), _) => Ok(true),
            (Err(err), Sink::Stream(_)) if err.kind() == ErrorKind::BrokenPipe => Ok(false),
            (Err(err), Sink::Stream(_)) => Err(Error::io("cannot write", "standard output", &err)),
            (Err(err), Sink::File(file)) => Err(Error::io("cannot write", file.path(), &err)),
        }
    }

    /// Gives the file its name.
    pub fn finish(mut self) -> Result<()> {
        self.flush()?;
        match self.sink {
            Sink::Stream(_) => Ok(()),
            Sink::File(file) => file.persist(),
        }
    }
}
