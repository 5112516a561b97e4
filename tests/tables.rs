//! Tables that pandas and pyarrow wrote, read back: every format gives the same cells, and damaged ones an error.

use std::path::{Path, PathBuf};

use downhill::data::{
    ColumnSummary, Dataset, Encoding, Fill, Fills, InputKind, TableEncoding, TableFormat, TableOptions,
    TableSummary, Values, table,
};
use downhill::error::{Error, Result};
use proptest::prelude::*;
use serde_json::Value;

/// The files, by what is in them: all columns, or some.
const FILES: &[&str] = &[
    "garden.csv",
    "garden.tsv",
    #[cfg(feature = "arrow")]
    "plain.arrow",
    #[cfg(feature = "arrow")]
    "zstd.arrow",
    #[cfg(feature = "arrow")]
    "lz4.arrows",
    #[cfg(feature = "parquet")]
    "mixed.parquet",
    #[cfg(feature = "parquet")]
    "pages.parquet",
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/tables").join(name)
}

/// What pandas says of each column.
fn expected() -> Value {
    let text = std::fs::read_to_string(fixture("expected.json")).expect("a file");
    serde_json::from_str::<Value>(&text).expect("JSON")["columns"].take()
}

fn filled() -> TableOptions {
    let rule = |name: &str, fill| (name.to_owned(), fill);
    let columns = vec![
        rule("holes", Fill::Median),
        rule("whole", Fill::Number(4.5)),
        rule("soil", Fill::Word("unknown".into())),
    ];
    TableOptions { fill: Fills { numeric: None, columns }, eval_fraction: 0.0, ..TableOptions::new("y") }
}

fn load(path: &Path, options: &TableOptions) -> Result<Dataset> {
    table(path, TableFormat::from_path(path), options)
}

/// The options without rules for columns that the file does not have.
fn of_file(name: &str) -> TableOptions {
    let summary = TableSummary::read(&fixture(name), None).expect("a table");
    let mut options = filled();
    options.fill.columns.retain(|(name, _)| summary.columns.iter().any(|column| column.name == *name));
    options
}

fn encoding(data: &Dataset) -> &TableEncoding {
    let Some(Encoding::Table(table)) = data.encoding() else { panic!("no table: {:?}", data.encoding()) };
    table
}

#[test]
fn every_format_holds_what_pandas_says() {
    let expected = expected();
    for name in FILES {
        let summary = TableSummary::read(&fixture(name), None).expect("a table");
        let values = |column: &str| expected[column]["values"].as_array().expect("values");
        assert_eq!(summary.rows, values("y").len(), "{name}");
        for column in &summary.columns {
            let (want, what) = (&expected[&column.name], format!("{name}: {}", column.name));
            assert_eq!(Some(column.missing as u64), want["missing"].as_u64(), "{what}");
            match &column.holds {
                ColumnSummary::Numeric { min, max, mean, std, infinite } => {
                    assert_eq!(
                        (Some(*min), Some(*max)),
                        (want["min"].as_f64(), want["max"].as_f64()),
                        "{what}"
                    );
                    assert_eq!(*infinite, 0);
                    // Both add 32 numbers below 80; each addition rounds by 2⁻⁵³ of at most 80² (the squares).
                    for (ours, key) in [(mean, "mean"), (std, "std")] {
                        let theirs = want[key].as_f64().expect("a number");
                        assert!(
                            (ours - theirs).abs() <= 64.0 * 6400.0 * 2f64.powi(-53),
                            "{what} {key}: {ours}"
                        );
                    }
                }
                ColumnSummary::Categorical { counts, more } => {
                    let theirs = want["counts"].as_object().expect("counts");
                    assert_eq!((counts.len(), *more), (theirs.len(), false), "{what}");
                    for (word, count) in counts {
                        assert_eq!(theirs[word].as_u64(), Some(*count as u64), "{what} {word}");
                    }
                }
                other => panic!("{what}: {other:?}"),
            }
        }
        for (row, cells) in summary.first.iter().enumerate() {
            for (cell, column) in cells.iter().zip(&summary.columns) {
                match &values(&column.name)[row] {
                    Value::Null => assert_eq!(cell, "", "{name}"),
                    Value::String(word) => assert_eq!(cell, word, "{name}"),
                    number => assert_eq!(cell.parse().ok(), number.as_f64(), "{name}"),
                }
            }
        }
    }
}

/// Every cell, by the encoding's own numbers: the sample's bits are those that the cells of pandas give.
#[test]
fn every_format_gives_the_same_samples() {
    let expected = expected();
    for name in FILES {
        let data = load(&fixture(name), &of_file(name)).expect("a data set");
        let table = encoding(&data);
        let rows = expected["y"]["values"].as_array().expect("values").len();
        let mut want: Vec<f32> = Vec::new();
        for row in 0..rows {
            for column in &table.columns {
                let cell = &expected[&column.name]["values"][row];
                match &column.kind {
                    InputKind::Numeric { mean, std, fill } => {
                        let value = cell.as_f64().or(*fill).expect("a number");
                        want.push(((value - mean) / std) as f32);
                    }
                    InputKind::Categorical { categories, fill } => {
                        let word = cell.as_str().or(fill.as_deref()).expect("a word");
                        assert!(categories.iter().any(|category| category == word), "{name}: {word}");
                        want.extend(categories.iter().map(|category| f32::from(u8::from(category == word))));
                    }
                }
                if let (InputKind::Numeric { fill, .. }, "holes") = (&column.kind, column.name.as_str()) {
                    assert_eq!(*fill, expected["holes"]["median"].as_f64(), "{name}");
                }
            }
        }
        assert_eq!(data.train().inputs().values(), &Values::F32(want), "{name}");
        let classes = ["high", "low", "mid"];
        let labels = expected["y"]["values"].as_array().expect("values").iter();
        let label =
            |y: &Value| classes.iter().position(|class| y.as_str() == Some(class)).expect("a class") as i32;
        assert_eq!(data.train().targets().values(), &Values::I32(labels.map(label).collect()), "{name}");
    }
}

#[test]
fn a_file_of_any_format_can_be_evaluated_on() {
    for name in FILES {
        let options = TableOptions { eval: Some(fixture("garden.csv")), ..of_file(name) };
        let data = load(&fixture(name), &options).expect("a data set");
        assert_eq!(data.eval().expect("a part").inputs(), data.train().inputs(), "{name}");
    }
}

#[cfg(feature = "parquet")]
#[test]
fn dates_are_refused_by_name_unless_left_out() {
    let path = fixture("dated.parquet");
    let options = TableOptions { eval_fraction: 0.0, ..TableOptions::new("y") };
    let err = load(&path, &options).expect_err("a date").to_string();
    for word in ["dated.parquet", "\"day\"", "Date32", "ignore = [\"day\"]"] {
        assert!(err.contains(word), "{word}: {err}");
    }
    let listed = TableOptions { numeric: Some(vec!["x".into()]), categorical: Some(Vec::new()), ..options };
    assert_eq!(load(&path, &listed).expect("a data set").train().len(), 2);
    let summary = TableSummary::read(&path, None).expect("a table");
    assert_eq!(summary.columns[0].holds, ColumnSummary::Other("Date32".into()));
}

#[cfg(not(feature = "arrow"))]
#[test]
fn what_was_not_built_in_is_told_with_the_remedy() {
    for (name, feature) in [("mixed.parquet", "--features parquet"), ("plain.arrow", "--features arrow")] {
        let err = load(&fixture(name), &filled()).expect_err("not built");
        assert!(
            matches!(&err, Error::Config(text) if text.contains(name) && text.contains(feature)),
            "{err:?}"
        );
    }
}

/// Reads what may be damaged: an error of the file's or a data set, and nothing else.
fn read_damaged(name: &str, bytes: &[u8], cut: bool) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).expect("written");
    let result = load(&path, &filled());
    match &result {
        Ok(data) => assert!(!cut, "{name} cut to {} bytes is read: {} rows", bytes.len(), data.train().len()),
        Err(Error::Data(text)) => assert!(text.contains(name), "{text}"),
        // Names and types are the file's too: a column that the options name may be gone.
        Err(Error::Config(_)) => {}
        Err(other) => panic!("{name}: {other:?}"),
    }
    if let Err(other) = TableSummary::read(&path, None) {
        assert!(matches!(other, Error::Data(_)), "{name}: {other:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn damaged_files_are_refused_or_read(
        file in 0usize..FILES.len(),
        places in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        end: Option<prop::sample::Index>,
    ) {
        let name = FILES[file];
        let mut bytes = std::fs::read(fixture(name)).expect("a file");
        let whole = bytes.len();
        match end {
            // A CSV file that is cut at a line, and a stream at a batch, are shorter files.
            Some(end) => bytes.truncate(end.index(whole)),
            None => places.iter().for_each(|(at, byte)| bytes[at.index(whole)] = *byte),
        }
        let shorter = name.ends_with("sv") || name.ends_with("arrows");
        read_damaged(name, &bytes, end.is_some() && !shorter);
    }

    #[test]
    fn any_bytes_under_a_table_s_name_are_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        file in 0usize..FILES.len(),
        head in 0usize..40,
    ) {
        let name = FILES[file];
        let mut start = std::fs::read(fixture(name)).expect("a file");
        start.truncate(head);
        read_damaged(name, &[start, bytes].concat(), false);
    }
}
