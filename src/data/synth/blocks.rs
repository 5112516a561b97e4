//! Samples made by all cores, block by block, and handed over in order: memory does not grow with their number.

use std::ops::Range;
use std::thread;

use crate::error::Result;

/// Samples of a block, at most.
const BLOCK: u64 = 1024;

/// Fills blocks with the samples `0..count` by `make`, each block on a thread of its own, and gives them to `take` in
/// order. A block is used again, so `make` clears it first.
///
/// # Errors
/// The first error of `take`, which ends the work.
pub(super) fn in_blocks<T: Default + Send>(
    count: u64,
    make: impl Fn(Range<u64>, &mut T) + Sync,
    mut take: impl FnMut(&T, u64) -> Result<()>,
) -> Result<()> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let mut blocks: Vec<T> = (0..cores).map(|_| T::default()).collect();
    let mut start = 0;
    while start < count {
        let ranges: Vec<Range<u64>> = (0..cores as u64)
            .map(|at| start + at * BLOCK)
            .take_while(|&from| from < count)
            .map(|from| from..count.min(from + BLOCK))
            .collect();
        let make = &make;
        thread::scope(|scope| {
            let mut work = blocks.iter_mut().zip(ranges.iter().cloned());
            let own = work.next();
            for (block, range) in work {
                scope.spawn(move || make(range, block));
            }
            if let Some((block, range)) = own {
                make(range, block);
            }
        });
        for (block, range) in blocks.iter().zip(&ranges) {
            take(block, range.end)?;
            start = range.end;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn samples_come_once_and_in_order() {
        for count in [1, BLOCK, BLOCK + 1, 9 * BLOCK + 5] {
            let (mut all, mut ends) = (Vec::<u64>::new(), Vec::new());
            let make = |range: Range<u64>, block: &mut Vec<u64>| {
                block.clear();
                block.extend(range);
            };
            let take = |block: &Vec<u64>, done| {
                all.extend(block);
                ends.push(done);
                Ok(())
            };
            in_blocks(count, make, take).unwrap();
            assert!(all.iter().copied().eq(0..count), "{count}");
            assert_eq!(ends.last(), Some(&count));
        }
        let mut taken = 0;
        let result = in_blocks(
            100 * BLOCK,
            |_, _: &mut ()| (),
            |_, _| {
                taken += 1;
                Err(Error::Data("full".into()))
            },
        );
        assert!(result.is_err() && taken == 1);
    }
}
