//! The page of layers.

use toml::{Table, Value};

use super::{Page, shown};
use crate::nn::{Form, Layer, LayerRow};

const INTRO: &str = "\
`model.layers` is a list. An entry is a name, or a table of one name with its options: `\"relu\"`, \
`{ linear = { out_features = 10, bias = false } }`. A single value in place of the options is the value of the main \
option, marked by *: `{ linear = 10 }`. An option with a number for each axis takes one number for all axes, or a list: \
`kernel_size = 3`, `kernel_size = [3, 5]`. Names, options and defaults are PyTorch's where PyTorch has the layer.

The batch is axis 0. Parameters are named by position, as in `torch.nn.Sequential`: `1.weight`. Layers within layers \
continue the name of the layer that holds them: `2.layers.0.weight` and `2.shortcut.0.weight` in a `residual`, \
`4.0.1.weight` (branch, layer) in a `parallel`, `5.0.0.weight` (copy, layer) in a `repeat`, `encoder.0.weight` in a \
`block` of that name.";

/// The page.
pub fn page() -> Page {
    let mut page = Page::new("layers", "Layers", INTRO);
    let rows = Layer::TABLE.iter().map(|LayerRow { form, about, torch }| {
        let options: Vec<String> = options(form).iter().map(|option| option.text(form)).collect();
        let torch = torch.map(|class| format!("`{class}`")).unwrap_or_default();
        [format!("`{}`", form.name), (*about).to_owned(), options.join(", "), torch]
    });
    page.table(["layer", "what it computes", "options", "PyTorch"], rows);
    page
}

/// An option of a layer.
struct LayerOption {
    key: String,
    default: DefaultValue,
}

enum DefaultValue {
    Required,
    Value(Value),
    /// The value of this other option.
    Of(String),
}

impl LayerOption {
    fn text(&self, form: &Form) -> String {
        let main = if form.short == Some(&self.key) { "*" } else { "" };
        match &self.default {
            DefaultValue::Required => format!("`{}`{main} (required)", self.key),
            DefaultValue::Value(value) => format!("`{} = {}`{main}", self.key, shown(&merged(value))),
            DefaultValue::Of(other) => format!("`{}`{main} (default: `{other}`)", self.key),
        }
    }
}

/// The options of a layer, from the shortest entry that works.
fn options(form: &Form) -> Vec<LayerOption> {
    let given = given(form).unwrap_or_default();
    let Some(all) = complete(form, &given) else { return Vec::new() };
    let default = |key: &str| {
        let without = |key: &str, mut options: Table| {
            options.remove(key);
            complete(form, &options)?.get(key).cloned()
        };
        let Some(value) = without(key, given.clone()) else { return DefaultValue::Required };
        // A default that follows a required option changes with it.
        let follows = given.iter().find(|(other, value)| {
            let Some(more) = value.as_integer().filter(|_| *other != key) else { return false };
            let mut options = given.clone();
            options.insert((*other).clone(), Value::Integer(more + 1));
            without(key, options).is_some_and(|changed| changed != *all.get(key).unwrap_or(&changed))
        });
        follows.map_or(DefaultValue::Value(value), |(other, _)| DefaultValue::Of(other.clone()))
    };
    all.keys().map(|key| LayerOption { key: key.clone(), default: default(key) }).collect()
}

/// The options of the shortest entry that works.
fn given(form: &Form) -> Option<Table> {
    let table: Table = format!("v = {}", form.example).parse().ok()?;
    match table.get("v")?.get(form.name)? {
        Value::Table(options) => Some(options.clone()),
        // A single value is that of the main option.
        value => Some(Table::from_iter([(form.short?.to_owned(), value.clone())])),
    }
}

/// These options with all that they leave out.
fn complete(form: &Form, options: &Table) -> Option<Table> {
    let entry = Table::from_iter([(form.name.to_owned(), Value::Table(options.clone()))]);
    let layer: Layer = Value::Table(entry).try_into().ok()?;
    Value::try_from(layer).ok()?.get(form.name)?.as_table().cloned()
}

/// A list of equal numbers as one of them.
fn merged(value: &Value) -> Value {
    match value.as_array().map(Vec::as_slice) {
        Some([first, rest @ ..]) if !rest.is_empty() && rest.iter().all(|each| each == first) => {
            first.clone()
        }
        _ => value.clone(),
    }
}
