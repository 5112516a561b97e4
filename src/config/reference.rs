//! The list of sections with their keys, for the reference page: types and defaults come from serde, the rest from
//! doc comments.

use std::fmt::Display;

use serde::de::value::StrDeserializer;
use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};
use serde::ser::Serialize;
use toml::{Table, Value};

use super::data::Batches;
use super::described::Described;
use super::optimizer::{Beside, Ema, Swa};
use super::schedule::Timing;
use super::sections::{Checkpoint, Eval, File, Model, Train, Watch};
use super::{Init, Sweep, Tune};
use crate::compile::{EarlyStopping, Seeds};
use crate::optim::{AdamW, Optimizer};

/// A section of the config file.
#[derive(Debug, Clone, PartialEq)]
pub struct Section {
    /// Its name in brackets; empty for the keys above all sections.
    pub name: &'static str,
    /// A one-line description.
    pub about: &'static str,
    /// Its keys, in the order in which they are written.
    pub keys: Vec<Key>,
}

/// A key of a section, or of an entry's options.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    /// Its name.
    pub name: &'static str,
    /// Its type, in the words of the error for a wrong one: "a number", "true or false".
    pub kind: String,
    /// Its default; `None` where it is required, or where nothing is the default.
    pub default: Option<Value>,
    /// A one-line description; empty for an entry's options.
    pub about: &'static str,
}

/// Every section, in the order in which a run writes them.
pub fn sections() -> Vec<Section> {
    let mut root = with_defaults::<File>("");
    root.keys.retain(|key| key.name == "seed");
    vec![
        root,
        with_defaults::<Seeds>("seeds"),
        with_defaults::<Batches>("data"),
        described::<Model>("model", &Table::new()),
        with_defaults::<Init>("init"),
        with_defaults::<Beside>("optimizer"),
        with_defaults::<Timing>("schedule"),
        with_defaults::<Ema>("average"),
        with_defaults::<Swa>("average"),
        with_defaults::<Train>("train"),
        with_defaults::<Checkpoint>("checkpoint"),
        with_defaults::<EarlyStopping>("early_stopping"),
        with_defaults::<Watch>("watch"),
        with_defaults::<Eval>("eval"),
        with_defaults::<Sweep>("sweep"),
        with_defaults::<Tune>("tune"),
    ]
}

fn with_defaults<'de, T: Described + Deserialize<'de> + Serialize + Default>(name: &'static str) -> Section {
    described::<T>(name, &Table::try_from(T::default()).unwrap_or_default())
}

fn described<'de, T: Described + Deserialize<'de>>(name: &'static str, defaults: &Table) -> Section {
    let about =
        |key: &str| T::KEYS.iter().find(|(name, _)| *name == key).map_or("", |(_, about)| about.trim());
    let keys = keys::<T>(None, defaults).into_iter().map(|key| Key { about: about(key.name), ..key });
    Section { name, about: T::ABOUT.trim(), keys: keys.collect() }
}

/// The options of the entry `name` of `T`, an enum of entries such as losses or metrics.
pub fn entry_keys<'de, T: Deserialize<'de> + Serialize>(name: &'static str) -> Vec<Key> {
    let entry = super::read::read::<T>("", name.into()).ok().and_then(|entry| Value::try_from(entry).ok());
    let defaults = entry.as_ref().and_then(|entry| entry.get(name)?.as_table()).cloned().unwrap_or_default();
    keys::<T>(Some(name), &defaults)
}

/// The entry of `T` with every option that it leaves out. `None` where it cannot be read.
pub fn complete_entry<'de, T: Deserialize<'de> + Serialize>(entry: Value) -> Option<Value> {
    super::read::read::<T>("", entry).ok().and_then(|entry| Value::try_from(entry).ok())
}

/// Checks a table or a name that a key of the config takes: a `layer`, `loss`, `metric` or `augmentation`, an `optimizer` or a
/// `schedule`.
///
/// # Errors
/// The error of a config that has it there.
pub fn check(kind: &str, value: Value) -> crate::error::Result<()> {
    use super::read::read;
    match kind {
        "layer" => read::<crate::nn::Layer>("model.layers", value).map(drop),
        "loss" => read::<super::LossSpec>("model.loss", value).map(drop),
        "metric" => read::<crate::metrics::Metric>("eval.metrics", value).map(drop),
        "augmentation" => read::<super::Augmentation>("data.augment", value).map(drop),
        "optimizer" => super::optimizer::read(read("optimizer", value)?).map(drop),
        _ => super::schedule::read(read("schedule", value)?, &mut Optimizer::AdamW(AdamW::default()).into()),
    }
}

fn keys<'de, T: Deserialize<'de>>(entry: Option<&'static str>, defaults: &Table) -> Vec<Key> {
    let answer = |key| T::deserialize(Probe { entry, key, inside: false }).err();
    let names = match answer(None) {
        Some(Answer::Keys(names)) => names,
        _ => &[],
    };
    let key = |name: &&'static str| {
        let kind = match answer(Some(name)) {
            Some(Answer::Kind(kind)) => kind,
            _ => String::new(),
        };
        Key { name, kind, default: defaults.get(*name).cloned(), about: "" }
    };
    names.iter().map(key).collect()
}

/// A deserializer without a value, which answers with the keys of a struct or with the type of one key. The answer
/// travels as an error.
#[derive(Clone, Copy)]
struct Probe {
    /// The entry whose options are asked for, where the type is an enum of entries.
    entry: Option<&'static str>,
    /// The key whose type is asked for; every key of the struct where it is `None`.
    key: Option<&'static str>,
    /// True at the key's value.
    inside: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("{self:?}")]
enum Answer {
    Keys(&'static [&'static str]),
    Kind(String),
}

impl de::Error for Answer {
    fn custom<T: Display>(text: T) -> Self {
        Answer::Kind(text.to_string())
    }

    /// The key was read whatever its value is, and comes again.
    fn duplicate_field(_: &'static str) -> Self {
        Answer::Kind("any value".into())
    }

    fn invalid_value(_: de::Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        Answer::Kind(wanted.to_string().trim_end_matches(',').to_owned())
    }

    fn invalid_type(unexpected: de::Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        Self::invalid_value(unexpected, wanted)
    }
}

macro_rules! kinds {
    ($($($method:ident)+ => $kind:literal;)*) => {$($(
        fn $method<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Answer> {
            Err(Answer::Kind($kind.into()))
        }
    )+)*};
}

impl<'de> Deserializer<'de> for Probe {
    type Error = Answer;

    kinds! {
        deserialize_bool => "true or false";
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 => "a whole number from 0 on";
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 => "a whole number";
        deserialize_f32 deserialize_f64 => "a number";
        deserialize_str deserialize_string deserialize_char => "a name";
        deserialize_seq deserialize_bytes deserialize_byte_buf => "a list";
        deserialize_map deserialize_unit deserialize_identifier deserialize_ignored_any => "a table";
    }

    /// A reader of several kinds of value says which it expects. One that takes a [`Value`] says so when it refuses a value.
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Answer> {
        match (&visitor as &dyn de::Expected).to_string() {
            wanted if wanted == "any valid TOML value" => visitor.visit_f64(f64::NAN),
            // An error goes on after a comma: "or \"full\", is needed".
            wanted => Err(Answer::Kind(wanted.trim_end_matches(',').to_owned())),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Answer> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Answer> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, _: V) -> Result<V::Value, Answer> {
        Err(Answer::Kind(format!("a list of {len}")))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Answer> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Answer> {
        self.deserialize_struct(name, &[], visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        keys: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Answer> {
        match self.key {
            _ if self.inside => Err(Answer::Kind("a table".into())),
            None => Err(Answer::Keys(keys)),
            Some(_) => visitor.visit_map(self),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Answer> {
        if self.entry.is_some() && !self.inside {
            return visitor.visit_enum(self);
        }
        let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
        Err(Answer::Kind(quoted.join(" or ")))
    }
}

/// A table with the one key.
impl<'de> de::MapAccess<'de> for Probe {
    type Error = Answer;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Answer> {
        let key: StrDeserializer<'_, Answer> = self.key.unwrap_or_default().into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Answer> {
        seed.deserialize(Probe { inside: true, ..*self })
    }
}

impl<'de> de::EnumAccess<'de> for Probe {
    type Error = Answer;
    type Variant = Probe;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Probe), Answer> {
        let name: StrDeserializer<'_, Answer> = self.entry.unwrap_or_default().into_deserializer();
        Ok((seed.deserialize(name)?, self))
    }
}

impl<'de> de::VariantAccess<'de> for Probe {
    type Error = Answer;

    fn unit_variant(self) -> Result<(), Answer> {
        Err(Answer::Keys(&[]))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Answer> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Answer> {
        self.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        keys: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Answer> {
        self.deserialize_struct("", keys, visitor)
    }
}
