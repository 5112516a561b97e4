//! Today's date in UTC.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::units;

/// Today as `2026-11-29`.
pub(super) fn today() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    units::date(since)
}
