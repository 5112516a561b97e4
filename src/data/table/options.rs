//! The options of a table.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::fill::Fills;
use crate::data::keys;

/// The columns of a table, and the rows to evaluate on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableOptions {
    /// The column to learn.
    #[serde(deserialize_with = "keys::column")]
    pub target: String,
    /// The numeric inputs. Default: every column in no list that holds numbers alone.
    #[serde(default, deserialize_with = "keys::columns", skip_serializing_if = "Option::is_none")]
    pub numeric: Option<Vec<String>>,
    /// The categorical inputs. Default: every column in no list that holds something else.
    #[serde(default, deserialize_with = "keys::columns", skip_serializing_if = "Option::is_none")]
    pub categorical: Option<Vec<String>>,
    /// Columns that are left out. An empty name stands for all columns without a name.
    #[serde(default, deserialize_with = "keys::names", skip_serializing_if = "Vec::is_empty")]
    pub ignore: Vec<String>,
    /// Texts of cells that count as missing, beside those that always do. A number stands for every cell with it.
    #[serde(default, deserialize_with = "keys::texts", skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// Between two cells of a CSV file; where it is `None`, a tab if the file is named `.tsv`, else the one of comma,
    /// tab and semicolon that its first line has most of.
    #[serde(default, deserialize_with = "keys::byte", serialize_with = "keys::write_byte")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<u8>,
    /// The target's values are classes, even if they are numbers; words always are.
    #[serde(default)]
    pub classes: bool,
    /// A numeric target is learnt as (value − mean) / std of the training part. Losses are of that number; the metrics mae
    /// and rmse, and predictions, are in the target's own unit.
    #[serde(default)]
    pub standardise_target: bool,
    /// Values for missing cells of inputs.
    #[serde(default, skip_serializing_if = "Fills::is_empty")]
    pub fill: Fills,
    /// The share of the rows that is evaluated on, drawn at random; 0 for none.
    #[serde(skip)]
    pub eval_fraction: f64,
    /// Decides which rows these are.
    #[serde(skip)]
    pub split_seed: u64,
    /// Each class gives this share of its rows: as many rows in all, by largest remainder, one of each class at
    /// least left to train on.
    #[serde(skip)]
    pub stratify: bool,
    /// A file of rows to evaluate on, in place of a share, in the format that its name says.
    #[serde(default, deserialize_with = "keys::file", skip_serializing_if = "Option::is_none")]
    pub eval: Option<PathBuf>,
}

impl TableOptions {
    /// Inferred types, no fills, and a fifth of the rows to evaluate on.
    pub fn new(target: impl Into<String>) -> Self {
        TableOptions {
            target: target.into(),
            numeric: None,
            categorical: None,
            ignore: Vec::new(),
            missing: Vec::new(),
            delimiter: None,
            classes: false,
            standardise_target: false,
            fill: Fills::default(),
            eval_fraction: 0.2,
            split_seed: 0,
            stratify: false,
            eval: None,
        }
    }
}
