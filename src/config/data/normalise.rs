//! `normalise`: what is made of the numbers of an image, or of an input like one.

use toml::{Table, Value};

use super::super::section::{Section, kind};
use super::values::entry;
use crate::data::Normalise;
use crate::error::{Error, Result};

/// The rules that are a word.
const WORDS: [(&str, Normalise); 4] = [
    ("auto", Normalise::Auto),
    ("unit", Normalise::Unit),
    ("none", Normalise::None),
    ("standard", Normalise::Standard),
];

/// Takes the key, where it is there.
pub(super) fn read(beside: &mut Section) -> Result<Normalise> {
    match beside.take("normalise") {
        None => Ok(Normalise::default()),
        Some(Value::String(word)) => match WORDS.iter().find(|(name, _)| *name == word) {
            Some((_, rule)) => Ok(rule.clone()),
            None => Err(wrong(&word.into())),
        },
        Some(Value::Table(table)) => {
            let mut s = Section::new("data.normalise", table);
            let [mean, std] = ["mean", "std"].map(|key| match s.take(key) {
                Some(value) => list(&value).ok_or_else(|| {
                    let what = kind(&value);
                    Error::Config(format!(
                        "data.normalise.{key} = {value}: a list of numbers is needed, one a channel, and this is {what}"
                    ))
                }),
                None => {
                    s.misspelt(key)?;
                    let text = format!("data.normalise.{key} is missing; for example {key} = [0.5]");
                    Err(Error::Config(text))
                }
            });
            let rule = Normalise::Fixed { mean: mean?, std: std? };
            s.finish()?;
            Ok(rule)
        }
        Some(other) => Err(wrong(&other)),
    }
}

fn wrong(value: &Value) -> Error {
    let names: Vec<String> = WORDS.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    Error::Config(format!(
        "data.normalise = {value}: {} is needed, or {{ mean = [..], std = [..] }}",
        names.join(", ")
    ))
}

/// A list of numbers, or one.
fn list(value: &Value) -> Option<Vec<f64>> {
    let number = |v: &Value| v.as_float().or_else(|| v.as_integer().map(|i| i as f64));
    match value {
        Value::Array(list) => list.iter().map(number).collect(),
        one => number(one).map(|one| vec![one]),
    }
}

/// The key with its value.
pub(super) fn to_toml(rule: &Normalise) -> (String, Value) {
    let list = |numbers: &[f64]| Value::Array(numbers.iter().map(|&v| v.into()).collect());
    let value = match rule {
        Normalise::Fixed { mean, std } => {
            Value::Table(Table::from_iter([entry("mean", list(mean)), entry("std", list(std))]))
        }
        word => WORDS.iter().find(|(_, rule)| rule == word).map_or("", |(name, _)| name).into(),
    };
    entry("normalise", value)
}
