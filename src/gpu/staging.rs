//! Buffers that the host fills, by several threads, and the device copies from.

use super::{Buffer, Gpu};
use crate::error::{Error, Result};

/// A buffer in memory that host and device see; clones share it.
#[derive(Debug, Clone)]
pub struct Staging {
    buffer: Buffer,
}

impl Staging {
    /// A write begins at a multiple of this offset.
    pub const ALIGNMENT: usize = wgpu::MAP_ALIGNMENT as usize;

    /// Writes `data`, whole words, from `offset` on, a multiple of [`Staging::ALIGNMENT`]. Several threads may write to
    /// disjoint ranges at once.
    ///
    /// # Errors
    /// [`Error::Gpu`] where the host does not hold the buffer.
    pub fn put(&self, offset: usize, data: &[u8]) -> Result<()> {
        let range = offset as u64..(offset + data.len()) as u64;
        match self.buffer.raw.slice(range).get_mapped_range_mut() {
            Ok(mut view) => {
                view.copy_from_slice(data);
                Ok(())
            }
            Err(err) => Err(Error::Gpu(format!("a staging buffer cannot be written: {err}"))),
        }
    }

    /// Hands the buffer to the device.
    pub fn give(&self) -> &Buffer {
        self.buffer.raw.unmap();
        &self.buffer
    }

    /// Requests the buffer back. `then` is called once the work submitted with it is done, with false where the device is lost.
    pub fn take_back(&self, then: impl FnOnce(bool) + Send + 'static) {
        self.buffer.raw.slice(..).map_async(wgpu::MapMode::Write, move |result| then(result.is_ok()));
    }
}

impl Gpu {
    /// A staging buffer of `bytes`, entered in the ledger under `name`. The host holds it at first.
    ///
    /// # Errors
    /// [`Error::Budget`] where it does not fit.
    pub fn staging(&self, name: &str, bytes: u64) -> Result<Staging> {
        use wgpu::BufferUsages as U;
        Ok(Staging { buffer: self.create(name, bytes, U::MAP_WRITE | U::COPY_SRC, true)? })
    }
}
