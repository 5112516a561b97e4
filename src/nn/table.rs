//! A row of a table of names in a config: losses, metrics.

use super::Form;

/// A name in a config, with its text for the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableRow {
    /// The forms of its entry in a config.
    pub form: Form,
    /// One line about it.
    pub about: &'static str,
    /// Its equation.
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
