//! Reading options from TOML by serde, with errors that name place, value and what is needed.
//!
//! serde's derive gives a reader the fields of a struct and the type that each needs. So an options struct alone
//! decides what is a key, what is wrong with a value, and which name is the nearest.

use std::fmt::Display;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, IntoDeserializer, Visitor};
use toml::{Table, Value};

use super::{Augmentation, LossSpec};
use crate::error::{Error, nearest, suggestion};
use crate::metrics::Metric;
use crate::nn::{Form, Layer, TableRow};

/// An enum that is read as entries: a name, or a table of one name with its options. Other enums are a choice of names.
struct Entries {
    /// Serde's name of it.
    what: &'static str,
    form: fn(&str) -> Option<&'static Form>,
    /// Options may lie beside the name, whose value is then the main one: `{ erasing = 0.5, scale = [0.02, 0.2] }`.
    is_flat: bool,
}

const ENTRIES: &[Entries] = &[
    Entries { what: "layer", form: Layer::form, is_flat: false },
    Entries { what: "loss", form: |name| TableRow::form(LossSpec::TABLE, name), is_flat: false },
    Entries { what: "augmentation", form: Augmentation::form, is_flat: true },
    Entries { what: "metric", form: |name| TableRow::form(Metric::TABLE, name), is_flat: false },
];

/// Examples of keys, for the errors where they are missing or of another type.
const EXAMPLES: &[(&str, &str)] = &[
    ("data.augment", "augment = [{ horizontal_flip = 0.5 }, { crop = 4 }]"),
    ("data.normalise.mean", "mean = [0.5]"),
    ("data.normalise.std", "std = [0.5]"),
    ("model.layers", "layers = [\"flatten\", { linear = 10 }]"),
    ("model.loss", "loss = \"cross_entropy\""),
    ("eval.metrics", "metrics = [\"f1\", { top_k = 3 }]"),
    ("checkpoint.metric", "metric = \"eval_loss\""),
    ("early_stopping.metric", "metric = \"eval_loss\""),
];

/// Reads `value`, found at `path`.
pub(super) fn read<'de, T: Deserialize<'de>>(path: &str, value: Value) -> Result<T, Error> {
    T::deserialize(Reader { path: path.to_owned(), value, form: None }).map_err(|fault| fault.at(path))
}

/// Reads `value`, found at `path`, by a function of its own.
pub(super) fn read_by<T>(
    path: &str,
    value: Value,
    read: impl FnOnce(Reader) -> Result<T, Fault>,
) -> Result<T, Error> {
    read(Reader { path: path.to_owned(), value, form: None }).map_err(|fault| fault.at(path))
}

/// The kind of a value, for error messages.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "a string",
        Value::Integer(i) if *i < 0 => "a negative number",
        Value::Integer(_) => "an integer",
        Value::Float(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::Datetime(_) => "a date",
        Value::Array(_) => "a list",
        Value::Table(_) => "a table",
    }
}

/// Characters of a value that an error shows.
const SHOWN: usize = 160;

/// A value as an error shows it: the beginning of a long one.
pub(super) fn shown(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{} ..", &text[..end]),
        None => text,
    }
}

/// The dotted name of a key.
fn dotted(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// `; for example key = ..`, where there is one for the key.
fn example(path: &str) -> String {
    let found = EXAMPLES.iter().find(|(key, _)| *key == path);
    found.map_or(String::new(), |(_, example)| format!("; for example {example}"))
}

/// A fault, with its place as soon as a reader knows it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("{0}")]
    Placed(String),
    #[error("{0} is needed")]
    Wanted(String),
    #[error("unknown key {0}; {1}")]
    Unknown(String, String),
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("{0}")]
    Other(String),
}

impl Fault {
    /// The error of a fault at `path`, unless it has a place further in.
    fn at(self, path: &str) -> Error {
        match self {
            Fault::Placed(text) => Error::Config(text),
            other => Error::Config(format!("{path}: {other}")),
        }
    }
}

impl de::Error for Fault {
    fn custom<T: Display>(text: T) -> Self {
        Fault::Other(text.to_string())
    }

    fn invalid_type(_: de::Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        Fault::Wanted(wanted.to_string())
    }

    fn invalid_value(_: de::Unexpected<'_>, wanted: &dyn de::Expected) -> Self {
        Fault::Wanted(wanted.to_string())
    }

    fn invalid_length(_: usize, wanted: &dyn de::Expected) -> Self {
        Fault::Wanted(wanted.to_string())
    }

    fn unknown_field(key: &str, keys: &'static [&'static str]) -> Self {
        Fault::Unknown(key.to_owned(), suggestion(key, keys))
    }

    fn missing_field(key: &'static str) -> Self {
        Fault::Missing(key)
    }
}

/// Begins as `key = `.
fn names_a_key(text: &str) -> bool {
    let key = text.split_once(" = ").map_or("", |(key, _)| key);
    !key.is_empty() && key.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

/// A value with its place.
pub(super) struct Reader {
    path: String,
    value: Value,
    /// The form of the entry that has these options.
    form: Option<&'static Form>,
}

impl Reader {
    /// Runs `visit` on the value and gives its fault this place, unless it has one further in.
    fn visit<T>(self, visit: impl FnOnce(Reader) -> Result<T, Fault>) -> Result<T, Fault> {
        let (path, value, form) = (self.path.clone(), self.value.clone(), self.form);
        visit(self).map_err(|fault| {
            Fault::Placed(match fault {
                Fault::Placed(text) => text,
                Fault::Wanted(wanted) => {
                    // A whole number that is out of range is still one.
                    let is = match &value {
                        Value::Integer(i) if *i >= 0 && wanted.contains("whole number") => String::new(),
                        value => format!(", and this is {}", kind(value)),
                    };
                    format!("{path} = {}: {wanted} is needed{is}{}", shown(&value), example(&path))
                }
                Fault::Unknown(key, hint) => format!("unknown key {}; {hint}", dotted(&path, &key)),
                Fault::Missing(key) => {
                    let key = dotted(&path, key);
                    match form {
                        Some(form) => format!("{key} is missing; for example {}", form.example),
                        None => format!("{key} is missing{}", example(&key)),
                    }
                }
                Fault::Other(text) if names_a_key(&text) => dotted(&path, &text),
                Fault::Other(text) => format!("{path}: {text}"),
            })
        })
    }

    /// The options as a table: as given, or one value for the main one of `keys`.
    fn table(&self, keys: &'static [&'static str]) -> Result<Table, Fault> {
        match (&self.value, self.form.and_then(|form| form.short)) {
            (Value::Table(table), _) => match table.keys().find(|key| !keys.contains(&key.as_str())) {
                Some(key) => Err(de::Error::unknown_field(key, keys)),
                None => Ok(table.clone()),
            },
            (value, Some(short)) => Ok(Table::from_iter([(short.to_owned(), value.clone())])),
            (value, None) => Err(Fault::Placed(match keys {
                [] => format!("{} = {}: it takes no options", self.path, shown(value)),
                [first, ..] if self.form.is_some() => {
                    let value = shown(value);
                    format!("{} = {value}: its options go by name, as {{ {first} = .. }}", self.path)
                }
                _ => {
                    let (shown, is) = (shown(value), kind(value));
                    format!("{} = {shown}: a table is needed, and this is {is}", self.path)
                }
            })),
        }
    }

    fn whole<'de, V: Visitor<'de>>(self, visitor: V, wanted: &str) -> Result<V::Value, Fault> {
        self.visit(|reader| match reader.value {
            Value::Integer(i) => visitor.visit_i64(i).map_err(|_: Fault| Fault::Wanted(wanted.to_owned())),
            _ => Err(Fault::Wanted(wanted.to_owned())),
        })
    }

    fn number<'de, V: Visitor<'de>>(self, visitor: V, largest: f64) -> Result<V::Value, Fault> {
        self.visit(|reader| {
            let number = match reader.value {
                Value::Integer(i) => i as f64,
                Value::Float(f) => f,
                _ => return Err(Fault::Wanted("a number".into())),
            };
            if number.abs() <= largest {
                return visitor.visit_f64(number);
            }
            Err(Fault::Placed(format!("{} = {}: a finite number is needed", reader.path, reader.value)))
        })
    }
}

/// Methods that read a whole number of a type.
macro_rules! whole {
    ($($method:ident $wanted:literal)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
            self.whole(visitor, $wanted)
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.visit(|reader| match reader.value.clone() {
            Value::String(text) => visitor.visit_string(text),
            Value::Integer(i) => visitor.visit_i64(i),
            Value::Float(f) => visitor.visit_f64(f),
            Value::Boolean(b) => visitor.visit_bool(b),
            Value::Datetime(date) => visitor.visit_string(date.to_string()),
            Value::Array(list) => {
                visitor.visit_seq(List { list: list.into_iter().enumerate(), parent: &reader })
            }
            Value::Table(table) => {
                visitor.visit_map(Keys { rest: table.into_iter(), next: None, parent: &reader })
            }
        })
    }

    whole! {
        deserialize_u8 "a whole number from 0 to 255"
        deserialize_u16 "a whole number from 0 to 65535"
        deserialize_u32 "a whole number from 0 to 4294967295"
        deserialize_u64 "a whole number from 0 on"
        deserialize_i8 "a whole number"
        deserialize_i16 "a whole number"
        deserialize_i32 "a whole number of 32 bits"
        deserialize_i64 "a whole number"
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.number(visitor, f32::MAX.into())
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.number(visitor, f64::MAX)
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.visit(|reader| match reader.value {
            Value::Boolean(b) => visitor.visit_bool(b),
            _ => Err(Fault::Wanted("true or false".into())),
        })
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.visit(|reader| match reader.value {
            Value::String(text) => visitor.visit_string(text),
            _ => Err(Fault::Wanted("a name".into())),
        })
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.value {
            Value::Array(_) => self.deserialize_any(visitor),
            _ => self.visit(|_| Err(Fault::Wanted("a list".into()))),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Fault> {
        match self.value {
            Value::Table(_) => self.deserialize_any(visitor),
            _ => self.visit(|_| Err(Fault::Wanted("a table".into()))),
        }
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, count: usize, visitor: V) -> Result<V::Value, Fault> {
        let found = match &self.value {
            Value::Array(list) if list.len() == count => return self.deserialize_any(visitor),
            Value::Array(list) => format!("this list has {}", list.len()),
            other => format!("this is {}", kind(other)),
        };
        let word = match count {
            2 => "two".to_owned(),
            3 => "three".to_owned(),
            count => count.to_string(),
        };
        let (path, value) = (&self.path, shown(&self.value));
        Err(Fault::Placed(format!(
            "{path} = {value}: {word} numbers are needed, as a list of length {count}, and {found}"
        )))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        keys: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.visit(|reader| {
            let rest = reader.table(keys)?.into_iter();
            visitor.visit_map(Keys { rest, next: None, parent: &reader })
        })
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.visit(|reader| {
            reader.table(&[])?;
            visitor.visit_unit()
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        what: &'static str,
        names: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        if let Some(entries) = ENTRIES.iter().find(|entries| entries.what == what) {
            return self.visit(|reader| visitor.visit_enum(Entry::new(&reader, entries, names)?));
        }
        self.visit(|reader| match &reader.value {
            Value::String(name) if names.contains(&name.as_str()) => {
                visitor.visit_enum(name.as_str().into_deserializer())
            }
            value => {
                let quoted: Vec<String> = names.iter().map(|name| format!("\"{name}\"")).collect();
                let (path, value) = (&reader.path, shown(value));
                // A name of three letters is near to any.
                let near =
                    reader.value.as_str().and_then(|word| nearest(word, names)).filter(|name| name.len() > 3);
                let hint = near.map_or(String::new(), |name| format!("; did you mean \"{name}\"?"));
                Err(Fault::Placed(format!("{path} = {value}: {} is needed{hint}", quoted.join(" or "))))
            }
        })
    }

    serde::forward_to_deserialize_any! {
        char bytes byte_buf unit tuple_struct identifier ignored_any
    }
}

/// The elements of a list.
struct List<'a> {
    list: std::iter::Enumerate<std::vec::IntoIter<Value>>,
    parent: &'a Reader,
}

impl<'de> de::SeqAccess<'de> for List<'_> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Fault> {
        let Some((i, value)) = self.list.next() else { return Ok(None) };
        let reader = Reader { path: format!("{}[{i}]", self.parent.path), value, form: None };
        reader.visit(|reader| seed.deserialize(reader)).map(Some)
    }
}

/// The keys and values of a table.
struct Keys<'a> {
    rest: toml::map::IntoIter<String, Value>,
    next: Option<(String, Value)>,
    parent: &'a Reader,
}

impl<'de> de::MapAccess<'de> for Keys<'_> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Fault> {
        self.next = self.rest.next();
        self.next.as_ref().map(|(key, _)| seed.deserialize(key.as_str().into_deserializer())).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Fault> {
        let Some((key, value)) = self.next.take() else { return Err(Fault::Other("a value alone".into())) };
        let reader = Reader { path: dotted(&self.parent.path, &key), value, form: None };
        reader.visit(|reader| seed.deserialize(reader))
    }
}

/// A name with its options.
struct Entry {
    name: String,
    options: Reader,
}

impl Entry {
    /// A name alone, or a table of one name with its options: `"relu"`, `{ linear = 128 }`.
    fn new(reader: &Reader, entries: &Entries, names: &'static [&'static str]) -> Result<Entry, Fault> {
        let (path, &Entries { what, form, is_flat }) = (&reader.path, entries);
        let (name, options) = match reader.value.clone() {
            Value::String(name) => (name, Value::Table(Table::new())),
            Value::Table(mut table) if table.len() == 1 => {
                let name = table.keys().next().cloned().unwrap_or_default();
                let options = table.remove(&name).unwrap_or(Value::Table(Table::new()));
                (name, options)
            }
            Value::Table(table) if is_flat && !table.is_empty() => Self::flat(path, table, form, names)?,
            other => {
                let takes_options = |form: &&Form| form.short.is_some() && form.example.starts_with('{');
                let found = names.iter().filter_map(|name| form(name)).find(takes_options);
                let example = found.map_or(String::new(), |form| format!(" or {}", form.example));
                let (article, name) =
                    if is_flat { ("an", "a table with a") } else { ("a", "a table of one") };
                return Err(Fault::Placed(format!(
                    "{path} = {}: {article} {what} is a name or {name} name, and this is {}; for example \
                     \"{}\"{example}",
                    shown(&other),
                    kind(&other),
                    names[0]
                )));
            }
        };
        if !names.contains(&name.as_str()) {
            let hint = suggestion(&name, names);
            return Err(Fault::Placed(format!("{path}: unknown {what} \"{name}\"; {hint}")));
        }
        let options = Reader { path: dotted(path, &name), value: options, form: form(&name) };
        Ok(Entry { name, options })
    }

    /// `{ name = value, key = .. }` as a name and its options.
    fn flat(
        path: &str,
        mut table: Table,
        form: fn(&str) -> Option<&'static Form>,
        names: &[&str],
    ) -> Result<(String, Value), Fault> {
        let named: Vec<&str> = names.iter().copied().filter(|name| table.contains_key(*name)).collect();
        match named[..] {
            [name] => {
                let main = table.remove(name).zip(form(name).and_then(|form| form.short));
                table.extend(main.map(|(value, key)| (key.to_owned(), value)));
                Ok((name.to_owned(), Value::Table(table)))
            }
            [] => {
                let hint = table.keys().next().map_or(String::new(), |key| suggestion(key, names));
                Err(Fault::Placed(format!(
                    "{path} = {}: no key of it is a name; {hint}",
                    shown(&Value::Table(table))
                )))
            }
            [first, second, ..] => Err(Fault::Placed(format!(
                "{path} = {}: an entry has one name; write {{ {first} = .. }}, {{ {second} = .. }}",
                shown(&Value::Table(table))
            ))),
        }
    }
}

impl<'de> de::EnumAccess<'de> for Entry {
    type Error = Fault;
    type Variant = Reader;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Reader), Fault> {
        let name = seed.deserialize(self.name.as_str().into_deserializer())?;
        Ok((name, self.options))
    }
}

impl<'de> de::VariantAccess<'de> for Reader {
    type Error = Fault;

    fn unit_variant(self) -> Result<(), Fault> {
        self.visit(|reader| reader.table(&[]).map(|_| ()))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Fault> {
        self.visit(|reader| seed.deserialize(reader))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Fault> {
        self.deserialize_seq(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        keys: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Fault> {
        self.deserialize_struct("", keys, visitor)
    }
}
