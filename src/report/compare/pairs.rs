//! Pairs of numbers of two runs: joined by name, and compared under a tolerance.

/// The keys of the first list, then those only in the second, each with its values in both lists.
pub(super) fn joined<'a, T>(
    a: &'a [(String, T)],
    b: &'a [(String, T)],
) -> impl Iterator<Item = (&'a str, Option<&'a T>, Option<&'a T>)> {
    fn find<'a, T>(list: &'a [(String, T)], key: &str) -> Option<&'a T> {
        list.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }
    let alone = b.iter().filter(|(key, _)| find(a, key).is_none());
    a.iter().chain(alone).map(|(key, _)| (key.as_str(), find(a, key), find(b, key)))
}

/// True where two numbers differ by more than `tolerance` times `largest`. At 0 every bit counts.
pub(super) fn apart(a: f64, b: f64, largest: f64, tolerance: f64) -> bool {
    if a.to_bits() == b.to_bits() || tolerance > 0.0 && a.is_nan() && b.is_nan() {
        return false;
    }
    // An infinity is near itself only.
    let near = a.is_finite() && b.is_finite() && (a - b).abs() <= tolerance * largest;
    tolerance == 0.0 || !near
}
