//! Whether a config is that of a run, but for keys that change no bit.

use std::path::Path;

use toml::Table;

use crate::error::{Error, Result};

/// Keys in which a run that goes on may differ from what it was, for they change no bit of what is done.
const FREE: [&str; 5] = ["checkpoint", "watch", "data.workers", "train.epochs", "train.steps"];

/// Refuses a config that differs from that at `place` in what decides the bits.
///
/// # Errors
/// [`Error::Checkpoint`] with the keys that differ.
pub(super) fn check_texts(theirs: &str, own: &str, place: &Path) -> Result<()> {
    let is_free = |key: &str| {
        let rest = FREE.iter().find_map(|free| key.strip_prefix(free));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let differing: Vec<String> = differences(theirs, own)
        .into_iter()
        .filter(|(key, ..)| !is_free(key))
        .map(|(key, was, is)| format!("  {key}: {was} then, {is} now"))
        .collect();
    if differing.is_empty() {
        return Ok(());
    }
    Err(Error::Checkpoint(format!(
        "the config is not that of the run, as {} was written with:\n{}\nBring it back as it was, or begin a new run",
        place.display(),
        differing.join("\n")
    )))
}

/// The keys in which two configs differ, with both values.
fn differences(a: &str, b: &str) -> Vec<(String, String, String)> {
    let flat = |text: &str| {
        let mut all = Vec::new();
        flatten("", &text.parse::<Table>().unwrap_or_default(), &mut all);
        all
    };
    let (a, b) = (flat(a), flat(b));
    let find = |all: &[(String, String)], key: &str| {
        all.iter().find(|(other, _)| other == key).map_or("nothing".to_owned(), |(_, value)| value.clone())
    };
    let mut keys: Vec<&String> = a.iter().map(|(key, _)| key).collect();
    keys.extend(b.iter().map(|(key, _)| key).filter(|key| !a.iter().any(|(other, _)| other == *key)));
    let values = keys.into_iter().map(|key| (key.clone(), find(&a, key), find(&b, key)));
    values.filter(|(_, a, b)| a != b).collect()
}

fn flatten(path: &str, table: &Table, out: &mut Vec<(String, String)>) {
    for (key, value) in table {
        let key = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match value {
            toml::Value::Table(inner) => flatten(&key, inner, out),
            other => out.push((key, other.to_string())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configs_differ_in_keys() {
        let a = "seed = 1\n[optimizer]\nlr = 0.1\n[train]\nepochs = 3";
        let b = "seed = 1\n[optimizer]\nlr = 0.2\nname = 'sgd'\n[train]\nepochs = 3";
        let found = differences(a, b);
        let is = |key: &str, a: &str, b: &str| (key.to_owned(), a.to_owned(), b.to_owned());
        assert_eq!(found, [is("optimizer.lr", "0.1", "0.2"), is("optimizer.name", "nothing", "\"sgd\"")]);
    }
}
