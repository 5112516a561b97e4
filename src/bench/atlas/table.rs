//! Tables whose columns are files: a row for each thing that any of them measured.

use std::fmt::Write;

/// A table of several files side by side.
#[derive(Debug)]
pub(super) struct SideBySide {
    title: &'static str,
    head: &'static str,
    files: Vec<String>,
    /// The groups of rows in the order of their first appearance.
    groups: Vec<String>,
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    group: usize,
    size: u64,
    title: String,
    cells: Vec<Option<String>>,
}

impl SideBySide {
    /// An empty table. `head` is the title of the first column.
    pub fn new(title: &'static str, head: &'static str, files: Vec<String>) -> SideBySide {
        SideBySide { title, head, files, groups: Vec::new(), rows: Vec::new() }
    }

    /// Sets the cell of a file in the row of a group and a size.
    pub fn put(&mut self, file: usize, (group, size): (&str, u64), title: &str, cell: String) {
        let known = self.groups.iter().position(|g| g == group);
        let group = known.unwrap_or_else(|| {
            self.groups.push(group.to_owned());
            self.groups.len() - 1
        });
        let at = match self.rows.iter().position(|row| (row.group, row.size) == (group, size)) {
            Some(at) => at,
            None => {
                let cells = vec![None; self.files.len()];
                self.rows.push(Row { group, size, title: title.to_owned(), cells });
                self.rows.len() - 1
            }
        };
        self.rows[at].cells[file] = Some(cell);
    }

    /// In Markdown, rows by group and size.
    pub fn markdown(&self) -> String {
        let mut rows: Vec<&Row> = self.rows.iter().collect();
        rows.sort_by_key(|row| (row.group, row.size));
        let rows = rows.into_iter().map(|row| {
            let cells = row.cells.iter().map(|cell| cell.clone().unwrap_or_else(|| "–".to_owned()));
            std::iter::once(row.title.clone()).chain(cells).collect()
        });
        let head = std::iter::once(self.head.to_owned()).chain(self.files.iter().cloned());
        format!("## {}\n\n{}", self.title, markdown(head.collect(), rows.collect(), true))
    }
}

/// A table in Markdown, its columns as wide as their cells. Numbers lie right of the first column.
pub(super) fn markdown(head: Vec<String>, rows: Vec<Vec<String>>, are_numbers: bool) -> String {
    let columns = head.len();
    let mut lines = vec![head];
    lines.extend(rows);
    for cell in lines.iter_mut().flatten() {
        *cell = cell.replace('|', "\\|").replace('\n', " ");
    }
    let width = |c: usize| lines.iter().map(|line| line[c].chars().count()).max().unwrap_or(0).max(3);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let mut out = String::new();
    for (i, line) in lines.iter().enumerate() {
        for (c, (cell, width)) in line.iter().zip(&widths).enumerate() {
            let pad = " ".repeat(width - cell.chars().count());
            let _ = if are_numbers && c > 0 {
                write!(out, "| {pad}{cell} ")
            } else {
                write!(out, "| {cell}{pad} ")
            };
        }
        out.push_str("|\n");
        if i == 0 {
            for (c, width) in widths.iter().enumerate() {
                let end = if are_numbers && c > 0 { ":" } else { "-" };
                let _ = write!(out, "|-{}{end}", "-".repeat(*width));
            }
            out.push_str("|\n");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_all_files_stand_by_group_and_size() {
        let mut table = SideBySide::new("Things", "thing", vec!["one".into(), "two|2".into()]);
        table.put(0, ("b", 16), "b of 16", "1".into());
        table.put(0, ("a", 4), "a of 4", "2".into());
        table.put(1, ("b", 4), "b of 4", "three".into());
        table.put(1, ("b", 16), "b of 16", "4".into());
        let want = "## Things\n\n\
            | thing   | one | two\\|2 |\n\
            |---------|----:|-------:|\n\
            | b of 4  |   – |  three |\n\
            | b of 16 |   1 |      4 |\n\
            | a of 4  |   2 |      – |\n";
        assert_eq!(table.markdown(), want);
    }
}
