//! Rows of a CSV file for a model that is trained, one after the other: no more than a row is in memory.

use std::collections::{BTreeSet, VecDeque};
use std::io::{BufRead, BufReader, Chain, Cursor, Read};
use std::path::Path;

use csv::{Reader, ReaderBuilder, StringRecord};

use super::cell::Cell;
use super::csv::{check_delimiter, delimiter, fault};
use super::encoding::{InputKind, TableEncoding};
use super::missing::Missing;
use super::quotes::Quotes;
use crate::error::{Error, Result, suggestion};

/// Bytes of the first line, at most: a line of column names has an end.
const LONGEST_HEADER: u64 = 16 << 20;

type Input = Chain<Cursor<Vec<u8>>, BufReader<Box<dyn Read>>>;

/// The rows of a CSV file with a header, or of a pipe, as inputs of a run's model.
pub struct TableRows {
    name: String,
    reader: Reader<Lines<Input>>,
    record: StringRecord,
    encoding: TableEncoding,
    /// The index of each input in a row.
    places: Vec<usize>,
    ignored: Vec<String>,
    missing: Missing,
    row: u64,
}

impl std::fmt::Debug for TableRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TableRows").field("name", &self.name).field("row", &self.row).finish_non_exhaustive()
    }
}

impl TableRows {
    /// Reads the header of `input`, which errors call `name`; the delimiter is found where it is `None`.
    ///
    /// # Errors
    /// [`Error::Data`] where the header is malformed or lacks an input of the model, with the nearest name.
    pub fn new(
        name: &str,
        input: Box<dyn Read>,
        given: Option<u8>,
        encoding: &TableEncoding,
    ) -> Result<TableRows> {
        check_delimiter(given)?;
        let fault_of = |err: &std::io::Error| Error::io("cannot read", name, err);
        let mut input = BufReader::new(input);
        let mut head = Vec::new();
        while head.trim_ascii().is_empty() {
            let read = input.by_ref().take(LONGEST_HEADER).read_until(b'\n', &mut head);
            if read.map_err(|err| fault_of(&err))? == 0 {
                break;
            }
            if head.starts_with(b"\xef\xbb\xbf") {
                head.drain(..3);
            }
        }
        let delimiter = given.unwrap_or_else(|| delimiter(Path::new(name), &head));
        let lines = Lines::new(Cursor::new(head).chain(input), delimiter);
        let reader = ReaderBuilder::new().delimiter(delimiter).from_reader(lines);
        let mut rows = TableRows {
            name: name.to_owned(),
            reader,
            record: StringRecord::new(),
            encoding: encoding.clone(),
            places: Vec::new(),
            ignored: Vec::new(),
            missing: Missing::new(&encoding.missing),
            row: 0,
        };
        rows.find_columns()?;
        Ok(rows)
    }

    fn find_columns(&mut self) -> Result<()> {
        let header = self.reader.headers().cloned();
        let header = header.map_err(|err| self.malformed(&err))?;
        let names: Vec<&str> = header.iter().map(str::trim).collect();
        let wrong = |text: String| Err(Error::Data(format!("{}: {text}", self.name)));
        if names.iter().all(|name| name.is_empty()) {
            return wrong("it is empty; a line of column names is needed, and rows".into());
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = names.iter().find(|name| !name.is_empty() && !seen.insert(**name)) {
            return wrong(format!("two columns are named \"{twice}\"; names are unique"));
        }
        let mut places = Vec::with_capacity(self.encoding.columns.len());
        for column in &self.encoding.columns {
            let Some(at) = names.iter().position(|name| *name == column.name) else {
                let hint = match names[..] {
                    [one] => format!("its only column is \"{one}\": is the delimiter another?"),
                    _ => suggestion(&column.name, &names),
                };
                let inputs: Vec<&str> = self.encoding.columns.iter().map(|c| c.name.as_str()).collect();
                let text = format!(
                    "there is no column \"{}\"; the model's inputs are: {}; {hint}",
                    column.name,
                    inputs.join(", ")
                );
                return wrong(text);
            };
            places.push(at);
        }
        let target = &self.encoding.target.name;
        let extra = names.iter().enumerate().filter(|(at, name)| !places.contains(at) && **name != target);
        self.ignored =
            extra.map(|(_, name)| if name.is_empty() { "\"\"" } else { name }.to_owned()).collect();
        self.places = places;
        Ok(())
    }

    /// Columns that are neither inputs nor the target.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// Rows read.
    pub fn row(&self) -> u64 {
        self.row
    }

    /// Appends the next row's numbers; false where there is none.
    ///
    /// # Errors
    /// [`Error::Data`] with row, line and column where a cell is missing, and the run had no rule to fill it, or is no
    /// number; with the line where a row is malformed.
    pub fn next(&mut self, out: &mut Vec<f32>) -> Result<bool> {
        let read = self.reader.read_record(&mut self.record);
        if let Some(fault) = self.reader.get_ref().open_quote() {
            return Err(Error::Data(format!("{}{fault}", self.name)));
        }
        match read {
            Ok(true) => self.row += 1,
            Ok(false) => return Ok(false),
            Err(err) => return Err(self.malformed(&err)),
        }
        for (column, &at) in self.encoding.columns.iter().zip(&self.places) {
            let cell = self.missing.masked(Cell::Text(self.record.get(at).unwrap_or("").trim()));
            let Err(text) = column.encode(cell, out) else { continue };
            let filled = match &column.kind {
                InputKind::Numeric { fill, .. } => fill.is_some(),
                InputKind::Categorical { fill, .. } => fill.is_some(),
            };
            let text = if cell.is_missing() && !filled {
                "the value is missing, and the run has no rule that fills it; write one in, or train with \
                 data.source.fill"
                    .into()
            } else {
                text
            };
            let line = self.record.position().map(|position| position.byte());
            let line = line.map(|byte| self.reader.get_mut().line_from(byte));
            let line = line.map(|line| format!(" (line {line})")).unwrap_or_default();
            let (name, column) = (&self.name, &column.name);
            return Err(Error::Data(format!("{name}, row {}{line}, column \"{column}\": {text}", self.row)));
        }
        if let Some(position) = self.record.position() {
            let byte = position.byte();
            self.reader.get_mut().forget_before(byte);
        }
        Ok(true)
    }

    fn malformed(&mut self, err: &csv::Error) -> Error {
        let lines = self.reader.get_mut();
        let text = fault(err, |position| lines.line_from(position.byte()));
        Error::Data(format!("{}{text}", self.name))
    }
}

/// Text as it is read, with the byte at which each non-empty line begins. A record reports where it was read, which
/// may be before empty lines.
struct Lines<R> {
    inner: R,
    byte: u64,
    line: u64,
    /// The last byte ended a line, or there was none.
    fresh: bool,
    starts: VecDeque<(u64, u64)>,
    quotes: Quotes,
    ended: bool,
}

impl<R> Lines<R> {
    fn new(inner: R, delimiter: u8) -> Lines<R> {
        let quotes = Quotes::new(delimiter);
        Lines { inner, byte: 0, line: 1, fresh: true, starts: VecDeque::new(), quotes, ended: false }
    }

    /// The fault of a quote that is still open at the end of the text.
    fn open_quote(&self) -> Option<String> {
        self.quotes.fault().filter(|_| self.ended)
    }

    /// The first line that begins at this byte or after it.
    fn line_from(&self, byte: u64) -> u64 {
        self.starts.iter().find(|(start, _)| *start >= byte).map_or(self.line, |(_, line)| *line)
    }

    fn forget_before(&mut self, byte: u64) {
        while self.starts.front().is_some_and(|(start, _)| *start < byte) {
            self.starts.pop_front();
        }
    }
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(into)?;
        self.ended |= n == 0 && !into.is_empty();
        self.quotes.read(&into[..n]);
        for byte in &into[..n] {
            let ends = matches!(byte, b'\r' | b'\n');
            if self.fresh && !ends {
                self.starts.push_back((self.byte, self.line));
            }
            self.fresh = ends;
            self.line += u64::from(*byte == b'\n');
            self.byte += 1;
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{InputColumn, TargetColumn, TargetKind};
    use super::*;

    fn encoding() -> TableEncoding {
        let numeric = |fill| InputKind::Numeric { mean: 1.0, std: 2.0, fill };
        let soil = InputKind::Categorical { categories: vec!["clay".into(), "sand".into()], fill: None };
        let column = |name: &str, kind| InputColumn { name: name.into(), kind };
        TableEncoding {
            columns: vec![
                column("rain", numeric(Some(5.0))),
                column("sun", numeric(None)),
                column("soil", soil),
            ],
            target: TargetColumn { name: "yield".into(), kind: TargetKind::Numeric { mean: 0.0, std: 1.0 } },
            missing: vec!["-".into()],
        }
    }

    /// Gives one byte at a time, as a slow pipe may.
    struct Slow(Cursor<Vec<u8>>);

    impl Read for Slow {
        fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
            let one = into.len().min(1);
            self.0.read(&mut into[..one])
        }
    }

    fn open(text: &str) -> Result<TableRows> {
        let input = Box::new(Slow(Cursor::new(text.as_bytes().to_vec())));
        TableRows::new("f.csv", input, None, &encoding())
    }

    fn all(text: &str) -> Result<(Vec<f32>, Vec<String>)> {
        let (mut rows, mut out) = (open(text)?, Vec::new());
        while rows.next(&mut out)? {}
        Ok((out, rows.ignored().to_vec()))
    }

    #[test]
    fn rows_are_what_the_encoding_makes_of_them() {
        let row = [0.0, 2.0, 1.0, 0.0, 2.0, 1.0, 0.0, 1.0];
        for text in [
            "rain,sun,soil\n1,5,clay\nNA,3,sand",
            "rain,sun,soil\n1,5,clay\n-,3,sand",
            "rain;sun;soil\n1;5;clay\n-;3;sand",
            "soil,id,rain,sun,yield\r\nclay,7,1,5,9\r\n\r\nsand,8,?,3,\r\n",
            "\u{feff}\n\nrain\tsun\tsoil\n 1\t5\tclay\n\n\n\t3\tsand\n\n",
        ] {
            let (numbers, ignored) = all(text).unwrap();
            assert_eq!(numbers, row, "{text:?}");
            let extra: &[&str] = if text.contains("id") { &["id"] } else { &[] };
            assert_eq!(ignored, extra, "the target is no column to tell of");
        }
        assert_eq!(all("rain,sun,soil\n").unwrap().0, [] as [f32; 0]);
    }

    #[test]
    fn faults_have_row_line_and_column() {
        let refused = |text: &str, words: &[&str]| {
            let err = all(text).unwrap_err().to_string();
            for word in words {
                assert!(err.contains(word), "{word}: {err}");
            }
        };
        refused("", &["f.csv", "empty"]);
        refused("rain,sun\n1,2\n", &["no column \"soil\"", "inputs are: rain, sun, soil"]);
        refused("rain,sum,soil\n", &["no column \"sun\"", "did you mean \"sum\"?"]);
        refused("rain|sun|soil\n", &["delimiter"]);
        refused("rain,sun,soil,rain\n", &["two columns are named \"rain\""]);
        refused("rain,sun,soil\n1,,clay\n", &["row 1 (line 2), column \"sun\"", "data.source.fill"]);
        refused("rain,sun,soil\n1,2,clay\n1,2,\n", &["row 2 (line 3), column \"soil\"", "missing"]);
        refused("rain,sun,soil\n1,x,clay\n", &["(line 2), column \"sun\"", "\"x\" is not a number"]);
        refused(
            "rain,sun,soil\n1,2,clay\n1,2,\"cl\n3,4,sand\n",
            &["f.csv, row 2 (line 3): a quote is opened"],
        );
        // Empty lines count, and so do those within quotes.
        let above = "\nrain,sun,soil\n\n\n1,2,\"cl\nay\"\r\n\r\n";
        refused(&format!("{above}1,?,clay\n"), &["row 2 (line 8)"]);
        refused(&format!("{above}1,2\n"), &["f.csv, line 8", "3 cells", "this one 2"]);
    }
}
