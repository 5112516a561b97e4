//! The encoding of raw data as numbers. A trained model needs it for later inputs.

use serde::{Deserialize, Serialize};

use super::images::ImageEncoding;
use super::normalise::ArrayEncoding;
use super::table::TableEncoding;
use super::vocabulary::Vocabulary;

/// Kept with a run as `data.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Encoding {
    /// Characters became their numbers in a vocabulary.
    Text {
        /// The characters by their numbers.
        vocabulary: Vocabulary,
    },
    /// Cells became numbers, column by column.
    Table(TableEncoding),
    /// Numbers of an array were scaled.
    Array(ArrayEncoding),
    /// Images became numbers, and folders classes.
    Images(ImageEncoding),
}

impl Encoding {
    /// The name of a class by its number, where the data name their classes.
    pub fn class(&self, number: usize) -> Option<&str> {
        match self {
            Encoding::Images(images) => images.classes.get(number).map(String::as_str),
            Encoding::Table(table) => table.class(number),
            Encoding::Text { .. } | Encoding::Array(_) => None,
        }
    }
}
