//! The clock: the standard library's, and in a page the browser's, since the standard library has none there.

#[cfg(not(target_arch = "wasm32"))]
pub use std::time::Instant;
#[cfg(target_arch = "wasm32")]
pub use web_time::Instant;
