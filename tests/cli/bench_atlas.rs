//! `downhill bench atlas`: a file that reads back, files side by side, and files that are refused.

use downhill::bench::{ATLAS_SCHEMA, Atlas};
use serde_json::Value;

use crate::folder::Folder;

/// A quick atlas in `name`: what was printed.
fn quick(folder: &Folder, name: &str) -> String {
    let adapter = crate::adapter::wanted();
    let done =
        folder.run(&["bench", "atlas", "--quick", "--runs", "3", "--adapter", &adapter, "--out", name]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    done.stdout
}

/// A file of another name with one change.
fn changed(folder: &Folder, from: &str, to: &str, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_slice(&folder.read(from)).expect("JSON");
    change(&mut value);
    folder.write(to, value.to_string());
}

#[test]
fn an_adapter_is_measured_into_a_file_and_files_are_compared() {
    let folder = Folder::new();
    let shown = quick(&folder, "one.json");
    let atlas = Atlas::read(&folder.path("one.json")).expect("an atlas");
    assert_eq!((atlas.schema, atlas.quick), (ATLAS_SCHEMA, true));
    assert!(atlas.left_out.is_empty() && atlas.seconds > 0.0, "{atlas:?}");
    assert!(atlas.date.starts_with("20") && atlas.date.len() == 10, "{}", atlas.date);
    assert!(atlas.adapter.limits.contains_key("max_compute_workgroup_storage_size"), "{:?}", atlas.adapter);
    let products: Vec<(&str, u64)> = atlas.products.iter().map(|p| (p.layout.as_str(), p.side)).collect();
    assert_eq!(products, [("NN", 64), ("NT", 64), ("TN", 64), ("NN", 128), ("NT", 128), ("TN", 128)]);
    let updates: Vec<u64> =
        atlas.optimizers.iter().filter(|o| o.optimizer == "adamw").map(|o| o.parameters).collect();
    assert_eq!(updates, [4096, 65536]);
    for o in &atlas.optimizers {
        assert!(o.of_error_bound <= 1.0 && o.of_triad > 0.0 && o.lower_seconds <= o.upper_seconds, "{o:?}");
    }
    assert_eq!(atlas.launches.len(), 3 * 3 + 2);
    // The file is what a second writing gives, to the byte.
    assert_eq!(atlas.json().expect("JSON").into_bytes(), folder.read("one.json"));
    for word in ["| one ", "| adamw, 64 Ki ", "| NT, 128 ", "pointer chase, 16.0 KiB", ", --quick"] {
        assert!(shown.contains(word), "{word}: {shown}");
    }

    changed(&folder, "one.json", "two.json", |atlas| {
        atlas["roof"]["copy"] = 12.5e9.into();
        atlas["products"].as_array_mut().expect("products").truncate(1);
        atlas["left_out"] =
            serde_json::json!(["products of side 128: about 99 s for the first, and 1 s are left"]);
    });
    let done = folder.run_without_adapter(&["bench", "atlas", "--compare", "one.json", "two.json"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    let line = |head: &str| {
        let found = done.stdout.lines().find(|line| line.starts_with(head));
        let found = found.unwrap_or_else(|| panic!("no {head}: {}", done.stdout));
        found.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<String>>()
    };
    assert_eq!(line("| copy, GB/s")[3], "12.5");
    assert_eq!(line("| TN, 128")[3], "–");
    assert_eq!(line("| NN, 64")[2], line("| NN, 64")[3]);
    assert!(done.stdout.contains("two leaves out products of side 128: about 99 s"), "{}", done.stdout);

    let args = ["bench", "atlas", "--compare", "two.json", "one.json", "--page", "page.md"];
    let done = folder.run_without_adapter(&args);
    assert_eq!((done.code, done.stdout.as_str(), done.stderr.as_str()), (0, "", ""));
    let page = String::from_utf8(folder.read("page.md")).expect("UTF-8");
    assert!(page.starts_with("# Atlas\n") && page.contains("(page.svg)"), "{page}");
    let head = page.lines().find(|line| line.starts_with("| limit")).expect("a head");
    assert!(head.find("two") < head.find("one"), "columns in the order of the files: {head}");
    let svg = String::from_utf8(folder.read("page.svg")).expect("UTF-8");
    assert!(svg.ends_with("</svg>\n") && svg.contains("two") && svg.contains("GFLOP/s"), "{svg}");
}

#[test]
fn what_is_no_atlas_is_refused() {
    let folder = Folder::new();
    quick(&folder, "good.json");
    let compare =
        |more: &[&str]| folder.run_without_adapter(&[&["bench", "atlas", "--compare"], more].concat());
    compare(&["nowhere.json"]).refused(1, &["cannot read nowhere.json"]);
    folder.write("text.json", "not JSON");
    compare(&["text.json"]).refused(1, &["text.json: this is no JSON"]);
    changed(&folder, "good.json", "later.json", |atlas| atlas["schema"] = 2.into());
    compare(&["good.json", "later.json"])
        .refused(1, &["later.json: an atlas of schema 1", "is 2", "measure again"]);
    folder.write("other.json", "{}");
    compare(&["other.json"]).refused(1, &["this file's is none"]);
    changed(&folder, "good.json", "extra.json", |atlas| atlas["wattage"] = 3.into());
    compare(&["extra.json"]).refused(1, &["extra.json: this is no atlas", "wattage"]);
    changed(&folder, "good.json", "empty.json", |atlas| atlas["optimizers"] = Value::Array(vec![]));
    compare(&["empty.json"]).refused(1, &["empty.json: optimizers is empty"]);
    changed(&folder, "good.json", "zero.json", |atlas| atlas["products"][1]["flops_per_second"] = 0.into());
    compare(&["zero.json"]).refused(1, &["zero.json: NT has 0, where a number above 0 is needed"]);
    compare(&["good.json", "./good.json"]).refused(2, &["two files are named good.json"]);
    compare(&["good.json", "--page", "page.txt"]).refused(2, &["--page page.txt", "ends in .md"]);
    compare(&["good.json", "--quick"]).refused(2, &["--quick"]);
    folder.run_without_adapter(&["bench", "atlas", "--page", "page.md"]).refused(2, &["--compare"]);
}
