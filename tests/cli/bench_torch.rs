//! `downhill bench --python`: PyTorch's times beside ours, and Pythons that have none.

use serde_json::Value;

use crate::folder::{Done, Folder};

/// A quick run of a benchmark beside a Python.
fn run(folder: &Folder, args: &[&str], python: &str) -> Done {
    let adapter = crate::adapter::wanted();
    folder.run(
        &[&["bench"], args, &["--quick", "--runs", "3", "--adapter", &adapter, "--python", python]].concat(),
    )
}

/// One that must succeed: its report.
#[track_caller]
fn report(folder: &Folder, args: &[&str], python: &str) -> Value {
    let done = run(folder, &[args, &["--json"]].concat(), python);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{args:?}");
    serde_json::from_str(&done.stdout).expect("JSON")
}

#[track_caller]
fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

const KEYS: [&str; 5] =
    ["torch_seconds", "torch_lower_seconds", "torch_upper_seconds", "torch_way", "torch_over_ours"];

fn is_without_torch(row: &Value) -> bool {
    KEYS.iter().all(|key| row.get(key).is_some_and(Value::is_null))
}

#[track_caller]
fn assert_compared(row: &Value, ours: &str) {
    let [median, lower, upper] = [0, 1, 2].map(|i| number(&row[KEYS[i]]));
    assert!(0.0 < lower && lower <= median && median <= upper, "{row}");
    let ratio = median / number(&row[ours]);
    assert!((ratio / number(&row["torch_over_ours"]) - 1.0).abs() < 1e-9, "{row}");
}

#[test]
fn torch_measures_the_same_work() {
    let Some(python) = crate::python::with_torch() else { return };
    let folder = Folder::new();
    let args = ["optim", "--optimizers", "sgd,adamw,muon,lion", "--sizes", "4Ki", "--tensors", "1,2"];
    let report_of = report(&folder, &args, &python);
    let torch = &report_of["torch"];
    assert_eq!(torch["python"], python);
    assert!(torch["version"].as_str().is_some_and(|version| version.contains('.')), "{torch}");
    assert!(number(&torch["threads"]) >= 1.0, "{torch}");
    let ours = if report_of["machine"]["timestamps"] == true { "device_seconds" } else { "wall_seconds" };
    for row in report_of["tables"][0]["rows"].as_array().expect("rows") {
        // Torch has no Lion, and its update is that of all tensors together.
        if row["optimizer"] == "lion" || row["way"] != "fused" {
            assert!(is_without_torch(row), "{row}");
        } else {
            assert_compared(row, ours);
            let is_fused = row["torch_way"].as_str().is_some_and(|way| way.starts_with("fused"));
            assert_eq!(is_fused, row["optimizer"] != "muon", "{row}");
        }
    }
    let products = report(&folder, &["matmul", "--sizes", "64"], &python);
    let products = products["tables"][0]["rows"].as_array().expect("rows").clone();
    assert_eq!(products.len(), 3);
    products.iter().for_each(|row| assert_compared(row, ours));
    let nets = ["64-64-64-10", "lenet", "gpt"];
    let table = run(&folder, &["train", "--nets", &nets.join(",")], &python);
    assert_eq!((table.code, table.stderr.as_str()), (0, ""));
    let version = torch["version"].as_str().expect("a version");
    for word in [&format!("- torch: PyTorch {version} of {python}, on "), "torch / ours", "fused AdamW"] {
        assert!(table.stdout.contains(word), "{word}: {}", table.stdout);
    }
    // Every kind of built-in net has a form in torch, with as many parameters.
    let steps = table.stdout.lines().filter(|line| line.contains(" batch ") && line.contains("fused AdamW"));
    assert_eq!(steps.count(), nets.len(), "{}", table.stdout);
}

/// Programs that are started as Pythons.
#[cfg(unix)]
mod others {
    use super::*;

    const HEAD: &str = r#"echo '{"version": "9.9", "device": "card", "cuda": true, "threads": 3}'"#;

    /// A program in the folder: its path.
    fn program(folder: &Folder, script: &str) -> String {
        use std::os::unix::fs::PermissionsExt;
        folder.write("py", format!("#!/bin/sh\n{script}\n"));
        let path = folder.path("py");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("a mode");
        path.to_string_lossy().into_owned()
    }

    #[test]
    fn a_job_has_the_work_and_its_answer_is_a_row() {
        let folder = Folder::new();
        let answer = r#"{"wall": [4.0, 1.0, 2.0], "device": [0.5, 0.5, 0.5], "way": "fused, graph"}"#;
        let python = program(
            &folder,
            &format!("{HEAD}\nread job\necho \"$job\" > job.json\necho '{answer}'\nread job"),
        );
        let args = ["optim", "--optimizers", "momentum", "--sizes", "2Ki", "--tensors", "2"];
        let report = report(&folder, &args, &python);
        let want = serde_json::json!({
            "python": python, "version": "9.9", "device": "card", "cuda": true, "threads": 3,
        });
        assert_eq!(report["torch"], want);
        let row = &report["tables"][0]["rows"][0];
        // By the device's clock, which torch has here.
        assert_eq!((&row["torch_seconds"], &row["torch_way"]), (&0.5.into(), &"fused, graph".into()));
        let job: Value = serde_json::from_slice(&folder.read("job.json")).expect("JSON");
        assert_eq!(
            (&job["job"], &job["optimizer"], &job["tensors"]),
            (&"optim".into(), &"momentum".into(), &2.into())
        );
        assert_eq!(job["shape"], serde_json::json!([4, 256]));
        assert_eq!((&job["effort"]["rounds"], &job["effort"]["most"]), (&3.into(), &Value::Null));
    }

    #[test]
    fn another_net_is_not_compared() {
        let folder = Folder::new();
        let answer = r#"{"wall": [1.0], "parameters": 8971}"#;
        let python = program(&folder, &format!("{HEAD}\nread job\necho '{answer}'"));
        run(&folder, &["train", "--nets", "64-64-64-10"], &python)
            .refused(1, &["8970", "8971", "not the same net"]);
    }

    #[test]
    fn a_python_without_torch_is_refused_with_its_last_lines() {
        let folder = Folder::new();
        let of = |script: &str| program(&folder, script);
        let matmul = ["matmul", "--sizes", "64"];
        run(&folder, &matmul, "nowhere/python")
            .refused(2, &["--python nowhere/python cannot be started", "has torch"]);
        let lines = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13; do echo line $i >&2; done";
        let without =
            of(&format!("{lines}\necho \"ModuleNotFoundError: No module named 'torch'\" >&2\nexit 1"));
        let done = run(&folder, &matmul, &without);
        done.refused(
            2,
            &["py: the script of PyTorch's times ended with exit status: 1", "  line 13\n", "'torch'"],
        );
        assert!(!done.stderr.contains("line 2\n"), "the last lines alone: {}", done.stderr);
        run(&folder, &matmul, &of("exit 0")).refused(2, &["exit status: 0", "nothing to standard error"]);
        run(&folder, &matmul, &of("cat $1")).refused(2, &["where JSON is needed"]);
        let dies = of(&format!("{HEAD}\nread job\necho 'RuntimeError: out of memory' >&2\nexit 3"));
        run(&folder, &matmul, &dies)
            .refused(1, &["exit status: 3", "  RuntimeError: out of memory", "\"layout\":\"NN\""]);
        let idle = of(&format!("{HEAD}\nread job\necho '{{\"wall\": [0.0]}}'"));
        run(&folder, &matmul, &idle).refused(1, &["without times above 0"]);
    }
}

#[test]
fn a_net_of_a_config_has_no_form_in_torch() {
    let folder = Folder::new();
    run(&folder, &["train", "net.toml"], "python3").refused(2, &["--python", "CONFIG.toml"]);
}
