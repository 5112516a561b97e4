//! The reader of one table format.

use super::cell::Cells;
use crate::error::Result;

/// The rows of an open file.
pub(super) trait Rows: std::fmt::Debug {
    /// Calls `each` with every row in order, to the end or to the first error. A row has at least the cells of
    /// `columns`; errors name the file `name`.
    fn scan(&self, name: &str, columns: &[usize], each: &mut Each) -> Result<()>;

    /// The type of a column that holds neither numbers nor words.
    fn unfit(&self, _column: usize) -> Option<String> {
        None
    }
}

/// Called with the number of a row and its cells.
pub(super) type Each<'a> = dyn FnMut(usize, &dyn Cells) -> Result<()> + 'a;
