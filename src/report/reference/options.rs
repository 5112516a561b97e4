//! The options of an entry, such as a layer or a loss, with their defaults.

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::config::reference::{Key, complete_entry, entry_keys};
use crate::nn::Form;

/// The options of an entry of `T` in Markdown: `out_features`, required, `bias = true`. The main one has a star.
pub(super) fn options<T: Serialize + for<'de> Deserialize<'de>>(form: &Form) -> String {
    options_by::<T>(form, complete_entry::<T>)
}

/// [`options`] where `complete` fills in the options that an entry leaves out.
pub(super) fn options_by<T: Serialize + for<'de> Deserialize<'de>>(
    form: &Form,
    complete: Complete,
) -> String {
    let text = |(Key { name: key, kind, .. }, default): (Key, OptionDefault)| {
        let star = if form.short == Some(key) { "*" } else { "" };
        // The values, where they are names.
        let values = if kind.contains('"') { format!(" ({kind})") } else { String::new() };
        let default = match default {
            OptionDefault::Required => format!("`{key}`{star}, required"),
            OptionDefault::None => format!("`{key}`{star}, none"),
            OptionDefault::Value(value) => format!("`{key} = {}`{star}", shown(&merged(&value))),
            OptionDefault::Of(other) => format!("`{key}`{star} = `{other}`"),
        };
        default + &values
    };
    options_of::<T>(form, complete).into_iter().map(text).collect::<Vec<_>>().join("; ")
}

/// The options of an entry of `T` with their defaults.
pub(super) fn options_of<T: for<'de> Deserialize<'de> + Serialize>(
    form: &Form,
    complete: Complete,
) -> Vec<(Key, OptionDefault)> {
    let given = given(form);
    let all = completed(form, &given, complete).unwrap_or_default();
    let with_default = |key: Key| {
        let default = default(form, key.name, [&given, &all], complete);
        (key, default)
    };
    entry_keys::<T>(form.name).into_iter().map(with_default).collect()
}

/// The default of an option.
pub(super) enum OptionDefault {
    Required,
    None,
    Value(Value),
    /// The value of another option.
    Of(String),
}

/// Reads an entry and writes it with all of its options. `None` where it is refused.
pub(super) type Complete = fn(Value) -> Option<Value>;

/// The default of `key`, from the options of the shortest entry that works and all options of that entry.
fn default(form: &Form, key: &str, [given, all]: [&Table; 2], complete: Complete) -> OptionDefault {
    let value_without = |key: &str, mut options: Table| {
        options.remove(key);
        completed(form, &options, complete).map(|options| options.get(key).cloned())
    };
    let value = match value_without(key, given.clone()) {
        None => return OptionDefault::Required,
        Some(None) => return OptionDefault::None,
        Some(Some(value)) => value,
    };
    // A default that follows a required option changes with it.
    let follows = given.iter().find(|(other, number)| {
        let Some(number) = number.as_integer().filter(|_| *other != key) else { return false };
        let mut options = given.clone();
        options.insert((*other).clone(), Value::Integer(number + 1));
        value_without(key, options).is_some_and(|changed| changed.as_ref() != all.get(key))
    });
    follows.map_or(OptionDefault::Value(value), |(other, _)| OptionDefault::Of(other.clone()))
}

/// The options of the shortest entry that works.
fn given(form: &Form) -> Table {
    let table: Table = format!("v = {}", form.example).parse().unwrap_or_default();
    match (table.get("v").and_then(|entry| entry.get(form.name)), form.short) {
        (Some(Value::Table(options)), _) => options.clone(),
        (Some(value), Some(short)) => Table::from_iter([(short.to_owned(), value.clone())]),
        _ => Table::new(),
    }
}

/// These options with all that they leave out. `None` where they are refused.
fn completed(form: &Form, options: &Table, complete: Complete) -> Option<Table> {
    let entry = match options.is_empty() {
        true => Value::String(form.name.to_owned()),
        false => Value::Table(Table::from_iter([(form.name.to_owned(), Value::Table(options.clone()))])),
    };
    match complete(entry)? {
        Value::Table(entry) => entry.get(form.name)?.as_table().cloned(),
        _ => Some(Table::new()),
    }
}

/// A list of equal numbers as one of them.
pub(super) fn merged(value: &Value) -> Value {
    match value.as_array().map(Vec::as_slice) {
        Some([first, rest @ ..]) if !rest.is_empty() && rest.iter().all(|each| each == first) => {
            first.clone()
        }
        _ => value.clone(),
    }
}

/// A value as a config writes it, small numbers as 1e-3.
pub(super) fn shown(value: &Value) -> String {
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
