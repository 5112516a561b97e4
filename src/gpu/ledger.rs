//! The memory ledger: every GPU buffer has a named entry, and the sum stays within a budget.
//!
//! Drivers do not report memory dependably, and some swap rather than fail. So the engine keeps its own ledger.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::error::{Error, Result};
use crate::units;

#[derive(Debug, Default)]
struct Book {
    next: u64,
    held: BTreeMap<u64, (String, u64)>,
    total: u64,
    peak: u64,
}

/// A ledger of buffers by name; clones share it.
#[derive(Debug, Clone)]
pub struct Ledger {
    book: Arc<Mutex<Book>>,
    budget: Option<u64>,
}

/// A line in the [`Ledger`]; dropping it takes the line out.
#[derive(Debug)]
pub(super) struct Entry {
    ledger: Ledger,
    id: u64,
}

impl Ledger {
    /// An empty ledger. It refuses entries past `budget` bytes, if there is a budget.
    pub fn new(budget: Option<u64>) -> Self {
        Ledger { book: Arc::default(), budget }
    }

    fn lock(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(super) fn enter(&self, name: &str, bytes: u64) -> Result<Entry> {
        let mut book = self.lock();
        if let Some(budget) = self.budget
            && book.total + bytes > budget
        {
            let mut lines: Vec<_> = book.held.values().collect();
            lines.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
            let lines: Vec<String> =
                lines.iter().map(|(name, b)| format!("\n  {:>10}  {name}", units::bytes(*b))).collect();
            return Err(Error::Budget(format!(
                "buffer \"{name}\" needs {} and {} of the budget of {} are held:{}",
                units::bytes(bytes),
                units::bytes(book.total),
                units::bytes(budget),
                lines.concat()
            )));
        }
        let id = book.next;
        book.next += 1;
        book.total += bytes;
        book.peak = book.peak.max(book.total);
        book.held.insert(id, (name.to_owned(), bytes));
        Ok(Entry { ledger: self.clone(), id })
    }

    /// Bytes held now.
    pub fn total(&self) -> u64 {
        self.lock().total
    }

    /// The most bytes ever held at once.
    pub fn peak(&self) -> u64 {
        self.lock().peak
    }

    /// The ceiling in bytes, if there is one.
    pub fn budget(&self) -> Option<u64> {
        self.budget
    }

    /// Name and bytes of every buffer held now, in the order they were made.
    pub fn entries(&self) -> Vec<(String, u64)> {
        self.lock().held.values().cloned().collect()
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut book = self.ledger.lock();
        if let Some((_, bytes)) = book.held.remove(&self.id) {
            book.total -= bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_budget_and_gives_back() {
        let ledger = Ledger::new(Some(100));
        let a = ledger.enter("a", 60).unwrap();
        let text = ledger.enter("b", 41).unwrap_err().to_string();
        assert!(text.contains("\"b\"") && text.contains('a'), "{text}");
        let b = ledger.enter("b", 40).unwrap();
        assert_eq!((ledger.total(), ledger.peak()), (100, 100));
        drop((a, b));
        assert_eq!((ledger.total(), ledger.peak()), (0, 100));
    }
}
