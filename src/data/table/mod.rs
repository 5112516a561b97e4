//! Tables: a CSV file's columns as inputs, one of them as the target.

mod encoding;
mod fit;
mod read;

use std::path::{Path, PathBuf};

pub use encoding::{InputColumn, InputKind, TableEncoding, TargetColumn, TargetKind};
use encoding::{category, scaled};
use read::Raw;

use super::sampler::shuffled;
use super::{Dataset, Encoding, Field, Part, Values};
use crate::error::{Error, Result};
use crate::shape::MAX_ELEMENTS;

/// What of a CSV file is what.
#[derive(Debug, Clone, PartialEq)]
pub struct CsvOptions {
    /// The column to learn.
    pub target: String,
    /// The numeric inputs; where it is `None`, every column in no list that holds numbers alone.
    pub numeric: Option<Vec<String>>,
    /// The categorical inputs; where it is `None`, every column in no list that holds something else.
    pub categorical: Option<Vec<String>>,
    /// Between two cells.
    pub delimiter: u8,
    /// The target's values are classes, even if they are numbers; words always are.
    pub classes: bool,
    /// A numeric target is learnt as (value − mean) / std of the training part.
    pub standardise_target: bool,
    /// The share of the rows that is evaluated on, drawn at random; 0 for none.
    pub eval_fraction: f64,
    /// Decides which rows these are.
    pub split_seed: u64,
    /// A file of rows to evaluate on, in place of a share.
    pub eval_csv: Option<PathBuf>,
}

impl CsvOptions {
    /// Commas, types as they look, a fifth of the rows to evaluate on.
    pub fn new(target: impl Into<String>) -> Self {
        CsvOptions {
            target: target.into(),
            numeric: None,
            categorical: None,
            delimiter: b',',
            classes: false,
            standardise_target: false,
            eval_fraction: 0.2,
            split_seed: 0,
            eval_csv: None,
        }
    }
}

/// A CSV file with a header as a data set: inputs f32 `[width]`, each row's columns side by side as
/// [`TableEncoding`] makes numbers of them; targets f32 `[1]`, or i32 `[]` where they are classes.
///
/// Means, deviations and categories are the training part's; classes are all that the rows have. What is evaluated
/// on depends on `split_seed` alone, and both parts keep the order of the file.
///
/// # Errors
/// [`Error::Config`] where options do not fit the file: no such column (with the nearest name), one named twice;
/// [`Error::Data`] with row and column where a cell is missing or no number, with the line where the file is
/// malformed; [`Error::Io`] where it cannot be read.
pub fn csv(path: &Path, options: &CsvOptions) -> Result<Dataset> {
    super::check_fraction(options.eval_fraction)?;
    if !options.delimiter.is_ascii() || matches!(options.delimiter, b'"' | b'\n' | b'\r' | b' ') {
        return Err(Error::Config(
            "data.source.delimiter: one ASCII character is needed that is no quote, blank or end of line"
                .into(),
        ));
    }
    let raw = Raw::read(path, options.delimiter)?;
    let other = options.eval_csv.as_deref().map(|path| Raw::read(path, options.delimiter)).transpose()?;
    let (train, held) = match other {
        Some(_) => ((0..raw.len()).collect(), Vec::new()),
        None => split(&raw, options)?,
    };
    let encoding = fit::fit(&raw, &train, other.as_ref(), options)?;
    let eval = match &other {
        Some(other) => Some(part(&encoding, other, &(0..other.len()).collect::<Vec<_>>())?),
        None if held.is_empty() => None,
        None => Some(part(&encoding, &raw, &held)?),
    };
    let classes = match &encoding.target.kind {
        TargetKind::Classes { classes } => Some(classes.len()),
        TargetKind::Numeric { .. } => None,
    };
    let train = part(&encoding, &raw, &train)?;
    Ok(Dataset::new(&raw.name, train, eval, classes)?.with_encoding(Encoding::Table(encoding)))
}

/// The rows to train on and those to evaluate on, each in the order of the file.
fn split(raw: &Raw, options: &CsvOptions) -> Result<(Vec<usize>, Vec<usize>)> {
    let (len, share) = (raw.len(), options.eval_fraction);
    let held = if share > 0.0 { ((len as f64 * share).round() as usize).max(1) } else { 0 };
    if held >= len {
        return Err(Error::Data(format!(
            "{} has {len} rows, and data.eval_fraction = {share} leaves none to train on; use a smaller share, or 0",
            raw.name
        )));
    }
    let order = shuffled(len, options.split_seed, 0, b"downhill:holdout");
    let [mut eval, mut train] =
        [&order[..held], &order[held..]].map(|rows| rows.iter().map(|&row| row as usize).collect::<Vec<_>>());
    train.sort_unstable();
    eval.sort_unstable();
    Ok((train, eval))
}

/// The rows as samples.
fn part(encoding: &TableEncoding, raw: &Raw, rows: &[usize]) -> Result<Part> {
    let columns: Vec<usize> =
        encoding.columns.iter().map(|c| raw.column("eval_csv", &c.name)).collect::<Result<_>>()?;
    let target = raw.column("eval_csv", &encoding.target.name)?;
    let (width, most) = (encoding.width(), MAX_ELEMENTS);
    if rows.len().saturating_mul(width) > most {
        return Err(Error::Data(format!(
            "{} rows of {width} numbers are too many: at most {most} numbers; fewer categories help",
            rows.len()
        )));
    }
    let mut inputs = Vec::with_capacity(rows.len() * width);
    for &row in rows {
        for (column, &at) in encoding.columns.iter().zip(&columns) {
            let wrong = |text: String| raw.fault(row, at, &text);
            column.encode(raw.cell(row, at), &mut inputs).map_err(wrong)?;
        }
    }
    let cells = rows.iter().map(|&row| (row, raw.cell(row, target)));
    let wrong = |row, text: String| raw.fault(row, target, &text);
    let targets = match &encoding.target.kind {
        TargetKind::Numeric { mean, std } => {
            let values: Result<Vec<f32>> =
                cells.map(|(row, cell)| scaled(cell, *mean, *std).map_err(|text| wrong(row, text))).collect();
            Field::new([1], values?)?
        }
        TargetKind::Classes { classes } => {
            let label = |(row, cell)| {
                let cell = category(cell).map_err(|text| wrong(row, text))?;
                let at = classes.iter().position(|class| class == cell);
                at.map(|at| at as i32).ok_or_else(|| wrong(row, format!("\"{cell}\" is no class")))
            };
            Field::new([], Values::I32(cells.map(label).collect::<Result<_>>()?))?
        }
    };
    Part::new(Field::new([width], inputs)?, targets)
}

#[cfg(test)]
mod tests;
