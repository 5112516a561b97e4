//! The keys of a table of options, read from serde's derive, so that no list of keys is written by hand.

use std::fmt::Display;

use serde::de::{self, Deserialize, Deserializer, Visitor};

/// The keys of `T`, a struct with serde's derive, in the order of its fields.
pub(crate) fn keys_of<'de, T: Deserialize<'de>>() -> &'static [&'static str] {
    T::deserialize(Ask).err().map_or(&[], |Answer(keys)| keys)
}

/// A deserializer that has no value. It answers a struct with the names of its fields.
struct Ask;

/// The names of the fields, which travel as an error.
#[derive(Debug, thiserror::Error)]
#[error("{0:?}")]
struct Answer(&'static [&'static str]);

impl de::Error for Answer {
    fn custom<T: Display>(_: T) -> Self {
        Answer(&[])
    }
}

impl<'de> Deserializer<'de> for Ask {
    type Error = Answer;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Answer> {
        Err(Answer(&[]))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        keys: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Answer> {
        Err(Answer(keys))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}
