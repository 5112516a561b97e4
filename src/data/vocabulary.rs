//! The characters of a text and their numbers.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// The characters of a text, sorted; a character's number is its index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<char>", into = "Vec<char>")]
pub struct Vocabulary {
    chars: Vec<char>,
}

impl TryFrom<Vec<char>> for Vocabulary {
    type Error = String;

    fn try_from(chars: Vec<char>) -> Result<Self, String> {
        match chars.windows(2).find(|pair| pair[0] >= pair[1]) {
            None => Ok(Vocabulary { chars }),
            Some(pair) => {
                Err(format!("a vocabulary is sorted, and {:?} comes before {:?}", pair[0], pair[1]))
            }
        }
    }
}

impl From<Vocabulary> for Vec<char> {
    fn from(vocabulary: Vocabulary) -> Self {
        vocabulary.chars
    }
}

impl Vocabulary {
    /// The characters that `text` has.
    pub fn from_text(text: &str) -> Vocabulary {
        Vocabulary::from_chars(text.chars().collect())
    }

    pub(super) fn from_chars(chars: BTreeSet<char>) -> Vocabulary {
        Vocabulary { chars: chars.into_iter().collect() }
    }

    /// The count of characters.
    pub fn len(&self) -> usize {
        self.chars.len()
    }

    /// True where there is none.
    pub fn is_empty(&self) -> bool {
        self.chars.is_empty()
    }

    /// The characters by their numbers.
    pub fn chars(&self) -> &[char] {
        &self.chars
    }

    /// The number of each character.
    ///
    /// # Errors
    /// [`Error::Data`] with the first character that is not in the vocabulary.
    pub fn encode(&self, text: &str) -> Result<Vec<i32>> {
        let number = |(at, c): (usize, char)| match self.chars.binary_search(&c) {
            Ok(number) => Ok(number as i32),
            Err(_) => Err(Error::Data(format!(
                "character {at} (counted from 0), {c:?}, is none of the {} that the vocabulary has",
                self.len()
            ))),
        };
        text.chars().enumerate().map(number).collect()
    }

    /// The text of numbers.
    ///
    /// # Errors
    /// [`Error::Data`] with the first number that no character has.
    pub fn decode(&self, numbers: &[i32]) -> Result<String> {
        let char = |&number: &i32| {
            let at = usize::try_from(number).ok().and_then(|at| self.chars.get(at));
            at.copied().ok_or_else(|| {
                Error::Data(format!(
                    "{number} is no character's number: the vocabulary has 0..{}",
                    self.len()
                ))
            })
        };
        numbers.iter().map(char).collect()
    }
}
