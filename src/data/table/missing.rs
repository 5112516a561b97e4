//! Cells that the config declares missing, beside those that always are.

use super::cell::{Cell, Cells};

/// Texts of cells that count as missing. A text that is a number stands for every cell with that number.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Missing {
    words: Vec<String>,
    numbers: Vec<f64>,
}

impl Missing {
    pub fn new(words: &[String]) -> Missing {
        let words: Vec<String> = words.iter().map(|word| word.trim().to_owned()).collect();
        let numbers = words.iter().filter_map(|word| Cell::Text(word).number()).collect();
        Missing { words, numbers }
    }

    fn has(&self, cell: Cell) -> bool {
        let is_word = match cell {
            Cell::Text(text) | Cell::Word(text) => self.words.iter().any(|word| word == text),
            _ => false,
        };
        let number = match cell {
            Cell::Truth(_) => None,
            _ if self.numbers.is_empty() => None,
            cell => cell.number(),
        };
        is_word || number.is_some_and(|number| self.numbers.contains(&number))
    }

    /// The cell, or nothing where it counts as missing.
    pub fn masked<'a>(&self, cell: Cell<'a>) -> Cell<'a> {
        if !self.words.is_empty() && self.has(cell) { Cell::Null } else { cell }
    }
}

/// A row whose cells are masked.
pub(super) struct Masked<'a> {
    pub cells: &'a dyn Cells,
    pub missing: &'a Missing,
}

impl Cells for Masked<'_> {
    fn cell(&self, column: usize) -> Cell<'_> {
        self.missing.masked(self.cells.cell(column))
    }

    fn line(&self) -> Option<u64> {
        self.cells.line()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_numbers_are_masked() {
        let missing = Missing::new(&["-".into(), " n.d. ".into(), "-999".into()]);
        for cell in [Cell::Text("-"), Cell::Word("n.d."), Cell::Text("-999.0"), Cell::Integer(-999)] {
            assert_eq!(missing.masked(cell), Cell::Null, "{cell:?}");
        }
        for cell in [Cell::Text("--"), Cell::Word("N.D."), Cell::Number(999.0), Cell::Truth(true), Cell::Null]
        {
            assert_eq!(missing.masked(cell), cell);
        }
        assert_eq!(Missing::default().masked(Cell::Text("-")), Cell::Text("-"));
    }
}
