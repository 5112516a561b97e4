//! Options with an entry for each axis, read from one value for all axes or from a list: `3`, `[3, 5]`. Also the defaults
//! that options share.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, Error, SeqAccess, Unexpected, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::shape::MAX_ELEMENTS;

pub(super) fn yes() -> bool {
    true
}

pub(super) fn one() -> usize {
    1
}

pub(super) fn ones<const N: usize>() -> [usize; N] {
    [1; N]
}

pub(super) fn zeros<const N: usize>() -> [usize; N] {
    [0; N]
}

/// A number for one axis.
pub(super) trait Number: Copy {
    /// Its description in errors.
    const WHAT: &str;
    fn whole(i: i64) -> Option<Self>;
    fn real(x: f64) -> Option<Self>;
}

impl Number for usize {
    const WHAT: &str = "a whole number from 0 on";
    fn whole(i: i64) -> Option<Self> {
        // No tensor is longer, and sums and products of two of these do not overflow.
        usize::try_from(i).ok().filter(|n| *n <= MAX_ELEMENTS)
    }
    fn real(_: f64) -> Option<Self> {
        None
    }
}

impl Number for f64 {
    const WHAT: &str = "a finite number";
    fn whole(i: i64) -> Option<Self> {
        Some(i as f64)
    }
    fn real(x: f64) -> Option<Self> {
        x.is_finite().then_some(x)
    }
}

/// Reads one number.
struct Single<T>(PhantomData<T>);

impl<T: Number> Visitor<'_> for Single<T> {
    type Value = One<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::WHAT)
    }

    fn visit_i64<E: Error>(self, i: i64) -> Result<One<T>, E> {
        T::whole(i).map(One).ok_or_else(|| E::invalid_value(Unexpected::Signed(i), &self))
    }

    fn visit_u64<E: Error>(self, i: u64) -> Result<One<T>, E> {
        self.visit_i64(i64::try_from(i).unwrap_or(i64::MAX))
    }

    fn visit_f64<E: Error>(self, x: f64) -> Result<One<T>, E> {
        T::real(x).map(One).ok_or_else(|| E::invalid_value(Unexpected::Float(x), &self))
    }
}

struct One<T>(T);

impl<'de, T: Number> Deserialize<'de> for One<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Single(PhantomData))
    }
}

/// Reads one number for all axes, or a list of N.
pub(super) struct Axes<T, const N: usize>(pub PhantomData<T>);

impl<'de, T: Number, const N: usize> Visitor<'de> for Axes<T, N> {
    type Value = [T; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if N == 1 { f.write_str(T::WHAT) } else { write!(f, "{}, or a list of {N},", T::WHAT) }
    }

    fn visit_i64<E: Error>(self, i: i64) -> Result<[T; N], E> {
        let wrong = |_: E| E::invalid_value(Unexpected::Signed(i), &self);
        Single(PhantomData).visit_i64(i).map(|One(value)| [value; N]).map_err(wrong)
    }

    fn visit_u64<E: Error>(self, i: u64) -> Result<[T; N], E> {
        self.visit_i64(i64::try_from(i).unwrap_or(i64::MAX))
    }

    fn visit_f64<E: Error>(self, x: f64) -> Result<[T; N], E> {
        let wrong = |_: E| E::invalid_value(Unexpected::Float(x), &self);
        Single(PhantomData).visit_f64(x).map(|One(value)| [value; N]).map_err(wrong)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<[T; N], A::Error> {
        let mut values = Vec::with_capacity(N);
        while let Some(One(value)) = list.next_element()? {
            values.push(value);
        }
        let n = values.len();
        values.try_into().map_err(|_| A::Error::invalid_length(n, &self))
    }
}

pub(super) fn serialize<S: Serializer, T: Serialize, const N: usize>(
    values: &[T; N],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match &values[..] {
        [only] => only.serialize(serializer),
        all => all.serialize(serializer),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>, T: Number, const N: usize>(
    deserializer: D,
) -> Result<[T; N], D::Error> {
    deserializer.deserialize_any(Axes(PhantomData))
}

/// Numbers for N axes, where serde's attribute `with = "axes"` is not possible.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct PerAxis<T, const N: usize>(pub [T; N]);

impl<T: Serialize, const N: usize> Serialize for PerAxis<T, N> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(&self.0, serializer)
    }
}

impl<'de, T: Number, const N: usize> Deserialize<'de> for PerAxis<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserialize(deserializer).map(PerAxis)
    }
}
