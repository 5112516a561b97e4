//! What the benchmarks share: the nets of `downhill bench train`, and the adapter.

pub use downhill::bench::Workload;
use downhill::gpu::Reads;
use downhill::{Gpu, GpuOptions};

/// The nets in the order of the table; those whose name holds the argument only, if there is one.
pub fn workloads() -> Vec<Workload> {
    let mut all = downhill::bench::workloads();
    all.retain(|w| is_wanted(&w.name));
    all
}

/// True where the argument, a part of a name, is in this one, or where there is no argument.
pub fn is_wanted(name: &str) -> bool {
    let wanted = std::env::args().skip(1).find(|a| !a.starts_with('-'));
    wanted.is_none_or(|part| name.contains(&part))
}

/// The adapter of `DOWNHILL_ADAPTER`, or the best there is; shader checks off, as in a release. `DOWNHILL_READS=storage` or
/// `images` chooses how kernels read buffers, in place of the adapter's own way; `DOWNHILL_ROBUST=off` has a Vulkan driver check
/// none of it.
pub fn gpu() -> Gpu {
    let adapter = std::env::var("DOWNHILL_ADAPTER").unwrap_or_else(|_| "auto".into());
    let reads = match std::env::var("DOWNHILL_READS").as_deref() {
        Ok("storage") => Some(Reads::Storage),
        Ok("images") => Some(Reads::IMAGES),
        Ok(other) => panic!("DOWNHILL_READS = {other}: storage or images"),
        Err(_) => None,
    };
    let robust_buffers = match std::env::var("DOWNHILL_ROBUST").as_deref() {
        Ok("off") => false,
        Ok("on") | Err(_) => true,
        Ok(other) => panic!("DOWNHILL_ROBUST = {other}: on or off"),
    };
    Gpu::open(&GpuOptions { adapter, shader_checks: false, reads, robust_buffers, ..GpuOptions::default() })
        .expect("an adapter answers")
}
