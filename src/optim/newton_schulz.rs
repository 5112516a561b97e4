//! The Newton–Schulz iteration that makes a matrix orthogonal: its numbers, and the factor of its result.

use serde::{Deserialize, Serialize};

/// The factor of a matrix's step, by its shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdjustLr {
    /// √max(1, rows/columns).
    Original,
    /// 0.2·√max(rows, columns): steps as large as AdamW's.
    MatchRmsAdamw,
}

impl AdjustLr {
    /// The factor for a matrix.
    pub fn factor(self, rows: usize, columns: usize) -> f64 {
        match self {
            AdjustLr::Original => (rows as f64 / columns as f64).max(1.0).sqrt(),
            AdjustLr::MatchRmsAdamw => 0.2 * (rows.max(columns) as f64).sqrt(),
        }
    }
}

/// The numbers of Newton–Schulz, the same for all groups.
#[derive(Debug, Clone, PartialEq)]
pub struct NewtonSchulz {
    /// a, b and c.
    pub coefficients: [f64; 3],
    /// The number of steps.
    pub steps: u32,
    /// The least divisor.
    pub eps: f64,
    /// The factor of the result.
    pub adjust: AdjustLr,
}
