//! A table's file in memory: its columns by name, and its rows, which can be read repeatedly.

use std::collections::BTreeSet;
use std::path::Path;

use super::cell::Cells;
use super::csv::Csv;
use super::look::Look;
use super::missing::{Masked, Missing};
use super::options::TableOptions;
use super::reader::{Each, Rows};
use crate::data::file::file_name;
use crate::error::{Error, Result, suggestion};
use crate::regular_file::read_regular;
use crate::shape::MAX_ELEMENTS;

/// The format of a table's file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TableFormat {
    /// Text with a line of column names, of commas, tabs or another character between the cells.
    Csv,
    /// Apache Parquet; the feature `parquet` reads it.
    Parquet,
    /// Arrow IPC, as a file (Feather version 2 too) or a stream; the feature `arrow` reads it.
    Arrow,
}

impl TableFormat {
    /// By the ending of the file's name; a name without one that is known is a CSV file's.
    pub fn from_path(path: &Path) -> TableFormat {
        let ending = path.extension().map(|e| e.to_string_lossy().to_lowercase()).unwrap_or_default();
        match ending.as_str() {
            "parquet" | "pq" | "parq" => TableFormat::Parquet,
            "arrow" | "arrows" | "feather" | "ipc" => TableFormat::Arrow,
            _ => TableFormat::Csv,
        }
    }

    /// Refuses a file whose format this program cannot read.
    ///
    /// # Errors
    /// [`Error::Config`] with the feature that reads it.
    pub fn check_built(self, path: &Path) -> Result<()> {
        let is_built = match self {
            TableFormat::Csv => true,
            TableFormat::Parquet => cfg!(feature = "parquet"),
            TableFormat::Arrow => cfg!(feature = "arrow"),
        };
        if is_built { Ok(()) } else { Err(not_built(&file_name(path), self)) }
    }
}

/// A table, read whole. Cells of text are trimmed.
#[derive(Debug)]
pub(super) struct TableFile {
    /// The file's name, for errors.
    pub name: String,
    columns: Vec<String>,
    format: TableFormat,
    body: Box<dyn Rows>,
    missing: Missing,
    rows: usize,
    looks: Vec<Look>,
}

impl TableFile {
    /// Reads a file; of the options, its delimiter and the texts that are missing. Columns may have no name: who uses
    /// one refuses it.
    ///
    /// # Errors
    /// [`Error::Io`] where it cannot be read; [`Error::Data`] with the place where it is malformed, or empty, or two
    /// columns have one name; [`Error::Config`] where the program was built without its format.
    pub fn read(path: &Path, format: TableFormat, options: &TableOptions) -> Result<TableFile> {
        let (name, delimiter) = (file_name(path), options.delimiter);
        let bytes = || read_regular(path);
        let (columns, body): (Vec<String>, Box<dyn Rows>) = match format {
            TableFormat::Csv => {
                let (columns, csv) = Csv::new(&name, path, bytes()?, delimiter)?;
                (columns, Box::new(csv))
            }
            #[cfg(feature = "arrow")]
            TableFormat::Arrow => {
                let (columns, ipc) = super::arrow::Ipc::new(&name, bytes()?)?;
                (columns, Box::new(ipc))
            }
            #[cfg(feature = "parquet")]
            TableFormat::Parquet => {
                let (columns, parquet) = super::parquet::Parquet::new(&name, bytes()?)?;
                (columns, Box::new(parquet))
            }
            #[cfg(not(feature = "parquet"))]
            format => return Err(not_built(&name, format)),
        };
        let missing = Missing::new(&options.missing);
        let mut table = TableFile { name, columns, format, body, missing, rows: 0, looks: Vec::new() };
        table.check_names()?;
        (table.rows, table.looks) = table.survey()?;
        Ok(table)
    }

    fn check_names(&self) -> Result<()> {
        let wrong = |text: String| Err(Error::Data(format!("{}: {text}", self.name)));
        if self.columns.iter().all(String::is_empty) {
            return wrong("the file is empty; a line of column names is needed, and rows".into());
        }
        let mut seen = BTreeSet::new();
        match self.columns.iter().find(|column| !column.is_empty() && !seen.insert(*column)) {
            Some(twice) => wrong(format!("two columns are named \"{twice}\"; names are unique")),
            None => Ok(()),
        }
    }

    /// Counts the rows and examines each column.
    fn survey(&self) -> Result<(usize, Vec<Look>)> {
        let mut looks = vec![Look::default(); self.columns.len()];
        let mut rows = 0;
        let readable: Vec<usize> = (0..looks.len()).filter(|at| self.body.unfit(*at).is_none()).collect();
        if readable.is_empty() {
            return Err(Error::Data(format!("{}: no column holds numbers or words", self.name)));
        }
        let too_long = || {
            Error::Data(format!("{}: over {MAX_ELEMENTS} rows are too many; take a part of them", self.name))
        };
        self.scan(&readable, &mut |row, cells| {
            rows = row + 1;
            if rows > MAX_ELEMENTS {
                return Err(too_long());
            }
            for &at in &readable {
                looks[at].add(cells.cell(at), row, || cells.line());
            }
            Ok(())
        })?;
        if rows == 0 {
            return Err(Error::Data(format!("{}: there are column names and no row", self.name)));
        }
        Ok((rows, looks))
    }

    /// Every row in order, with the cells of `columns`, to the end or to the first error.
    ///
    /// # Errors
    /// [`Error::Data`] where the file is malformed; errors of `each`.
    pub fn scan(&self, columns: &[usize], each: &mut Each) -> Result<()> {
        self.body
            .scan(&self.name, columns, &mut |row, cells| each(row, &Masked { cells, missing: &self.missing }))
    }

    /// The type of a column that holds neither numbers nor words.
    pub fn unfit(&self, column: usize) -> Option<String> {
        self.body.unfit(column)
    }

    /// An error where a column holds neither numbers nor words.
    pub fn check_fit(&self, column: usize) -> Result<()> {
        let Some(ty) = self.body.unfit(column) else { return Ok(()) };
        Err(Error::Data(format!(
            "{}, column \"{}\": its type is {ty}, and numbers, strings, true and false are read; make numbers of it, \
             or leave it out by ignore = [\"{1}\"] in data.source",
            self.name, self.columns[column]
        )))
    }

    /// The columns' names, in order.
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// The count of rows.
    pub fn len(&self) -> usize {
        self.rows
    }

    /// The contents of a column.
    pub fn look(&self, column: usize) -> &Look {
        &self.looks[column]
    }

    /// The column that `key` of the config names.
    ///
    /// # Errors
    /// [`Error::Config`] with the nearest name where there is none of that name.
    pub fn column(&self, key: &str, column: &str) -> Result<usize> {
        self.columns.iter().position(|other| other == column).ok_or_else(|| {
            let names = self.columns.iter().map(String::as_str).filter(|name| !name.is_empty());
            let names: Vec<&str> = names.collect();
            let hint = match names[..] {
                [one] if self.format == TableFormat::Csv => {
                    format!("its only column is \"{one}\": is the delimiter another, as delimiter = \"|\"?")
                }
                _ => suggestion(column, &names),
            };
            Error::Config(format!("data.source.{key}: {} has no column \"{column}\"; {hint}", self.name))
        })
    }

    /// An error of a cell, with its place.
    pub fn fault(&self, row: usize, cells: &dyn Cells, column: usize, text: &str) -> Error {
        let line = cells.line().map(|line| format!(" (line {line})")).unwrap_or_default();
        let (name, column) = (&self.name, &self.columns[column]);
        Error::Data(format!("{name}, row {}{line}, column \"{column}\": {text}", row + 1))
    }
}

fn not_built(name: &str, format: TableFormat) -> Error {
    let (words, feature) = match format {
        TableFormat::Parquet => ("a Parquet file", "parquet"),
        _ => ("an Arrow file", "arrow"),
    };
    Error::Config(format!(
        "data.source: {name} is {words}, and this program was built without the feature that reads it; build it by \
         `cargo build --release --features {feature}`, or save the table as CSV"
    ))
}
