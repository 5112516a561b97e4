//! MPI: the ranks that `mpirun` or `srun` starts, on one machine or many.
//!
//! MPI brings bytes from each rank to all, and nothing else: its own sums are not used, since their order follows from the
//! number of ranks and the network.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mpi::Threading;
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator as _, CommunicatorCollectives as _, Root as _};

use super::{Communicator, Ranks};
use crate::error::{Error, Result};

/// MPI counts in 32 bits with a sign.
const MOST_BYTES: usize = 256 << 20;

/// A process that MPI has connected with others. MPI ends when it is dropped, in all ranks together.
#[derive(Debug)]
pub struct Joined {
    ranks: Ranks,
    _universe: Ended,
}

impl Joined {
    /// The ranks.
    pub fn ranks(&self) -> &Ranks {
        &self.ranks
    }
}

/// Ends MPI when it is dropped: with the other ranks, or after a panic without them, since they may wait for this one.
struct Ended(Universe);

impl Drop for Ended {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.world().abort(101);
        }
    }
}

impl fmt::Debug for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MPI")
    }
}

/// Connects this process with the others of its launch. A process does it once, before it has other threads that use MPI.
///
/// # Errors
/// [`Error::Rank`] where MPI was begun before, or serves one thread alone.
pub fn join() -> Result<Joined> {
    let failed = |text: &str| Error::Rank(format!("MPI cannot be begun: {text}"));
    let (universe, threading) =
        mpi::initialize_with_threading(Threading::Serialized).ok_or_else(|| failed("it was begun before"))?;
    if threading < Threading::Serialized {
        return Err(failed("this library of MPI serves one thread of a process alone"));
    }
    let world = universe.world();
    let machine = world.split_shared(world.rank());
    let number = |n: i32| usize::try_from(n).unwrap_or(0);
    let (rank, count) = (number(world.rank()), number(world.size()));
    let local = (number(machine.rank()), number(machine.size()));
    let ranks = Ranks::new(Mpi { rank, count, local, world: Mutex::new(World(world)) });
    Ok(Joined { ranks, _universe: Ended(universe) })
}

/// All ranks of a launch.
struct Mpi {
    rank: usize,
    count: usize,
    local: (usize, usize),
    world: Mutex<World>,
}

struct World(SimpleCommunicator);

// SAFETY: MPI is begun as `Serialized`, so any thread may call it where no two do at once, and the lock around it sees to that.
unsafe impl Send for World {}

impl Mpi {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Communicator for Mpi {
    fn rank(&self) -> usize {
        self.rank
    }

    fn count(&self) -> usize {
        self.count
    }

    fn local(&self) -> (usize, usize) {
        self.local
    }

    /// MPI ends the job where a rank does not answer.
    fn all_gather(&self, own: &[u8], all: &mut [u8]) -> Result<()> {
        let world = self.world();
        if all.len() <= MOST_BYTES {
            world.0.all_gather_into(own, all);
            return Ok(());
        }
        let each = (MOST_BYTES / self.count).max(1);
        let mut some = vec![0; each * self.count];
        for (i, part) in own.chunks(each).enumerate() {
            let some = &mut some[..part.len() * self.count];
            world.0.all_gather_into(part, some);
            for (rank, from) in some.chunks_exact(part.len()).enumerate() {
                let place = rank * own.len() + i * each;
                all[place..place + part.len()].copy_from_slice(from);
            }
        }
        Ok(())
    }

    /// As [`Communicator::all_gather`].
    fn broadcast(&self, bytes: &mut [u8]) -> Result<()> {
        let world = self.world();
        bytes.chunks_mut(MOST_BYTES).for_each(|part| world.0.process_at_rank(0).broadcast_into(part));
        Ok(())
    }
}

impl fmt::Debug for Mpi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MPI's rank {} of {}", self.rank, self.count)
    }
}
