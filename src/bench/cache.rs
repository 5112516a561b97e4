//! The last-level cache, past which buffers are rotated.

use std::path::Path;

use crate::gpu::{AdapterKind, Gpu};

/// Assumed bytes of the last-level cache where the system does not report them.
const ASSUMED: u64 = 64 << 20;
/// Buffers in turn are this many times the last-level cache.
const TIMES: u64 = 4;

/// Total bytes of the buffers in turn. None is still in the cache at its next turn.
pub(super) fn rotation(gpu: &Gpu) -> u64 {
    TIMES * last_level(gpu)
}

/// Bytes of the last-level cache: the processor's for a software adapter where the system reports it, else 64 MiB.
pub(super) fn last_level(gpu: &Gpu) -> u64 {
    let software = gpu.adapter().kind == AdapterKind::Software;
    software.then(|| largest(Path::new("/sys/devices/system/cpu/cpu0/cache"))).flatten().unwrap_or(ASSUMED)
}

/// The largest cache that a folder of Linux's /sys lists.
fn largest(folder: &Path) -> Option<u64> {
    let entries = std::fs::read_dir(folder).ok()?.flatten();
    let size = |text: String| {
        let text = text.trim();
        let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
        let unit = match unit {
            "" => 1,
            "K" => 1 << 10,
            "M" => 1 << 20,
            _ => return None,
        };
        digits.parse::<u64>().ok().map(|n| n * unit)
    };
    entries.filter_map(|e| size(std::fs::read_to_string(e.path().join("size")).ok()?)).max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_cache_is_found() {
        let root = std::env::temp_dir().join(format!("downhill-cache-{}", std::process::id()));
        for (index, size) in
            [("index0", "48K\n"), ("index3", "32M\n"), ("index2", "1024K\n"), ("index4", "odd")]
        {
            std::fs::create_dir_all(root.join(index)).unwrap();
            std::fs::write(root.join(index).join("size"), size).unwrap();
        }
        assert_eq!(largest(&root), Some(32 << 20));
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(largest(&root), None);
    }
}
