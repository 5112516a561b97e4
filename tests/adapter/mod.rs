//! The adapter under test: the software one, or the one that `DOWNHILL_ADAPTER` names; and its kernel families.

#![allow(dead_code, reason = "each test binary needs a part of it")]

use std::sync::OnceLock;

use downhill::gpu::{Family, Reads};
use downhill::kernel::Target;
use downhill::{Gpu, GpuOptions};

/// As `--adapter` takes it.
pub fn wanted() -> String {
    std::env::var("DOWNHILL_ADAPTER").unwrap_or_else(|_| "software".into())
}

/// The way in which kernels read buffers, where `DOWNHILL_READS` names one: `storage`, or `images` for an image in place of
/// every operand.
fn reads() -> Option<Reads> {
    match std::env::var("DOWNHILL_READS").as_deref() {
        Ok("storage") => Some(Reads::Storage),
        Ok("images") => Some(Reads::Images { above: 0 }),
        Ok(other) => panic!("DOWNHILL_READS = {other}: storage or images"),
        Err(_) => None,
    }
}

/// False where `DOWNHILL_ROBUST=off` asks for a driver that leaves accesses to buffers unchecked.
fn robust() -> bool {
    match std::env::var("DOWNHILL_ROBUST").as_deref() {
        Ok("off") => false,
        Ok("on") | Err(_) => true,
        Ok(other) => panic!("DOWNHILL_ROBUST = {other}: on or off"),
    }
}

/// A device of one family of kernels, as in a release otherwise.
pub fn open(family: Family) -> Gpu {
    open_with(GpuOptions { family: Some(family), ..GpuOptions::default() })
}

/// A device by options, but for the adapter.
pub fn open_with(options: GpuOptions) -> Gpu {
    let (reads, robust_buffers) = (options.reads.or(reads()), options.robust_buffers && robust());
    Gpu::open(&GpuOptions { adapter: wanted(), reads, robust_buffers, ..options })
        .expect("the adapter under test")
}

/// The target of a plan that is made without a device, for a family of the adapter under test. Software adapters run kernels
/// one by one.
pub fn target(family: Family) -> Target {
    let side_by_side = Target::for_gpu(&open(family)).side_by_side;
    Target { side_by_side, ..Target::new(family) }
}

/// Tiled, and where subgroups are of eight lanes as well.
pub fn families() -> &'static [Family] {
    static FAMILIES: OnceLock<&[Family]> = OnceLock::new();
    FAMILIES.get_or_init(|| {
        let gpu = open(Family::Tiled);
        let eight = (gpu.adapter().subgroup_min, gpu.adapter().subgroup_max) == (8, 8);
        if eight { &[Family::Subgroup, Family::Tiled] } else { &[Family::Tiled] }
    })
}
