//! Values of a config that serde reads, where its own words do not say what is needed.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Unexpected, Visitor};
use serde::{Serialize, Serializer};

/// A value of any type.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Raw {
    Text(String),
    Whole(i64),
    Number(f64),
    Flag(bool),
    List(Vec<Raw>),
    Table(Vec<(String, Raw)>),
}

impl Raw {
    pub fn text(self) -> Option<String> {
        if let Raw::Text(text) = self { Some(text) } else { None }
    }

    /// A number, whole or not.
    pub fn number(&self) -> Option<f64> {
        match self {
            Raw::Whole(number) => Some(*number as f64),
            Raw::Number(number) => Some(*number),
            _ => None,
        }
    }

    pub fn size(&self) -> Option<usize> {
        if let Raw::Whole(number) = self { usize::try_from(*number).ok() } else { None }
    }

    /// A list whose every element `one` can read.
    pub fn list<T>(self, one: impl FnMut(Raw) -> Option<T>) -> Option<Vec<T>> {
        if let Raw::List(list) = self { list.into_iter().map(one).collect() } else { None }
    }
}

/// Reads a value by `read`; where that gives nothing, the error says that `wanted` is needed.
pub(crate) fn wanted<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    wanted: &str,
    read: impl FnOnce(Raw) -> Option<T>,
) -> Result<T, D::Error> {
    deserializer.deserialize_any(Wanted { wanted, read })
}

struct Wanted<'a, F> {
    wanted: &'a str,
    read: F,
}

impl<T, F: FnOnce(Raw) -> Option<T>> Wanted<'_, F> {
    fn take<E: de::Error>(self, raw: Raw) -> Result<T, E> {
        let Wanted { wanted, read } = self;
        read(raw).ok_or_else(|| E::invalid_value(Unexpected::Other("another value"), &wanted))
    }
}

impl<'de, T, F: FnOnce(Raw) -> Option<T>> Visitor<'de> for Wanted<'_, F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.wanted)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        self.take(Raw::Text(text.to_owned()))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<T, E> {
        self.take(Raw::Whole(number))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<T, E> {
        self.take(i64::try_from(number).map_or(Raw::Number(number as f64), Raw::Whole))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<T, E> {
        self.take(Raw::Number(number))
    }

    fn visit_bool<E: de::Error>(self, flag: bool) -> Result<T, E> {
        self.take(Raw::Flag(flag))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<T, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element()? {
            list.push(element);
        }
        self.take(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<T, A::Error> {
        let mut table = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            table.push(entry);
        }
        self.take(Raw::Table(table))
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Raw, D::Error> {
        wanted(deserializer, "a value", Some)
    }
}

/// Reads a word that `word` knows, or a table; else the error says that `wanted` of the word is needed.
pub(super) fn word_or_table<'de, D: Deserializer<'de>, T, M: Deserialize<'de>>(
    deserializer: D,
    word: impl FnOnce(&str) -> Option<T>,
    table: impl FnOnce(M) -> T,
    wanted: impl Fn(&str) -> String,
) -> Result<T, D::Error> {
    deserializer.deserialize_any(WordOrTable { word, table, wanted, of: PhantomData })
}

struct WordOrTable<W, F, N, M> {
    word: W,
    table: F,
    wanted: N,
    of: PhantomData<M>,
}

impl<'de, T, M, W, F, N> Visitor<'de> for WordOrTable<W, F, N, M>
where
    M: Deserialize<'de>,
    W: FnOnce(&str) -> Option<T>,
    F: FnOnce(M) -> T,
    N: Fn(&str) -> String,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&(self.wanted)(""))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<T, E> {
        (self.word)(text).ok_or_else(|| E::invalid_value(Unexpected::Str(text), &&*(self.wanted)(text)))
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<T, A::Error> {
        M::deserialize(MapAccessDeserializer::new(entries)).map(self.table)
    }
}

/// A text as the value of a key that may be left out; each function says what the text is.
macro_rules! texts {
    ($($name:ident $wanted:literal)*) => {$(
        pub fn $name<'de, D: Deserializer<'de>, T: From<String>>(d: D) -> Result<Option<T>, D::Error> {
            wanted(d, $wanted, |raw| raw.text().map(T::from)).map(Some)
        }
    )*};
}

texts! {
    array "the name of an array"
    file "a file"
    set "what the files' names begin with"
}

/// The name of a column.
pub(super) fn column<'de, D: Deserializer<'de>>(d: D) -> Result<String, D::Error> {
    wanted(d, "the name of a column", Raw::text)
}

/// Names of columns.
pub(super) fn columns<'de, D: Deserializer<'de>>(d: D) -> Result<Option<Vec<String>>, D::Error> {
    wanted(d, "a list of columns, as [\"COLUMN\"],", |raw| raw.list(Raw::text)).map(Some)
}

/// Names of columns, none of them where the key is left out.
pub(super) fn names<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
    columns(d).map(Option::unwrap_or_default)
}

/// Texts of cells, some of them perhaps numbers.
pub(super) fn texts<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
    let text = |raw: Raw| match raw {
        Raw::Whole(number) => Some(number.to_string()),
        Raw::Number(number) => Some(number.to_string()),
        other => other.text(),
    };
    wanted(d, "a list of cells, as [\"-\"],", |raw| raw.list(text))
}

/// One ASCII character.
pub(super) fn byte<'de, D: Deserializer<'de>>(d: D) -> Result<Option<u8>, D::Error> {
    let one = |raw: Raw| raw.text().filter(|text| text.len() == 1).map(|text| text.as_bytes()[0]);
    wanted(d, "a string of one ASCII character", one).map(Some)
}

/// One ASCII character, written as a text.
pub(super) fn write_byte<S: Serializer>(byte: &Option<u8>, s: S) -> Result<S::Ok, S::Error> {
    byte.map(|byte| char::from(byte).to_string()).serialize(s)
}

/// Height and width.
pub(super) fn size<'de, D: Deserializer<'de>>(d: D) -> Result<Option<[usize; 2]>, D::Error> {
    let size = |raw: Raw| raw.list(|extent| extent.size()).and_then(|list| list.try_into().ok());
    wanted(d, "a height and width, as [32, 32],", size).map(Some)
}

/// A number for each channel, or one.
pub(super) fn channels<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<f64>, D::Error> {
    let numbers = |raw: Raw| match raw.number() {
        Some(one) => Some(vec![one]),
        None => raw.list(|number| number.number()),
    };
    wanted(d, "a list of numbers, one a channel,", numbers)
}
