//! Buffers on the device, each a line in the ledger.

use std::sync::Arc;

use super::image::{Image, ImageCopy};
use super::ledger::Entry;
use super::{Gpu, Pipeline, Reads};
use crate::error::{Error, Result};

/// A buffer on the device; clones share it, and the last one to go frees it.
#[derive(Debug, Clone)]
pub struct Buffer {
    pub(super) raw: wgpu::Buffer,
    _held: Arc<Held>,
}

/// What the last clone of a buffer frees.
#[derive(Debug)]
struct Held {
    _entry: Entry,
    /// In a page an object lives until it is collected, and its memory with it, unless it is destroyed.
    #[cfg(target_arch = "wasm32")]
    raw: wgpu::Buffer,
}

#[cfg(target_arch = "wasm32")]
impl Drop for Held {
    fn drop(&mut self) {
        self.raw.destroy();
    }
}

impl Buffer {
    /// Size in bytes.
    pub fn bytes(&self) -> u64 {
        self.raw.size()
    }
}

/// The most bytes written at once.
const BLOCK: usize = 4 << 20;

/// A range of a buffer bound to a slot of a kernel.
#[derive(Debug)]
pub struct Binding<'a> {
    /// Binding number in group 0.
    pub slot: u32,
    /// The buffer.
    pub buffer: &'a Buffer,
    /// First byte, a multiple of 256.
    pub offset: u64,
    /// Bytes from there.
    pub bytes: u64,
    /// The image that the kernel reads in place of the buffer, where it reads one.
    pub image: Option<ImageBinding<'a>>,
}

/// An image in place of a range of a buffer.
#[derive(Debug, Clone, Copy)]
pub struct ImageBinding<'a> {
    /// The image.
    pub image: &'a Image,
    /// False where the image holds the range already.
    pub copied: bool,
    /// How many parts of the range are copied, and the bytes from one to the next; `None` for the whole range.
    pub parts: Option<(u64, u64)>,
}

/// A kernel with its buffers and grid: what a step is made of.
#[derive(Debug, Clone)]
pub struct Dispatch {
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) bind_group: wgpu::BindGroup,
    pub(super) grid: [u32; 3],
    /// Workgroups along z of one replica, where each replica has some.
    pub(super) each: Option<u32>,
    /// Copied before it.
    pub(super) copies: Arc<[ImageCopy]>,
    /// Floating-point operations and bytes written, about.
    pub(super) work: u64,
}

/// Work of a workgroup whose kernel is unknown.
const WORKGROUP_WORK: u64 = 256;

impl Dispatch {
    /// With its work, floating-point operations and bytes written, which bounds the submission it is in.
    #[must_use]
    pub fn with_work(self, work: u64) -> Dispatch {
        Dispatch { work, ..self }
    }

    /// The same for several replicas, each with `z` workgroups along z: [`Recorder::only`](super::Recorder::only) runs fewer of them.
    #[must_use]
    pub fn of_each_replica(self, z: u32) -> Dispatch {
        Dispatch { each: Some(z), ..self }
    }

    /// The grid of the first `replicas`, or of all.
    pub(super) fn grid_of(&self, replicas: Option<u32>) -> [u32; 3] {
        let [x, y, all] = self.grid;
        match (self.each, replicas) {
            (Some(z), Some(replicas)) => [x, y, all.min(z * replicas)],
            _ => self.grid,
        }
    }
}

impl Gpu {
    /// A zeroed storage buffer of at least `bytes` (rounded up to 4), entered in the ledger under `name`.
    pub fn storage(&self, name: &str, bytes: u64) -> Result<Buffer> {
        use wgpu::BufferUsages as U;
        let uniform = if self.reads() == Reads::Storage { U::empty() } else { U::UNIFORM };
        self.create(name, bytes, U::STORAGE | U::COPY_SRC | U::COPY_DST | uniform, false)
    }

    /// A buffer the host can map to read, entered in the ledger under `name`.
    pub fn readback(&self, name: &str, bytes: u64) -> Result<Buffer> {
        self.create(name, bytes, wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST, false)
    }

    pub(super) fn create(
        &self,
        name: &str,
        bytes: u64,
        usage: wgpu::BufferUsages,
        mapped_at_creation: bool,
    ) -> Result<Buffer> {
        let size = bytes.max(4).next_multiple_of(4);
        let limit = if usage.contains(wgpu::BufferUsages::STORAGE) {
            self.largest_buffer()
        } else {
            self.inner.device.limits().max_buffer_size
        };
        if size > limit {
            return Err(Error::Budget(format!(
                "buffer \"{name}\" needs {}, and this adapter's largest is {}; \
                 a smaller batch or model would fit",
                crate::units::bytes(size),
                crate::units::bytes(limit)
            )));
        }
        let entry = self.inner.ledger.enter(name, size)?;
        let scope = self.inner.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let raw = self.inner.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some(name),
            size,
            usage,
            mapped_at_creation,
        });
        let name = name.to_owned();
        self.inner.caught(scope, move |err| {
            let size = crate::units::bytes(size);
            Error::Budget(format!("the driver could not allocate \"{name}\" ({size}): {err}"))
        })?;
        let held = Held {
            _entry: entry,
            #[cfg(target_arch = "wasm32")]
            raw: raw.clone(),
        };
        Ok(Buffer { raw, _held: Arc::new(held) })
    }

    /// Writes `data` before the next submit's commands run.
    pub fn write(&self, buffer: &Buffer, offset: u64, data: &[u8]) {
        if !data.is_empty() {
            self.inner.queue.write_buffer(&buffer.raw, offset, data);
        }
    }

    /// Writes `bytes` bytes from `offset` on, in blocks that `fill` makes. Each block arrives before the next one is made, so
    /// the driver's own copies are never larger than a block.
    ///
    /// # Errors
    /// The errors of `fill`; a lost device.
    pub async fn upload(
        &self,
        buffer: &Buffer,
        bytes: usize,
        mut fill: impl FnMut(usize, &mut [u8]) -> Result<()>,
    ) -> Result<()> {
        let mut block = vec![0; bytes.min(BLOCK).next_multiple_of(4)];
        for from in (0..bytes).step_by(BLOCK) {
            let part = (bytes - from).min(BLOCK);
            fill(from, &mut block[..part])?;
            self.write(buffer, from as u64, &block[..part.next_multiple_of(4)]);
            let submission = self.recorder().submit()?;
            self.arrived(&submission).await?;
        }
        Ok(())
    }

    /// Prepares a dispatch of `grid` workgroups.
    pub fn dispatch(&self, pipeline: &Arc<Pipeline>, bindings: &[Binding<'_>], grid: [u32; 3]) -> Dispatch {
        let entries: Vec<_> = bindings
            .iter()
            .map(|b| wgpu::BindGroupEntry {
                binding: b.slot,
                resource: match &b.image {
                    Some(read) => wgpu::BindingResource::TextureView(&read.image.view),
                    None => wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                        buffer: &b.buffer.raw,
                        offset: b.offset,
                        size: wgpu::BufferSize::new(b.bytes),
                    }),
                },
            })
            .collect();
        let bind_group = self.inner.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.layout,
            entries: &entries,
        });
        let workgroups: u64 = grid.iter().map(|&n| u64::from(n)).product();
        let copies = bindings.iter().filter_map(|b| {
            let read = b.image.filter(|read| read.copied)?;
            Some(ImageCopy::new(read.image, &b.buffer.raw, b.offset, b.bytes, read.parts))
        });
        let copies = copies.collect();
        let (pipeline, work) = (pipeline.clone(), workgroups * WORKGROUP_WORK);
        Dispatch { pipeline, bind_group, grid, each: None, copies, work }
    }
}
