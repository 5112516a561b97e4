//! What missing cells become.

/// What a missing cell becomes.
#[derive(Debug, Clone, PartialEq)]
pub enum Fill {
    /// The mean of the training part's numbers.
    Mean,
    /// Their median: the mean of the two in the middle where there is an even number of them.
    Median,
    /// A number.
    Number(f64),
    /// A category.
    Word(String),
}

/// What the missing cells of a table become; where nothing is said they are an error.
///
/// Missing are nulls and NaN, and in a CSV file nothing, `NA`, `N/A`, `NaN`, `null` and `?` in capitals or not. In
/// a column of words that is not filled only nothing is missing, and `NA` a word.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fills {
    /// For every numeric column in no other rule: the mean or the median.
    pub numeric: Option<Fill>,
    /// By the name of the column.
    pub columns: Vec<(String, Fill)>,
}

impl Fills {
    /// The rule of a column by its name.
    pub(super) fn of(&self, column: &str) -> Option<&Fill> {
        self.columns.iter().find(|(name, _)| name == column).map(|(_, fill)| fill)
    }
}
