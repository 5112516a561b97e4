//! A column at a look: whether its cells are numbers or words, and what is odd about them.

use std::collections::{HashMap, HashSet};

use super::cell::Cell;
use super::likeness::Likeness;
use crate::units::plural;

/// Different words, and numbers, that are told apart. More are only counted.
const MOST: usize = 1001;
/// A column with more different numbers than this measures something; one with fewer may hold codes.
const CODES: usize = 10;
/// A column with more different numbers than this in another notation holds no codes.
const NOTATED: usize = 3;
/// Cells that a fault quotes.
const QUOTED: usize = 3;
/// A column of fewer cells is not said to hold names or a count of rows.
const FEW: usize = 20;

/// A cell that is no number, by its row.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Odd {
    pub row: usize,
    pub line: Option<u64>,
    pub text: String,
}

/// A column over all rows.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Look {
    /// Missing cells.
    pub missing: usize,
    /// Cells that are numbers.
    pub numbers: usize,
    /// Cells that are words.
    pub words: usize,
    /// The first cells that are words.
    pub odd: Vec<Odd>,
    /// Cells that are missing in a column of words too, where words such as NA are categories.
    pub empty: usize,
    /// Those words.
    named: HashSet<String>,
    /// Each word with how often it is there, of as many as are told apart.
    counts: HashMap<String, usize>,
    /// Different numbers, as many as are told apart.
    different: HashSet<u64>,
    /// The number of the first row, while each row has one more than the row before.
    counts_rows: Option<f64>,
}

/// A column whose cells are numbers, most of them, and which would become one of categories.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fault {
    /// Some cells are none.
    Few,
    /// They are written in another notation.
    Notation(Likeness),
}

impl Look {
    /// Adds the cell of a row; `line` gives the row's line.
    pub fn add(&mut self, cell: Cell, row: usize, line: impl FnOnce() -> Option<u64>) {
        if cell.is_missing() {
            self.missing += 1;
            match cell.category(None) {
                Ok(word) => drop(self.named.insert(word.into_owned())),
                Err(_) => self.empty += 1,
            }
        } else if !cell.is_word() {
            self.numbers += 1;
            let number = cell.number().unwrap_or(f64::NAN);
            if self.different.len() < MOST {
                self.different.insert(number.to_bits());
            }
            if row == 0 {
                self.counts_rows = Some(number).filter(|first| [0.0, 1.0].contains(first));
            }
            self.counts_rows = self.counts_rows.filter(|first| first + row as f64 == number);
        } else {
            self.words += 1;
            let text = cell.text();
            if self.odd.len() < QUOTED {
                self.odd.push(Odd { row, line: line(), text: text.to_string() });
            }
            if let Some(count) = self.counts.get_mut(text.as_ref()) {
                *count += 1;
            } else if self.counts.len() < MOST {
                self.counts.insert(text.into_owned(), 1);
            }
        }
    }

    /// True where a column's cells are numbers or missing, and not all missing.
    pub fn is_numeric(&self) -> bool {
        self.words == 0 && self.numbers > 0
    }

    /// True where every cell is missing.
    pub fn is_empty(&self) -> bool {
        self.words == 0 && self.numbers == 0
    }

    /// Cells that are not missing.
    fn cells(&self) -> usize {
        self.numbers + self.words
    }

    /// Different words, and whether there are more.
    pub fn different_words(&self) -> (usize, bool) {
        let told: usize = self.counts.values().sum();
        (self.counts.len(), told < self.words)
    }

    /// Categories that the column has if it is one of categories, with words such as NA or without, and whether there
    /// are more.
    pub fn categories(&self, with_named: bool) -> (usize, bool) {
        let (words, more) = self.different_words();
        let named = if with_named { self.named.len() } else { 0 };
        (words + named + self.different.len(), more || self.different.len() == MOST)
    }

    /// Different words and cells that look like this.
    fn like(&self, likeness: Likeness) -> (usize, usize) {
        let alike = self.counts.iter().filter(|(word, _)| Likeness::of(word) == likeness);
        alike.fold((0, 0), |(words, cells), (_, count)| (words + 1, cells + count))
    }

    /// The first of the quoted cells that looks like this, or else the least of all.
    pub fn example(&self, likeness: Likeness) -> &str {
        let is_like = |word: &&str| Likeness::of(word) == likeness;
        let quoted = self.odd.iter().map(|odd| odd.text.as_str()).find(is_like);
        quoted.or_else(|| self.counts.keys().map(String::as_str).filter(is_like).min()).unwrap_or_default()
    }

    /// The fault of a column of numbers that is none for its words: at least 90% of the cells are numbers (50% where
    /// the others have neither letter nor digit), and there are more than 10 different ones (3 or more).
    ///
    /// Numbers in another notation count as numbers. A column of few different numbers and some words, as 1, 2, 3 and
    /// x, is one of codes and has no fault.
    pub fn fault(&self) -> Option<Fault> {
        if self.words == 0 {
            return None;
        }
        let share = |cells: usize, percent: usize| cells * 100 >= self.cells() * percent;
        let [commas, thousands] = [Likeness::DecimalComma, Likeness::Thousands].map(|like| self.like(like));
        let (words, cells) = (commas.0 + thousands.0, commas.1 + thousands.1);
        if words > 0 && self.different.len() + words > NOTATED && share(self.numbers + cells, 90) {
            // 1,234 is both; one cell that is no group of three tells.
            let comma = commas.0 > 0;
            return Some(Fault::Notation(if comma { Likeness::DecimalComma } else { Likeness::Thousands }));
        }
        let all_signs = self.like(Likeness::Sign).1 == self.words;
        let few = self.different.len() > CODES && share(self.numbers, 90)
            || all_signs && self.different.len() > 2 && share(self.numbers, 50);
        few.then_some(Fault::Few)
    }

    /// The cells that are no numbers, with their rows, for an error.
    pub fn quoted(&self) -> String {
        let place = |odd: &Odd| {
            let line = odd.line.map_or(String::new(), |line| format!(" (line {line})"));
            format!("\"{}\" in row {}{line}", odd.text, odd.row + 1)
        };
        let more = match self.words - self.odd.len() {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        format!("{}{more}", self.odd.iter().map(place).collect::<Vec<_>>().join(", "))
    }

    /// Its contents in a few words.
    pub fn why(&self) -> String {
        match (self.numbers, self.words) {
            (0, 0) => "every cell is missing".into(),
            (_, 0) if self.different.len() == 1 => "one number in every row".into(),
            (_, 0) => "numbers".into(),
            (0, _) => "words".into(),
            (numbers, words) => format!("{} and {}", plural(numbers, "number"), plural(words, "word")),
        }
    }

    /// A note on a column of categories, or of one that counts its rows.
    pub fn remark(&self, name: &str) -> Option<String> {
        let ignore = format!("leave it out by ignore = [\"{name}\"] in data.source");
        let cells = self.cells();
        if cells >= FEW && self.missing == 0 && self.words == 0 && self.counts_rows.is_some() {
            return Some(format!("it counts the rows, as an index does; {ignore}"));
        }
        if self.words == 0 {
            return None;
        }
        let (different, more) = self.different_words();
        let (dates, _) = self.like(Likeness::Date);
        if dates == different {
            let day = self.example(Likeness::Date);
            return Some(format!(
                "it holds dates or times, as \"{day}\", and each different one is a category; make numbers of them (a \
                 year, a month, days since the first), or {ignore}"
            ));
        }
        if cells >= FEW && !more && (different + self.numbers.min(self.different.len())) * 10 >= cells * 9 {
            return Some(format!(
                "{different} of {cells} cells are different, as names or ids are, and each is a category; {ignore}"
            ));
        }
        (self.numbers > 0).then(|| {
            format!(
                "it holds words too, so its {} {}: {}",
                plural(self.numbers, "number"),
                if self.numbers == 1 { "is a category" } else { "are categories" },
                self.quoted()
            )
        })
    }
}
