//! Ranks that are threads of one process: for tests, and for programs that have several devices.

use std::fmt;
use std::sync::{Arc, Barrier, Mutex, PoisonError};

use super::Communicator;
use crate::error::Result;

/// A rank that is a thread. All ranks of a group have to run at once.
pub struct Threads {
    rank: usize,
    table: Arc<Table>,
}

struct Table {
    parts: Vec<Mutex<Vec<u8>>>,
    barrier: Barrier,
}

impl Threads {
    /// A group of so many ranks, one for each thread.
    pub fn group(count: usize) -> Vec<Threads> {
        let parts = (0..count).map(|_| Mutex::default()).collect();
        let table = Arc::new(Table { parts, barrier: Barrier::new(count) });
        (0..count).map(|rank| Threads { rank, table: Arc::clone(&table) }).collect()
    }
}

impl Communicator for Threads {
    fn rank(&self) -> usize {
        self.rank
    }

    fn count(&self) -> usize {
        self.table.parts.len()
    }

    fn local(&self) -> (usize, usize) {
        (self.rank, self.count())
    }

    fn all_gather(&self, own: &[u8], all: &mut [u8]) -> Result<()> {
        let part = |rank: usize| self.table.parts[rank].lock().unwrap_or_else(PoisonError::into_inner);
        own.clone_into(&mut part(self.rank));
        self.table.barrier.wait();
        for (rank, into) in all.chunks_exact_mut(own.len().max(1)).enumerate() {
            into.copy_from_slice(&part(rank));
        }
        // A rank may only write again once all have read.
        self.table.barrier.wait();
        Ok(())
    }
}

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "thread {} of {}", self.rank, self.count())
    }
}
