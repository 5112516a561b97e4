//! The reference pages of `docs/reference/`, generated from the tables in code: one file a page.

mod config;
mod data;
mod layers;
mod losses;
mod metrics;
mod options;

use std::fmt::Write;

use toml::Value;

use super::{optimizers_page, schedules_page};

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

/// Every page that the library can write. The program adds that of its commands.
pub fn pages() -> Vec<Page> {
    let [optimizers, schedules] = [("optimizers", optimizers_page()), ("schedules", schedules_page())]
        .map(|(name, text)| Page { name, text });
    vec![config::page(), data::page(), layers::page(), losses::page(), metrics::page(), optimizers, schedules]
}

/// A value as a config writes it, small numbers as 1e-3.
fn shown(value: &Value) -> String {
    match value {
        // Numbers of f32 options have the digits of an f32.
        Value::Float(x) if f64::from(*x as f32) == *x => match *x as f32 {
            x if x != 0.0 && x.abs() < 0.05 => format!("{x:e}"),
            x => format!("{x:?}"),
        },
        Value::Float(x) if *x != 0.0 && x.abs() < 0.05 => format!("{x:e}"),
        Value::Float(x) => format!("{x:?}"),
        Value::Array(list) => format!("[{}]", list.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Value::Table(table) => {
            let keys: Vec<String> =
                table.iter().map(|(key, value)| format!("{key} = {}", shown(value))).collect();
            format!("{{ {} }}", keys.join(", "))
        }
        other => other.to_string(),
    }
}
