//! The inputs of `downhill predict`: rows of a table, images, or arrays.

use std::fs::File;
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use downhill::Error;
use downhill::config::DataSpec;
use downhill::data::{self, Encoding, Field, ImageChanges, TableRows};
use downhill::error::Result;
use downhill::graph::DType;

use crate::cli::finished::Finished;
use crate::cli::output::eprintln;

/// The samples to predict for, in order.
pub(super) struct Inputs {
    source: Source,
    /// The files, where each sample is a file.
    pub paths: Option<Vec<PathBuf>>,
    /// Number of samples read.
    position: usize,
}

enum Source {
    Rows(Box<TableRows>, usize),
    Field(Field),
}

impl Inputs {
    /// Opens the inputs that the run's data call for.
    pub fn open(run: &Finished, given: &[PathBuf], changes: ImageChanges) -> Result<Inputs> {
        let kind = match &run.config.data {
            DataSpec::Inputs(source) => source,
            own => own,
        };
        let (source, paths) = match (&run.encoding, kind) {
            (Some(Encoding::Text { .. }), _) | (_, DataSpec::Text(_)) => {
                return Err(Error::Config(format!(
                    "{}: the run of a text; continue the text with: downhill sample {}",
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
                    eprintln(&format!(
                        "note: columns that are no input of the model are passed over: {names}"
                    ));
                }
                (Source::Rows(Box::new(rows), encoding.width()), None)
            }
            (Some(Encoding::Images(encoding)), _) => {
                if given.is_empty() || given.iter().any(|path| path == Path::new("-")) {
                    return Err(Error::Config(
                        "the run is one of images: name PNG or JPEG files, or folders of them".into(),
                    ));
                }
                let (paths, field) = data::image_inputs(given, encoding, changes)?;
                (Source::Field(field), Some(paths))
            }
            (encoding, kind) => {
                let digits = matches!(kind, DataSpec::Digits).then(data::digits_encoding);
                let encoding = match encoding {
                    Some(Encoding::Array(encoding)) => Some(encoding),
                    _ => digits.as_ref(),
                };
                if given.iter().any(|path| path.is_dir() || data::is_image_file(path)) {
                    let encoding = encoding.ok_or_else(|| {
                        Error::Data(
                            "the run was trained on numbers as they were, and which of them is white is not known; give \
                             an NPY file of such numbers"
                                .into(),
                        )
                    })?;
                    let (paths, field) = data::array_images(given, encoding, changes)?;
                    (Source::Field(field), Some(paths))
                } else {
                    let path = only(given)?.filter(|path| *path != Path::new("-")).ok_or_else(|| {
                        Error::Config(
                            "the run is one of arrays: name an NPY or IDX file of inputs, or PNG and JPEG files".into(),
                        )
                    })?;
                    (Source::Field(data::array_inputs(path, encoding)?), None)
                }
            }
        };
        if paths.is_none() && changes != ImageChanges::default() {
            return Err(Error::Config(
                "--fit and --invert change images, and the inputs are none; leave them out".into(),
            ));
        }
        Ok(Inputs { source, paths, position: 0 })
    }

    /// The shape and type of a sample.
    pub fn sample(&self) -> (Vec<usize>, DType) {
        match &self.source {
            Source::Rows(_, width) => (vec![*width], DType::F32),
            Source::Field(field) => {
                let dtype = if field.is_float() { DType::F32 } else { DType::I32 };
                (field.shape().to_vec(), dtype)
            }
        }
    }

    /// An upper bound on the number of samples.
    pub fn most(&self) -> usize {
        match &self.source {
            Source::Rows(..) => usize::MAX,
            Source::Field(field) => field.len().max(1),
        }
    }

    /// The numbers of the next `count` samples, fewer at the end.
    pub fn next(&mut self, count: usize) -> Result<Vec<f64>> {
        match &mut self.source {
            Source::Rows(rows, _) => {
                let mut numbers = Vec::new();
                for _ in 0..count {
                    if !rows.next(&mut numbers)? {
                        break;
                    }
                }
                Ok(numbers.into_iter().map(f64::from).collect())
            }
            Source::Field(field) => {
                let count = count.min(field.len() - self.position);
                let numbers = if count == 0 { Vec::new() } else { field.samples(self.position, count)? };
                self.position += count;
                Ok(numbers)
            }
        }
    }
}

/// The path given, if any. More than one is an error.
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

/// The name of a path in errors.
fn shown(path: &Path) -> String {
    if path == Path::new("-") { "standard input".into() } else { path.display().to_string() }
}

fn opened(path: &Path) -> Result<Box<dyn Read>> {
    if path == Path::new("-") {
        let input = std::io::stdin();
        if input.is_terminal() {
            eprintln("note: reading CSV from standard input; a file's name goes after the run's");
        }
        return Ok(Box::new(input));
    }
    let fault = |err: std::io::Error| Error::io("cannot read", path, &err);
    let meta = std::fs::metadata(path).map_err(fault)?;
    if meta.is_dir() {
        return Err(Error::Data(format!("{}: it is a folder, and the run takes a CSV file", path.display())));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let kind = meta.file_type();
        if kind.is_char_device() || kind.is_block_device() {
            let text = "it is a device, and the run takes a CSV file, or - for standard input";
            return Err(Error::Data(format!("{}: {text}", path.display())));
        }
    }
    let file = File::open(path).map_err(fault)?;
    Ok(Box::new(file))
}
