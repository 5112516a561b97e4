//! Other data than a run's for its model: of the same kind, and encoded as the run's were.

use std::path::Path;

use super::{
    ArrayFiles, ArraysSpec, DataConfig, DataSpec, ImagesSpec, PackSpec, TableSpec, TextSpec, arrays,
};
use crate::data::{self, ArrayEncoding, ArrayOptions, Dataset, Encoding, Normalise, Part, TableFormat};
use crate::error::{Error, Result};

impl DataSpec {
    /// The data at `path` as those of this spec became: `encoding` is what that made of its own, and nothing is fitted
    /// again. `path` is data of the same kind, or a config (`.toml`) whose `[data]` names them, or a packed data set.
    ///
    /// Where the data are divided into parts, the one to evaluate on is taken, else all. Both parts of the result are it.
    ///
    /// # Errors
    /// [`Error::Data`] where they are at fault, or do not fit the encoding; [`Error::Config`] where they are of another
    /// kind; [`Error::Io`].
    pub fn other(&self, path: &Path, encoding: Option<&Encoding>) -> Result<Dataset> {
        let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
        let spec = match (ending.as_str(), self.own()) {
            ("toml", _) => DataConfig::open(path, &[])?.spec,
            ("dhd", _) => DataSpec::Pack(PackSpec { path: path.to_owned() }),
            (_, DataSpec::Pack(_)) => DataConfig::open(path, &[])?.spec,
            (_, own) => own.at(path)?,
        };
        let digits = matches!(self.own(), DataSpec::Digits).then(data::digits_encoding);
        let (part, classes) = match (spec.own(), encoding) {
            (DataSpec::Text(TextSpec { path: Some(file), options }), Some(Encoding::Text { vocabulary })) => {
                let context = self.context().unwrap_or(options.context);
                (data::text_part(file, vocabulary, context)?, Some(vocabulary.len()))
            }
            (DataSpec::Table(table), Some(Encoding::Table(encoding))) => {
                let part = data::table_part(&table.path, table.format, table.options.delimiter, encoding)?;
                let classes = match &encoding.target.kind {
                    data::TargetKind::Classes { classes } => Some(classes.len()),
                    data::TargetKind::Numeric { .. } => None,
                };
                (part, classes)
            }
            (DataSpec::Images(images), Some(Encoding::Images(encoding))) => {
                (data::images_part(&images.path, encoding)?, Some(encoding.classes.len()))
            }
            (DataSpec::Arrays(arrays), Some(Encoding::Array(encoding))) => {
                array_part(arrays, Some(encoding))?
            }
            (DataSpec::Arrays(arrays), None) => array_part(arrays, digits.as_ref())?,
            (DataSpec::Digits, None) => last_part(data::digits()?),
            (DataSpec::Pack(pack), encoding) => packed_part(&pack.path, encoding)?,
            _ => {
                let about = match encoding {
                    Some(Encoding::Text { .. }) => "a text",
                    Some(Encoding::Table(_)) => "a table",
                    Some(Encoding::Images(_)) => "a folder of images",
                    Some(Encoding::Array(_)) | None => "arrays",
                };
                return Err(Error::Config(format!(
                    "{}: data of another kind than the run's, which are {about}",
                    path.display()
                )));
            }
        };
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
        let data = Dataset::new(name, part.clone(), Some(part), classes)?;
        let data = match encoding {
            Some(encoding) => data.with_encoding(encoding.clone()),
            None => data,
        };
        Ok(if matches!(self, DataSpec::Inputs(_)) { data.without_targets() } else { data })
    }

    /// The source itself, where its inputs are also the targets.
    fn own(&self) -> &DataSpec {
        match self {
            DataSpec::Inputs(of) => of.own(),
            own => own,
        }
    }

    /// The same source at another path.
    fn at(&self, path: &Path) -> Result<DataSpec> {
        let to = path.to_owned();
        Ok(match self {
            DataSpec::Digits => DataSpec::Arrays(ArraysSpec {
                files: ArrayFiles::Idx(to, None),
                options: ArrayOptions::default(),
                split_seed: None,
            }),
            DataSpec::Text(text) => DataSpec::Text(TextSpec { path: Some(to), ..text.clone() }),
            DataSpec::Table(table) => {
                let format = TableFormat::of(path);
                DataSpec::Table(TableSpec { path: to, format, ..table.clone() })
            }
            DataSpec::Images(images) => DataSpec::Images(ImagesSpec { path: to, ..images.clone() }),
            DataSpec::Arrays(arrays) => {
                let files = match &arrays.files {
                    ArrayFiles::Idx(_, set) => ArrayFiles::Idx(to, set.clone()),
                    ArrayFiles::Cifar(_, labels) => ArrayFiles::Cifar(to, *labels),
                    ArrayFiles::Npz(_, names) => ArrayFiles::Npz(to, names.clone()),
                    ArrayFiles::Safetensors(_, names) => ArrayFiles::Safetensors(to, names.clone()),
                    ArrayFiles::Npy(..) => {
                        return Err(Error::Config(format!(
                            "{}: inputs and targets are two files; name them in a config, as source = {}, and give that",
                            path.display(),
                            arrays::NPY
                        )));
                    }
                };
                DataSpec::Arrays(ArraysSpec { files, ..arrays.clone() })
            }
            DataSpec::Pack(_) => DataSpec::Pack(PackSpec { path: to }),
            DataSpec::Inputs(of) => of.at(path)?,
        })
    }
}

/// The part to evaluate on, or what there is.
fn last_part(data: Dataset) -> (Part, Option<usize>) {
    (data.eval().unwrap_or(data.train()).clone(), data.classes())
}

/// Arrays as they are in their files, then scaled as the run's were.
fn array_part(spec: &ArraysSpec, encoding: Option<&ArrayEncoding>) -> Result<(Part, Option<usize>)> {
    let load = |eval_fraction| {
        let options = ArrayOptions { normalise: Normalise::None, eval_fraction, ..ArrayOptions::default() };
        super::Source::load(&&ArraysSpec { options, ..spec.clone() }, 0)
    };
    let whole = load(Some(0.0))?;
    let divided = load(None)?;
    // Where all are still there to train on, the others are a part of their own.
    let own = divided.train().len() == whole.train().len();
    let (part, classes) = last_part(if own { divided } else { whole });
    match encoding {
        Some(encoding) => Ok((encoding.apply_to("the array of inputs", part)?, classes)),
        None => Ok((part, classes)),
    }
}

/// A packed part whose encoding is the run's, or whose numbers are raw and can be scaled as the run's were.
fn packed_part(path: &Path, encoding: Option<&Encoding>) -> Result<(Part, Option<usize>)> {
    let data = data::pack(path)?;
    let found = data.encoding().cloned();
    let (part, classes) = last_part(data);
    match (encoding, &found) {
        (ours, theirs) if ours == theirs.as_ref() => Ok((part, classes)),
        (Some(Encoding::Array(encoding)), Some(Encoding::Array(_)) | None) => {
            Ok((encoding.apply_to("the pack", part)?, classes))
        }
        _ => Err(Error::Data(format!(
            "{}: it was packed with another encoding than the run's (other means, categories, classes or characters), \
             which cannot be undone; give the data it was made of",
            path.display()
        ))),
    }
}
