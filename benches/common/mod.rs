//! What the benchmarks share: the nets of `downhill bench train`, and the adapter.

pub use downhill::bench::Workload;
use downhill::{Gpu, GpuOptions};

/// The nets in the order of the table; those whose name holds the argument only, if there is one.
pub fn workloads() -> Vec<Workload> {
    let mut all = downhill::bench::workloads();
    let wanted = std::env::args().skip(1).find(|a| !a.starts_with('-'));
    all.retain(|w| wanted.as_ref().is_none_or(|part| w.name.contains(part.as_str())));
    all
}

/// The adapter of `DOWNHILL_ADAPTER`, or the best there is; shader checks off, as in a release.
pub fn gpu() -> Gpu {
    let adapter = std::env::var("DOWNHILL_ADAPTER").unwrap_or_else(|_| "auto".into());
    Gpu::open(&GpuOptions { adapter, shader_checks: false, ..GpuOptions::default() })
        .expect("an adapter answers")
}
