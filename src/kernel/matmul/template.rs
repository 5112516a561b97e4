//! A fingerprint of the text of `matmul_block`, by which a measurement knows whether it is of this text.

use xxhash_rust::xxh3::Xxh3;

use super::block::{Block, Layout};
use super::tile::TILES;
use crate::gpu::wgsl;

/// XXH3 of the shader and of what is printed into it for every tile and layout, in hexadecimal.
pub fn template() -> String {
    let mut hash = Xxh3::new();
    let mut add = |text: &str| {
        hash.update(text.as_bytes());
        // A text does not go on in the next one.
        hash.update(&[0]);
    };
    for source in ["matmul_block", "shared/row_sum"] {
        add(wgsl::source(source).unwrap_or_default());
    }
    for tile in &TILES {
        add(&tile.name());
        for at in 0..16 {
            let layout = |at: usize| Layout { along_k: at & 1 > 0, fours: at & 2 > 0, mapped: false };
            let (a, b) = (layout(at), layout(at >> 2));
            let block = Block { tile, a, b, row_sum: true, epilogue_flops: 0 };
            block.slots().iter().for_each(|(_, text)| add(text));
        }
    }
    format!("{:016x}", hash.digest())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shader_is_part_of_it() {
        assert!(wgsl::source("matmul_block").is_some() && wgsl::source("shared/row_sum").is_some());
        assert_eq!(template().len(), 16);
        assert_eq!(template(), template());
    }
}
