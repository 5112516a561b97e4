//! From the cells of a row to numbers, and from a model's output back.

use serde::{Deserialize, Serialize};

use super::cell::Cell;
use super::missing::Missing;
use crate::error::{Error, Result, suggestion};

/// The encoding of a table's rows as numbers. A model needs it for later rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TableEncoding {
    /// The inputs, in the order of the file's columns.
    pub columns: Vec<InputColumn>,
    /// The column to learn.
    pub target: TargetColumn,
    /// Texts of cells that count as missing, beside those that always do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
}

/// An input.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputColumn {
    /// As the file's header says.
    pub name: String,
    /// The encoding of its cells.
    #[serde(flatten)]
    pub kind: InputKind,
}

/// The encoding of an input's cells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum InputKind {
    /// One number, (value − mean) / std.
    Numeric {
        /// The training part's mean.
        mean: f64,
        /// The training part's standard deviation, 1/n; 1 where all its values are one, which gives 0.
        std: f64,
        /// The value of a missing cell; `None` where it is an error.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fill: Option<f64>,
    },
    /// A number for each category, 1 for the cell's and 0 for the others; all 0 for a category that the training
    /// part does not have.
    Categorical {
        /// The training part's categories, sorted.
        categories: Vec<String>,
        /// The value of a missing cell; `None` where it is an error.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        fill: Option<String>,
    },
}

/// The target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetColumn {
    /// As the file's header says.
    pub name: String,
    /// The encoding of its cells.
    #[serde(flatten)]
    pub kind: TargetKind,
}

/// The encoding of a target's cells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum TargetKind {
    /// One f32, (value − mean) / std.
    Numeric {
        /// The training part's mean, or 0 where the target is not standardised.
        mean: f64,
        /// The training part's standard deviation, or 1 where the target is not standardised.
        std: f64,
    },
    /// An i32, the class's place in the list.
    Classes {
        /// Every class that the rows have, sorted.
        classes: Vec<String>,
    },
}

impl TargetColumn {
    /// Mean and deviation, where the target is learnt as (value − mean) / std.
    pub fn standardised(&self) -> Option<(f64, f64)> {
        match self.kind {
            TargetKind::Numeric { mean, std } => Some((mean, std)).filter(|scale| *scale != (0.0, 1.0)),
            TargetKind::Classes { .. } => None,
        }
    }
}

/// (cell − mean) / std as f32, or what is wrong with the cell.
pub(super) fn scaled(cell: Cell, mean: f64, std: f64, fill: Option<f64>) -> Result<f32, String> {
    let scaled = ((cell.value(fill)? - mean) / std) as f32;
    if scaled.is_finite() { Ok(scaled) } else { Err(format!("{} is too large for f32", cell.text())) }
}

impl InputColumn {
    /// Numbers it makes of a cell.
    pub fn width(&self) -> usize {
        match &self.kind {
            InputKind::Numeric { .. } => 1,
            InputKind::Categorical { categories, .. } => categories.len(),
        }
    }

    /// Appends the cell's numbers, or says what is wrong with it.
    pub(super) fn encode(&self, cell: Cell, out: &mut Vec<f32>) -> Result<(), String> {
        match &self.kind {
            InputKind::Numeric { mean, std, fill } => out.push(scaled(cell, *mean, *std, *fill)?),
            InputKind::Categorical { categories, fill } => {
                let cell = cell.category(fill.as_deref())?;
                out.extend(categories.iter().map(|c| if *c == cell { 1.0 } else { 0.0 }));
            }
        }
        Ok(())
    }
}

impl TableEncoding {
    /// Numbers that a row becomes.
    pub fn width(&self) -> usize {
        self.columns.iter().map(InputColumn::width).sum()
    }

    /// The model's input for a row of named cells, `[width]`; cells that are no input of the model are ignored.
    ///
    /// ```
    /// use downhill::data::{InputColumn, InputKind, TableEncoding, TargetColumn, TargetKind};
    /// let rain = InputKind::Numeric { mean: 20.0, std: 5.0, fill: Some(22.0) };
    /// let soil = InputKind::Categorical { categories: vec!["clay".into(), "sand".into()], fill: None };
    /// let encoding = TableEncoding {
    ///     columns: vec![
    ///         InputColumn { name: "rain".into(), kind: rain },
    ///         InputColumn { name: "soil".into(), kind: soil },
    ///     ],
    ///     target: TargetColumn { name: "yield".into(), kind: TargetKind::Numeric { mean: 0.0, std: 1.0 } },
    ///     missing: Vec::new(),
    /// };
    /// assert_eq!(encoding.encode(&[("soil", "sand"), ("rain", "30")])?, [2.0, 0.0, 1.0]);
    /// assert_eq!(encoding.encode(&[("soil", "clay"), ("rain", "NA")])?, [0.4, 1.0, 0.0]);
    /// # Ok::<(), downhill::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Data`] with the column whose cell is missing or no number.
    pub fn encode(&self, row: &[(&str, &str)]) -> Result<Vec<f32>> {
        let missing = Missing::new(&self.missing);
        let mut out = Vec::with_capacity(self.width());
        for column in &self.columns {
            let name = &column.name;
            let Some((_, cell)) = row.iter().find(|(other, _)| other == name) else {
                let names: Vec<&str> = row.iter().map(|(name, _)| *name).collect();
                let hint = suggestion(name, &names);
                return Err(Error::Data(format!("the row has no column \"{name}\"; {hint}")));
            };
            let wrong = |text| Error::Data(format!("column \"{name}\": {text}"));
            column.encode(missing.masked(Cell::Text(cell.trim())), &mut out).map_err(wrong)?;
        }
        Ok(out)
    }

    /// The name of a class by its number; `None` where there is no such class.
    pub fn class(&self, number: usize) -> Option<&str> {
        match &self.target.kind {
            TargetKind::Classes { classes } => classes.get(number).map(String::as_str),
            TargetKind::Numeric { .. } => None,
        }
    }

    /// A model's output in the target's own unit; `None` where the target is a class.
    pub fn value(&self, output: f32) -> Option<f64> {
        match self.target.kind {
            TargetKind::Numeric { mean, std } => Some(f64::from(output) * std + mean),
            TargetKind::Classes { .. } => None,
        }
    }
}
