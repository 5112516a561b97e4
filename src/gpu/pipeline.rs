//! Compute pipelines, made once for each text and set of constants.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::reads::{Texel, format};
use crate::error::Result;

/// How a kernel uses a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Access {
    /// `var<storage, read>`
    Read,
    /// `var<storage, read_write>`
    Write,
    /// `var<uniform>`
    Uniform,
    /// `texture_storage_2d<.., read>`
    Image(Texel),
}

/// What is compiled: a WGSL text, its entry point, override constants and bindings of group 0.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ShaderKey {
    /// Entry point; also the label of the pipeline.
    pub entry: String,
    /// The composed WGSL.
    pub wgsl: Arc<str>,
    /// Override constants by name.
    pub constants: Vec<(&'static str, u32)>,
    /// Binding number and access of each buffer.
    pub bindings: Vec<(u32, Access)>,
}

fn binding_type(access: Access) -> wgpu::BindingType {
    let buffer = |ty| wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None };
    match access {
        Access::Read => buffer(wgpu::BufferBindingType::Storage { read_only: true }),
        Access::Write => buffer(wgpu::BufferBindingType::Storage { read_only: false }),
        Access::Uniform => buffer(wgpu::BufferBindingType::Uniform),
        Access::Image(texel) => wgpu::BindingType::StorageTexture {
            access: wgpu::StorageTextureAccess::ReadOnly,
            format: format(texel),
            view_dimension: wgpu::TextureViewDimension::D2,
        },
    }
}

/// A compiled kernel and the layout of its only bind group.
#[derive(Debug)]
pub struct Pipeline {
    pub(super) raw: wgpu::ComputePipeline,
    pub(super) layout: wgpu::BindGroupLayout,
}

type Slot = Arc<OnceLock<Result<Arc<Pipeline>>>>;

#[derive(Debug, Default)]
pub(super) struct PipelineCache {
    slots: Mutex<HashMap<ShaderKey, Slot>>,
}

impl PipelineCache {
    /// The pipeline for `key`, made at the first call. Threads that ask for one key make it once.
    pub fn get(&self, key: &ShaderKey, make: impl FnOnce() -> Result<Pipeline>) -> Result<Arc<Pipeline>> {
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            slots.entry(key.clone()).or_default().clone()
        };
        slot.get_or_init(|| make().map(Arc::new)).clone()
    }

    /// True where the pipeline for `key` was made.
    #[cfg(target_arch = "wasm32")]
    pub fn has(&self, key: &ShaderKey) -> bool {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.get(key).is_some_and(|slot| slot.get().is_some())
    }

    /// The number of pipelines made so far.
    pub fn count(&self) -> usize {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

/// A kernel's text and layouts, of which the pipeline is made.
pub(super) struct Parts<'k> {
    key: &'k ShaderKey,
    shader_checks: bool,
    module: wgpu::ShaderModule,
    layout: wgpu::BindGroupLayout,
    pipeline_layout: wgpu::PipelineLayout,
}

impl<'k> Parts<'k> {
    pub fn new(device: &wgpu::Device, key: &'k ShaderKey, shader_checks: bool) -> Parts<'k> {
        let label = Some(key.entry.as_str());
        let desc = wgpu::ShaderModuleDescriptor {
            label,
            source: wgpu::ShaderSource::Wgsl(std::borrow::Cow::Borrowed(&key.wgsl)),
        };
        let checks = if shader_checks {
            wgpu::ShaderRuntimeChecks::checked()
        } else {
            wgpu::ShaderRuntimeChecks::unchecked()
        };
        // SAFETY: every kernel guards its own edges and every loop ends; the test suite runs each of them
        // with the checks on and off and compares both with the oracle.
        let module = unsafe { device.create_shader_module_trusted(desc, checks) };
        let entries: Vec<_> = key
            .bindings
            .iter()
            .map(|&(binding, access)| wgpu::BindGroupLayoutEntry {
                binding,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: binding_type(access),
                count: None,
            })
            .collect();
        let layout =
            device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor { label, entries: &entries });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label,
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        Parts { key, shader_checks, module, layout, pipeline_layout }
    }

    /// The first error of the text, where it is refused.
    #[cfg(target_arch = "wasm32")]
    pub async fn fault(&self) -> Option<String> {
        let found = self.module.get_compilation_info().await.messages;
        let error = found.into_iter().find(|one| one.message_type == wgpu::CompilationMessageType::Error)?;
        let line = error.location.map_or(String::new(), |place| format!("line {}: ", place.line_number));
        Some(line + &error.message)
    }

    pub fn assemble(&self, device: &wgpu::Device, kept: Option<&wgpu::PipelineCache>) -> Pipeline {
        let constants: Vec<_> = self.key.constants.iter().map(|&(n, v)| (n, f64::from(v))).collect();
        let raw = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(self.key.entry.as_str()),
            layout: Some(&self.pipeline_layout),
            module: &self.module,
            entry_point: Some(&self.key.entry),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &constants,
                zero_initialize_workgroup_memory: self.shader_checks,
            },
            cache: kept,
        });
        Pipeline { raw, layout: self.layout.clone() }
    }
}
