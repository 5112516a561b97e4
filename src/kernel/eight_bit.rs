//! Moments in 8 bits, block by block: their memory, and the blocks that stay in f32.
//!
//! A block is a workgroup, or a subgroup where barriers are ruinous; a workgroup finds its largest by subgroups where the
//! adapter has them, which takes one barrier in place of six and gives the same bits, for a maximum is not rounded; one dispatch reads, moves and writes its codes.
//! `optim/adam_8bit.wgsl` defines the codes. Tensors of fewer than [`LEAST`] numbers stay in f32, as in bitsandbytes: they
//! would save little, and biases and the factors of norms are the most sensitive. They come last in their group, so a few
//! printed comparisons separate their blocks.

use std::ops::Range;

use super::update::{BLOCK, BLOCK_BYTES, Body, UpdateContext, pass_with};
use super::{Family, Kernel};
use crate::gpu::wgsl;
use crate::optim::{ABSMAX, UpdateKernel};

/// Numbers of the smallest tensor that is kept in 8 bits.
pub const LEAST: usize = 4096;

/// The update with moments in 8 bits, except for the bytes `wide`. `parameters` of the arena's numbers are in use.
pub fn kernel(
    update: &UpdateKernel,
    around: &UpdateContext<'_>,
    wide: &[Range<u64>],
    parameters: usize,
) -> Kernel {
    let mut text = vec![("wide", wide_text(wide))];
    let largest = |file| ("largest", wgsl::source(file).unwrap_or_default().to_owned());
    let is_subgroup = around.family == Family::Subgroup;
    if is_subgroup {
        text.push(largest("shared/largest_subgroup"));
    } else if around.subgroups {
        let which = "@builtin(subgroup_id) which: u32, @builtin(num_subgroups) of_all: u32,".to_owned();
        text.extend([
            ("subgroup", which),
            ("which_subgroup", "subgroup = vec2<u32>(which, of_all);".to_owned()),
        ]);
        text.push(largest("shared/largest_subgroups"));
    }
    let kernel = pass_with(
        update,
        around,
        update.entry,
        &update.bound(),
        parameters,
        Body::Own(if is_subgroup { 8 } else { BLOCK as u32 }),
        text,
    );
    // Two loops over eight vec4s, each with four numbers.
    Kernel { iterations: 48, ..kernel }
}

/// Bytes of `slot` for an arena of `trained` bytes. Those in `wide` stay in f32.
pub fn slot_bytes(slot: &str, trained: u64, wide: &[Range<u64>]) -> u64 {
    let blocks = trained.div_ceil(BLOCK_BYTES);
    let wide: u64 = spans(wide).map(|span| span.end - span.start).sum();
    let narrow = blocks - wide;
    match slot {
        // A buffer of no bytes cannot be bound.
        ABSMAX => 8 * narrow.max(1),
        _ => 4 * BLOCK as u64 * narrow + BLOCK_BYTES * wide,
    }
}

/// The blocks of each range of bytes, which begins with one.
fn spans(wide: &[Range<u64>]) -> impl Iterator<Item = Range<u64>> {
    wide.iter().map(|bytes| bytes.start / BLOCK_BYTES..bytes.end.div_ceil(BLOCK_BYTES))
}

/// WGSL functions that tell whether a block is in f32 and how many such blocks come before it.
fn wide_text(wide: &[Range<u64>]) -> String {
    let all = |each: fn(Range<u64>) -> String, none: &str, by: &str| match wide {
        [] => none.to_owned(),
        _ => spans(wide).map(each).collect::<Vec<_>>().join(by),
    };
    let within = all(|s| format!("(block >= {}u && block < {}u)", s.start, s.end), "false", " || ");
    let before = all(|s| format!("(clamp(block, {0}u, {1}u) - {0}u)", s.start, s.end), "0u", " + ");
    format!(
        "fn is_wide(block: u32) -> bool {{ return {within}; }}\n\
         fn wide_before(block: u32) -> u32 {{ return {before}; }}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The trained bytes end within a block of f32.
    const WIDE: [Range<u64>; 2] = [2048..3072, 8192..9728];

    #[test]
    fn a_parameter_in_8_bits_takes_a_byte_a_moment() {
        // 10 blocks: 2 wide ones at the end, 1 before.
        assert_eq!(slot_bytes("exp_avg", 9728, &WIDE), 7 * 256 + 3 * 1024);
        assert_eq!(slot_bytes(ABSMAX, 9728, &WIDE), 7 * 8);
        assert_eq!(slot_bytes("exp_avg_sq", 1 << 20, &[]), 1 << 18);
        assert_eq!(slot_bytes(ABSMAX, 1536, &[0..1024, 1024..1536]), 8);
    }

    #[test]
    fn blocks_are_told_apart_by_comparisons() {
        let text = wide_text(&WIDE);
        assert!(
            text.contains("return (block >= 2u && block < 3u) || (block >= 8u && block < 10u);"),
            "{text}"
        );
        assert!(
            text.contains("return (clamp(block, 2u, 3u) - 2u) + (clamp(block, 8u, 10u) - 8u);"),
            "{text}"
        );
        assert!(wide_text(&[]).contains("return false;") && wide_text(&[]).contains("return 0u;"));
    }
}
