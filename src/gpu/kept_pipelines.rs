//! The driver's compiled pipelines, kept in a file, so that a later start does not compile them again.
//!
//! The file is read when a device is opened; `keeper.rs` says when it is written. Mesa's software adapter and SwiftShader have
//! the feature and keep nothing in it, and many drivers have a cache of their own besides: then there is little to gain.

use std::path::Path;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::cache_file::CacheFile;
use super::keeper::Keeper;

/// The cache that pipelines are made with, and its file.
#[derive(Debug)]
pub(super) struct KeptPipelines {
    pub raw: wgpu::PipelineCache,
    pub keeper: Arc<Keeper>,
}

/// The file in `folder` for an adapter, with a key of what the driver's bytes depend on. A new driver and a new version of
/// this program replace the file of the old one.
fn file(info: &wgpu::AdapterInfo, is_robust: bool, folder: &Path) -> CacheFile {
    let wgpu::AdapterInfo { backend, vendor, device, name, driver, driver_info, .. } = info;
    let adapter = format!("{backend:?} {vendor:x}:{device:x} {name}, robust buffers: {is_robust}");
    let version = env!("CARGO_PKG_VERSION");
    let key = format!("downhill {version}, {} bits, {adapter}, {driver}, {driver_info}", usize::BITS);
    CacheFile::new(folder.join(format!("kernels-{:016x}.bin", xxh3_64(adapter.as_bytes()))), key)
}

impl KeptPipelines {
    /// Those of the file in `folder` that fits adapter and driver; none where the backend has no such cache.
    pub fn open(
        device: &wgpu::Device,
        info: &wgpu::AdapterInfo,
        is_robust: bool,
        folder: &Path,
    ) -> Option<KeptPipelines> {
        if !device.features().contains(wgpu::Features::PIPELINE_CACHE) {
            return None;
        }
        let mut file = file(info, is_robust, folder);
        let data = file.read();
        let scopes = [wgpu::ErrorFilter::Validation, wgpu::ErrorFilter::OutOfMemory]
            .map(|filter| device.push_error_scope(filter));
        let desc =
            wgpu::PipelineCacheDescriptor { label: Some("downhill"), data: data.as_deref(), fallback: true };
        // SAFETY: the bytes are those that `get_data` gave for this adapter, driver and version of the program: a digest of
        // both was checked.
        let raw = unsafe { device.create_pipeline_cache(&desc) };
        // The last one that was pushed goes first.
        let faults = scopes.into_iter().rev().filter_map(|scope| pollster::block_on(scope.pop()));
        if faults.count() > 0 {
            return None;
        }
        let cache = raw.clone();
        let read_bytes = data.map_or(0, |data| data.len());
        let keeper = Arc::new(Keeper::new(file, read_bytes, Box::new(move || cache.get_data())));
        Some(KeptPipelines { raw, keeper })
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Access, Binding, Gpu, GpuOptions, ShaderKey, adapter};
    use super::*;

    const TEXT: &str = "@group(0) @binding(0) var<storage, read_write> x: array<u32>;
        @compute @workgroup_size(64) fn triple(@builtin(global_invocation_id) id: vec3<u32>) {
            if (id.x < 64u) { x[id.x] = x[id.x] + 3u * id.x; }
        }";

    fn open(folder: Option<&Path>) -> Gpu {
        let pipeline_cache = folder.map(Path::to_path_buf);
        Gpu::open(&GpuOptions { pipeline_cache, ..GpuOptions::default() }).unwrap()
    }

    /// A kernel's numbers.
    fn run(gpu: &Gpu) -> Vec<u8> {
        let key = ShaderKey {
            entry: "triple".into(),
            wgsl: TEXT.into(),
            constants: vec![],
            bindings: vec![(0, Access::Write)],
        };
        let pipeline = gpu.pipeline(&key).unwrap();
        let buffer = gpu.storage("x", 256).unwrap();
        let binding = Binding { slot: 0, buffer: &buffer, offset: 0, bytes: 256, image: None };
        let dispatch = gpu.dispatch(&pipeline, &[binding], [1, 1, 1]);
        let mut recorder = gpu.recorder();
        recorder.pass(&[dispatch], 1);
        recorder.submit().unwrap();
        pollster::block_on(gpu.read(&buffer, 0, 256)).unwrap()
    }

    /// The file of the adapter, with the bytes that its driver gives; none where the backend has no cache.
    fn given(folder: &Path) -> Option<(CacheFile, Vec<u8>)> {
        let gpu = open(Some(folder));
        run(&gpu);
        assert_eq!(gpu.pipeline_file().is_some(), gpu.adapter().backend == "Vulkan");
        let (opened, ..) =
            pollster::block_on(adapter::open("auto", &crate::ranks::Ranks::default())).unwrap();
        let data = gpu.inner.kept.as_ref()?.raw.get_data().expect("a driver has a header at least");
        assert!(gpu.pipeline_file()?.kept_bytes > 0);
        Some((file(&opened.get_info(), true, folder), data))
    }

    #[test]
    fn nothing_is_kept_unless_a_folder_is_named() {
        let gpu = open(None);
        run(&gpu);
        assert_eq!((gpu.pipeline_file(), gpu.write_pipelines().unwrap()), (None, false));
    }

    #[test]
    fn the_driver_gets_its_own_bytes_back_and_kernels_compute_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let expected = run(&open(None));
        let Some((mut file, data)) = given(dir.path()) else { return };
        let first = open(Some(dir.path()));
        let kept = first.pipeline_file().unwrap();
        assert_eq!(run(&first), expected);
        // A driver that keeps something has it written when the device goes.
        let grows = first.write_pipelines().unwrap();
        assert_eq!(first.pipeline_file().unwrap().kept_bytes > kept.kept_bytes, grows);
        drop(first);
        if file.read().is_none() {
            assert!(file.write(&data).unwrap());
        }
        let second = open(Some(dir.path()));
        assert_eq!(second.pipeline_file().unwrap().read_bytes, file.read().unwrap().len());
        assert_eq!(run(&second), expected);
        assert!(!second.write_pipelines().unwrap(), "the second start had nothing to add");
    }

    #[test]
    fn a_damaged_or_foreign_file_never_reaches_the_driver() {
        let dir = tempfile::tempdir().unwrap();
        let expected = run(&open(None));
        let Some((file, data)) = given(dir.path()) else { return };
        let path = file.path().to_owned();
        let mut foreign = CacheFile::new(path.clone(), "another driver".into());
        let _ = std::fs::remove_file(&path);
        assert!(foreign.write(&data).unwrap());
        let whole = std::fs::read(&path).unwrap();
        let mut damaged = whole.clone();
        *damaged.last_mut().unwrap() ^= 1;
        for bytes in [&whole[..], &damaged, &whole[..40], &whole[..10], &data, b""] {
            std::fs::write(&path, bytes).unwrap();
            let gpu = open(Some(dir.path()));
            assert_eq!(gpu.pipeline_file().unwrap().read_bytes, 0);
            assert_eq!(run(&gpu), expected);
        }
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_no_fault_of_the_device() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "").unwrap();
        let gpu = open(Some(&dir.path().join("file/below")));
        assert_eq!(run(&gpu), run(&open(None)));
        drop(gpu);
    }

    #[test]
    fn another_adapter_and_way_have_another_file_and_another_driver_another_key() {
        let (opened, ..) =
            pollster::block_on(adapter::open("auto", &crate::ranks::Ranks::default())).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let info = opened.get_info();
        let ours = file(&info, true, dir.path());
        assert_ne!(ours.path(), file(&info, false, dir.path()).path());
        let other = wgpu::AdapterInfo { device: info.device ^ 1, ..info.clone() };
        assert_ne!(ours.path(), file(&other, true, dir.path()).path());
        let newer = wgpu::AdapterInfo { driver_info: "Mesa 99".into(), ..info.clone() };
        let mut newer = file(&newer, true, dir.path());
        assert_eq!(ours.path(), newer.path());
        newer.write(b"kernels").unwrap();
        assert_eq!(file(&info, true, dir.path()).read(), None);
    }
}
