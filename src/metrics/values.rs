//! Numbers by name, as an objective and an evaluation give them.

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Serialize, Serializer};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

/// Numbers by the names of an [`Objective`](crate::compile::Objective)'s metrics, in its order. Empty for a model that
/// names none.
#[derive(Debug, Clone, PartialEq)]
pub struct Metrics<T> {
    names: Arc<[String]>,
    values: Vec<T>,
}

impl<T> Default for Metrics<T> {
    fn default() -> Self {
        Metrics { names: Arc::default(), values: Vec::new() }
    }
}

impl<T> Metrics<T> {
    pub(crate) fn new(names: &Arc<[String]>, values: impl IntoIterator<Item = T>) -> Self {
        Metrics { names: Arc::clone(names), values: values.into_iter().collect() }
    }

    /// The number of a name, if there is one.
    pub fn get(&self, name: &str) -> Option<T>
    where
        T: Copy,
    {
        self.iter().find(|(other, _)| *other == name).map(|(_, value)| *value)
    }

    /// Every number with its name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.names.iter().map(String::as_str).zip(&self.values)
    }

    /// True where there is no number.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

impl<T: Serialize> Serialize for Metrics<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Metrics<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct Numbers<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Numbers<T> {
            type Value = Metrics<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("numbers by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> std::result::Result<Self::Value, A::Error> {
                let (mut names, mut values) = (Vec::new(), Vec::new());
                while let Some((name, value)) = map.next_entry()? {
                    names.push(name);
                    values.push(value);
                }
                Ok(Metrics { names: names.into(), values })
            }
        }
        deserializer.deserialize_map(Numbers(PhantomData))
    }
}

/// True where `asked` names the number `name`: by its whole name, or by the metric's alone (`f1` for `eval_metrics.f1`).
pub(crate) fn matches_name(asked: &str, name: &str) -> bool {
    name == asked || name.split_once('.').is_some_and(|(_, metric)| metric == asked)
}
