//! Fits columns to the training part: types, means, deviations, categories, fills.

use std::collections::HashSet;

use super::cell::Cell;
use super::columns::ColumnUse;
use super::encoding::{InputColumn, InputKind, TableEncoding, TargetColumn, TargetKind};
use super::file::TableFile;
use super::fill::Fill;
use super::options::TableOptions;
use crate::data::moments::{Welford, median};
use crate::error::{Error, Result};

/// A column of more categories than this holds names or identifiers, and no categories.
const MOST_CATEGORIES: usize = 1000;

/// The statistics gathered from a column.
#[derive(Debug)]
enum Kind {
    /// Its numbers, the count of missing ones, and their fill.
    Numeric { moments: Welford, missing: usize, fill: Option<Fill> },
    /// Its categories, and the fill of a missing one.
    Words { found: HashSet<String>, fill: Option<String> },
}

#[derive(Debug)]
struct Gathered {
    column: usize,
    kind: Kind,
}

/// The classes of a target in their order, or `None` where it is numeric.
///
/// # Errors
/// [`Error::Config`] where the options do not fit, [`Error::Data`] where a class is missing or there are too many.
pub(super) fn classes(
    file: &TableFile,
    other: Option<&TableFile>,
    options: &TableOptions,
) -> Result<Option<Vec<String>>> {
    let target = file.column("target", &options.target)?;
    file.check_fit(target)?;
    if options.fill.rule(&options.target).is_some() {
        return Err(Error::Config(format!(
            "data.source.fill: \"{}\" is the target, and a target is not made up; take the rows without one out",
            options.target
        )));
    }
    if !options.classes && file.look(target).is_numeric() {
        return Ok(None);
    }
    if options.standardise_target {
        return Err(Error::Config(format!(
            "data.source.standardise_target: \"{}\" is a column of classes; only a numeric target has a mean",
            options.target
        )));
    }
    let mut found = HashSet::new();
    for file in [Some(file), other].into_iter().flatten() {
        let target = file.column("eval", &options.target)?;
        file.check_fit(target)?;
        let mut gathered = [Gathered { column: target, kind: Kind::Words { found, fill: None } }];
        gather(file, None, &mut gathered)?;
        let [Gathered { kind, .. }] = gathered;
        found = match kind {
            Kind::Words { found, .. } => found,
            Kind::Numeric { .. } => HashSet::new(),
        };
    }
    Ok(Some(sorted(found)))
}

/// Fits the encoding to the rows of `file` that are not held out.
///
/// # Errors
/// As [`super::table`].
pub(super) fn fit(
    file: &TableFile,
    held: &[bool],
    uses: &[ColumnUse],
    classes: Option<Vec<String>>,
    options: &TableOptions,
) -> Result<TableEncoding> {
    let mut gathered = inputs(file, uses, options)?;
    let target = file.column("target", &options.target)?;
    let inputs = gathered.len();
    if options.standardise_target && classes.is_none() {
        let kind = Kind::Numeric { moments: Welford::default(), missing: 0, fill: None };
        gathered.push(Gathered { column: target, kind });
    }
    gather(file, Some(held), &mut gathered)?;
    let medians = medians(file, held, &gathered)?;
    let mut kinds = Vec::with_capacity(gathered.len());
    for (one, median) in gathered.into_iter().zip(medians) {
        kinds.push((one.column, finished(file, one, median)?));
    }
    let kind = match (classes, kinds.get(inputs)) {
        (Some(classes), _) => TargetKind::Classes { classes },
        (None, Some((_, InputKind::Numeric { mean, std, .. }))) => {
            TargetKind::Numeric { mean: *mean, std: *std }
        }
        (None, _) => TargetKind::Numeric { mean: 0.0, std: 1.0 },
    };
    let name = |column: usize| file.columns()[column].clone();
    let columns = kinds.into_iter().take(inputs).map(|(at, kind)| InputColumn { name: name(at), kind });
    Ok(TableEncoding {
        columns: columns.collect(),
        target: TargetColumn { name: options.target.clone(), kind },
        missing: options.missing.clone(),
    })
}

/// The inputs, with nothing gathered yet.
fn inputs(file: &TableFile, uses: &[ColumnUse], options: &TableOptions) -> Result<Vec<Gathered>> {
    for (name, _) in &options.fill.columns {
        file.column("fill", name)?;
    }
    let mut columns = Vec::new();
    for (at, used) in uses.iter().enumerate() {
        let name = &file.columns()[at];
        if used.is_input() {
            file.check_fit(at)?;
        }
        let fill = options.fill.rule(name);
        let kind = match used {
            ColumnUse::Numeric => {
                let fill = numeric_fill(name, fill.or(options.fill.numeric.as_ref()))?;
                Kind::Numeric { moments: Welford::default(), missing: 0, fill }
            }
            ColumnUse::Categorical => Kind::Words { found: HashSet::new(), fill: word_fill(name, fill)? },
            _ if fill.is_some() => {
                let text = format!("data.source.fill: \"{name}\" is no input; only inputs are filled");
                return Err(Error::Config(text));
            }
            _ => continue,
        };
        columns.push(Gathered { column: at, kind });
    }
    if columns.is_empty() {
        return Err(Error::Config(format!(
            "data.source: of {}'s columns none is an input; list some in numeric or categorical",
            file.name
        )));
    }
    Ok(columns)
}

fn numeric_fill(name: &str, fill: Option<&Fill>) -> Result<Option<Fill>> {
    match fill {
        Some(Fill::Word(word)) => Err(Error::Config(format!(
            "data.source.fill: \"{name}\" is a column of numbers, and \"{word}\" is none; a number, \"median\" or \
             \"mean\" is needed"
        ))),
        Some(Fill::Number(x)) if !(*x as f32).is_finite() => {
            Err(Error::Config(format!("data.source.fill: {x} for \"{name}\" is no number that f32 has")))
        }
        other => Ok(other.cloned()),
    }
}

fn word_fill(name: &str, fill: Option<&Fill>) -> Result<Option<String>> {
    match fill {
        None => Ok(None),
        Some(Fill::Word(word)) if !word.trim().is_empty() => Ok(Some(word.trim().to_owned())),
        Some(Fill::Number(x)) => Ok(Some(x.to_string())),
        Some(_) => Err(Error::Config(format!(
            "data.source.fill: \"{name}\" is a column of categories, which have no mean or median; a category is \
             needed, as \"unknown\""
        ))),
    }
}

/// Gathers statistics in one pass over the rows, without those that `held` holds out.
fn gather(file: &TableFile, held: Option<&[bool]>, gathered: &mut [Gathered]) -> Result<()> {
    let columns: Vec<usize> = gathered.iter().map(|one| one.column).collect();
    file.scan(&columns, &mut |row, cells| {
        if held.is_some_and(|held| held[row]) {
            return Ok(());
        }
        for one in gathered.iter_mut() {
            let cell = cells.cell(one.column);
            one.add(cell).map_err(|text| file.fault(row, cells, one.column, &text))?;
            if matches!(&one.kind, Kind::Words { found, .. } if found.len() > MOST_CATEGORIES) {
                return Err(too_many(file, row, one.column));
            }
        }
        Ok(())
    })
}

impl Gathered {
    fn add(&mut self, cell: Cell) -> Result<(), String> {
        match &mut self.kind {
            Kind::Numeric { missing, fill: Some(_), .. } if cell.is_missing() => *missing += 1,
            Kind::Numeric { moments, .. } => moments.add(cell.value(None)?),
            Kind::Words { found, fill } => {
                let word = cell.category(fill.as_deref())?;
                if !found.contains(word.as_ref()) {
                    found.insert(word.into_owned());
                }
            }
        }
        Ok(())
    }
}

fn too_many(file: &TableFile, row: usize, column: usize) -> Error {
    let look = file.look(column);
    let slip = match look.odd.first() {
        Some(odd) if look.numbers > 0 => {
            format!(" (it is no column of numbers because of \"{}\" in row {})", odd.text, odd.row + 1)
        }
        _ => String::new(),
    };
    Error::Data(format!(
        "{}, column \"{}\": over {MOST_CATEGORIES} categories in the first {} rows, and at most {MOST_CATEGORIES} are \
         taken{slip}. Leave the column out by ignore = [\"{1}\"] in data.source",
        file.name,
        file.columns()[column],
        row + 1
    ))
}

/// In the order of their numbers where all are numbers, else of their letters.
fn sorted(found: HashSet<String>) -> Vec<String> {
    let mut words: Vec<String> = found.into_iter().collect();
    words.sort_unstable();
    let number = |word: &String| Cell::Text(word).number();
    if words.iter().all(|word| number(word).is_some()) {
        words.sort_by(|a, b| number(a).unwrap_or(0.0).total_cmp(&number(b).unwrap_or(0.0)));
    }
    words
}

/// The median of each column that is filled by it. One pass stores the numbers of as many columns as take at most a
/// quarter of the file's rows × columns × 8 bytes, and of at least one column.
fn medians(file: &TableFile, held: &[bool], gathered: &[Gathered]) -> Result<Vec<Option<f64>>> {
    let mut medians = vec![None; gathered.len()];
    let wanted: Vec<usize> = (0..gathered.len())
        .filter(|at| matches!(gathered[*at].kind, Kind::Numeric { fill: Some(Fill::Median), .. }))
        .collect();
    for some in wanted.chunks((file.columns().len() / 4).max(1)) {
        let columns: Vec<usize> = some.iter().map(|at| gathered[*at].column).collect();
        let count = |at: &usize| match &gathered[*at].kind {
            Kind::Numeric { moments, .. } => moments.count(),
            Kind::Words { .. } => 0,
        };
        let mut values: Vec<Vec<f64>> = some.iter().map(|at| Vec::with_capacity(count(at))).collect();
        file.scan(&columns, &mut |row, cells| {
            if !held[row] {
                for (values, column) in values.iter_mut().zip(&columns) {
                    values.extend(cells.cell(*column).number());
                }
            }
            Ok(())
        })?;
        for (at, values) in some.iter().zip(&mut values) {
            medians[*at] = median(values);
        }
    }
    Ok(medians)
}

fn finished(file: &TableFile, one: Gathered, median: Option<f64>) -> Result<InputKind> {
    match one.kind {
        Kind::Words { found, fill } => Ok(InputKind::Categorical { categories: sorted(found), fill }),
        Kind::Numeric { mut moments, missing, fill } => {
            let value = match &fill {
                Some(Fill::Number(x)) => Some(*x),
                Some(Fill::Mean) if moments.count() > 0 => Some(moments.mean()),
                Some(Fill::Median) if moments.count() > 0 => median,
                Some(_) => {
                    return Err(Error::Data(format!(
                        "{}, column \"{}\": no row to train on has a number, so there is no mean or median to fill it \
                         with; give a number, or leave the column out",
                        file.name,
                        file.columns()[one.column]
                    )));
                }
                None => None,
            };
            // Filled cells count as what they become.
            moments.add_times(value.unwrap_or(0.0), missing);
            let std = if moments.std() > 0.0 { moments.std() } else { 1.0 };
            Ok(InputKind::Numeric { mean: moments.mean(), std, fill: value })
        }
    }
}
