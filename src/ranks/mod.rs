//! Ranks: processes that train together, each with a device of its own.
//!
//! All ranks do the same steps, and meet in exchanges: each gives some bytes and receives those of all, by rank. An exchange
//! also agrees on what must not differ between ranks. A rank that was asked to stop says so, and all stop after the same step;
//! a rank that failed says why, and all end with its error. What goes between processes is a [`Communicator`]'s matter: MPI's
//! ([`mpi`]), or threads' of one process.

#[cfg(feature = "mpi")]
pub mod mpi;
mod threads;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

pub use threads::Threads;

use crate::clock::Instant;
use crate::error::{Error, Result};

/// The way from each rank to all.
pub trait Communicator: Send + Sync + fmt::Debug {
    /// This rank, counted from 0.
    fn rank(&self) -> usize;

    /// The number of ranks.
    fn count(&self) -> usize;

    /// This rank among those of its machine, and how many those are.
    fn local(&self) -> (usize, usize);

    /// Fills `all` with the bytes of every rank, one after the other. Each rank gives as many.
    ///
    /// # Errors
    /// [`Error::Rank`] where a rank no longer answers.
    fn all_gather(&self, own: &[u8], all: &mut [u8]) -> Result<()>;

    /// Replaces the bytes of every rank by those of rank 0, which are as many.
    ///
    /// # Errors
    /// As [`Communicator::all_gather`].
    fn broadcast(&self, bytes: &mut [u8]) -> Result<()>;
}

/// The ranks that train together, or one process alone. Clones share them.
#[derive(Clone, Default)]
pub struct Ranks(Option<Arc<Group>>);

struct Group {
    communicator: Box<dyn Communicator>,
    /// Nanoseconds spent in exchanges, the wait for slower ranks included.
    time: AtomicU64,
    /// Bytes received in them.
    bytes: AtomicU64,
    /// All ranks know that one failed. None waits for another from then on.
    has_failed: AtomicBool,
}

/// The matter of an exchange. Ranks that meet in different ones have lost each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Matter {
    Config = 1,
    Adapter = 2,
    Start = 3,
    Step = 4,
    Evaluation = 5,
    Epoch = 6,
    Sweep = 7,
    End = 8,
}

impl Matter {
    fn name(number: u32) -> &'static str {
        let names = [
            "",
            "the config",
            "adapters",
            "the start",
            "a step",
            "an evaluation",
            "an epoch",
            "a sweep",
            "the end",
        ];
        names.get(number as usize).copied().unwrap_or("")
    }
}

/// The bytes that all ranks gave.
#[derive(Debug)]
pub(crate) struct Gathered {
    /// The bytes of every rank, one after the other, each in as many places as the longest has.
    all: Vec<u8>,
    lengths: Vec<usize>,
    /// A rank was asked to stop.
    pub stop: bool,
}

impl Gathered {
    /// The bytes of each rank, from rank 0 on.
    pub fn parts(&self) -> impl Iterator<Item = &[u8]> {
        let each = self.lengths.iter().copied().max().unwrap_or(0);
        self.lengths
            .iter()
            .enumerate()
            .map(move |(rank, length)| &self.all[rank * each..rank * each + length])
    }
}

/// The words that go before an exchange: matter, status, bytes that follow.
type Head = [u64; 3];
const GOES_ON: u64 = 0;
const STOPS: u64 = 1;
/// This and above: the rank failed by an error of a kind, which all end with.
const FAILED: u64 = 2;
const FAILED_BY_USAGE: u64 = 3;
const FAILED_AN_ASSERTION: u64 = 4;

/// The status of a rank that failed.
fn failed_by(err: &Error) -> u64 {
    match err {
        err if err.is_usage() => FAILED_BY_USAGE,
        Error::Assertion(_) => FAILED_AN_ASSERTION,
        _ => FAILED,
    }
}

impl Ranks {
    /// The ranks that `communicator` connects.
    pub fn new(communicator: impl Communicator + 'static) -> Ranks {
        match communicator.count() {
            1 => Ranks::default(),
            _ => Ranks(Some(Arc::new(Group {
                communicator: Box::new(communicator),
                time: AtomicU64::new(0),
                bytes: AtomicU64::new(0),
                has_failed: AtomicBool::new(false),
            }))),
        }
    }

    /// This rank, counted from 0. Rank 0 prints, and writes what a run writes.
    pub fn rank(&self) -> usize {
        self.0.as_ref().map_or(0, |group| group.communicator.rank())
    }

    /// The number of ranks: 1 for a process alone.
    pub fn count(&self) -> usize {
        self.0.as_ref().map_or(1, |group| group.communicator.count())
    }

    /// This rank among those of its machine, and how many those are.
    pub fn local(&self) -> (usize, usize) {
        self.0.as_ref().map_or((0, 1), |group| group.communicator.local())
    }

    /// True for one process alone.
    pub fn is_alone(&self) -> bool {
        self.0.is_none()
    }

    /// True for rank 0.
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// The time that this rank has spent in exchanges, the wait for slower ranks included, and the bytes it has received in
    /// them.
    pub fn exchanged(&self) -> (Duration, u64) {
        let of = |group: &Arc<Group>| {
            let time = Duration::from_nanos(group.time.load(Ordering::Relaxed));
            (time, group.bytes.load(Ordering::Relaxed))
        };
        self.0.as_ref().map_or((Duration::ZERO, 0), of)
    }

    /// Gives `own` to all ranks and receives theirs. `stop`: this rank was asked to stop.
    ///
    /// # Errors
    /// [`Error::Rank`] where another rank failed, with its number and its error, or where ranks have lost each other. Faults of
    /// a config and assertions keep their kind.
    pub(crate) fn exchange(&self, matter: Matter, own: &[u8], stop: bool) -> Result<Gathered> {
        let Some(group) = &self.0 else {
            return Ok(Gathered { all: own.to_vec(), lengths: vec![own.len()], stop });
        };
        let heads = group.meet(matter, own, stop)?;
        let stop = heads.iter().any(|head| head[1] == STOPS);
        let (all, lengths) = group.gather(own, &heads)?;
        Ok(Gathered { all, lengths, stop })
    }

    /// Gives the bytes of rank 0 to all ranks. What others give is not looked at.
    ///
    /// # Errors
    /// As [`Ranks::exchange`].
    pub(crate) fn broadcast(&self, matter: Matter, own: &[u8]) -> Result<Vec<u8>> {
        let Some(group) = &self.0 else { return Ok(own.to_vec()) };
        let own = if self.is_first() { own } else { &[] };
        let heads = group.meet(matter, own, false)?;
        let mut bytes = own.to_vec();
        bytes.resize(heads[0][2] as usize, 0);
        if !bytes.is_empty() {
            group.timed(bytes.len(), || group.communicator.broadcast(&mut bytes))?;
        }
        Ok(bytes)
    }

    /// Ends the work of this rank, with its result: every rank calls it once, as the last. Where another rank failed after
    /// the last exchange, its error takes the place of a result.
    ///
    /// # Errors
    /// This rank's error; else that of another rank.
    pub fn conclude<T>(&self, result: Result<T>) -> Result<T> {
        let Some(group) = &self.0 else { return result };
        match result {
            Err(err) if group.has_failed.load(Ordering::Relaxed) => Err(err),
            Err(err) => {
                let text = err.to_string();
                // The error itself is what there is to report, whatever becomes of the others.
                if let Ok(heads) = group.heads([Matter::End as u64, failed_by(&err), text.len() as u64]) {
                    let _ = group.failure(&heads, &text);
                }
                Err(err)
            }
            Ok(value) => self.exchange(Matter::End, &[], false).map(|_| value),
        }
    }
}

impl Group {
    /// Refuses an exchange after a failure that all know of.
    fn check(&self) -> Result<()> {
        match self.has_failed.load(Ordering::Relaxed) {
            true => Err(Error::Rank("another rank failed before".into())),
            false => Ok(()),
        }
    }

    /// The heads of all ranks, which meet in the same matter, and none of which failed.
    fn meet(&self, matter: Matter, own: &[u8], stop: bool) -> Result<Vec<Head>> {
        self.check()?;
        let heads = self.heads([matter as u64, if stop { STOPS } else { GOES_ON }, own.len() as u64])?;
        if heads.iter().any(|head| head[1] >= FAILED) {
            return Err(self.failure(&heads, ""));
        }
        let Some(other) = heads.iter().position(|head| head[0] != matter as u64) else { return Ok(heads) };
        self.has_failed.store(true, Ordering::Relaxed);
        Err(Error::Rank(format!(
            "rank {other} is at {}, and rank {} at {}: they no longer do the same; give every rank the same command, config \
             and data",
            Matter::name(heads[other][0] as u32),
            self.communicator.rank(),
            Matter::name(matter as u32)
        )))
    }

    fn heads(&self, own: Head) -> Result<Vec<Head>> {
        let mut all: Vec<Head> = vec![[0; 3]; self.communicator.count()];
        self.all_gather(bytemuck::cast_slice(&own), bytemuck::cast_slice_mut(&mut all))?;
        Ok(all)
    }

    fn all_gather(&self, own: &[u8], all: &mut [u8]) -> Result<()> {
        self.timed(all.len() - own.len(), || self.communicator.all_gather(own, all))
    }

    /// Counts an exchange that brings so many bytes.
    fn timed(&self, bytes: usize, exchange: impl FnOnce() -> Result<()>) -> Result<()> {
        let start = Instant::now();
        let exchanged = exchange();
        self.time.fetch_add(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        exchanged
    }

    /// The bytes of every rank, whose numbers the heads have; each takes as many places as the longest.
    fn gather(&self, own: &[u8], heads: &[Head]) -> Result<(Vec<u8>, Vec<usize>)> {
        let lengths: Vec<usize> = heads.iter().map(|head| head[2] as usize).collect();
        let most = lengths.iter().copied().max().unwrap_or(0);
        let mut all = vec![0; most * heads.len()];
        if most == own.len() && most > 0 {
            self.all_gather(own, &mut all)?;
        } else if most > 0 {
            let mut padded = own.to_vec();
            padded.resize(most, 0);
            self.all_gather(&padded, &mut all)?;
        }
        Ok((all, lengths))
    }

    /// The error of the first rank that failed, after all have said whether they did. `own`: this rank's error.
    fn failure(&self, heads: &[Head], own: &str) -> Error {
        self.has_failed.store(true, Ordering::Relaxed);
        let heads: Vec<Head> = heads
            .iter()
            .map(|&[matter, status, bytes]| [matter, status, if status >= FAILED { bytes } else { 0 }])
            .collect();
        let (all, lengths) = match self.gather(own.as_bytes(), &heads) {
            Ok(gathered) => gathered,
            Err(err) => return err,
        };
        let failed = heads.iter().position(|head| head[1] >= FAILED).unwrap_or(0);
        let texts = Gathered { all, lengths, stop: false };
        let text = texts.parts().nth(failed).map(String::from_utf8_lossy).unwrap_or_default();
        let text = format!("rank {failed}: {text}");
        match heads[failed][1] {
            FAILED_BY_USAGE => Error::Config(text),
            FAILED_AN_ASSERTION => Error::Assertion(text),
            _ => Error::Rank(text),
        }
    }
}

impl fmt::Debug for Ranks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rank {} of {}", self.rank(), self.count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `work` on each of `count` ranks, and gives the results.
    fn together<T: Send>(count: usize, work: impl Fn(&Ranks) -> T + Sync) -> Vec<T> {
        std::thread::scope(|scope| {
            let ranks = Threads::group(count).into_iter().map(Ranks::new);
            let threads: Vec<_> = ranks.map(|ranks| scope.spawn(|| work(&{ ranks }))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }

    #[test]
    fn each_receives_what_all_give() {
        let given = |rank: usize| vec![rank as u8; 3 * rank];
        let received = together(4, |ranks| {
            let own = given(ranks.rank());
            let gathered = ranks.exchange(Matter::Step, &own, ranks.rank() == 2).unwrap();
            assert!(gathered.stop, "rank 2 was asked to stop");
            assert!(!ranks.exchange(Matter::Step, &[], false).unwrap().stop);
            assert_eq!(ranks.broadcast(Matter::Start, &given(ranks.rank() + 1)).unwrap(), given(1));
            ranks.conclude(Ok(gathered.parts().map(<[u8]>::to_vec).collect::<Vec<_>>())).unwrap()
        });
        assert!(received.iter().all(|parts| *parts == (0..4).map(given).collect::<Vec<_>>()));
    }

    #[test]
    fn all_see_the_error_of_one() {
        let ends = together(3, |ranks| {
            let work = || -> Result<()> {
                ranks.exchange(Matter::Step, b"..", false)?;
                if ranks.rank() == 1 {
                    return Err(Error::Data("the file ends early".into()));
                }
                ranks.exchange(Matter::Step, b"..", false).map(drop)
            };
            ranks.conclude(work()).unwrap_err().to_string()
        });
        let others = "rank 1: the file ends early";
        assert_eq!(ends, [others, "the file ends early", others]);
    }

    #[test]
    fn an_error_after_the_last_exchange_reaches_all() {
        let ends = together(2, |ranks| {
            let result = if ranks.is_first() { Err(Error::Weights("no room".into())) } else { Ok(()) };
            ranks.conclude(result).unwrap_err().to_string()
        });
        assert_eq!(ends, ["no room", "rank 0: no room"]);
    }

    #[test]
    fn ranks_that_do_different_things_are_told() {
        let ends = together(2, |ranks| {
            let matter = if ranks.is_first() { Matter::Step } else { Matter::Epoch };
            let result = ranks.exchange(matter, b"....", false).map(drop);
            ranks.conclude(result).unwrap_err().to_string()
        });
        assert!(ends[0].starts_with("rank 1 is at an epoch, and rank 0 at a step"), "{ends:?}");
        assert!(ends[1].starts_with("rank 0 is at a step, and rank 1 at an epoch"), "{ends:?}");
    }

    #[test]
    fn a_process_alone_waits_for_nobody() {
        let alone = Ranks::default();
        let gathered = alone.exchange(Matter::Step, b"own", true).unwrap();
        assert_eq!(gathered.parts().collect::<Vec<_>>(), [b"own"]);
        assert_eq!((gathered.stop, alone.count(), alone.local()), (true, 1, (0, 1)));
        assert_eq!(alone.broadcast(Matter::Start, b"own").unwrap(), b"own");
    }

    #[test]
    fn a_thread_that_is_gone_is_an_error_for_the_others() {
        let ends = together(2, |ranks| match ranks.is_first() {
            true => String::new(),
            false => ranks.exchange(Matter::Step, b"..", false).unwrap_err().to_string(),
        });
        assert!(ends[1].contains("is gone"), "{ends:?}");
    }
}
