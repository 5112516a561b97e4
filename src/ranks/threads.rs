//! Ranks that are threads of one process: for tests, and for programs that have several devices.

use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::Communicator;
use crate::error::{Error, Result};

/// A rank that is a thread. All ranks of a group have to run at once.
pub struct Threads {
    rank: usize,
    table: Arc<Table>,
}

struct Table {
    round: Mutex<Round>,
    is_over: Condvar,
}

/// An exchange.
#[derive(Default)]
struct Round {
    number: u64,
    /// The bytes that each rank has given so far.
    given: Vec<Option<Vec<u8>>>,
    /// The bytes of all in the exchange before.
    last: Arc<Vec<Vec<u8>>>,
    /// A rank has ended.
    is_one_gone: bool,
}

impl Threads {
    /// A group of so many ranks, one for each thread.
    pub fn group(count: usize) -> Vec<Threads> {
        let round = Mutex::new(Round { given: vec![None; count], ..Round::default() });
        let table = Arc::new(Table { round, is_over: Condvar::new() });
        (0..count).map(|rank| Threads { rank, table: Arc::clone(&table) }).collect()
    }

    fn round(&self) -> MutexGuard<'_, Round> {
        self.table.round.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives bytes, and waits for those of all.
    fn give(&self, own: &[u8]) -> Result<Arc<Vec<Vec<u8>>>> {
        let mut round = self.round();
        let number = round.number;
        round.given[self.rank] = Some(own.to_vec());
        if round.given.iter().all(Option::is_some) {
            round.last = Arc::new(round.given.iter_mut().filter_map(Option::take).collect());
            round.number += 1;
            self.table.is_over.notify_all();
        }
        while round.number == number && !round.is_one_gone {
            round = self.table.is_over.wait(round).unwrap_or_else(PoisonError::into_inner);
        }
        // The next exchange is not over before this rank has given its bytes.
        match round.number == number {
            true => Err(Error::Rank("another rank is gone".into())),
            false => Ok(Arc::clone(&round.last)),
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.round().is_one_gone = true;
        self.table.is_over.notify_all();
    }
}

fn fill(into: &mut [u8], from: &[u8]) -> Result<()> {
    if into.len() != from.len() {
        return Err(Error::Rank(format!("a rank gave {} bytes in place of {}", from.len(), into.len())));
    }
    into.copy_from_slice(from);
    Ok(())
}

impl Communicator for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn count(&self) -> usize {
        self.round().given.len()
    }

    fn local(&self) -> (usize, usize) {
        (self.rank, self.count())
    }

    fn all_gather(&self, own: &[u8], all: &mut [u8]) -> Result<()> {
        let given = self.give(own)?;
        given.iter().zip(all.chunks_exact_mut(own.len().max(1))).try_for_each(|(from, into)| fill(into, from))
    }

    fn broadcast(&self, bytes: &mut [u8]) -> Result<()> {
        fill(bytes, &self.give(bytes)?[0])
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "thread {} of {}", self.rank, self.count())
    }
}
