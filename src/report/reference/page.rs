//! A reference page: a title and an introduction, sections, tables.

use std::fmt::Write;

/// A page in Markdown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// Its name: that of its file without `.md`.
    pub name: &'static str,
    /// Its text.
    pub text: String,
}

impl Page {
    /// A page with a title and an introduction.
    pub fn new(name: &'static str, title: &str, intro: &str) -> Page {
        Page { name, text: format!("# {title}\n\n{}\n", intro.trim()) }
    }

    /// Adds a section: its title, and a paragraph where `intro` is not empty.
    pub fn section(&mut self, title: &str, intro: &str) {
        let _ = write!(self.text, "\n## {title}\n");
        if !intro.is_empty() {
            let _ = write!(self.text, "\n{}\n", intro.trim());
        }
    }

    /// Adds a table. Pipes in cells are escaped.
    pub fn table<const N: usize>(&mut self, head: [&str; N], rows: impl IntoIterator<Item = [String; N]>) {
        let _ = write!(self.text, "\n| {} |\n|{}\n", head.join(" | "), "---|".repeat(N));
        for row in rows {
            let _ = writeln!(self.text, "| {} |", row.map(|cell| cell.replace('|', "\\|")).join(" | "));
        }
    }

    /// Adds text as it is, in a block.
    pub fn block(&mut self, text: &str) {
        let _ = write!(self.text, "\n```text\n{}\n```\n", text.trim());
    }
}
