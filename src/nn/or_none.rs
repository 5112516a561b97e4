//! An optional number whose default is not none: `0.1`, or `"none"`.

use std::fmt;

use serde::de::{Deserializer, Error, Unexpected, Visitor};
use serde::ser::Serializer;

pub(super) fn serialize<S: Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(x) => serializer.serialize_f64(*x),
        None => serializer.serialize_str("none"),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    deserializer.deserialize_any(NumberOrNone)
}

struct NumberOrNone;

impl Visitor<'_> for NumberOrNone {
    type Value = Option<f64>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number or \"none\"")
    }

    fn visit_f64<E: Error>(self, x: f64) -> Result<Option<f64>, E> {
        if x.is_finite() { Ok(Some(x)) } else { Err(E::invalid_value(Unexpected::Float(x), &self)) }
    }

    fn visit_i64<E: Error>(self, i: i64) -> Result<Option<f64>, E> {
        Ok(Some(i as f64))
    }

    fn visit_u64<E: Error>(self, i: u64) -> Result<Option<f64>, E> {
        Ok(Some(i as f64))
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Option<f64>, E> {
        if word == "none" { Ok(None) } else { Err(E::invalid_value(Unexpected::Str(word), &self)) }
    }
}
