//! A row of a table of names that a config can give: losses, metrics.

use super::Form;

/// A name that a config can give, and what the reference says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableRow {
    /// How a config writes it.
    pub form: Form,
    /// What it is, in a line.
    pub about: &'static str,
    /// How it is computed.
    pub equation: &'static str,
}

impl TableRow {
    /// A row; `short` is empty, or the option that a single value stands for and an entry with one.
    pub(crate) const fn new(
        [name, quoted]: [&'static str; 2],
        short: &[&'static str],
        about: &'static str,
        equation: &'static str,
    ) -> Self {
        let form = match *short {
            [short, example] => Form { name, short: Some(short), example },
            _ => Form { name, short: None, example: quoted },
        };
        TableRow { form, about, equation }
    }

    /// The form of `name` among `rows`.
    pub(crate) fn form(rows: &'static [TableRow], name: &str) -> Option<&'static Form> {
        rows.iter().map(|row| &row.form).find(|form| form.name == name)
    }
}
