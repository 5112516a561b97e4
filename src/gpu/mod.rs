//! The device: adapter choice, memory ledger, pipelines, recording, readback.
//!
//! The only room that names `wgpu`.

mod adapter;
mod awake;
mod buffer;
#[cfg(not(target_arch = "wasm32"))]
mod cache_file;
#[cfg(not(target_arch = "wasm32"))]
mod cache_folder;
mod compile;
mod faults;
mod image;
#[cfg(not(target_arch = "wasm32"))]
mod keeper;
#[cfg(not(target_arch = "wasm32"))]
mod kept_pipelines;
mod ledger;
#[cfg(target_arch = "wasm32")]
mod page;
mod pipeline;
mod point;
#[doc(hidden)]
pub mod reads;
mod recorder;
mod replica_part;
#[cfg(not(target_arch = "wasm32"))]
#[doc(hidden)]
pub mod replicas;
mod staging;
#[cfg(not(target_arch = "wasm32"))]
mod stopwatch;
mod submissions;
pub mod threads;
mod unchecked;
#[cfg(not(target_arch = "wasm32"))]
mod wait;
#[doc(hidden)]
pub mod wgsl;
#[doc(hidden)]
pub mod wgsl_items;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub use adapter::{AdapterDescription, AdapterKind, Family, Reads, adapters, choose};
pub use buffer::{Binding, Buffer, Dispatch, ImageBinding};
#[cfg(not(target_arch = "wasm32"))]
pub use cache_folder::user_cache_folder;
use faults::Faults;
pub use image::Image;
#[cfg(not(target_arch = "wasm32"))]
pub use keeper::PipelineFile;
#[cfg(not(target_arch = "wasm32"))]
use kept_pipelines::KeptPipelines;
pub use ledger::Ledger;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub use page::replicas;
pub use pipeline::{Access, Pipeline, ShaderKey};
pub use recorder::{Pending, Recorder};
pub use staging::Staging;
#[cfg(not(target_arch = "wasm32"))]
pub use stopwatch::{MOST_LAPS, Stopwatch};
pub use submissions::{Submission, SubmissionCounts};
#[cfg(not(target_arch = "wasm32"))]
pub use wait::watched;

use submissions::Submissions;

use crate::error::{Error, Result};
use crate::ranks::Ranks;

/// Options for opening a device.
#[derive(Debug, Clone)]
pub struct GpuOptions {
    /// `auto`, `software`, an index, or part of a name.
    pub adapter: String,
    /// Keep naga's bounds checks and loop limits in the kernels. Default: on in debug builds.
    pub shader_checks: bool,
    /// Budget of the memory ledger in bytes. Default: [`AdapterDescription::budget`].
    pub memory: Option<u64>,
    /// The kernel family. Default: chosen by the adapter's kind. The subgroup family needs subgroups of eight.
    pub family: Option<Family>,
    /// The way in which kernels read buffers. Default: [`AdapterDescription::reads`].
    pub reads: Option<Reads>,
    /// Lets a session have Mesa's software adapter run the kernels of a small net in the thread that submits them. The choice
    /// holds for the whole process, so it is for a program that trains one net. Default: none.
    pub threads_by_work: Option<threads::OneNet>,
    /// The longest time for one submission, a few kernels; after it the device counts as lost. Default: 5 minutes, and on
    /// a software adapter, which other programs may slow down, an hour. Drivers of most GPUs end a kernel that hangs after
    /// some seconds; a software adapter never does.
    pub patience: Option<Duration>,
    /// The processes that this one trains together with; among adapters of one kind each rank of a machine takes its own.
    /// Default: none.
    pub ranks: Ranks,
    /// Work of a submission at most, in floating-point operations and bytes written. Default: what the device does in
    /// about an eighth of a second, measured.
    pub submission_work: Option<u64>,
    /// The folder in which compiled pipelines are kept for later starts, where the driver can give them: of the backends only
    /// Vulkan. [`user_cache_folder`] is the user's own. Default: none, so that a library writes no file unasked.
    pub pipeline_cache: Option<PathBuf>,
    /// Have the driver check each access to a buffer, by Vulkan's robustBufferAccess. False is for Vulkan alone, and may be
    /// faster; results have the same bits. A kernel that leaves its buffers is then undefined behaviour, also with
    /// `shader_checks`, which rely on a driver's robustBufferAccess2 for buffers where it has that. Default: true.
    pub robust_buffers: bool,
}

/// The default of [`GpuOptions::patience`].
const PATIENCE: Duration = Duration::from_secs(300);
/// The default of [`GpuOptions::patience`] on a software adapter.
const SOFTWARE_PATIENCE: Duration = Duration::from_secs(3600);

impl Default for GpuOptions {
    fn default() -> Self {
        GpuOptions {
            adapter: "auto".into(),
            shader_checks: cfg!(debug_assertions),
            memory: None,
            family: None,
            reads: None,
            threads_by_work: None,
            patience: None,
            ranks: Ranks::default(),
            submission_work: None,
            pipeline_cache: None,
            robust_buffers: true,
        }
    }
}

/// An open device. Clones share it.
#[derive(Debug, Clone)]
pub struct Gpu {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    device: wgpu::Device,
    queue: wgpu::Queue,
    adapter: AdapterDescription,
    why: String,
    shader_checks: bool,
    is_robust: bool,
    family: Family,
    reads: Reads,
    awake: awake::Awake,
    ledger: Ledger,
    pipelines: pipeline::PipelineCache,
    #[cfg(not(target_arch = "wasm32"))]
    kept: Option<KeptPipelines>,
    faults: Faults,
    patience: Duration,
    ranks: Ranks,
    submissions: Submissions,
}

impl Gpu {
    /// Opens a device and waits for it. A page cannot wait, and calls [`Gpu::request`].
    ///
    /// # Errors
    /// [`Error::NoAdapter`] with what to install where none fits; [`Error::Gpu`] where the driver refuses.
    #[cfg(not(target_arch = "wasm32"))]
    pub fn open(options: &GpuOptions) -> Result<Gpu> {
        pollster::block_on(Self::request(options))
    }

    /// Opens a device.
    ///
    /// # Errors
    /// As [`Gpu::open`].
    pub async fn request(options: &GpuOptions) -> Result<Gpu> {
        let (adapter, description, why) = adapter::open(&options.adapter, &options.ranks).await?;
        let mut wanted =
            wgpu::Features::SUBGROUP | wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::SHADER_F16;
        wanted |= wgpu::Features::MEMORY_DECORATION_COHERENT;
        wanted.set(wgpu::Features::PIPELINE_CACHE, options.pipeline_cache.is_some());
        let desc = wgpu::DeviceDescriptor {
            label: Some("downhill"),
            required_features: adapter.features() & wanted,
            required_limits: adapter.limits(),
            experimental_features: wgpu::ExperimentalFeatures::disabled(),
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            trace: wgpu::Trace::Off,
        };
        let (device, queue) = if options.robust_buffers {
            let opened = adapter.request_device(&desc).await;
            opened.map_err(|err| Error::Gpu(format!("{} could not be opened: {err}", description.name)))?
        } else {
            unchecked::open(&adapter, &desc)?
        };
        let faults = Faults::default();
        faults.watch(&device);
        let family = options.family.unwrap_or(description.family());
        if family == Family::Subgroup && (description.subgroup_min, description.subgroup_max) != (8, 8) {
            return Err(Error::Gpu(format!(
                "the subgroup kernels need subgroups of 8, and {} has {} to {}",
                description.name, description.subgroup_min, description.subgroup_max
            )));
        }
        let budget = description.budget();
        let is_software = description.kind == AdapterKind::Software;
        let reads = options.reads.unwrap_or(description.reads());
        #[cfg(not(target_arch = "wasm32"))]
        let kept = options.pipeline_cache.as_deref().and_then(|folder| {
            KeptPipelines::open(&device, &adapter.get_info(), options.robust_buffers, folder)
        });
        let inner = Inner {
            device,
            queue,
            awake: awake::Awake::new(is_software && threads::given() != Some(0)),
            adapter: description,
            why,
            shader_checks: options.shader_checks,
            is_robust: options.robust_buffers,
            family,
            reads,
            ledger: Ledger::new(options.memory.or(budget)),
            pipelines: pipeline::PipelineCache::default(),
            #[cfg(not(target_arch = "wasm32"))]
            kept,
            faults,
            patience: options.patience.unwrap_or(if is_software { SOFTWARE_PATIENCE } else { PATIENCE }),
            ranks: options.ranks.clone(),
            submissions: Submissions::new(options.submission_work),
        };
        Ok(Gpu { inner: Arc::new(inner) })
    }

    /// The adapter of this device.
    pub fn adapter(&self) -> &AdapterDescription {
        &self.inner.adapter
    }

    /// The family of kernels for this device.
    pub fn family(&self) -> Family {
        self.inner.family
    }

    /// The way in which kernels read buffers.
    pub fn reads(&self) -> Reads {
        self.inner.reads
    }

    /// True where the driver checks each access to a buffer.
    pub fn has_robust_buffers(&self) -> bool {
        self.inner.is_robust
    }

    /// True where kernels may use f16.
    pub fn has_f16(&self) -> bool {
        self.inner.device.features().contains(wgpu::Features::SHADER_F16)
    }

    /// Storage buffers that a kernel may bind.
    pub fn buffers_of_a_kernel(&self) -> usize {
        self.inner.device.limits().max_storage_buffers_per_shader_stage as usize
    }

    /// Bytes of workgroup memory that a kernel may use.
    pub fn workgroup_bytes(&self) -> usize {
        self.inner.device.limits().max_compute_workgroup_storage_size as usize
    }

    /// True where one invocation of a workgroup sees in a buffer what another has written, after a barrier.
    pub fn has_coherent_buffers(&self) -> bool {
        self.inner.device.features().contains(wgpu::Features::MEMORY_DECORATION_COHERENT)
    }

    /// Refuses f16 where the adapter lacks it.
    ///
    /// # Errors
    /// [`Error::Gpu`] with what to do.
    pub fn check_precision(&self, f16: bool) -> Result<()> {
        if !f16 || self.has_f16() {
            return Ok(());
        }
        Err(Error::Gpu(format!(
            "train.precision = \"f16\" needs shader-f16, which {} does not have; leave the key out, or take another \
             adapter: downhill adapters lists what each has",
            self.inner.adapter.name
        )))
    }

    /// The processes that this one trains together with.
    pub fn ranks(&self) -> &Ranks {
        &self.inner.ranks
    }

    /// The reason for the choice of the adapter.
    pub fn chosen_because(&self) -> &str {
        &self.inner.why
    }

    /// Bytes of the largest storage buffer.
    pub fn largest_buffer(&self) -> u64 {
        let limits = self.inner.device.limits();
        // Kernels count a buffer's bytes in 32 bits.
        limits.max_storage_buffer_binding_size.min(limits.max_buffer_size).min(u64::from(u32::MAX) & !3)
    }

    /// The ledger of this device's buffers.
    pub fn ledger(&self) -> &Ledger {
        &self.inner.ledger
    }

    /// The work submitted so far.
    pub fn submission_counts(&self) -> SubmissionCounts {
        self.inner.submissions.counts()
    }

    /// The number of pipelines made so far.
    pub fn pipeline_count(&self) -> usize {
        self.inner.pipelines.count()
    }

    /// The first fault the driver reported outside a scope, or the loss of the device.
    ///
    /// # Errors
    /// That fault.
    pub fn check(&self) -> Result<()> {
        self.inner.faults.first()
    }

    /// Destroys the device, so that every later call meets a lost device. For tests of runs that lose their device.
    pub fn lose(&self) {
        self.inner.device.destroy();
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Gpu {
    /// The file in which this device's compiled pipelines are kept. `None` where [`GpuOptions::pipeline_cache`] names no folder,
    /// or the backend has no such cache.
    pub fn pipeline_file(&self) -> Option<PipelineFile> {
        self.inner.kept.as_ref().map(|kept| kept.keeper.file())
    }

    /// Writes that file now, and returns true, where pipelines were made that are not in it. Else it is written by itself,
    /// at the latest when the last clone of the device is dropped.
    ///
    /// # Errors
    /// [`Error::Io`] where the folder cannot be made or written to.
    pub fn write_pipelines(&self) -> Result<bool> {
        self.inner.kept.as_ref().map_or(Ok(false), |kept| kept.keeper.write(self.pipeline_count()))
    }
}

#[cfg(not(target_arch = "wasm32"))]
impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(kept) = &self.kept {
            kept.keeper.finish(self.pipelines.count());
        }
    }
}
