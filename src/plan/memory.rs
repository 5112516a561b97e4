//! Layout of memory: arenas for tensors that last, buffers shared by lifetime for the others.

use std::ops::Range;

use crate::shape::Shape;

/// Tensors in an arena and bindings begin at multiples of this.
pub const ALIGNMENT: u64 = 256;

/// The layout of the parameter arena, and of gradients and optimizer slots alike.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Arena {
    /// First byte of each parameter.
    pub offsets: Vec<u64>,
    /// Bytes of the whole.
    pub bytes: u64,
    /// Bytes of the trained part, which comes first. Gradients and optimizer slots have this length.
    pub trained: u64,
    /// The end of each group of parameters but the last.
    pub group_ends: Vec<u64>,
    /// The ranges of small tensors, if [`Layout::small_below`] separates them from the others.
    pub small_ranges: Vec<Range<u64>>,
}

/// Options of a layout by group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Tensors begin at multiples of this.
    pub alignment: u64,
    /// Groups begin at multiples of this, and so do tensors that are not small.
    pub block: u64,
    /// Tensors of fewer elements are small and come last in their group.
    pub small_below: Option<usize>,
}

impl Arena {
    /// Tensors of these shapes in order, each aligned.
    pub fn new<'a>(shapes: impl IntoIterator<Item = &'a Shape>) -> Self {
        Self::aligned(shapes, ALIGNMENT)
    }

    /// [`Arena::new`] at multiples of `alignment`.
    pub fn aligned<'a>(shapes: impl IntoIterator<Item = &'a Shape>, alignment: u64) -> Self {
        let mut arena = Arena::default();
        for shape in shapes {
            arena.offsets.push(arena.bytes);
            arena.bytes += (shape.elements() as u64 * 4).next_multiple_of(alignment);
        }
        arena.trained = arena.bytes;
        arena
    }

    /// Tensors of these shapes by group, each aligned. Tensors without a group come last.
    pub fn grouped(shapes: &[&Shape], of: &[Option<usize>], layout: Layout) -> Self {
        let Layout { alignment, block, small_below } = layout;
        let mut arena = Arena { offsets: vec![0; shapes.len()], ..Arena::default() };
        let groups = of.iter().flatten().max().map_or(0, |last| last + 1);
        let is_small = |i: usize| small_below.is_some_and(|limit| shapes[i].elements() < limit);
        for group in (0..groups).map(Some).chain([None]) {
            match group {
                Some(0) => {}
                Some(_) => {
                    arena.bytes = arena.bytes.next_multiple_of(block);
                    arena.group_ends.push(arena.bytes);
                }
                None => {
                    arena.trained = arena.bytes;
                    if of.contains(&None) {
                        arena.bytes = arena.bytes.next_multiple_of(block);
                    }
                }
            }
            for small in [false, true] {
                let start = arena.bytes;
                let aligned = if small || small_below.is_none() { alignment } else { block };
                for i in (0..shapes.len()).filter(|&i| of[i] == group && is_small(i) == small) {
                    arena.offsets[i] = arena.bytes;
                    arena.bytes += (shapes[i].elements() as u64 * 4).next_multiple_of(aligned);
                }
                if small && group.is_some() && arena.bytes > start {
                    arena.small_ranges.push(start..arena.bytes);
                }
            }
        }
        arena
    }
}

/// The life of a value in the order of kernels: made by `first`, last read by `last`.
#[derive(Debug, Clone, Copy)]
pub struct Life {
    /// Index of the kernel that makes it.
    pub first: usize,
    /// Index of the last kernel that reads it.
    pub last: usize,
    /// Its bytes.
    pub bytes: u64,
}

/// Assigns a buffer to each life so that lives that overlap share none, and returns the buffers' bytes.
///
/// Greedy in the order of making: the free buffer that wastes least, grown where none is large enough. A kernel
/// never reads and writes one buffer, so a value's buffer is free only after its last reader.
pub fn share(lives: &[Life]) -> (Vec<usize>, Vec<u64>) {
    let mut order: Vec<usize> = (0..lives.len()).collect();
    order.sort_by_key(|&i| (lives[i].first, std::cmp::Reverse(lives[i].bytes)));
    let mut buffers: Vec<(u64, usize)> = Vec::new(); // bytes, busy through kernel
    let mut place = vec![0; lives.len()];
    for i in order {
        let life = lives[i];
        let free = buffers.iter().enumerate().filter(|(_, (_, busy))| *busy < life.first);
        // Prefer the smallest that is large enough; else the largest, which grows least.
        let best = free.min_by_key(|(_, (bytes, _))| {
            if *bytes >= life.bytes { (0, bytes - life.bytes) } else { (1, life.bytes - bytes) }
        });
        let slot = match best {
            Some((slot, _)) => slot,
            None => {
                buffers.push((0, 0));
                buffers.len() - 1
            }
        };
        buffers[slot] = (buffers[slot].0.max(life.bytes), life.last.max(life.first));
        place[i] = slot;
    }
    (place, buffers.into_iter().map(|(bytes, _)| bytes).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_lie_one_after_the_other_and_the_frozen_last() {
        let shapes = [65, 3, 300, 1].map(|n| Shape::from([n]));
        let layout = Layout { alignment: 256, block: 1024, small_below: None };
        let arena = Arena::grouped(&shapes.each_ref(), &[Some(1), None, Some(0), Some(1)], layout);
        assert_eq!(arena.offsets, [2048, 3072, 0, 2560]);
        assert_eq!((arena.trained, arena.bytes, arena.group_ends), (2816, 3328, vec![2048]));
        let one = Arena::grouped(&shapes.each_ref(), &[Some(0); 4], layout);
        assert_eq!(one, Arena::new(&shapes));
    }

    #[test]
    fn small_tensors_come_last_in_their_group_and_the_others_on_blocks_of_their_own() {
        let shapes = [3, 300, 65, 257, 1, 400].map(|n| Shape::from([n]));
        let of = [Some(0), Some(0), Some(0), Some(1), Some(1), None];
        let layout = Layout { alignment: 256, block: 1024, small_below: Some(257) };
        let arena = Arena::grouped(&shapes.each_ref(), &of, layout);
        assert_eq!(arena.offsets, [2048, 0, 2304, 3072, 5120, 6144]);
        assert_eq!((arena.trained, &arena.group_ends[..]), (5376, &[3072][..]));
        assert_eq!(arena.small_ranges, [2048..2816, 5120..5376]);
    }

    #[test]
    fn lives_that_overlap_never_share() {
        let life = |first, last, bytes| Life { first, last, bytes };
        let lives = [life(0, 2, 100), life(1, 3, 50), life(2, 4, 70), life(3, 5, 90), life(4, 4, 10)];
        let (place, bytes) = share(&lives);
        for (i, a) in lives.iter().enumerate() {
            assert!(bytes[place[i]] >= a.bytes);
            for (j, b) in lives.iter().enumerate().skip(i + 1) {
                let apart = a.last < b.first || b.last < a.first;
                assert!(apart || place[i] != place[j], "{i} and {j} share");
            }
        }
        assert_eq!(bytes.len(), 3);
    }
}
