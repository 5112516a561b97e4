//! A table at a glance: its columns, what is in them, its first rows.

use std::collections::HashMap;
use std::path::Path;

use super::cell::{Cell, Cells};
use super::csv::check_delimiter;
use super::file::{TableFile, TableFormat};
use super::options::TableOptions;
use crate::data::moments::Welford;
use crate::error::Result;

/// Categories that are counted. Of a column with more, the summary only reports that there are more.
const MOST_COUNTED: usize = 1000;
/// Rows that are kept as text.
const FIRST_ROWS: usize = 5;

/// The summary of a file.
#[derive(Debug, Clone, PartialEq)]
pub struct TableSummary {
    /// The file's name.
    pub name: String,
    /// The count of rows.
    pub rows: usize,
    /// The columns, in the order of the file.
    pub columns: Vec<TableColumn>,
    /// The first rows, at most 5, cell by cell as text; a missing cell is "" where the format has nothing for it.
    pub first: Vec<Vec<String>>,
}

/// A column of a [`TableSummary`].
#[derive(Debug, Clone, PartialEq)]
pub struct TableColumn {
    /// As the file's header says.
    pub name: String,
    /// Missing cells.
    pub missing: usize,
    /// The other cells.
    pub holds: ColumnSummary,
}

/// The cells of a column without the missing ones.
#[derive(Debug, Clone, PartialEq)]
pub enum ColumnSummary {
    /// Numbers.
    Numeric {
        /// The smallest.
        min: f64,
        /// The largest.
        max: f64,
        /// The mean.
        mean: f64,
        /// The standard deviation, 1/n.
        std: f64,
        /// Infinite cells, which the other fields leave out.
        infinite: usize,
    },
    /// Words, with how often each is there, the most frequent first.
    Categorical {
        /// The words, equally frequent ones in the order of their letters; at most 1,000, those met first.
        counts: Vec<(String, usize)>,
        /// There are more than these.
        more: bool,
    },
    /// Nothing: every cell is missing.
    Empty,
    /// A type that is no input, by its name.
    Other(String),
}

#[derive(Debug, Default)]
struct Counted {
    moments: Welford,
    infinite: usize,
    words: HashMap<String, usize>,
    more: bool,
}

impl Counted {
    fn add(&mut self, cell: Cell, numeric: bool) {
        if cell.is_missing() {
            return;
        }
        if numeric {
            match cell.number() {
                Some(number) => self.moments.add(number),
                None => self.infinite += 1,
            }
            return;
        }
        let word = cell.text();
        if let Some(count) = self.words.get_mut(word.as_ref()) {
            *count += 1;
        } else if self.words.len() < MOST_COUNTED {
            self.words.insert(word.into_owned(), 1);
        } else {
            self.more = true;
        }
    }

    fn holds(self, numeric: bool) -> ColumnSummary {
        if numeric {
            let (min, max) = self.moments.range().unwrap_or((f64::NAN, f64::NAN));
            let (mean, std) = (self.moments.mean(), self.moments.std());
            return ColumnSummary::Numeric { min, max, mean, std, infinite: self.infinite };
        }
        let mut counts: Vec<(String, usize)> = self.words.into_iter().collect();
        counts.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        ColumnSummary::Categorical { counts, more: self.more }
    }
}

impl TableSummary {
    /// Reads a file, of the format that [`TableFormat::from_path`] says; `delimiter` as in
    /// [`TableOptions`].
    ///
    /// # Errors
    /// As [`table`](super::table), except that no cell is an error.
    pub fn read(path: &Path, delimiter: Option<u8>) -> Result<TableSummary> {
        check_delimiter(delimiter)?;
        let options = TableOptions { delimiter, ..TableOptions::new("") };
        TableSummary::of(&TableFile::read(path, TableFormat::from_path(path), &options)?)
    }

    fn of(file: &TableFile) -> Result<TableSummary> {
        let readable: Vec<usize> = (0..file.columns().len()).filter(|at| file.unfit(*at).is_none()).collect();
        let mut counted: Vec<Counted> = readable.iter().map(|_| Counted::default()).collect();
        let mut first = Vec::new();
        file.scan(&readable, &mut |_, cells| {
            for (counted, at) in counted.iter_mut().zip(&readable) {
                counted.add(cells.cell(*at), file.look(*at).is_numeric());
            }
            if first.len() < FIRST_ROWS {
                first.push(texts(file, cells));
            }
            Ok(())
        })?;
        let mut counted = counted.into_iter();
        let columns = file.columns().iter().enumerate().map(|(at, name)| {
            let look = file.look(at);
            let holds = match file.unfit(at) {
                Some(ty) => ColumnSummary::Other(ty),
                None => match counted.next() {
                    Some(counted) if look.missing < file.len() => counted.holds(look.is_numeric()),
                    _ => ColumnSummary::Empty,
                },
            };
            TableColumn { name: name.clone(), missing: look.missing, holds }
        });
        Ok(TableSummary { name: file.name.clone(), rows: file.len(), columns: columns.collect(), first })
    }
}

fn texts(file: &TableFile, cells: &dyn Cells) -> Vec<String> {
    let text = |at| match file.unfit(at) {
        None => cells.cell(at).text().into_owned(),
        Some(ty) => format!("({ty})"),
    };
    (0..file.columns().len()).map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_told_by_what_they_hold() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.csv");
        std::fs::write(&path, "x,word,none,far\n1,a,,inf\n,b,NA,2\n4,b,?,2\n").unwrap();
        let summary = TableSummary::read(&path, None).unwrap();
        assert_eq!((summary.name.as_str(), summary.rows), ("t.csv", 3));
        let found: Vec<(&str, usize)> =
            summary.columns.iter().map(|c| (c.name.as_str(), c.missing)).collect();
        assert_eq!(found, [("x", 1), ("word", 0), ("none", 3), ("far", 0)]);
        let counts = vec![("b".to_owned(), 2), ("a".to_owned(), 1)];
        let want = [
            ColumnSummary::Numeric { min: 1.0, max: 4.0, mean: 2.5, std: 1.5, infinite: 0 },
            ColumnSummary::Categorical { counts, more: false },
            ColumnSummary::Empty,
            ColumnSummary::Numeric { min: 2.0, max: 2.0, mean: 2.0, std: 0.0, infinite: 1 },
        ];
        assert!(summary.columns.iter().map(|c| &c.holds).eq(&want), "{summary:?}");
        assert_eq!(summary.first[1], ["", "b", "NA", "2"]);
    }
}
