//! CSV: the bytes of a file, row by row. Only one row's cells are in memory beside them.

use std::path::Path;

use csv::{ErrorKind, Reader, ReaderBuilder, StringRecord};

use super::cell::{Cell, Cells};
use super::quotes::Quotes;
use super::reader::{Each, Rows};
use crate::error::{Error, Result};

/// A CSV file's bytes and how they are cut.
#[derive(Debug)]
pub(super) struct Csv {
    bytes: Vec<u8>,
    delimiter: u8,
}

/// The tab where the file's name ends in `tsv` or `tab`; else the one of tab, comma and semicolon that its first line
/// has most of, and a comma where it has none.
pub(super) fn delimiter(path: &Path, bytes: &[u8]) -> u8 {
    let named =
        path.extension().is_some_and(|e| e.eq_ignore_ascii_case("tsv") || e.eq_ignore_ascii_case("tab"));
    let line = bytes.split(|b| *b == b'\n').find(|line| !line.trim_ascii().is_empty()).unwrap_or_default();
    // A mark within quotes belongs to a cell.
    let count = |wanted: u8| {
        let mut quoted = false;
        let outside = |byte: &&u8| {
            quoted ^= **byte == b'"';
            !quoted && **byte == wanted
        };
        line.iter().filter(outside).count()
    };
    if named {
        return b'\t';
    }
    // The last of equal counts is taken.
    [b';', b',', b'\t']
        .into_iter()
        .filter(|mark| count(*mark) > 0)
        .max_by_key(|mark| count(*mark))
        .unwrap_or(b',')
}

struct CsvRow<'a> {
    record: &'a StringRecord,
    bytes: &'a [u8],
}

impl Cells for CsvRow<'_> {
    fn cell(&self, column: usize) -> Cell<'_> {
        Cell::Text(self.record.get(column).unwrap_or("").trim())
    }

    fn line(&self) -> Option<u64> {
        self.record.position().map(|position| line(self.bytes, position))
    }
}

impl Csv {
    /// The columns' names, and the rest; `delimiter` is found where it is `None`.
    ///
    /// # Errors
    /// [`Error::Data`] where the first line is malformed, or a quote is never closed.
    pub fn new(name: &str, path: &Path, mut bytes: Vec<u8>, given: Option<u8>) -> Result<(Vec<String>, Csv)> {
        if bytes.starts_with(b"\xef\xbb\xbf") {
            bytes.drain(..3);
        }
        let delimiter = given.unwrap_or_else(|| delimiter(path, &bytes));
        if bytes.contains(&b'"') {
            let mut quotes = Quotes::new(delimiter);
            quotes.read(&bytes);
            if let Some(fault) = quotes.fault() {
                return Err(Error::Data(format!("{name}{fault}")));
            }
        }
        let csv = Csv { bytes, delimiter };
        let mut reader = csv.reader();
        let header = reader.headers().map_err(|err| csv.malformed(name, &err))?;
        let columns = header.iter().map(|column| column.trim().to_owned()).collect();
        Ok((columns, csv))
    }

    fn reader(&self) -> Reader<&[u8]> {
        ReaderBuilder::new().delimiter(self.delimiter).from_reader(&self.bytes)
    }

    fn malformed(&self, name: &str, err: &csv::Error) -> Error {
        Error::Data(format!("{name}{}", fault(err, |position| line(&self.bytes, position))))
    }
}

/// Refuses a delimiter that cannot divide cells.
pub(super) fn check_delimiter(delimiter: Option<u8>) -> Result<()> {
    match delimiter {
        Some(byte) if !byte.is_ascii() || matches!(byte, b'"' | b'\n' | b'\r' | b' ') => Err(Error::Config(
            "data.source.delimiter: one ASCII character is needed that is no quote, blank or end of line"
                .into(),
        )),
        _ => Ok(()),
    }
}

impl Rows for Csv {
    fn scan(&self, name: &str, _columns: &[usize], each: &mut Each) -> Result<()> {
        let mut reader = self.reader();
        reader.headers().map_err(|err| self.malformed(name, &err))?;
        let mut record = StringRecord::new();
        let mut row = 0;
        while reader.read_record(&mut record).map_err(|err| self.malformed(name, &err))? {
            each(row, &CsvRow { record: &record, bytes: &self.bytes })?;
            row += 1;
        }
        Ok(())
    }
}

/// The line of a record: its position may be that of empty lines before it.
fn line(bytes: &[u8], position: &csv::Position) -> u64 {
    let rest = bytes.get(position.byte() as usize..).unwrap_or_default();
    let ends = rest.iter().take_while(|b| matches!(b, b'\r' | b'\n'));
    position.line() + ends.filter(|b| **b == b'\n').count() as u64
}

/// Explains an error of the text and its line: `line_at` gives the line of a position.
pub(super) fn fault(err: &csv::Error, line_at: impl FnOnce(&csv::Position) -> u64) -> String {
    let line = |pos: &Option<csv::Position>| match pos {
        Some(pos) => format!(", line {}", line_at(pos)),
        None => String::new(),
    };
    match err.kind() {
        ErrorKind::UnequalLengths { pos, expected_len, len } => format!(
            "{}: the first line has {expected_len} cells, and this one {len}; a cell that holds the delimiter needs \
             quotes around it",
            line(pos)
        ),
        ErrorKind::Utf8 { pos, .. } => format!("{}: not UTF-8; save the file as UTF-8", line(pos)),
        _ => format!(": {err}"),
    }
}
