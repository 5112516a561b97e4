//! Compares two `config.toml`, key by key.

use std::path::Path;

use toml::{Table, Value};

use super::joined;

/// A key whose value differs.
#[derive(Debug, Clone, PartialEq)]
pub struct SettingDifference {
    /// The key, as `optimizer.lr`.
    pub key: String,
    /// The value in each run's config, if any.
    pub values: [Option<Value>; 2],
}

/// The keys that differ: those of the first run, then those only in the second. Empty where a run has no readable config.
pub(super) fn differences(runs: [&Path; 2]) -> Vec<SettingDifference> {
    let read = |run: &Path| std::fs::read_to_string(run.join("config.toml")).ok()?.parse::<Table>().ok();
    let Some((a, b)) = read(runs[0]).zip(read(runs[1])) else { return Vec::new() };
    let [a, b] = [a, b].map(|table| {
        let mut out = Vec::new();
        flatten(String::new(), Value::Table(table), &mut out);
        out
    });
    joined(&a, &b)
        .filter(|(_, a, b)| a != b)
        .map(|(key, a, b)| SettingDifference { key: key.to_owned(), values: [a.cloned(), b.cloned()] })
        .collect()
}

fn flatten(key: String, value: Value, out: &mut Vec<(String, Value)>) {
    match value {
        Value::Table(table) => {
            for (name, value) in table {
                let name = if key.is_empty() { name } else { format!("{key}.{name}") };
                flatten(name, value, out);
            }
        }
        value => out.push((key, value)),
    }
}
