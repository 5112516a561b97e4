//! A point in the device's queue, behind a submission: natively its number, in a page an event that the browser sets.

#[cfg(not(target_arch = "wasm32"))]
pub(super) use native::{Point, hand_over};
#[cfg(target_arch = "wasm32")]
pub(super) use page::{Point, hand_over};

#[cfg(not(target_arch = "wasm32"))]
mod native {
    /// A point in the device's queue.
    pub(in crate::gpu) type Point = wgpu::SubmissionIndex;

    /// Submits what is recorded.
    pub(in crate::gpu) fn hand_over(queue: &wgpu::Queue, encoder: wgpu::CommandEncoder) -> Point {
        queue.submit([encoder.finish()])
    }
}

#[cfg(target_arch = "wasm32")]
mod page {
    use std::sync::Arc;

    use futures_intrusive::sync::ManualResetEvent;

    /// A point in the device's queue: set once the device has passed it.
    pub(in crate::gpu) type Point = Arc<ManualResetEvent>;

    /// Submits what is recorded.
    pub(in crate::gpu) fn hand_over(queue: &wgpu::Queue, encoder: wgpu::CommandEncoder) -> Point {
        queue.submit([encoder.finish()]);
        let point = Point::new(ManualResetEvent::new(false));
        let passed = point.clone();
        queue.on_submitted_work_done(move || passed.set());
        point
    }
}
