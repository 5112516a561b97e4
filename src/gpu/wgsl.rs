//! WGSL composition: imports of shared functions, and slots that printed text fills.
//!
//! A `.wgsl` file is valid WGSL by itself, with two kinds of marked lines:
//!
//! ```wgsl
//! //#import math            the text of shaders/shared/math.wgsl goes here
//! //#slot value             printed text replaces the lines from here ...
//! fn value(i: u32) -> f32 { return 0.0; }
//! //#end                    ... to here; these lines show the expected form
//! ```

/// The text of a file under `shaders/` by its path without the ending; `None` if there is no such file.
pub fn source(name: &str) -> Option<&'static str> {
    FILES.iter().find(|(n, _)| *n == name).map(|(_, text)| *text)
}

/// Every shader of the engine by its path, in the order of the paths; `build.rs` writes the list.
pub const FILES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/shaders.rs"));

/// The text of `name` with its imports expanded and all slots, those of imports too, filled from `slots`.
///
/// # Panics
/// On an unknown file or a slot that the file does not have. Both are faults of the engine, which its tests meet.
pub fn compose(name: &str, slots: &[(&str, String)]) -> String {
    let text = source(name).unwrap_or_else(|| panic!("no shader {name}"));
    let mut out = String::with_capacity(text.len() * 2);
    let mut skipping = false;
    let mut used = Vec::new();
    let lines = text.lines().flat_map(|line| match line.trim().strip_prefix("//#import ") {
        None => vec![line],
        Some(import) => {
            let path = format!("shared/{}", import.trim());
            source(&path).unwrap_or_else(|| panic!("no shader {path}")).lines().collect()
        }
    });
    for line in lines {
        if let Some(slot) = line.trim().strip_prefix("//#slot ") {
            if let Some((_, text)) = slots.iter().find(|(n, _)| *n == slot.trim()) {
                out.push_str(text);
                skipping = true;
                used.push(slot.trim());
            }
        } else if line.trim() == "//#end" {
            skipping = false;
        } else if !skipping {
            out.push_str(line);
        }
        out.push('\n');
    }
    if slots.iter().any(|(_, text)| text.contains("= f16;")) {
        out.insert_str(0, "enable f16;\n");
    }
    let lacking: Vec<&str> = slots.iter().map(|(n, _)| *n).filter(|n| !used.contains(n)).collect();
    assert!(lacking.is_empty(), "{name} lacks {lacking:?}, which were filled");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shader_is_listed_and_parses() {
        for name in ["shared/math", "chain", "optim/sgd", "bench/stream"] {
            assert!(source(name).is_some(), "{name} is not listed");
        }
        assert!(source("shared/unknown").is_none());
        // Fragments name what the files that import them declare, so alone they do not parse.
        let fragments = [
            "shared/update",
            "shared/average",
            "shared/pass_blocks",
            "shared/pass_ahead",
            "shared/block_sums_subgroup",
            "shared/block_sums_ahead",
            "shared/tensor_norms_subgroup",
            "shared/factored_subgroup",
            "shared/added_subgroup",
            "shared/whole_directions",
            "shared/adam",
            "shared/largest_subgroup",
            "shared/largest_subgroups",
            "shared/a_numbers",
            "shared/attention",
            "shared/attention_delta",
            "shared/attention_forward",
            "shared/attention_store",
            "shared/attention_stats",
            "shared/ring",
            "shared/row_cross_entropy",
            "shared/row_sum",
        ];
        for (name, _) in FILES.iter().filter(|(name, _)| !fragments.contains(name)) {
            let text = compose(name, &[]);
            if let Err(err) = wgpu::naga::front::wgsl::parse_str(&text) {
                panic!("{name}: {}", err.emit_to_string(&text));
            }
        }
    }
}
