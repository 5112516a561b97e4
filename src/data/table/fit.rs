//! What the training part says of its columns: types, means, deviations, categories.

use std::collections::BTreeSet;

use super::CsvOptions;
use super::encoding::{InputColumn, InputKind, TableEncoding, TargetColumn, TargetKind, category, scaled};
use super::read::{Raw, number};
use crate::error::{Error, Result};

/// More categories than this are a name or a number of something, and not a kind of it.
const MOST_CATEGORIES: usize = 1000;

/// The encoding that the rows `train` of `raw` give; `other` is a file to evaluate on.
pub(super) fn fit(
    raw: &Raw,
    train: &[usize],
    other: Option<&Raw>,
    options: &CsvOptions,
) -> Result<TableEncoding> {
    let target = raw.column("target", &options.target)?;
    let numeric = listed(raw, "numeric", options.numeric.as_deref(), target)?;
    let categorical = listed(raw, "categorical", options.categorical.as_deref(), target)?;
    let mut columns = Vec::new();
    for (at, name) in raw.columns().iter().enumerate() {
        let [in_numeric, in_categorical] =
            [&numeric, &categorical].map(|list| list.as_ref().is_some_and(|list| list.contains(&at)));
        if in_numeric && in_categorical {
            let text =
                format!("data.source: column \"{name}\" is in numeric and in categorical; it is one of them");
            return Err(Error::Config(text));
        }
        // A list that is given is whole; one that is not takes what looks like it and is in no list.
        let looks_numeric = || raw.not_a_number(at).is_none();
        let kind = if in_numeric || (at != target && !in_categorical && numeric.is_none() && looks_numeric())
        {
            let (mean, std) = moments(raw, train, at)?;
            InputKind::Numeric { mean, std }
        } else if in_categorical || (at != target && categorical.is_none() && !looks_numeric()) {
            InputKind::Categorical { categories: categories(raw, train, at)? }
        } else {
            continue;
        };
        columns.push(InputColumn { name: name.clone(), kind });
    }
    if columns.is_empty() {
        return Err(Error::Config(format!(
            "data.source: of {}'s columns none is an input; list some in numeric or categorical",
            raw.name
        )));
    }
    let kind = target_kind(raw, train, other, target, options)?;
    Ok(TableEncoding { columns, target: TargetColumn { name: options.target.clone(), kind } })
}

/// The columns of a list, which does not hold the target, and none twice.
fn listed(raw: &Raw, key: &str, list: Option<&[String]>, target: usize) -> Result<Option<BTreeSet<usize>>> {
    let Some(list) = list else { return Ok(None) };
    let mut columns = BTreeSet::new();
    for name in list {
        let at = raw.column(key, name)?;
        let wrong = if at == target {
            "the target, and no input"
        } else if !columns.insert(at) {
            "named twice"
        } else {
            continue;
        };
        return Err(Error::Config(format!("data.source.{key}: \"{name}\" is {wrong}")));
    }
    Ok(Some(columns))
}

/// Mean and standard deviation (1/n) of a column; a deviation of 1 where all values are one.
fn moments(raw: &Raw, rows: &[usize], column: usize) -> Result<(f64, f64)> {
    let mut values = Vec::with_capacity(rows.len());
    for &row in rows {
        let cell = raw.cell(row, column);
        scaled(cell, 0.0, 1.0).map_err(|text| raw.fault(row, column, &text))?;
        values.extend(number(cell));
    }
    let first = values.first().copied().unwrap_or(0.0);
    if values.iter().all(|&v| v == first) {
        return Ok((first, 1.0));
    }
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
    Ok((mean, variance.sqrt()))
}

/// The categories of a column, sorted.
fn categories(raw: &Raw, rows: &[usize], column: usize) -> Result<Vec<String>> {
    let mut found = BTreeSet::new();
    for &row in rows {
        found.insert(category(raw.cell(row, column)).map_err(|text| raw.fault(row, column, &text))?);
    }
    if found.len() > MOST_CATEGORIES {
        return Err(Error::Data(format!(
            "{}, column \"{}\": {} categories in {} rows, and at most {MOST_CATEGORIES} are taken{}. Leave the \
             column out by listing the inputs in numeric and categorical",
            raw.name,
            raw.columns()[column],
            found.len(),
            rows.len(),
            first_word(raw, column)
        )));
    }
    Ok(sorted(found))
}

/// In the order of their numbers where all are numbers, else of their letters.
fn sorted(found: BTreeSet<&str>) -> Vec<String> {
    let numbers: Option<Vec<f64>> = found.iter().map(|cell| number(cell)).collect();
    let mut cells: Vec<(usize, &str)> = found.into_iter().enumerate().collect();
    if let Some(numbers) = numbers {
        cells.sort_by(|a, b| numbers[a.0].total_cmp(&numbers[b.0]));
    }
    cells.into_iter().map(|(_, cell)| cell.to_owned()).collect()
}

/// Where a column that has some numbers has a word.
fn first_word(raw: &Raw, column: usize) -> String {
    match raw.not_a_number(column) {
        Some(row) if raw.cells(column).any(|cell| number(cell).is_some()) => {
            format!(
                " (it is no column of numbers because of \"{}\" in row {})",
                raw.cell(row, column),
                row + 1
            )
        }
        _ => String::new(),
    }
}

fn target_kind(
    raw: &Raw,
    train: &[usize],
    other: Option<&Raw>,
    target: usize,
    options: &CsvOptions,
) -> Result<TargetKind> {
    if !options.classes && raw.not_a_number(target).is_none() {
        let (mean, std) = if options.standardise_target { moments(raw, train, target)? } else { (0.0, 1.0) };
        return Ok(TargetKind::Numeric { mean, std });
    }
    if options.standardise_target {
        return Err(Error::Config(format!(
            "data.source.standardise_target: \"{}\" is a column of classes; only a numeric target has a mean",
            options.target
        )));
    }
    let rows: Vec<usize> = (0..raw.len()).collect();
    let mut classes = categories(raw, &rows, target)?;
    if let Some(other) = other {
        let column = other.column("eval_csv", &options.target)?;
        let rows: Vec<usize> = (0..other.len()).collect();
        classes.extend(categories(other, &rows, column)?);
        classes = sorted(classes.iter().map(String::as_str).collect());
    }
    Ok(TargetKind::Classes { classes })
}
