//! Faults that no call returns: errors of the driver, and the loss of the device.
//!
//! The loss of a device shows in three ways: by wgpu's callback, by a wait that fails or takes longer than
//! [`GpuOptions::patience`](super::GpuOptions::patience), and by a panic of wgpu within a wait, which `wait.rs` catches.
//! Each becomes [`Error::DeviceLost`].

use std::sync::{Arc, Mutex, PoisonError};

use crate::error::{Error, Result};

/// The first fault of a device. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Faults(Arc<Mutex<Option<Error>>>);

impl Faults {
    /// Records the faults that `device` meets outside error scopes.
    pub fn watch(&self, device: &wgpu::Device) {
        let own = self.clone();
        device.on_uncaptured_error(Arc::new(move |err: wgpu::Error| own.keep(Error::Gpu(format!("{err}")))));
        let own = self.clone();
        device.set_device_lost_callback(move |reason, message| {
            // Dropping a device destroys it too, but then nobody asks any more.
            let message = match (message.trim(), reason) {
                ("", wgpu::DeviceLostReason::Destroyed) => "it was destroyed",
                ("", _) => "its driver says no more",
                (text, _) => text,
            };
            own.keep(lost(message));
        });
    }

    /// Keeps a loss over the errors that follow from it, and else the first fault.
    pub fn keep(&self, err: Error) {
        let mut first = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lost_before = matches!(*first, Some(Error::DeviceLost(_)));
        if first.is_none() || (!lost_before && matches!(err, Error::DeviceLost(_))) {
            *first = Some(err);
        }
    }

    pub fn first(&self) -> Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone().map_or(Ok(()), Err)
    }
}

pub(super) fn lost(why: &str) -> Error {
    Error::DeviceLost(format!(
        "the device was lost: {why}. A kernel may have taken longer than the driver allows, the driver may have been \
         reset or updated, or the adapter is gone; downhill adapters lists what answers now"
    ))
}
