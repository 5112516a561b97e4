//! Opens a Vulkan device whose driver does not check each access to a buffer.
//!
//! wgpu-hal switches `robustBufferAccess` on for every device, and `robustBufferAccess2` where the driver has it: an access
//! beyond a binding's end then reads zero or another number of the buffer, and writes nothing. The driver pays for that with
//! a comparison at each access. The extension `VK_EXT_robustness2` also has a flag for images, which goes with it;
//! `robustImageAccess` of Vulkan 1.3 stays.
//!
//! # Why kernels need no check
//!
//! - A program binds ranges that the planner computed from shapes, and wgpu refuses a range beyond its buffer.
//! - Every kernel guards its own edges against shapes that are constants of its text: an invocation beyond the grid's last
//!   element returns, or reads nothing.
//! - An index that comes from data is clamped in the kernel: of a gather (`kernel/expr.rs`) and of a class
//!   (`cross_entropy.wgsl`). An index that comes from the host is a row of the data set or a place in a window, which the
//!   sampler makes from their lengths.
//! - So `pipeline.rs` has naga leave its checks out as well, and the tests compare every kernel with and without them.
//!
//! A fault in a kernel, also in one that a user's program hands in, is then undefined behaviour on the device, where it would
//! be a wrong number. So the driver's checks stay on unless they are refused by name.

#[cfg(not(any(target_vendor = "apple", target_arch = "wasm32")))]
use ash::vk;
#[cfg(not(any(target_vendor = "apple", target_arch = "wasm32")))]
use wgpu::hal::api::Vulkan;

use crate::error::{Error, Result};

/// Opens the device that `desc` describes, without the checks.
///
/// # Errors
/// [`Error::Gpu`] where the backend is not Vulkan, or the driver refuses.
#[cfg(not(any(target_vendor = "apple", target_arch = "wasm32")))]
pub(super) fn open(
    adapter: &wgpu::Adapter,
    desc: &wgpu::DeviceDescriptor<'_>,
) -> Result<(wgpu::Device, wgpu::Queue)> {
    let name = adapter.get_info().name;
    let fault =
        |err: &dyn std::fmt::Display| Error::Gpu(format!("{name} could not be opened without checks: {err}"));
    let open = create(adapter, desc, &fault)?;
    // SAFETY: the device was made from this adapter, with features and limits that are the adapter's own.
    let opened = unsafe { adapter.create_device_from_hal::<Vulkan>(open, desc) };
    opened.map_err(|err| fault(&err))
}

/// Makes the device.
#[cfg(not(any(target_vendor = "apple", target_arch = "wasm32")))]
fn create(
    adapter: &wgpu::Adapter,
    desc: &wgpu::DeviceDescriptor<'_>,
    fault: &dyn Fn(&dyn std::fmt::Display) -> Error,
) -> Result<wgpu::hal::OpenDevice<Vulkan>> {
    let wgpu::AdapterInfo { name, backend, .. } = adapter.get_info();
    // SAFETY: the raw adapter is only read, and not kept.
    let raw = unsafe { adapter.as_hal::<Vulkan>() };
    let Some(raw) = raw else { return Err(vulkan_only(&name, backend)) };
    let instance = raw.shared_instance().raw_instance();
    let make = |info: &vk::DeviceCreateInfo<'_>| {
        // SAFETY: the physical device is one of this instance's; `info` and all it points to outlive the call.
        unsafe { instance.create_device(raw.raw_physical_device(), info, None) }
    };
    let extensions = raw.required_device_extensions(desc.required_features);
    let device = describe(&raw, &extensions, desc.required_features, make).map_err(|err| fault(&err))?;
    // SAFETY: the device was made from this adapter with this queue family and these extensions, which are those that the
    // features require. Of the adapter's features it lacks those alone that check accesses: wgpu-hal reads them nowhere but
    // to choose naga's checks. It owns the device from here on.
    let open = unsafe {
        raw.device_from_raw(
            device,
            None,
            &extensions,
            desc.required_features,
            &desc.required_limits,
            &desc.memory_hints,
            QUEUE_FAMILY,
            0,
        )
    };
    open.map_err(|err| fault(&err))
}

/// The queue family that wgpu-hal takes.
#[cfg(not(any(target_vendor = "apple", target_arch = "wasm32")))]
const QUEUE_FAMILY: u32 = 0;

/// Hands `make` what a device without the checks is made from.
#[cfg(not(any(target_vendor = "apple", target_arch = "wasm32")))]
fn describe<T>(
    raw: &wgpu::hal::vulkan::Adapter,
    extensions: &[&'static std::ffi::CStr],
    features: wgpu::Features,
    make: impl FnOnce(&vk::DeviceCreateInfo<'_>) -> T,
) -> T {
    // Where the extension is not in the list, its flags are not in the features; so they stay off, though the device has it.
    let plain: Vec<_> =
        extensions.iter().copied().filter(|&name| name != ash::ext::robustness2::NAME).collect();
    let mut features = raw.physical_device_features(&plain, features);
    let core = vk::PhysicalDeviceFeatures { robust_buffer_access: vk::FALSE, ..features.get_core() };
    let names: Vec<_> = extensions.iter().map(|name| name.as_ptr()).collect();
    let queues =
        [vk::DeviceQueueCreateInfo::default().queue_family_index(QUEUE_FAMILY).queue_priorities(&[1.0])];
    let info = vk::DeviceCreateInfo::default().queue_create_infos(&queues).enabled_extension_names(&names);
    make(&features.add_to_device_create(info).enabled_features(&core))
}

/// Metal checks no access, a browser always does: there is nothing to switch off.
///
/// # Errors
/// Always.
#[cfg(any(target_vendor = "apple", target_arch = "wasm32"))]
pub(super) fn open(
    adapter: &wgpu::Adapter,
    _: &wgpu::DeviceDescriptor<'_>,
) -> Result<(wgpu::Device, wgpu::Queue)> {
    let wgpu::AdapterInfo { name, backend, .. } = adapter.get_info();
    Err(vulkan_only(&name, backend))
}

fn vulkan_only(name: &str, backend: wgpu::Backend) -> Error {
    Error::Gpu(format!(
        "{name} is opened by {backend:?}, and only a Vulkan driver can be asked to leave buffers unchecked; leave out \
         --unchecked-buffers, or take an adapter of Vulkan: downhill adapters lists them"
    ))
}

#[cfg(all(test, not(target_vendor = "apple")))]
mod tests {
    use super::*;

    /// Whether the features of a device check buffers, by the core flag and by that of the extension.
    fn checks(info: &vk::DeviceCreateInfo<'_>) -> (bool, bool) {
        // SAFETY: every pointer of the description is to a structure that lives as long as it.
        unsafe {
            let core = (*info.p_enabled_features).robust_buffer_access == vk::TRUE;
            let mut next = info.p_next.cast::<vk::BaseInStructure<'_>>();
            let mut second = false;
            while let Some(structure) = next.as_ref() {
                if structure.s_type == vk::StructureType::PHYSICAL_DEVICE_ROBUSTNESS_2_FEATURES_EXT {
                    let flags = &*next.cast::<vk::PhysicalDeviceRobustness2FeaturesEXT<'_>>();
                    second |= flags.robust_buffer_access2 == vk::TRUE;
                }
                next = structure.p_next;
            }
            (core, second)
        }
    }

    #[test]
    fn neither_flag_is_set_and_each_extension_is_there() {
        let (adapter, ..) =
            pollster::block_on(super::super::adapter::open("auto", &crate::ranks::Ranks::default())).unwrap();
        // SAFETY: the raw adapter is only read.
        let Some(raw) = (unsafe { adapter.as_hal::<Vulkan>() }) else { return };
        let features = adapter.features() & wgpu::Features::SHADER_F16;
        let extensions = raw.required_device_extensions(features);
        let (flags, count) = describe(&raw, &extensions, features, |info| {
            (checks(info), info.enabled_extension_count as usize)
        });
        assert_eq!((flags, count), ((false, false), extensions.len()));
        // As wgpu-hal opens it, at least one of them is set: the test can fail.
        let mut usual = raw.physical_device_features(&extensions, features);
        let (core, second) = checks(&usual.add_to_device_create(vk::DeviceCreateInfo::default()));
        assert!(core, "robustBufferAccess is a feature that every driver has");
        assert_eq!(second, extensions.contains(&ash::ext::robustness2::NAME));
    }

    #[test]
    fn another_backend_is_refused_by_name() {
        let text = vulkan_only("Radeon", wgpu::Backend::Dx12).to_string();
        assert!(text.contains("Radeon is opened by Dx12") && text.contains("--unchecked-buffers"), "{text}");
    }
}
