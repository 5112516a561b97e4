//! The text of a table's columns, a line each: name, use, missing cells, inputs, the reason; then remarks.

use std::fmt::Write;

use super::align;
use crate::data::{ColumnReport, ColumnUse};

/// The word for the use of a column.
fn used(column: &ColumnReport) -> &'static str {
    match column.used {
        ColumnUse::Number => "target, number",
        ColumnUse::Class => "target, class",
        ColumnUse::Numeric => "numeric",
        ColumnUse::Categorical => "categorical",
        ColumnUse::Ignored => "ignored",
        ColumnUse::Unlisted => "left out",
    }
}

fn shown(name: &str) -> &str {
    if name.is_empty() { "\"\"" } else { name }
}

/// A line for each of the first `most` columns. The caller begins each with what it likes.
pub fn columns_text(columns: &[ColumnReport], most: usize) -> String {
    let head = ["column", "use", "missing", "categories", "why"].map(str::to_owned);
    let row = |column: &ColumnReport| {
        let missing = match (&column.fill, column.missing) {
            (_, 0) => "0".to_owned(),
            (Some(fill), n) => format!("{n} -> {fill}"),
            (None, n) => n.to_string(),
        };
        let categories = match (column.categories, column.more) {
            (0, _) => String::new(),
            (_, true) => "over 1000".to_owned(),
            (n, false) => n.to_string(),
        };
        vec![shown(&column.name).to_owned(), used(column).to_owned(), missing, categories, column.why.clone()]
    };
    let rows: Vec<Vec<String>> =
        std::iter::once(head.to_vec()).chain(columns.iter().take(most).map(row)).collect();
    let mut out = align(&rows, &[true, true, false, false, true]);
    match columns.len().saturating_sub(most) {
        0 => {}
        1 => out.push_str("  .. and 1 column more\n"),
        more => {
            let _ = writeln!(out, "  .. and {more} columns more");
        }
    }
    out
}

/// The remarks on columns, each with its column, and at most `most` of them.
pub fn column_remarks(columns: &[ColumnReport], most: usize) -> Vec<String> {
    let remark = |column: &ColumnReport| {
        let text = column.remark.as_ref()?;
        Some(format!("column \"{}\": {text}", column.name))
    };
    let mut all: Vec<String> = columns.iter().filter_map(remark).collect();
    if all.len() > most {
        let more = all.len() - most;
        all.truncate(most);
        all.push(format!("{more} columns more have remarks; downhill data inspect prints every column"));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_use_and_counts() {
        let column = |name: &str, used, missing, fill: Option<&str>, categories| ColumnReport {
            name: name.into(),
            used,
            why: "numbers".into(),
            missing,
            fill: fill.map(str::to_owned),
            categories,
            more: categories > 1000,
            remark: (categories > 0).then(|| "odd".to_owned()),
        };
        let columns = [
            column("", ColumnUse::Ignored, 0, None, 0),
            column("rain", ColumnUse::Numeric, 3, Some("median"), 0),
            column("name", ColumnUse::Categorical, 0, None, 1001),
        ];
        let text = columns_text(&columns, 9);
        for words in ["\"\"      ignored", "3 -> median", "over 1000"] {
            assert!(text.contains(words), "{words}: {text}");
        }
        assert!(columns_text(&columns, 2).ends_with(".. and 1 column more\n"));
        assert_eq!(column_remarks(&columns, 9), ["column \"name\": odd"]);
        assert_eq!(
            column_remarks(&vec![columns[2].clone(); 12], 10)[10..],
            ["2 columns more have remarks; downhill data inspect prints every column"]
        );
    }
}
