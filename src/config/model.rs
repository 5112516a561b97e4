//! The layers of the `[model]` table.

use serde::Serialize;
use toml::{Table, Value};

use super::read::read;
use crate::error::{Error, Result};
use crate::nn::{Layer, Sequential};

pub(super) fn layers(value: Value) -> Result<Sequential> {
    let example = "for example [\"flatten\", { linear = 10 }]";
    match &value {
        Value::Array(list) if list.is_empty() => {
            Err(Error::Config(format!("model.layers is empty; {example}")))
        }
        Value::Array(_) => read("model.layers", value, Layer::form),
        _ => Err(Error::Config(format!("model.layers = {value}: a list is needed; {example}"))),
    }
}

/// A value as TOML, each f32 as the shortest decimal that gives it back.
pub(super) fn to_value(value: &impl Serialize) -> Value {
    // The text, since a `Value` of an f32 is its f64 with all digits.
    let text = toml::to_string(&std::collections::BTreeMap::from([("v", value)]));
    let table = text.ok().and_then(|text| text.parse::<Table>().ok());
    table.and_then(|mut table| table.remove("v")).unwrap_or(Value::Table(Table::new()))
}
