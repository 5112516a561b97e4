//! The part of a buffer that a replica has, read from the text of its kernel.

/// The part of a buffer that a replica has, as [`rebased`](super::replicas::rebased) wrote it into a text.
pub(super) struct Part<'t> {
    /// The variable that holds its first element.
    pub first: &'t str,
    /// Elements from a replica's part to the next, as a number of WGSL.
    pub stride: &'t str,
}

impl<'t> Part<'t> {
    /// That of a buffer of this name; `None` in a text of one net, and for a buffer that all replicas have in common.
    pub fn of(wgsl: &'t str, name: &str) -> Option<Part<'t>> {
        let head = format!("\nvar<private> {name}_first");
        let rest = &wgsl[wgsl.rfind(&head)? + "\nvar<private> ".len()..];
        let first = &rest[..rest.find(':')?];
        let is_its = first[name.len()..].trim_end_matches('_') == "_first";
        let set = format!("    {first} = replica");
        let line = &wgsl[wgsl.find(&set).filter(|_| is_its)?..];
        let stride = line[..line.find(';')?].rsplit(" * ").next()?;
        Some(Part { first, stride })
    }
}
