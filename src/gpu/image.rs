//! Images: copies of buffers that kernels read, where the adapter reads images faster than storage buffers.

use std::sync::Arc;

use super::Gpu;
use super::ledger::Entry;
use super::reads::{ROW_BYTES, Texel, format};
use crate::error::{Error, Result};

/// An image on the device, a line in the ledger; clones share it.
#[derive(Debug, Clone)]
pub struct Image {
    raw: wgpu::Texture,
    pub(super) view: wgpu::TextureView,
    texel: Texel,
    _entry: Arc<Entry>,
}

/// A range of a buffer that is copied into an image before a kernel reads it.
#[derive(Debug, Clone)]
pub(super) struct ImageCopy {
    buffer: wgpu::Buffer,
    offset: u64,
    bytes: u64,
    /// How many such ranges are copied, and the bytes from one to the next.
    parts: (u64, u64),
    image: Image,
}

impl Gpu {
    /// An image of `bytes`, a multiple of the bytes of a row, entered in the ledger under `name`.
    ///
    /// # Errors
    /// Past the ledger's budget; the driver has no memory.
    pub fn image(&self, name: &str, texel: Texel, bytes: u64) -> Result<Image> {
        let rows = bytes.div_ceil(ROW_BYTES).max(1);
        let most = u64::from(self.inner.device.limits().max_texture_dimension_2d);
        if rows.max(texel.width()) > most {
            return Err(Error::Budget(format!(
                "image \"{name}\" would have {rows} rows of {}, and this adapter's largest has {most} by {most} pixels; \
                 GpuOptions::reads = Storage does without images",
                texel.width()
            )));
        }
        let entry = Arc::new(self.inner.ledger.enter(name, bytes)?);
        let scope = self.inner.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
        let raw = self.inner.device.create_texture(&wgpu::TextureDescriptor {
            label: Some(name),
            size: wgpu::Extent3d {
                width: texel.width() as u32,
                height: rows as u32,
                depth_or_array_layers: 1,
            },
            mip_level_count: 1,
            sample_count: 1,
            dimension: wgpu::TextureDimension::D2,
            format: format(texel),
            usage: wgpu::TextureUsages::STORAGE_BINDING | wgpu::TextureUsages::COPY_DST,
            view_formats: &[],
        });
        let view = raw.create_view(&wgpu::TextureViewDescriptor::default());
        let name = name.to_owned();
        self.inner.caught(scope, move |err| {
            let size = crate::units::bytes(bytes);
            Error::Budget(format!("the driver could not allocate \"{name}\" ({size}): {err}"))
        })?;
        Ok(Image { raw, view, texel, _entry: entry })
    }
}

impl ImageCopy {
    pub(super) fn new(
        image: &Image,
        buffer: &wgpu::Buffer,
        offset: u64,
        bytes: u64,
        parts: Option<(u64, u64)>,
    ) -> ImageCopy {
        let parts = parts.filter(|(count, _)| *count > 1);
        let bytes = parts.map_or(bytes, |(count, stride)| bytes - (count - 1) * stride);
        ImageCopy {
            buffer: buffer.clone(),
            offset,
            bytes,
            parts: parts.unwrap_or((1, 0)),
            image: image.clone(),
        }
    }

    /// Records the copy: whole rows, then the rest. Of several parts the rows of all stand together, the first of each, then
    /// the second of each.
    pub(super) fn record(&self, encoder: &mut wgpu::CommandEncoder) {
        let texel = self.image.texel;
        let (rows, rest) = (self.bytes / ROW_BYTES, self.bytes % ROW_BYTES);
        let (parts, stride) = self.parts;
        let mut copy = |from: u64, row: u64, bytes_per_row: u64, width: u64, height: u64| {
            let from = wgpu::TexelCopyBufferInfo {
                buffer: &self.buffer,
                layout: wgpu::TexelCopyBufferLayout {
                    offset: self.offset + from * ROW_BYTES,
                    bytes_per_row: Some(bytes_per_row as u32),
                    rows_per_image: None,
                },
            };
            let to = wgpu::TexelCopyTextureInfo {
                origin: wgpu::Origin3d { x: 0, y: row as u32, z: 0 },
                ..self.image.raw.as_image_copy()
            };
            let size =
                wgpu::Extent3d { width: width as u32, height: height as u32, depth_or_array_layers: 1 };
            encoder.copy_buffer_to_texture(from, to, size);
        };
        if parts > 1 {
            for row in 0..rows {
                copy(row, row * parts, stride, texel.width(), parts);
            }
        } else if rows > 0 {
            copy(0, 0, ROW_BYTES, texel.width(), rows);
        }
        if rest > 0 {
            let bytes_per_row = if parts > 1 { stride } else { ROW_BYTES };
            copy(rows, rows * parts, bytes_per_row, rest / texel.bytes(), parts);
        }
    }
}
