//! WGSL composition: imports of shared functions, and slots that printed text fills.
//!
//! A `.wgsl` file is valid WGSL by itself, with two kinds of marked lines:
//!
//! ```wgsl
//! //#import math            the text of shaders/shared/math.wgsl goes here
//! //#slot value             printed text replaces the lines from here ...
//! fn value(i: u32) -> f32 { return 0.0; }
//! //#end                    ... to here, which show what is expected
//! ```

/// The text of a file under `shaders/`, by its path without the ending; `None` for an unknown one.
pub fn source(name: &str) -> Option<&'static str> {
    FILES.iter().find(|(n, _)| *n == name).map(|(_, text)| *text)
}

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../shaders/", $name, ".wgsl")))),*]
    };
}

/// Every shader of the engine.
pub const FILES: &[(&str, &str)] = files![
    "shared/math",
    "shared/unpack",
    "shared/update",
    "shared/average",
    "shared/added",
    "shared/adam",
    "shared/largest_lanes",
    "shared/random",
    "shared/attention",
    "shared/attention_lse",
    "shared/a_numbers",
    "shared/ring",
    "shared/row_sum",
    "chain",
    "reduce",
    "reduce_rows",
    "matmul_lanes_any",
    "matmul_lanes_map",
    "matmul_lanes_n",
    "matmul_lanes_nt",
    "matmul_tiled",
    "cross_entropy",
    "attention_lanes",
    "attention_tiled",
    "segment_sum",
    "feed_gather",
    "step_close",
    "buffers_commit",
    "half_weights",
    "gradients",
    "accumulate",
    "tensor_norms",
    "statistics",
    "optim/sgd",
    "optim/rmsprop",
    "optim/adam",
    "optim/adam_8bit",
    "optim/nadam",
    "optim/radam",
    "optim/adamax",
    "optim/adagrad",
    "optim/adadelta",
    "optim/lion",
    "optim/lamb",
    "optim/lars",
    "optim/adafactor",
    "optim/muon",
    "optim/schedule_free",
    "bench/stream",
    "bench/flops",
    "bench/elementwise",
];

/// The text of `name` with its imports expanded and its slots, and theirs, filled from `slots`.
///
/// # Panics
/// On an unknown file or a slot that the file does not have: both are faults of the engine, met by its tests.
pub fn compose(name: &str, slots: &[(&str, String)]) -> String {
    let text = source(name).unwrap_or_else(|| panic!("no shader {name}"));
    let mut out = String::with_capacity(text.len() * 2);
    let mut skipping = false;
    let mut used = 0;
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
                used += 1;
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
    assert_eq!(used, slots.len(), "{name} lacks a slot that was filled");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_on_disk_is_listed_and_parses() {
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("shaders");
        let mut on_disk = 0;
        for dir in ["", "shared", "optim", "bench"] {
            for entry in std::fs::read_dir(root.join(dir)).unwrap() {
                let path = entry.unwrap().path();
                if path.extension().is_some_and(|e| e == "wgsl") {
                    on_disk += 1;
                    let name = path.strip_prefix(&root).unwrap().with_extension("");
                    assert!(
                        source(&name.to_string_lossy().replace('\\', "/")).is_some(),
                        "{name:?} unlisted"
                    );
                }
            }
        }
        assert_eq!(on_disk, FILES.len());
        // Fragments name what the files that import them declare.
        let fragments = [
            "shared/update",
            "shared/average",
            "shared/adam",
            "shared/largest_lanes",
            "shared/a_numbers",
            "shared/attention",
            "shared/attention_lse",
            "shared/ring",
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
