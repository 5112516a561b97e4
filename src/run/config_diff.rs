//! The differences of two configs, key by key; and the check that a config is that of a run, but for keys that change no bit.

use crate::data::Sampling;
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::path::Path;
use toml::{Table, Value};

/// Keys that a resumed run may change, because they change no bit of the steps that are done.
const FREE: [&str; 6] =
    ["checkpoint", "watch", "data.workers", "train.epochs", "train.steps", "train.device_timeout"];

/// The key that says where files lie: no setting of a run.
const PLACE: &str = "data.root";

/// A key that has another value in the other config.
#[derive(Debug, Clone, PartialEq)]
pub struct SettingDifference {
    /// As `optimizer.lr`.
    pub key: String,
    /// The value in each config, where the key is there.
    pub values: [Option<Value>; 2],
}

/// The keys in which two configs differ, but for `data.root`: those of the first, then those of the second alone.
pub fn config_differences(configs: [&Table; 2]) -> Vec<SettingDifference> {
    let [a, b] = configs.map(settings);
    let find = |all: &[(String, Value)], key: &str| {
        all.iter().find(|(other, _)| other == key).map(|(_, value)| value.clone())
    };
    let only_b = b.iter().filter(|(key, _)| find(&a, key).is_none());
    let keys = a.iter().chain(only_b).map(|(key, _)| key.clone());
    let differences = keys.map(|key| SettingDifference { values: [find(&a, &key), find(&b, &key)], key });
    // Compared as they are written: NaN equals itself.
    let written = |value: &Option<Value>| value.as_ref().map(Value::to_string);
    differences
        .filter(|difference| written(&difference.values[0]) != written(&difference.values[1]))
        .collect()
}

/// A key that has not the same value in every config, and its value in each, where the key is there.
pub type Varying = (String, Vec<Option<Value>>);

/// The keys in which any of these configs differs from another, in the order in which they first appear.
pub fn varying_settings(configs: &[&Table]) -> Vec<Varying> {
    let flat = configs.iter().map(|table| settings(table));
    let mut found: Vec<Varying> = Vec::new();
    let mut places = HashMap::new();
    for (at, settings) in flat.enumerate() {
        for (key, value) in settings {
            let place = *places.entry(key.clone()).or_insert_with(|| {
                found.push((key, vec![None; configs.len()]));
                found.len() - 1
            });
            found[place].1[at] = Some(value);
        }
    }
    // Compared as they are written: NaN equals itself.
    let written = |value: &Option<Value>| value.as_ref().map(Value::to_string);
    found.retain(|(_, values)| values.iter().any(|value| written(value) != written(&values[0])));
    found
}

/// Refuses a config that differs from that at `place` in a key that decides bits.
///
/// # Errors
/// [`Error::Checkpoint`] with the keys that differ.
pub(super) fn check_same_run(theirs: &str, own: &str, place: &Path) -> Result<()> {
    let [theirs, own] = [theirs, own].map(|text| text.parse::<Table>().unwrap_or_default());
    let is_free = |key: &str| {
        let rest = FREE.iter().find_map(|free| key.strip_prefix(free));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let text = |value: &Option<Value>| value.as_ref().map_or("nothing".to_owned(), Value::to_string);
    let differing: Vec<String> = config_differences([&theirs, &own])
        .into_iter()
        .filter(|difference| !is_free(&difference.key))
        .map(|SettingDifference { key, values: [was, is] }| {
            format!("  {key}: {} then, {} now", text(&was), text(&is))
        })
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

/// The settings of a config by their keys, but for `data.root`. A short form stands under the key that it is short for.
fn settings(config: &Table) -> Vec<(String, Value)> {
    let mut config = config.clone();
    write_out(&mut config);
    let mut all = Vec::new();
    flatten("", &config, &mut all);
    all.retain(|(key, _)| key != PLACE);
    all
}

/// Replaces `data.shuffle` by the `data.sampling` that it is short for.
pub(super) fn write_out(config: &mut Table) {
    let Some(Value::Table(data)) = config.get_mut("data") else { return };
    let Some(shuffle) = data.get("shuffle").and_then(Value::as_bool) else { return };
    if let Ok(sampling) = Value::try_from(Sampling::from_shuffle(shuffle)) {
        data.remove("shuffle");
        data.insert("sampling".into(), sampling);
    }
}

fn flatten(path: &str, table: &Table, out: &mut Vec<(String, Value)>) {
    for (key, value) in table {
        let key = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        match value {
            Value::Table(inner) => flatten(&key, inner, out),
            other => out.push((key, other.clone())),
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
        let found = config_differences([&a.parse().unwrap(), &b.parse().unwrap()]);
        let is = |key: &str, a: Option<Value>, b: Value| SettingDifference {
            key: key.to_owned(),
            values: [a, Some(b)],
        };
        assert_eq!(
            found,
            [is("optimizer.lr", Some(0.1.into()), 0.2.into()), is("optimizer.name", None, "sgd".into())]
        );
        let [a_table, b_table] = [a, b].map(|text| text.parse().unwrap());
        let varying = varying_settings(&[&a_table, &b_table, &b_table]);
        let want: [Varying; 2] = [
            ("optimizer.lr".into(), vec![Some(0.1.into()), Some(0.2.into()), Some(0.2.into())]),
            ("optimizer.name".into(), vec![None, Some("sgd".into()), Some("sgd".into())]),
        ];
        assert_eq!(varying, want);
        assert_eq!(varying_settings(&[&a_table]), []);
        let samplings = ["shuffle = true", "sampling = 'epoch'", "sampling = 'once'"];
        let [short, long, other] = samplings.map(|line| format!("[data]\n{line}").parse::<Table>().unwrap());
        assert_eq!(config_differences([&short, &long]), []);
        let found = config_differences([&short, &other]);
        assert_eq!(found, [is("data.sampling", Some("epoch".into()), "once".into())]);
        let text = check_same_run(a, b, Path::new("here")).unwrap_err().to_string();
        assert!(text.contains("  optimizer.name: nothing then, \"sgd\" now"), "{text}");
    }
}
