//! Parsers of the values that options take.

use std::time::Duration;

/// `--memory`: bytes, as 256MiB.
pub(super) fn memory(text: &str) -> Result<u64, String> {
    downhill::units::parse_bytes(text)
}

/// `--device-timeout`: seconds, as 600.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let number = text.parse().ok().filter(|seconds| (1e-3..1e9).contains(seconds));
    number
        .map(Duration::from_secs_f64)
        .ok_or_else(|| "a number of seconds from 0.001 on is needed, as 600".into())
}

/// A learning rate, as 0.001 or 1e-3. Its range is checked later.
pub(super) fn learning_rate(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| "a learning rate is needed, as 0.001 or 1e-3".into())
}

/// `--tolerance`: a number in [0, 1).
pub(super) fn tolerance(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (0.0..1.0).contains(number));
    number.ok_or_else(|| "a number from 0 on and below 1 is needed, as 1e-6".into())
}

/// A count, as 4096, 64Ki or 16Mi.
#[cfg(feature = "diagnostics")]
pub(super) fn count(text: &str) -> Result<usize, String> {
    let (digits, scale) = match (text.strip_suffix("Ki"), text.strip_suffix("Mi")) {
        (Some(digits), _) => (digits, 1 << 10),
        (_, Some(digits)) => (digits, 1 << 20),
        _ => (text, 1),
    };
    let number = digits.parse::<usize>().ok().filter(|n| *n > 0).and_then(|n| n.checked_mul(scale));
    number.ok_or_else(|| "a count from 1 on is needed, as 4096, 64Ki or 16Mi".into())
}
