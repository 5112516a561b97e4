//! The options of a table.

use std::path::PathBuf;

use super::fill::Fills;

/// What of a table is what.
#[derive(Debug, Clone, PartialEq)]
pub struct TableOptions {
    /// The column to learn.
    pub target: String,
    /// The numeric inputs; where it is `None`, every column in no list that holds numbers alone.
    pub numeric: Option<Vec<String>>,
    /// The categorical inputs; where it is `None`, every column in no list that holds something else.
    pub categorical: Option<Vec<String>>,
    /// Between two cells of a CSV file; where it is `None`, a tab if the file is named `.tsv` or its first line has
    /// tabs, and a comma otherwise.
    pub delimiter: Option<u8>,
    /// The target's values are classes, even if they are numbers; words always are.
    pub classes: bool,
    /// A numeric target is learnt as (value − mean) / std of the training part.
    pub standardise_target: bool,
    /// What missing cells of inputs become.
    pub fill: Fills,
    /// The share of the rows that is evaluated on, drawn at random; 0 for none.
    pub eval_fraction: f64,
    /// Decides which rows these are.
    pub split_seed: u64,
    /// Each class gives this share of its rows: as many rows in all, by largest remainder, one of each class at
    /// least left to train on.
    pub stratify: bool,
    /// A file of rows to evaluate on, in place of a share, in the format that its name says.
    pub eval: Option<PathBuf>,
}

impl TableOptions {
    /// Types as they look, nothing filled, a fifth of the rows to evaluate on.
    pub fn new(target: impl Into<String>) -> Self {
        TableOptions {
            target: target.into(),
            numeric: None,
            categorical: None,
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
