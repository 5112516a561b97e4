//! Values of several kinds.

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, Unexpected};
use toml::Value;

/// Reads a value of several kinds by `read`. The error for a value that it refuses says what is `wanted`.
pub(super) fn any_of<'de, D: Deserializer<'de>, T>(
    deserializer: D,
    wanted: &'static str,
    read: impl FnOnce(&Value) -> Option<T>,
) -> Result<T, D::Error> {
    let value = Value::deserialize(deserializer)?;
    read(&value).ok_or_else(|| D::Error::invalid_value(Unexpected::Other("another value"), &wanted))
}
