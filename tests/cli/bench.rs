//! `downhill bench`: quick runs, whose numbers must be possible; what is refused.

use downhill::optim::Optimizer;
use serde_json::Value;

use crate::folder::Folder;

/// A quick run that must succeed.
fn quick(folder: &Folder, args: &[&str]) -> String {
    let adapter = crate::adapter::wanted();
    let done = folder.run(&[&["bench"], args, &["--quick", "--adapter", &adapter]].concat());
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{args:?}");
    done.stdout
}

fn report(folder: &Folder, args: &[&str]) -> Value {
    let text = quick(folder, &[args, &["--json"]].concat());
    let report: Value = serde_json::from_str(&text).expect("JSON");
    assert!(report["machine"]["adapter"].as_str().is_some_and(|name| !name.is_empty()));
    report
}

/// A report whose rates are compared with the adapter's limits.
fn json(folder: &Folder, args: &[&str]) -> Value {
    let report = report(folder, args);
    for roof in ["copy", "triad", "flops"] {
        let rate = number(&report["roof"][roof]);
        assert!((1e7..1e16).contains(&rate), "{roof}: {rate}");
    }
    report
}

#[track_caller]
fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("no number: {value}"))
}

fn rows(report: &Value, table: usize) -> &[Value] {
    report["tables"][table]["rows"].as_array().expect("rows")
}

/// Quartiles around the median of the clock that is used.
fn assert_ordered(row: &Value) {
    let clock = if row["device_seconds"].is_null() { "wall_seconds" } else { "device_seconds" };
    let [lower, median, upper] = ["lower_seconds", clock, "upper_seconds"].map(|key| number(&row[key]));
    assert!(0.0 < lower && lower <= median && median <= upper, "{row}");
}

/// The chase itself is checked by the bench, against the host's.
#[test]
fn dispatches_and_loads_are_timed() {
    let folder = Folder::new();
    let args =
        ["launch", "--dispatches", "1,16,256", "--chase", "16KiB,20000", "--runs", "7", "--svg", "l.svg"];
    let report = report(&folder, &args);
    assert!(report["roof"].is_null(), "{report}");
    let rows = rows(&report, 0);
    let clock = |row: &Value| if row["device_seconds"].is_null() { "wall_seconds" } else { "device_seconds" };
    let kinds = ["dependent dispatches", "disjoint dispatches", "dependent copies"];
    for (kind, rows) in kinds.into_iter().zip(rows.chunks(3)) {
        for (row, count) in rows.iter().zip([1, 16, 256]) {
            assert_eq!(
                (&row["what"], &row["dispatches"], &row["loads"]),
                (&kind.into(), &count.into(), &Value::Null)
            );
            assert_ordered(row);
            let each = number(&row[clock(row)]) / f64::from(count);
            assert!((each / number(&row["each_seconds"]) - 1.0).abs() < 1e-9, "{row}");
        }
        let [one, some, many] = [0, 1, 2].map(|i| number(&rows[i][clock(&rows[i])]));
        assert!(one < some && some < many, "{kind}: {one}, {some}, {many}");
    }
    for (row, bytes) in rows[9..].iter().zip([16384, 20000]) {
        assert_eq!(
            (&row["what"], &row["bytes"], &row["loads"]),
            (&"pointer chase".into(), &bytes.into(), &16384.into())
        );
        assert_ordered(row);
        assert!((1e-10..1e-4).contains(&number(&row["each_seconds"])), "{row}");
    }
    assert_eq!(rows.len(), 11);
    let svg = String::from_utf8(folder.read("l.svg")).expect("UTF-8");
    assert!(svg.contains("disjoint dispatches") && svg.ends_with("</svg>\n"), "{svg}");
}

#[test]
fn optimizers_are_checked_and_timed_in_three_ways() {
    let folder = Folder::new();
    let args =
        ["optim", "--optimizers", "adamw,momentum", "--sizes", "64Ki", "--tensors", "1,10", "--svg", "o.svg"];
    let report = json(&folder, &args);
    let rows = rows(&report, 0);
    let text = |row: &Value, key: &str| row[key].as_str().expect("words").to_owned();
    let dispatches = |name: &str, ops: usize| {
        let of = |way: &str, tensors: usize, count: usize| (name.to_owned(), way.to_owned(), tensors, count);
        let (fused, tensor, op) = ("fused", "a dispatch a tensor", "a dispatch an op");
        [of(fused, 1, 1), of(op, 1, ops), of(fused, 10, 1), of(tensor, 10, 10), of(op, 10, 10 * ops)]
    };
    let got: Vec<_> = rows
        .iter()
        .map(|row| {
            let whole = |key: &str| row[key].as_u64().expect("a whole number") as usize;
            (text(row, "optimizer"), text(row, "way"), whole("tensors"), whole("dispatches"))
        })
        .collect();
    assert_eq!(got, [dispatches("adamw", 8), dispatches("momentum", 4)].concat());
    for row in rows {
        assert_ordered(row);
        let error = number(&row["of_error_bound"]);
        assert!(error > 0.0 && error <= 1.0, "the check compared something, and within rounding: {row}");
        assert!((0.001..20.0).contains(&number(&row["of_triad"])), "{row}");
        let (tensors, parameters) = (number(&row["tensors"]), number(&row["parameters"]));
        assert!(parameters <= 65536.0 && parameters % (256.0 * tensors) == 0.0, "{row}");
        // By the book, over the time that the row names.
        let bytes = if row["optimizer"] == "adamw" { 28.0 } else { 20.0 };
        let clock = if row["device_seconds"].is_null() { "wall_seconds" } else { "device_seconds" };
        let rate = bytes * parameters / number(&row[clock]);
        assert!((rate / number(&row["bytes_per_second"]) - 1.0).abs() < 1e-9, "{row}");
        assert_eq!(row["fused_is_faster"].is_null(), row["way"] == "fused", "{row}");
    }
    let svg = String::from_utf8(folder.read("o.svg")).expect("UTF-8");
    assert!(svg.starts_with("<svg") && svg.ends_with("</svg>\n"), "{svg}");
    for word in ["adamw", "momentum", "fused, 10 tensors", "triad", "GB/s"] {
        assert!(svg.contains(word), "{word}");
    }
}

/// An optimizer without a rule ends the command.
#[test]
fn every_optimizer_is_measured() {
    let folder = Folder::new();
    let report = json(&folder, &["optim", "--sizes", "2Ki", "--tensors", "1,2", "--runs", "1"]);
    let mut names: Vec<&str> = Optimizer::NAMES.to_vec();
    names.insert(1, "momentum");
    let rows = rows(&report, 0);
    let found: Vec<&str> = rows.iter().map(|row| row["optimizer"].as_str().expect("a name")).collect();
    let mut each = found.clone();
    each.dedup();
    assert_eq!(each, names);
    for (name, rows) in names.iter().zip(rows.chunk_by(|a, b| a["optimizer"] == b["optimizer"])) {
        let dispatches = |i: usize| rows[i]["dispatches"].as_u64().expect("a count");
        // An optimizer without a list of ops has no such rows.
        let [alone, ops, fused, by_tensor, by_op] = match rows.len() {
            5 => [0, 1, 2, 3, 4].map(dispatches),
            3 => [dispatches(0), 0, dispatches(1), dispatches(2), 0],
            other => panic!("{name} has {other} rows"),
        };
        let passes = match *name {
            "lamb" | "lars" => 3,
            "adafactor" => 5,
            // Momentum, the norm in one, the division, five times three products, the update.
            "muon" => 19,
            _ => 1,
        };
        assert_eq!((alone, fused, by_tensor, by_op), (passes, passes, 2 * passes, 2 * ops), "{name}");
        for row in rows {
            let error = number(&row["of_error_bound"]);
            assert!(error > 0.0 && error <= 1.0, "the check compared something, and within rounding: {row}");
            assert!(number(&row["flops_per_second"]) > 0.0, "{row}");
        }
    }
}

#[test]
fn products_lie_under_the_roof() {
    let folder = Folder::new();
    let text = quick(&folder, &["matmul", "--csv"]);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let rows: Vec<std::collections::HashMap<String, String>> =
        reader.deserialize().map(|row| row.expect("CSV")).collect();
    let of = |row: &std::collections::HashMap<String, String>, key: &str| -> f64 {
        row[key].parse().unwrap_or_else(|_| panic!("{key}: {row:?}"))
    };
    // NN, NT and TN of 64 and 128, and two batches.
    assert_eq!(rows.len(), 8);
    for row in &rows {
        // Nothing computes faster than the peak; on a loaded machine the peak may have been measured low.
        assert!((1e-4..3.0).contains(&of(row, "of_peak")), "{row:?}");
        let error = of(row, "of_error_bound");
        assert!(error > 0.0 && error <= 1.0, "{row:?}");
        let (batch, side) = (of(row, "batch"), of(row, "side"));
        let clock = if row["device_seconds"].is_empty() { "wall_seconds" } else { "device_seconds" };
        let rate = 2.0 * batch * side.powi(3) / of(row, clock);
        assert!((rate / of(row, "flops_per_second") - 1.0).abs() < 1e-9, "{row:?}");
        assert!((of(row, "intensity") - side / 6.0).abs() < 1e-9, "{row:?}");
    }
}

#[test]
fn the_net_of_a_config_is_measured_kernel_by_kernel() {
    let folder = Folder::new();
    let report = json(&folder, &["train", "net.toml", "--set", "data.batch_size=64", "--svg", "t.svg"]);
    let [step] = rows(&report, 0) else { panic!("one net: {report}") };
    assert_eq!((&step["net"], &step["batch"]), (&"net".into(), &64.into()));
    assert_eq!(step["parameters"], (64 * 16 + 16) + (16 * 10 + 10));
    let rate = number(&step["samples_per_second"]) * number(&step["step_seconds"]);
    assert!((rate - 64.0).abs() < 1e-6, "{step}");
    let kernels = rows(&report, 1);
    if report["machine"]["timestamps"] == true {
        assert_eq!(kernels.len() as u64, step["dispatches"].as_u64().expect("a count"));
        let sum: f64 = kernels.iter().map(|k| number(&k["device_seconds"])).sum();
        assert!((sum / number(&step["kernel_seconds"]) - 1.0).abs() < 1e-9);
        // Apart, each in a pass of its own, they take as long as in a step, but for what a pass costs.
        assert!((0.05..20.0).contains(&number(&step["kernels_of_step"])), "{step}");
        let last = kernels.last().expect("kernels");
        assert_eq!(last["what"], "optimizer");
    }
    assert!(String::from_utf8_lossy(&folder.read("t.svg")).contains("roof"));
    let table = quick(&folder, &["train", "--nets", "64-64-64-10"]);
    for word in ["## downhill bench train", "GFLOP/s", "| 64-64-64-10 batch 128 |", "### Their kernels"] {
        assert!(table.contains(word), "{word}: {table}");
    }
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let folder = Folder::new();
    let run = |args: &[&str]| {
        let adapter = crate::adapter::wanted();
        folder.run(&[&["bench"], args, &["--quick", "--adapter", &adapter]].concat())
    };
    run(&["launch", "--dispatches", "5000"]).refused(2, &["5000", "1 to 4096"]);
    run(&["launch", "--dispatches", "0"]).refused(2, &["--dispatches", "a count from 1 on"]);
    run(&["launch", "--chase", "4"]).refused(2, &["4 bytes", "from 8 bytes"]);
    run(&["launch", "--chase", "10"]).refused(2, &["10 bytes", "whole words"]);
    run(&["launch", "--chase", "1TiB"]).refused(2, &["1099511627776 bytes", "largest buffer"]);
    run(&["launch", "--chase", "wide"]).refused(2, &["--chase", "wide", "256MiB"]);
    run(&["optim", "--optimizers", "adamv"]).refused(2, &["\"adamv\"", "did you mean \"adam"]);
    run(&["optim", "--sizes", "0"]).refused(2, &["--sizes", "64Ki"]);
    run(&["optim", "--optimizers", "sgd", "--sizes", "1099511627776"]).refused(1, &["largest is"]);
    run(&["optim", "--json", "--csv"]).refused(2, &["--json", "--csv"]);
    run(&["matmul", "--sizes", "two"]).refused(2, &["two"]);
    run(&["train", "--nets", "resnet"]).refused(2, &["resnet", "lenet"]);
    run(&["train", "nowhere.toml"]).refused(2, &["nowhere.toml"]);
    run(&["optim", "--optimizers", "sgd", "--sizes", "1Ki", "--svg", "no/such/folder.svg"])
        .refused(1, &["cannot write", "no/such/folder.svg"]);
}
