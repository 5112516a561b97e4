//! Tables: a file's columns as inputs, one of them as the target.
//!
//! A file lies in memory as it is on disk and is read once for each purpose: types, classes, means and categories,
//! then the numbers. So a cell is stored only as the f32 that it becomes.

#[cfg(feature = "arrow")]
mod arrow;
#[cfg(feature = "arrow")]
mod batch;
mod cell;
mod columns;
mod csv;
mod encoding;
mod file;
mod fill;
mod fit;
mod likeness;
mod look;
mod missing;
mod options;
#[cfg(feature = "parquet")]
mod parquet;
mod quotes;
mod reader;
mod rows;
mod summary;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

pub use columns::{ColumnReport, ColumnUse, TableReport};
use csv::check_delimiter;
use encoding::scaled;
pub use encoding::{InputColumn, InputKind, TableEncoding, TargetColumn, TargetKind};
use file::TableFile;
pub use file::TableFormat;
pub use fill::{Fill, Fills};
pub use options::TableOptions;
pub use rows::TableRows;
pub use summary::{ColumnSummary, TableColumn, TableSummary};

use super::split;
use super::{Dataset, Encoding, Field, Part, Values};
use crate::error::{Error, Result};
use crate::shape::MAX_ELEMENTS;

/// A table as a data set: inputs f32 `[width]`, each row's columns side by side as [`TableEncoding`] makes numbers of
/// them; targets f32 `[1]`, or i32 `[]` where they are classes. A CSV file has a header.
///
/// Means, medians, deviations and categories are the training part's; classes are all that the rows have. The rows to
/// evaluate on depend only on `split_seed` (and, stratified, on the classes). Both parts keep the order of the file.
///
/// # Errors
/// [`Error::Config`] where options do not fit the file: no such column (with the nearest name), one named twice;
/// or where the program was built without the format; [`Error::Data`] with row and column where a cell is missing or
/// no number, with the place where the file is malformed; [`Error::Io`] where it cannot be read.
pub fn table(path: &Path, format: TableFormat, options: &TableOptions) -> Result<Dataset> {
    split::check_fraction(options.eval_fraction)?;
    check_delimiter(options.delimiter)?;
    let file = TableFile::read(path, format, options)?;
    let read = |path: &PathBuf| TableFile::read(path, TableFormat::from_path(path), options);
    let other = options.eval.as_ref().map(read).transpose()?;
    let target = file.column("target", &options.target)?;
    let uses = columns::uses(&file, options, Some(target))?;
    columns::check(&file, &uses, options)?;
    let classes = fit::classes(&file, other.as_ref(), options)?;
    let held = held(&file, other.is_some(), classes.as_deref(), options)?;
    let encoding = fit::fit(&file, &held, &uses, classes, options)?;
    let eval = match &other {
        Some(other) => Some(part(&encoding, other, &vec![true; other.len()], true)?),
        None if !held.contains(&true) => None,
        None => Some(part(&encoding, &file, &held, true)?),
    };
    let classes = match &encoding.target.kind {
        TargetKind::Classes { classes } => Some(classes.len()),
        TargetKind::Numeric { .. } => None,
    };
    let train = part(&encoding, &file, &held, false)?;
    let data = Dataset::new(&file.name, train, eval, classes)?.with_encoding(Encoding::Table(encoding));
    Ok(data.with_columns(columns::report(&file, &uses, options)))
}

/// Other rows as samples, encoded as the run's were: means, categories and classes are not fitted again.
///
/// # Errors
/// As [`table`]; [`Error::Config`] where a column is missing, [`Error::Data`] where a class is none of the run's.
pub fn table_part(
    path: &Path,
    format: TableFormat,
    delimiter: Option<u8>,
    encoding: &TableEncoding,
) -> Result<Part> {
    check_delimiter(delimiter)?;
    let target = encoding.target.name.clone();
    let options = TableOptions { delimiter, missing: encoding.missing.clone(), ..TableOptions::new(target) };
    let file = TableFile::read(path, format, &options)?;
    let all = part(encoding, &file, &vec![true; file.len()], true);
    all.map_err(|err| err.renamed("data.source.eval: ", ""))
}

/// Marks the rows of the file to evaluate on.
fn held(
    file: &TableFile,
    other: bool,
    classes: Option<&[String]>,
    options: &TableOptions,
) -> Result<Vec<bool>> {
    let (name, share, seed) = (&file.name, options.eval_fraction, options.split_seed);
    match (classes, options.stratify) {
        (None, true) => Err(Error::Config(format!(
            "data.stratify: \"{}\" is a target of numbers, and only classes have shares; leave it out, or set \
             data.source.classes = true",
            options.target
        ))),
        _ if other => Ok(vec![false; file.len()]),
        (_, false) => split::held_out(name, file.len(), share, seed),
        (Some(classes), true) => {
            let mut labels = Vec::with_capacity(file.len());
            let target = file.column("target", &options.target)?;
            let numbers = numbered(classes);
            file.scan(&[target], &mut |row, cells| {
                let wrong = |text: String| file.fault(row, cells, target, &text);
                let class = cells.cell(target).category(None).map_err(wrong)?;
                labels.extend(numbers.get(class.as_ref()).map(|at| *at as u32));
                Ok(())
            })?;
            split::stratified(name, &labels, classes.len(), share, seed)
        }
    }
}

fn numbered(classes: &[String]) -> HashMap<&str, i32> {
    classes.iter().map(String::as_str).zip(0..).collect()
}

/// The rows whose `held` is `wanted`, as samples.
fn part(encoding: &TableEncoding, file: &TableFile, held: &[bool], wanted: bool) -> Result<Part> {
    let columns: Vec<usize> =
        encoding.columns.iter().map(|c| file.column("eval", &c.name)).collect::<Result<_>>()?;
    let target = file.column("eval", &encoding.target.name)?;
    let used = [&columns[..], &[target]].concat();
    used.iter().try_for_each(|column| file.check_fit(*column))?;
    let rows = held.iter().filter(|held| **held == wanted).count();
    let (width, most) = (encoding.width(), MAX_ELEMENTS);
    if rows.saturating_mul(width) > most {
        return Err(Error::Data(format!(
            "{rows} rows of {width} numbers are too many: at most {most} numbers; fewer categories help"
        )));
    }
    let mut inputs = Vec::with_capacity(rows * width);
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    let classes = match &encoding.target.kind {
        TargetKind::Classes { classes } => numbered(classes),
        TargetKind::Numeric { .. } => HashMap::new(),
    };
    file.scan(&used, &mut |row, cells| {
        if held[row] != wanted {
            return Ok(());
        }
        for (column, &at) in encoding.columns.iter().zip(&columns) {
            let wrong = |text: String| file.fault(row, cells, at, &text);
            column.encode(cells.cell(at), &mut inputs).map_err(wrong)?;
        }
        let (cell, wrong) = (cells.cell(target), |text: String| file.fault(row, cells, target, &text));
        match &encoding.target.kind {
            TargetKind::Numeric { mean, std } => {
                values.push(scaled(cell, *mean, *std, None).map_err(wrong)?);
            }
            TargetKind::Classes { .. } => {
                let class = cell.category(None).map_err(wrong)?;
                let number = classes.get(class.as_ref()).copied();
                labels.push(number.ok_or_else(|| wrong(format!("\"{class}\" is no class")))?);
            }
        }
        Ok(())
    })?;
    let targets = match encoding.target.kind {
        TargetKind::Numeric { .. } => Field::new([1], values)?,
        TargetKind::Classes { .. } => Field::new([], Values::I32(labels))?,
    };
    Part::new(Field::new([width], inputs)?, targets)
}

#[cfg(test)]
mod tests;
