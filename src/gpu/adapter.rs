//! Lists the adapters and chooses one.

use std::fmt;
use std::sync::OnceLock;

use super::reads::MAX_UNIFORM_BYTES;
use crate::error::{Error, Result};
use crate::ranks::{Matter, Ranks};
use crate::units;

static INSTANCE: OnceLock<wgpu::Instance> = OnceLock::new();

/// True once the instance is there, and with it the drivers.
pub(super) fn is_instance_made() -> bool {
    INSTANCE.get().is_some()
}

/// One wgpu instance for the whole process: making and dropping Vulkan instances on several threads
/// can crash the loader.
pub(super) fn instance() -> &'static wgpu::Instance {
    INSTANCE.get_or_init(|| {
        let mut desc = wgpu::InstanceDescriptor::new_without_display_handle();
        desc.backends = wgpu::Backends::VULKAN | wgpu::Backends::METAL | wgpu::Backends::DX12;
        desc.backends |= wgpu::Backends::BROWSER_WEBGPU;
        desc.flags = wgpu::InstanceFlags::empty();
        wgpu::Instance::new(desc)
    })
}

/// The kind of an adapter, which decides the kernel family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AdapterKind {
    /// A graphics card with memory of its own.
    Discrete,
    /// A GPU that shares the processor's memory.
    Integrated,
    /// A GPU seen through a virtual machine.
    Virtual,
    /// The driver does not say.
    Other,
    /// A software adapter such as lavapipe or SwiftShader.
    Software,
}

impl AdapterKind {
    fn from_device_type(device_type: wgpu::DeviceType) -> Self {
        match device_type {
            wgpu::DeviceType::DiscreteGpu => AdapterKind::Discrete,
            wgpu::DeviceType::IntegratedGpu => AdapterKind::Integrated,
            wgpu::DeviceType::VirtualGpu => AdapterKind::Virtual,
            wgpu::DeviceType::Cpu => AdapterKind::Software,
            wgpu::DeviceType::Other => AdapterKind::Other,
        }
    }

    /// A word for tables.
    pub fn name(self) -> &'static str {
        match self {
            AdapterKind::Discrete => "discrete GPU",
            AdapterKind::Integrated => "integrated GPU",
            AdapterKind::Virtual => "virtual GPU",
            AdapterKind::Other => "other",
            AdapterKind::Software => "software",
        }
    }
}

/// The family of kernels for matmuls, attention and updates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Workgroup memory and barriers, for GPUs.
    Tiled,
    /// No barriers; values pass between the eight lanes of a subgroup. For software adapters, where barriers are
    /// ruinous.
    Subgroup,
}

/// The way in which kernels read the buffers that they do not write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Reads {
    /// As storage buffers.
    #[default]
    Storage,
    /// As in [`Reads::IMAGES`] where a kernel loads each number many times, as products do, and else as storage buffers.
    Products,
    /// As uniform buffers where they have at most `above` bytes, and else as images, into which they are copied before,
    /// where the copy pays. For drivers that read storage buffers lane by lane. Results have the same bits.
    Images {
        /// At most 64 KiB. 0 takes an image for every operand, whether it pays or not: for tests.
        above: u64,
    },
}

impl Reads {
    /// As uniform buffers up to the largest there is, and else as images.
    pub const IMAGES: Reads = Reads::Images { above: MAX_UNIFORM_BYTES };
}

impl fmt::Display for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reads::Storage => f.write_str("storage buffers"),
            Reads::Products => f.write_str("storage buffers, of products uniform buffers and images"),
            Reads::Images { above } => {
                write!(f, "uniform buffers up to {}, larger ones as images", units::bytes(*above))
            }
        }
    }
}

/// Description of an adapter before it is opened.
#[derive(Debug, Clone)]
pub struct AdapterDescription {
    /// Its index in the list, as in `--adapter INDEX`.
    pub index: usize,
    /// The device's name.
    pub name: String,
    /// Discrete, integrated, software, …
    pub kind: AdapterKind,
    /// `Vulkan`, `Metal` or `Dx12`.
    pub backend: String,
    /// Driver name and version.
    pub driver: String,
    /// Smallest subgroup in invocations, 0 where subgroups are missing.
    pub subgroup_min: u32,
    /// Largest subgroup in invocations, 0 where subgroups are missing.
    pub subgroup_max: u32,
    /// The features that matter here and whether the adapter has them.
    pub features: Vec<(&'static str, bool)>,
    /// The limits that matter here.
    pub limits: Vec<(&'static str, u64)>,
    /// Bytes of the largest heap of the device's own, if the driver reports it.
    pub memory: Option<u64>,
}

impl AdapterDescription {
    /// One that only tests list.
    #[cfg(test)]
    pub(crate) fn fake(index: usize, name: &str, kind: AdapterKind) -> AdapterDescription {
        AdapterDescription {
            index,
            name: name.into(),
            kind,
            backend: "Vulkan".into(),
            driver: String::new(),
            subgroup_min: 8,
            subgroup_max: 8,
            features: vec![],
            limits: vec![],
            memory: None,
        }
    }

    /// The default limit of all buffers together: 80% of the device's memory. Other programs and the driver use the rest.
    pub fn budget(&self) -> Option<u64> {
        self.memory.map(|bytes| bytes / 5 * 4)
    }

    /// `Subgroup` on software adapters with subgroups of eight, else `Tiled`.
    pub fn family(&self) -> Family {
        let eight = (self.subgroup_min, self.subgroup_max) == (8, 8);
        if self.kind == AdapterKind::Software && eight { Family::Subgroup } else { Family::Tiled }
    }

    /// On Mesa's software adapter, where the processor has no AVX-512, [`Reads::IMAGES`] before version 25 and
    /// [`Reads::Products`] from then on; else `Storage`.
    pub fn reads(&self) -> Reads {
        match self.mesa_version().filter(|_| self.kind == AdapterKind::Software && !has_avx512()) {
            Some(..25) => Reads::IMAGES,
            Some(_) => Reads::Products,
            None => Reads::Storage,
        }
    }

    /// The major version of Mesa's llvmpipe: 22 of `Mesa 22.3.6 (LLVM 15.0.6)`. Before version 25 a load from a storage buffer
    /// is a loop over the lanes of a vector, which takes seven to ten times as long.
    pub(crate) fn mesa_version(&self) -> Option<u32> {
        let (_, version) = self.driver.split_once("Mesa ").filter(|_| self.name.starts_with("llvmpipe"))?;
        version.split('.').next()?.parse().ok()
    }
}

/// True where a masked broadcast makes one instruction of a load's turn.
fn has_avx512() -> bool {
    #[cfg(target_arch = "x86_64")]
    return std::arch::is_x86_feature_detected!("avx512f");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

fn describe(index: usize, adapter: &wgpu::Adapter) -> AdapterDescription {
    let info = adapter.get_info();
    let features = adapter.features();
    let limits = adapter.limits();
    let subgroups = features.contains(wgpu::Features::SUBGROUP);
    AdapterDescription {
        index,
        name: info.name.clone(),
        kind: AdapterKind::from_device_type(info.device_type),
        backend: format!("{:?}", info.backend),
        driver: format!("{} {}", info.driver, info.driver_info).trim().to_owned(),
        subgroup_min: if subgroups { info.subgroup_min_size } else { 0 },
        subgroup_max: if subgroups { info.subgroup_max_size } else { 0 },
        features: vec![
            ("subgroups", subgroups),
            ("shader-f16", features.contains(wgpu::Features::SHADER_F16)),
            ("timestamp-query", features.contains(wgpu::Features::TIMESTAMP_QUERY)),
            ("pipeline-cache", features.contains(wgpu::Features::PIPELINE_CACHE)),
        ],
        limits: vec![
            ("max_buffer_size", limits.max_buffer_size),
            ("max_storage_buffer_binding_size", limits.max_storage_buffer_binding_size),
            ("max_storage_buffers_per_shader_stage", limits.max_storage_buffers_per_shader_stage.into()),
            ("max_compute_workgroup_storage_size", limits.max_compute_workgroup_storage_size.into()),
            ("max_compute_invocations_per_workgroup", limits.max_compute_invocations_per_workgroup.into()),
            ("max_compute_workgroups_per_dimension", limits.max_compute_workgroups_per_dimension.into()),
        ],
        memory: heap(adapter),
    }
}

/// Metal and browsers do not report it.
#[cfg(any(target_vendor = "apple", target_arch = "wasm32"))]
fn heap(_: &wgpu::Adapter) -> Option<u64> {
    None
}

/// The largest heap that is local to the device. Only Vulkan reports it.
#[cfg(not(any(target_vendor = "apple", target_arch = "wasm32")))]
fn heap(adapter: &wgpu::Adapter) -> Option<u64> {
    // SAFETY: the raw adapter is only read, and not kept.
    let raw = unsafe { adapter.as_hal::<wgpu::hal::api::Vulkan>() }?;
    let instance = raw.shared_instance().raw_instance();
    // SAFETY: the physical device is one of this instance's, and both outlive the call.
    let memory = unsafe { instance.get_physical_device_memory_properties(raw.raw_physical_device()) };
    let heaps = memory.memory_heaps.iter().take(memory.memory_heap_count as usize);
    let own = heaps.filter(|heap| heap.flags.as_raw() & DEVICE_LOCAL != 0);
    own.map(|heap| heap.size).max()
}

/// `VK_MEMORY_HEAP_DEVICE_LOCAL_BIT`
#[cfg(not(any(target_vendor = "apple", target_arch = "wasm32")))]
const DEVICE_LOCAL: u32 = 1;

async fn enumerate() -> Vec<(wgpu::Adapter, AdapterDescription)> {
    let adapters = instance().enumerate_adapters(wgpu::Backends::all()).await;
    adapters
        .into_iter()
        .filter(|a| a.get_downlevel_capabilities().flags.contains(wgpu::DownlevelFlags::COMPUTE_SHADERS))
        .enumerate()
        .map(|(i, a)| {
            let d = describe(i, &a);
            (a, d)
        })
        .collect()
}

/// Every adapter that runs compute shaders, in the order of `--adapter INDEX`.
pub async fn adapters() -> Vec<AdapterDescription> {
    enumerate().await.into_iter().map(|(_, d)| d).collect()
}

const REMEDY: &str = "On Debian or Ubuntu: apt-get install mesa-vulkan-drivers libvulkan1 (a software \
    adapter, and the drivers of AMD and Intel); for NVIDIA, install the vendor's driver. \
    `downhill adapters` lists what answers";

/// The index in `list` that `wanted` chooses, and the reason.
///
/// `auto` takes the first of the best kind (discrete, integrated, virtual, other, software); `software` the
/// first software adapter; a number that index; other text the first whose name contains it, without case.
pub fn choose(wanted: &str, list: &[AdapterDescription]) -> Result<(usize, String)> {
    if list.is_empty() {
        return Err(Error::NoAdapter(format!("no GPU adapter answers. {REMEDY}")));
    }
    let listed = || {
        let lines: Vec<String> =
            list.iter().map(|a| format!("  {} {} ({})", a.index, a.name, a.kind.name())).collect();
        lines.join("\n")
    };
    if wanted.eq_ignore_ascii_case("auto") {
        let best = list.iter().min_by_key(|a| (a.kind, a.index)).map_or(0, |a| a.index);
        return Ok((best, format!("auto: the first of the best kind, {}", list[best].kind.name())));
    }
    if wanted.eq_ignore_ascii_case("software") {
        return match list.iter().find(|a| a.kind == AdapterKind::Software) {
            Some(a) => Ok((a.index, "the first software adapter".into())),
            None => Err(Error::NoAdapter(format!(
                "no software adapter answers; there are:\n{}\n{REMEDY}",
                listed()
            ))),
        };
    }
    if let Ok(index) = wanted.parse::<usize>() {
        return match list.get(index) {
            Some(_) => Ok((index, format!("adapter {index}, as asked"))),
            None => Err(Error::NoAdapter(format!("there is no adapter {index}; there are:\n{}", listed()))),
        };
    }
    let lower = wanted.to_lowercase();
    match list.iter().find(|a| a.name.to_lowercase().contains(&lower)) {
        Some(a) => Ok((a.index, format!("its name contains \"{wanted}\""))),
        None => Err(Error::NoAdapter(format!(
            "no adapter's name contains \"{wanted}\"; there are:\n{}",
            listed()
        ))),
    }
}

/// The index in `list` of the adapter of this rank: where `wanted` chooses a GPU and a machine has several ranks, each takes
/// its own of those of the same name.
fn choose_for_rank(
    wanted: &str,
    list: &[AdapterDescription],
    (local, ranks): (usize, usize),
) -> Result<(usize, String)> {
    let (chosen, why) = choose(wanted, list)?;
    let first = &list[chosen];
    if ranks == 1 || first.kind == AdapterKind::Software {
        return Ok((chosen, why));
    }
    let same = list.iter().filter(|other| (&other.name, &other.backend) == (&first.name, &first.backend));
    let same: Vec<usize> = same.map(|other| other.index).skip_while(|index| *index != chosen).collect();
    match same.get(local) {
        Some(&own) => Ok((
            own,
            format!("{why}; GPU {local} of {} for rank {local} of {ranks} of this machine", same.len()),
        )),
        None => Err(Error::NoAdapter(format!(
            "{ranks} ranks were started on a machine with {}: each takes a GPU of its own; start as many ranks on a machine \
             as it has GPUs (mpirun --map-by ppr:{}:node)",
            match same.len() {
                1 => format!("one {}", first.name),
                many => format!("{many} times {}", first.name),
            },
            same.len()
        ))),
    }
}

/// Refuses ranks on adapters of different kinds, whose bits differ.
fn check_same(ranks: &Ranks, own: &AdapterDescription) -> Result<()> {
    if ranks.is_alone() {
        return Ok(());
    }
    let text = format!("{} ({} {})", own.name, own.backend, own.driver);
    let gathered = ranks.exchange(Matter::Adapter, text.as_bytes(), false)?;
    let all: Vec<_> = gathered.parts().map(String::from_utf8_lossy).collect();
    let Some(other) = all.iter().position(|other| *other != all[0]) else { return Ok(()) };
    Err(Error::NoAdapter(format!(
        "rank 0 has {}, and rank {other} {}: adapters of different kinds round differently; give all ranks the same by \
         --adapter, or start them on machines that are alike",
        all[0], all[other]
    )))
}

pub(super) async fn open(wanted: &str, ranks: &Ranks) -> Result<(wgpu::Adapter, AdapterDescription, String)> {
    let list = enumerate().await;
    let descriptions: Vec<_> = list.iter().map(|(_, d)| d.clone()).collect();
    let (index, why) = choose_for_rank(wanted, &descriptions, ranks.local())?;
    check_same(ranks, &descriptions[index])?;
    let (adapter, description) = list.into_iter().nth(index).expect("choose returns an index of the list");
    Ok((adapter, description, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_follow_from_driver_version_and_processor() {
        let of = |name: &str, kind, driver: &str| {
            let adapter =
                AdapterDescription { driver: driver.into(), ..AdapterDescription::fake(0, name, kind) };
            (adapter.mesa_version(), adapter.reads())
        };
        let narrow = |reads| if has_avx512() { Reads::Storage } else { reads };
        let software = AdapterKind::Software;
        let old = of("llvmpipe (LLVM 15.0.6, 256 bits)", software, "llvmpipe Mesa 22.3.6 (LLVM 15.0.6)");
        assert_eq!(old, (Some(22), narrow(Reads::IMAGES)));
        let new = of("llvmpipe (LLVM 15.0.6, 256 bits)", software, "llvmpipe Mesa 25.0.7-2 (LLVM 15.0.6)");
        assert_eq!(new, (Some(25), narrow(Reads::Products)));
        let other = of("SwiftShader Device (LLVM 10.0.0)", software, "SwiftShader driver 5.0.0");
        assert_eq!(other, (None, Reads::Storage));
        let gpu = of("AMD Radeon RX 6600 (RADV)", AdapterKind::Discrete, "radv Mesa 22.3.6");
        assert_eq!(gpu, (None, Reads::Storage));
    }

    #[test]
    fn chooses_by_kind_index_and_name() {
        let list = [
            AdapterDescription::fake(0, "llvmpipe", AdapterKind::Software),
            AdapterDescription::fake(1, "Intel UHD", AdapterKind::Integrated),
            AdapterDescription::fake(2, "NVIDIA H100", AdapterKind::Discrete),
        ];
        let index = |w: &str| choose(w, &list).map(|(i, _)| i).ok();
        assert_eq!(index("auto"), Some(2));
        assert_eq!(index("software"), Some(0));
        assert_eq!(index("1"), Some(1));
        assert_eq!(index("nvidia"), Some(2));
        assert_eq!(index("7"), None);
        assert_eq!(index("radeon"), None);
    }

    #[test]
    fn each_rank_of_a_machine_takes_its_own_gpu() {
        let list = [
            AdapterDescription::fake(0, "NVIDIA H100", AdapterKind::Discrete),
            AdapterDescription::fake(1, "llvmpipe", AdapterKind::Software),
            AdapterDescription::fake(2, "NVIDIA H100", AdapterKind::Discrete),
        ];
        let of = |wanted, local, ranks| choose_for_rank(wanted, &list, (local, ranks));
        let index = |local, ranks| of("auto", local, ranks).map(|(i, _)| i).ok();
        assert_eq!([index(0, 1), index(0, 2), index(1, 2), index(2, 4)], [Some(0), Some(0), Some(2), None]);
        let text = of("auto", 3, 4).unwrap_err().to_string();
        assert!(text.contains("4 ranks") && text.contains("2 times NVIDIA H100"), "{text}");
        // A software adapter serves all.
        assert_eq!(of("software", 3, 4).unwrap().0, 1);
    }

    #[test]
    fn no_adapter_says_what_to_install() {
        let text = choose("auto", &[]).unwrap_err().to_string();
        assert!(text.contains("mesa-vulkan-drivers"), "{text}");
    }
}
