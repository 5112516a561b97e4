//! `downhill doctor`.

use serde_json::Value;

use crate::folder::Folder;

#[test]
fn a_well_adapter_is_told_so_in_words_and_as_data() {
    let folder = Folder::new();
    let done = folder.run(&["doctor", "--adapter", &crate::adapter::wanted(), "--json"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{}", done.stdout);
    let report: Value = serde_json::from_str(&done.stdout).expect("JSON");
    assert_eq!(report["well"], true, "{report}");
    let kernels = report["kernels"].as_array().expect("kernels");
    assert!(kernels.len() > 30 && kernels.iter().all(|k| k["verdict"] == "right"), "{report}");
    for kernel in ["chain", "cross_entropy", "segment_sum", "feed_gather", "gradients", "optim/muon"] {
        assert!(kernels.iter().any(|k| k["kernel"] == kernel), "{kernel}: {report}");
    }
    let adapter = &report["adapter"];
    assert!(adapter["limits"].as_array().is_some_and(|limits| limits.len() > 4), "{report}");
    assert!(adapter["driver"].is_string() && adapter["features"][0]["meaning"].is_string(), "{report}");
}

#[test]
fn without_a_driver_it_says_what_to_install_and_fails() {
    let folder = Folder::new();
    let done = folder.run_without_adapter(&["doctor"]);
    assert_eq!(done.code, 1, "{}", done.stdout);
    for part in ["No adapter", "Fedora: dnf install", "VK_DRIVER_FILES is set"] {
        assert!(done.stdout.contains(part), "{part}: {}", done.stdout);
    }
    assert!(done.stderr.starts_with("error: no GPU adapter answers"), "{}", done.stderr);
    let report: Value =
        serde_json::from_str(&folder.run_without_adapter(&["doctor", "--json"]).stdout).expect("JSON");
    assert_eq!((&report["well"], &report["adapter"]), (&Value::Bool(false), &Value::Null));
}
