//! Buffers that the host fills, by several threads, and the device copies from.

use super::{Buffer, Gpu};
use crate::error::{Error, Result};

/// A buffer in memory that host and device see; clones share it.
#[derive(Debug, Clone)]
pub struct Staging {
    buffer: Buffer,
}

impl Staging {
    /// Places in it where a write may begin are multiples of this.
    pub const ALIGNMENT: usize = wgpu::MAP_ALIGNMENT as usize;

    /// Writes `data` from `offset` on, which is a multiple of [`Staging::ALIGNMENT`]; `data` is whole words. Threads may
    /// write at once, where they write apart.
    ///
    /// # Errors
    /// [`Error::Gpu`] where the buffer is not the host's.
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

    /// Gives it to the device.
    pub fn give(&self) -> &Buffer {
        self.buffer.raw.unmap();
        &self.buffer
    }

    /// Asks for it back; `then` is called once what was submitted with it is done, with false where the device is gone.
    pub fn take_back(&self, then: impl FnOnce(bool) + Send + 'static) {
        self.buffer.raw.slice(..).map_async(wgpu::MapMode::Write, move |result| then(result.is_ok()));
    }
}

impl Gpu {
    /// A staging buffer of `bytes`, entered in the ledger under `name`; the host's at first.
    ///
    /// # Errors
    /// [`Error::Budget`] where it does not fit.
    pub fn staging(&self, name: &str, bytes: u64) -> Result<Staging> {
        use wgpu::BufferUsages as U;
        Ok(Staging { buffer: self.create(name, bytes, U::MAP_WRITE | U::COPY_SRC, true)? })
    }
}
