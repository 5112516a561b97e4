//! Every optimizer with its equation, source, defaults and costs: `downhill optimizers` and `docs/reference/optimizers.md`.

use std::fmt::Write;

use toml::{Table, Value};

use super::align;
use crate::compile::dispatches_of_a_shape;
use crate::optim::{Optimizer, Passes, UpdateKernel};

/// The head of the page.
const HEAD: &str = include_str!("optimizers.head.md");
/// The URL of a class of `torch.optim` in PyTorch's documentation, without its name.
const TORCH: &str = "https://docs.pytorch.org/docs/stable/generated/torch.optim.";

/// An optimizer by its defaults, or one of its forms.
struct Row {
    name: &'static str,
    /// The settings of a form.
    keys: &'static str,
    equation: &'static str,
    source: &'static str,
    /// The class of `torch.optim`, in the first row of an optimizer.
    torch: Option<&'static str>,
    /// Every key as `key = value`, in the first row of an optimizer.
    defaults: Vec<String>,
    kernel: UpdateKernel,
}

impl Row {
    /// Its name with its settings.
    fn title(&self, quote: &str) -> String {
        let keys =
            if self.keys.is_empty() { String::new() } else { format!(", {quote}{}{quote}", self.keys) };
        format!("{quote}{}{quote}{keys}", self.name)
    }

    fn slots(&self, quote: &str) -> String {
        let slots: Vec<String> =
            self.kernel.slots.iter().map(|slot| format!("{quote}{slot}{quote}")).collect();
        slots.join(", ")
    }

    /// Bytes that an update moves, bytes of the slots, both for each parameter, and dispatches.
    fn costs(&self) -> [String; 3] {
        let dispatches = match &self.kernel.passes {
            Passes::One | Passes::EightBit => "1".to_owned(),
            Passes::Norms(_) => "3".to_owned(),
            Passes::Factored => "5".to_owned(),
            Passes::Orthogonal(schulz) => {
                let each = dispatches_of_a_shape(schulz).map_or("?".to_owned(), |n| n.to_string());
                format!("3 + {each} a shape")
            }
        };
        let kept = match &self.kernel.passes {
            Passes::Factored => "4/rows + 4/columns".to_owned(),
            Passes::Orthogonal(_) => "4; else 8".to_owned(),
            _ => self.kernel.state_bytes().to_string(),
        };
        [self.kernel.bytes_per_parameter.to_string(), kept, dispatches]
    }
}

/// A value as in a config; small numbers as 1e-3.
pub(super) fn shown(value: &Value) -> String {
    match value {
        Value::Float(x) if *x != 0.0 && x.abs() < 0.05 => format!("{x:e}"),
        Value::Float(x) => x.to_string(),
        Value::Array(list) => format!("[{}]", list.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Value::Table(table) => {
            let keys: Vec<String> =
                table.iter().map(|(key, value)| format!("{key} = {}", shown(value))).collect();
            format!("{{ {} }}", keys.join(", "))
        }
        other => other.to_string(),
    }
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for name in Optimizer::NAMES {
        let (Some(about), Ok(defaults)) = (Optimizer::about(name), Optimizer::parse(name, "")) else {
            continue;
        };
        let table = Table::try_from(&defaults).unwrap_or_default();
        let keys = table.iter().filter(|(key, _)| *key != "name");
        rows.push(Row {
            name,
            keys: "",
            equation: about.equation,
            source: about.source,
            torch: about.torch,
            defaults: keys.map(|(key, value)| format!("{key} = {}", shown(value))).collect(),
            kernel: defaults.kernel(),
        });
        for form in about.forms {
            let Ok(optimizer) = Optimizer::parse(name, form.keys) else { continue };
            let (keys, equation, source) = (form.keys, form.equation, form.source);
            let (torch, defaults) = (None, Vec::new());
            rows.push(Row { name, keys, equation, source, torch, defaults, kernel: optimizer.kernel() });
        }
    }
    rows
}

/// A row of a table in Markdown.
pub(super) fn cells(out: &mut String, cells: &[String]) {
    let escaped: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
    let _ = writeln!(out, "| {} |", escaped.join(" | "));
}

/// The page `docs/reference/optimizers.md`.
pub fn optimizers_page() -> String {
    let rows = rows();
    let mut out = format!("{}\n\n## What each does\n\n", HEAD.trim_end());
    out.push_str("| optimizer | update | source | defaults |\n|---|---|---|---|\n");
    for row in &rows {
        let torch = |class| format!("; [torch.optim.{class}]({TORCH}{class}.html)");
        let source = row.source.to_owned() + &row.torch.map_or(String::new(), torch);
        let defaults: Vec<String> = row.defaults.iter().map(|each| format!("`{each}`")).collect();
        cells(&mut out, &[row.title("`"), row.equation.to_owned(), source, defaults.join(", ")]);
    }
    out.push_str("\n## What each costs\n\n");
    out.push_str("| optimizer | slots | bytes moved | bytes kept | dispatches |\n|---|---|--:|--:|--:|\n");
    for row in &rows {
        let [moved, kept, dispatches] = row.costs();
        let slots = if row.kernel.slots.is_empty() { "none".to_owned() } else { row.slots("`") };
        cells(&mut out, &[row.title("`"), slots, moved, kept, dispatches]);
    }
    out
}

/// The same for a terminal.
pub fn optimizers_text() -> String {
    let rows = rows();
    let header = ["optimizer", "bytes moved", "kept", "dispatches", "slots"].map(str::to_owned);
    let mut table = vec![header.to_vec()];
    for row in &rows {
        let [moved, kept, dispatches] = row.costs();
        table.push(vec![row.title(""), moved, kept, dispatches, row.slots("")]);
    }
    let mut out = String::from("an update, bytes for each parameter\n");
    out.push_str(&align(&table, &[true, false, false, false, true]));
    for row in &rows {
        let torch = row.torch.map_or(String::new(), |class| format!("; torch.optim.{class}"));
        let _ = writeln!(out, "\n{}    {}{torch}", row.title(""), row.source);
        let _ = writeln!(out, "    {}", row.equation);
        if !row.defaults.is_empty() {
            let _ = writeln!(out, "    {}", row.defaults.join(", "));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A form that cannot be read, or is not allowed, would have no row.
    #[test]
    fn every_form_can_be_read_and_has_its_row() {
        let rows = rows();
        for name in Optimizer::NAMES {
            let about = Optimizer::about(name).unwrap();
            let of: Vec<&Row> = rows.iter().filter(|row| row.name == name).collect();
            assert_eq!(of.len(), 1 + about.forms.len(), "{name}");
            assert!(
                about.source.ends_with(|c: char| c.is_ascii_digit()),
                "{name}: {} has no year",
                about.source
            );
            assert_eq!(of[0].defaults.len(), Optimizer::keys(name).unwrap().len(), "{name}");
        }
    }

    #[test]
    fn small_numbers_are_short() {
        let shown = |text: &str| shown(&text.parse::<Table>().unwrap()["v"]);
        let cases = [
            ("1e-3", "1e-3"),
            ("2.5e-3", "2.5e-3"),
            ("0.0", "0"),
            ("0.99", "0.99"),
            ("1.0", "1"),
            ("7", "7"),
        ];
        for (text, short) in cases {
            assert_eq!(shown(&format!("v = {text}")), short);
        }
        assert_eq!(shown("v = [0.9, 1e-8]"), "[0.9, 1e-8]");
        assert_eq!(shown("v = 'torch'"), "\"torch\"");
    }
}
