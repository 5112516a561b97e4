//! The use of each column of a table: by the lists of the config, or else by its cells; and a line about each.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Serialize;

use super::csv::check_delimiter;
use super::file::{TableFile, TableFormat};
use super::likeness::Likeness;
use super::look::Fault;
use super::options::TableOptions;
use crate::error::{Error, Result};

/// Columns that an error lists.
const LISTED: usize = 12;

/// The use of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ColumnUse {
    /// It is learnt: a number.
    Number,
    /// It is learnt: a class.
    Class,
    /// A numeric input.
    Numeric,
    /// A categorical input.
    Categorical,
    /// The key `ignore` leaves it out.
    Ignored,
    /// It is in no list, and the lists are complete.
    Unlisted,
}

/// A line about a column.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ColumnReport {
    /// As the file's header says.
    pub name: String,
    /// Its use.
    #[serde(rename = "use")]
    pub used: ColumnUse,
    /// Why.
    pub why: String,
    /// Missing cells.
    pub missing: usize,
    /// The value of a missing cell; `None` where it is an error.
    pub fill: Option<String>,
    /// Categories of all rows, or classes; 0 for numbers.
    pub categories: usize,
    /// There are more, which were not counted.
    pub more: bool,
    /// A note on it for a person.
    pub remark: Option<String>,
}

/// A table's columns.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TableReport {
    /// The file's name.
    pub name: String,
    /// The count of rows.
    pub rows: usize,
    /// A line for each column, in the order of the file.
    pub columns: Vec<ColumnReport>,
}

impl ColumnUse {
    /// True for an input.
    pub fn is_input(self) -> bool {
        matches!(self, ColumnUse::Numeric | ColumnUse::Categorical)
    }

    /// True for the column to learn.
    pub fn is_target(self) -> bool {
        matches!(self, ColumnUse::Number | ColumnUse::Class)
    }
}

impl TableReport {
    /// Reads a file. Cells are no error; without `targeted` the options' target is not looked for.
    ///
    /// # Errors
    /// [`Error::Config`] for a list that names no column, [`Error::Data`] where the file is malformed, [`Error::Io`].
    pub fn read(
        path: &Path,
        format: TableFormat,
        options: &TableOptions,
        targeted: bool,
    ) -> Result<TableReport> {
        check_delimiter(options.delimiter)?;
        let file = TableFile::read(path, format, options)?;
        let target = if targeted { Some(file.column("target", &options.target)?) } else { None };
        let columns = report(&file, &uses(&file, options, target)?, options);
        Ok(TableReport { name: file.name.clone(), rows: file.len(), columns })
    }
}

/// The use of each column.
///
/// # Errors
/// [`Error::Config`] where a list names no column, one twice, or the target.
pub(super) fn uses(
    file: &TableFile,
    options: &TableOptions,
    target: Option<usize>,
) -> Result<Vec<ColumnUse>> {
    let numeric = listed(file, "numeric", options.numeric.as_deref(), target)?;
    let categorical = listed(file, "categorical", options.categorical.as_deref(), target)?;
    let ignored = listed(file, "ignore", Some(&options.ignore), target)?.unwrap_or_default();
    let mut uses = Vec::with_capacity(file.columns().len());
    for (at, name) in file.columns().iter().enumerate() {
        let is_in = |list: &Option<BTreeSet<usize>>| list.as_ref().is_some_and(|list| list.contains(&at));
        let lists = [
            ("numeric", is_in(&numeric)),
            ("categorical", is_in(&categorical)),
            ("ignore", ignored.contains(&at)),
        ];
        let in_lists: Vec<&str> = lists.iter().filter(|(_, is_in)| *is_in).map(|(list, _)| *list).collect();
        if let [one, other, ..] = in_lists[..] {
            return Err(Error::Config(format!(
                "data.source: column \"{name}\" is in {one} and in {other}; it is one of them"
            )));
        }
        let look = file.look(at);
        // A given list is complete. A list that is not given takes the columns of its type that are in no list.
        uses.push(match (in_lists.first(), Some(at) == target) {
            (_, true) if !options.classes && look.is_numeric() => ColumnUse::Number,
            (_, true) => ColumnUse::Class,
            (Some(&"numeric"), _) => ColumnUse::Numeric,
            (Some(&"categorical"), _) => ColumnUse::Categorical,
            (Some(_), _) => ColumnUse::Ignored,
            (None, _) if look.is_numeric() && numeric.is_none() => ColumnUse::Numeric,
            (None, _) if !look.is_numeric() && categorical.is_none() => ColumnUse::Categorical,
            (None, _) => ColumnUse::Unlisted,
        });
    }
    Ok(uses)
}

/// The columns of a list. Refuses the target and repeated columns.
fn listed(
    file: &TableFile,
    key: &str,
    list: Option<&[String]>,
    target: Option<usize>,
) -> Result<Option<BTreeSet<usize>>> {
    let Some(list) = list else { return Ok(None) };
    let mut columns = BTreeSet::new();
    for name in list {
        let at = file.column(key, name)?;
        let wrong = if Some(at) == target {
            "the target, and no input"
        } else if !columns.insert(at) {
            "named twice"
        } else {
            continue;
        };
        return Err(Error::Config(format!("data.source.{key}: \"{name}\" is {wrong}")));
    }
    if key == "ignore" && list.iter().any(String::is_empty) {
        // Every column without a name goes by the empty one.
        columns.extend((0..file.columns().len()).filter(|at| file.columns()[*at].is_empty()));
    }
    Ok(Some(columns))
}

/// An error where a column that no list declares is of numbers but for some cells, has no name, or has no cell.
pub(super) fn check(file: &TableFile, uses: &[ColumnUse], options: &TableOptions) -> Result<()> {
    for (at, used) in uses.iter().enumerate() {
        let (name, look) = (&file.columns()[at], file.look(at));
        let declared =
            [&options.numeric, &options.categorical].into_iter().flatten().any(|list| list.contains(name));
        let declared = declared || (used.is_target() && options.classes);
        if matches!(used, ColumnUse::Ignored | ColumnUse::Unlisted) {
            continue;
        }
        let wrong = |text: String| Err(Error::Data(format!("{}, column \"{name}\": {text}", file.name)));
        if name.is_empty() {
            let index = match look.remark("") {
                Some(_) if look.is_numeric() => " (it counts the rows, as the index that pandas writes)",
                _ => "",
            };
            return Err(Error::Data(format!(
                "{}: column {} of the first line has no name{index}; leave it out by ignore = [\"\"] in data.source, or \
                 give it one",
                file.name,
                at + 1
            )));
        }
        file.check_fit(at)?;
        if look.is_empty() && used.is_input() && options.fill.rule(name).is_none() {
            return wrong(format!(
                "every cell is missing; leave it out by ignore = [\"{name}\"] in data.source"
            ));
        }
        if let Some(fault) = look.fault().filter(|_| !declared && *used != ColumnUse::Number) {
            return wrong(explained(file, at, &fault, uses));
        }
    }
    Ok(())
}

/// The fault of a column, with its rows and the remedies.
fn explained(file: &TableFile, at: usize, fault: &Fault, uses: &[ColumnUse]) -> String {
    let look = file.look(at);
    let all = look.numbers + look.words;
    let is_target = uses[at].is_target();
    let as_classes = if is_target {
        "if its values are classes, say classes = true in data.source".to_owned()
    } else {
        format!("if they are codes, declare them so: {}", declared(file, at, uses))
    };
    match fault {
        Fault::Few => {
            let words: BTreeSet<String> =
                look.odd.iter().map(|odd| toml::Value::from(odd.text.as_str()).to_string()).collect();
            let words: Vec<String> = words.into_iter().collect();
            let (are, what) = if look.words == 1 { ("is", "it is") } else { ("are", "they are") };
            let remedy = if is_target {
                "a target is not made up: correct the cells, or take their rows out".to_owned()
            } else {
                format!(
                    "if {what} missing, say missing = [{}] in data.source, and how it is filled, as fill = \
                     \"median\"; or correct the cells",
                    words.join(", ")
                )
            };
            format!(
                "{} of {all} cells are numbers, and {} {are} not: {}. With them the column would be one of categories. \
                 {}{}; {as_classes}",
                look.numbers,
                look.words,
                look.quoted(),
                remedy[..1].to_uppercase(),
                &remedy[1..]
            )
        }
        Fault::Notation(likeness) => {
            let example = look.example(*likeness);
            let (what, pandas) = match likeness {
                Likeness::DecimalComma => ("a decimal comma", "decimal=\",\""),
                _ => ("marked thousands", "thousands=\",\""),
            };
            format!(
                "its cells look like numbers with {what}, as \"{example}\", and numbers have a decimal point and no other \
                 mark. Write them so, as pandas.read_csv(.., {pandas}) and to_csv do; {as_classes}"
            )
        }
    }
}

/// The list that declares one more column to be categorical.
fn declared(file: &TableFile, at: usize, uses: &[ColumnUse]) -> String {
    let also = |other: &usize| {
        *other == at || uses[*other] == ColumnUse::Categorical && file.look(*other).fault().is_none()
    };
    let all: Vec<String> =
        (0..uses.len()).filter(also).map(|other| format!("\"{}\"", file.columns()[other])).collect();
    if all.len() > LISTED {
        return format!("categorical = [\"{}\", ..], a complete list", file.columns()[at]);
    }
    let complete = if all.len() > 1 { ", a complete list" } else { "" };
    format!("categorical = [{}]{complete}", all.join(", "))
}

/// A line about each column.
pub(super) fn report(file: &TableFile, uses: &[ColumnUse], options: &TableOptions) -> Vec<ColumnReport> {
    let line = |(at, used): (usize, &ColumnUse)| {
        let (name, look) = (&file.columns()[at], file.look(at));
        let is_in = |list: &Option<Vec<String>>| list.as_ref().is_some_and(|list| list.contains(name));
        let mut why = file.unfit(at).unwrap_or_else(|| look.why());
        let declared = match used {
            ColumnUse::Numeric => is_in(&options.numeric).then_some("in numeric"),
            ColumnUse::Categorical => is_in(&options.categorical).then_some("in categorical"),
            ColumnUse::Ignored => Some("in ignore"),
            ColumnUse::Unlisted => Some("in no list"),
            ColumnUse::Class => options.classes.then_some("classes = true"),
            ColumnUse::Number => None,
        };
        why.extend(declared.map(|list| format!(", {list}")));
        let words = matches!(used, ColumnUse::Categorical | ColumnUse::Class);
        let fill =
            options.fill.rule(name).or(options.fill.numeric.as_ref().filter(|_| *used == ColumnUse::Numeric));
        let (categories, more) = if words { look.categories(fill.is_none()) } else { (0, false) };
        let remark = match (used, look.fault()) {
            (ColumnUse::Ignored | ColumnUse::Unlisted, _) => None,
            (_, Some(fault)) if words && declared.is_none() => Some(explained(file, at, &fault, uses)),
            (ColumnUse::Categorical, _) if declared.is_some() => None,
            (used, _) if used.is_target() => None,
            _ => look.remark(name),
        };
        ColumnReport {
            name: name.clone(),
            used: *used,
            why,
            missing: if words && fill.is_none() { look.empty } else { look.missing },
            fill: fill.filter(|_| used.is_input()).map(ToString::to_string),
            categories,
            more,
            remark,
        }
    };
    uses.iter().enumerate().map(line).collect()
}
