//! The samples of a part in its order, block by block, read by several threads.

use std::thread;

use super::{Field, Part};
use crate::error::Result;

/// Bytes of a block, or one sample where that has more.
const BLOCK: usize = 4 << 20;

/// Samples that are worth a thread.
const FOR_A_THREAD: usize = 8;

/// Reads a field's samples in the order of the part, every `stride`-th.
pub(super) struct Blocks<'a> {
    part: &'a Part,
    field: &'a Field,
    stride: usize,
    next: usize,
    block: Vec<u8>,
}

impl<'a> Blocks<'a> {
    pub fn new(part: &'a Part, field: &'a Field, stride: usize) -> Self {
        Blocks { part, field, stride: stride.max(1), next: 0, block: Vec::new() }
    }

    /// The next samples, one after the other; `None` where there is none left.
    pub fn next(&mut self) -> Result<Option<&[u8]>> {
        let (len, each) = (self.part.len(), self.field.sample_bytes());
        if self.next >= len {
            return Ok(None);
        }
        let samples = (len - self.next).div_ceil(self.stride).min((BLOCK / each).max(1));
        let rows: Vec<u32> =
            (0..samples).map(|i| self.part.source_index((self.next + i * self.stride) as u32)).collect();
        self.next += samples * self.stride;
        self.block.resize(samples * each, 0);
        let threads = match self.field.values().in_memory() {
            true => 1,
            false => {
                thread::available_parallelism().map_or(1, usize::from).min(samples / FOR_A_THREAD).max(1)
            }
        };
        let share = samples.div_ceil(threads);
        let field = self.field;
        if threads == 1 {
            field.gather(&rows, &mut self.block).map_err(|(_, err)| err)?;
            return Ok(Some(&self.block));
        }
        thread::scope(|scope| {
            let shares = rows.chunks(share).zip(self.block.chunks_mut(share * each));
            let threads: Vec<_> = shares
                .map(|(rows, into)| scope.spawn(move || field.gather(rows, into).map_err(|(_, err)| err)))
                .collect();
            let joined =
                threads.into_iter().map(|t| t.join().unwrap_or_else(|p| std::panic::resume_unwind(p)));
            joined.collect::<Result<Vec<()>>>()
        })?;
        Ok(Some(&self.block))
    }
}
