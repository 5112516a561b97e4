//! The table of `downhill adapters`.

use std::fmt::Write;

use crate::gpu::{AdapterDescription, AdapterKind, Family};
use crate::units;

/// Every adapter with backend, driver, limits and features, and which one is chosen and why.
pub fn adapter_table(list: &[AdapterDescription], chosen: usize, why: &str) -> String {
    let mut out = String::new();
    for a in list {
        let mark = if a.index == chosen { "*" } else { " " };
        let _ = writeln!(out, "{mark} {}  {}", a.index, a.name);
        let _ = writeln!(out, "     kind       {}, {}", a.kind.name(), a.backend);
        let _ = writeln!(out, "     driver     {}", if a.driver.is_empty() { "not said" } else { &a.driver });
        let subgroups = match (a.subgroup_min, a.subgroup_max) {
            (0, 0) => "none".to_owned(),
            (min, max) if min == max => format!("of {min}"),
            (min, max) => format!("of {min} to {max}"),
        };
        let has = a.features.iter().map(|(n, yes)| format!("{n} {}", if *yes { "yes" } else { "no" }));
        let _ =
            writeln!(out, "     features   {}; subgroups {subgroups}", has.collect::<Vec<_>>().join(", "));
        for (name, value) in &a.limits {
            let bytes = name.ends_with("size");
            let value = if bytes { units::bytes(*value) } else { value.to_string() };
            let _ = writeln!(out, "     {name} = {value}");
        }
        if let (Some(memory), Some(budget)) = (a.memory, a.budget()) {
            let (memory, budget) = (units::bytes(memory), units::bytes(budget));
            let _ = writeln!(
                out,
                "     memory     {memory}; a run takes {budget} at most, unless --memory says otherwise"
            );
        }
        let family = match a.family() {
            Family::Subgroup => "subgroup (no barriers; values pass between the eight lanes of a subgroup)",
            Family::Tiled => "tiled (workgroup memory and barriers)",
        };
        let _ = writeln!(out, "     kernels    {family}\n");
    }
    let _ = writeln!(out, "* chosen: adapter {chosen}, {why}");
    if list.get(chosen).is_some_and(|a| a.kind == AdapterKind::Software) {
        out.push_str("  It runs on the processor: right to the bit each time, and slower than a GPU.\n");
    }
    out
}

/// The same as JSON.
pub fn adapter_json(list: &[AdapterDescription], chosen: usize, why: &str) -> serde_json::Value {
    let adapters: Vec<_> = list
        .iter()
        .map(|a| {
            serde_json::json!({
                "index": a.index,
                "name": a.name,
                "kind": a.kind.name(),
                "backend": a.backend,
                "driver": a.driver,
                "subgroup_size": [a.subgroup_min, a.subgroup_max],
                "features": a.features.iter().filter(|f| f.1).map(|f| f.0).collect::<Vec<_>>(),
                "memory": a.memory,
                "budget": a.budget(),
                "limits": a.limits.iter().map(|(n, v)| ((*n).to_owned(), (*v).into())).collect::<serde_json::Map<_, _>>(),
            })
        })
        .collect();
    serde_json::json!({ "adapters": adapters, "chosen": chosen, "because": why })
}
