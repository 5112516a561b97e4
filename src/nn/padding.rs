//! Zeros around the input of a convolution: the word `"same"`, or numbers.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Unexpected, Visitor};
use serde::ser::{Serialize, Serializer};

use super::axes::{Axes, serialize};

/// Zeros around the input of a convolution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding<const N: usize> {
    /// The number of zeros with which, at a stride of 1, the output is as long as the input. An odd number puts one more after
    /// the input than before it. torch's `padding="same"`.
    Same,
    /// Numbers of zeros on both sides of each axis.
    Explicit([usize; N]),
}

impl<const N: usize> Default for Padding<N> {
    fn default() -> Self {
        Padding::Explicit([0; N])
    }
}

/// `"same"`, or numbers.
impl<const N: usize> Serialize for Padding<N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Padding::Same => serializer.serialize_str("same"),
            Padding::Explicit(numbers) => serialize(numbers, serializer),
        }
    }
}

impl<'de, const N: usize> Deserialize<'de> for Padding<N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(SameOrAxes)
    }
}

struct SameOrAxes<const N: usize>;

impl<'de, const N: usize> Visitor<'de> for SameOrAxes<N> {
    type Value = Padding<N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"same\", or ")?;
        Axes::<usize, N>(PhantomData).expecting(f)
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<Padding<N>, E> {
        if word == "same" {
            return Ok(Padding::Same);
        }
        Err(E::invalid_value(Unexpected::Str(word), &self))
    }

    fn visit_i64<E: Error>(self, i: i64) -> Result<Padding<N>, E> {
        let wrong = |_: E| E::invalid_value(Unexpected::Signed(i), &self);
        Axes(PhantomData).visit_i64(i).map_err(wrong).map(Padding::Explicit)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Padding<N>, A::Error> {
        Axes(PhantomData).visit_seq(list).map(Padding::Explicit)
    }
}
