//! Event files as TensorBoard's own reader has them.

use std::process::Command;

use downhill::metrics::StatisticsRecord;
use downhill::run::{EventFile, Histogram};
use serde_json::{Value, json};

use crate::folder::{Folder, events};

/// What `tests/fixtures/events/read.py` reads in a folder; `None` where no Python has TensorBoard.
fn read(folder: &std::path::Path) -> Option<Value> {
    let named = std::env::var("DOWNHILL_PYTHON").ok();
    let works = |python: &String| {
        let tried = Command::new(python).args(["-c", "import tensorboard"]).output();
        tried.is_ok_and(|output| output.status.success())
    };
    let Some(python) = named.into_iter().chain(["python3".into()]).find(works) else {
        eprintln!("skipped: neither DOWNHILL_PYTHON nor python3 has tensorboard");
        return None;
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/events/read.py");
    let output = Command::new(python).arg(script).arg(folder).output().expect("Python");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_str(&text).unwrap_or_else(|err| panic!("{err}: {text}")))
}

/// `key` of every line, as TensorBoard keeps it: by its step, as f32.
fn points(lines: &[&Value], step: impl Fn(&Value) -> u64, key: &str) -> Value {
    let value = |line: &Value| f64::from(line[key].as_f64().expect("a number") as f32);
    lines.iter().map(|line| json!([step(line), value(line)])).collect()
}

#[test]
fn a_run_is_read_back_by_tensorboard() {
    let folder = Folder::new();
    let settings = ["--set", "watch.tensorboard=true", "--set", "optimizer.clip_norm=1", "--steps", "40"];
    let lines = folder.trained("run", &settings);
    let kept: Vec<String> = folder.listing().into_iter().filter(|name| name.contains("tfevents")).collect();
    assert!(matches!(&kept[..], [one] if one.starts_with("run/events.out.tfevents.")), "{kept:?}");
    let config = String::from_utf8(folder.read("run/config.toml")).expect("UTF-8");
    assert!(config.contains("[watch]\ntensorboard = true"), "{config}");

    let Some(read) = read(&folder.path("run")) else { return };
    let (steps, epochs) = (events(&lines, "step"), events(&lines, "epoch"));
    assert_eq!((steps.len(), epochs.len()), (40, 3));
    let at_step = |line: &Value| line["step"].as_u64().expect("a step");
    let at_end = |line: &Value| (15 * line["epoch"].as_u64().expect("an epoch")).min(40);
    let want = json!({
        "train/loss": points(&steps, at_step, "loss"),
        "train/lr": points(&steps, at_step, "lr"),
        "train/grad_norm": points(&steps, at_step, "grad_norm"),
        "epoch/train_loss": points(&epochs, at_end, "train_loss"),
        "epoch/samples_per_second": points(&epochs, at_end, "samples_per_second"),
        "eval/loss": points(&epochs, at_end, "eval_loss"),
        "eval/accuracy": points(&epochs, at_end, "eval_accuracy"),
    });
    assert_eq!(read["scalars"], want);
    assert_eq!(read["histograms"], json!({}));
}

#[test]
fn statistics_are_read_back_by_tensorboard() {
    let folder = Folder::new();
    let settings = ["--set", "watch.tensorboard=true", "--set", "watch.statistics=2", "--steps", "5"];
    let lines = folder.trained("run", &settings);
    let Some(read) = read(&folder.path("run")) else { return };
    let told = events(&lines, "statistics");
    let at: Vec<&Value> = told.iter().map(|line| &line["step"]).collect();
    assert_eq!(at, [2, 4]);
    let tensors = |line: &Value| line["tensors"].as_array().expect("tensors").clone();
    assert_eq!(tensors(told[0]).len(), 4);
    // Tags and points of `of`, which is numbers of a tensor.
    let every = |of: &dyn Fn(&Value) -> Value, tag: &str, kind: &str| {
        let points = |(i, tensor): (usize, Value)| {
            let point = |line: &&Value| json!([line["step"], of(&line["tensors"][i][kind])]);
            let tag = format!("{tag}/{}", tensor["name"].as_str().expect("a name"));
            (tag, told.iter().map(point).collect::<Value>())
        };
        tensors(told[0]).into_iter().enumerate().map(points).collect::<Vec<_>>()
    };
    let number = |of: &Value| of.as_f64().expect("a number");
    let limits: Vec<f64> = StatisticsRecord::limits().into_iter().chain([f64::from(f32::MAX)]).collect();
    let histogram = |of: &Value| {
        let counts = of["histogram"].as_array().expect("bins").iter().map(number);
        json!({
            "min": of["min"], "max": of["max"], "num": number(&of["count"]),
            "sum": number(&of["mean"]) * number(&of["count"]), "sum_squares": number(&of["norm"]).powi(2),
            "bucket_limit": limits, "bucket": counts.collect::<Vec<f64>>(),
        })
    };
    let scalar = |of: &Value| json!(f64::from(number(of) as f32));
    let mut histograms = Vec::new();
    let mut scalars = every(&scalar, "update_ratio", "update_ratio");
    for kind in ["weight", "gradient", "update"] {
        let kinds = format!("{kind}s");
        histograms.extend(every(&histogram, &kinds, &kinds));
        scalars.extend(every(&|of| scalar(&of["norm"]), &format!("{kind}_norm"), &kinds));
    }
    assert_eq!(read["histograms"], histograms.into_iter().collect::<Value>());
    for (tag, points) in scalars {
        assert_eq!(read["scalars"][&tag], points, "{tag}");
    }
}

/// A run that goes on from step 2 takes the place of what was said after it.
#[test]
fn tensorboard_drops_what_a_resumed_run_does_again() {
    let folder = Folder::new();
    let run = folder.path("");
    let histogram = |max: f64| Histogram {
        min: -0.5,
        max,
        num: 6.0,
        sum: 1.5,
        sum_squares: 2.75,
        bucket_limit: vec![-0.25, 0.0, 0.5, 2.0],
        bucket: vec![1.0, 0.0, 3.0, 2.0],
    };
    let mut file = EventFile::create(&run).expect("a file");
    for step in 1..=5 {
        file.scalars(step, &[("a", step as f64), ("b", 0.0)]).expect("written");
        file.histograms(step, &[("h", &histogram(step as f64))]).expect("written");
    }
    let mut file = EventFile::resume(&run, 2).expect("a file");
    file.scalars(3, &[("a", 30.0)]).expect("written");
    file.histograms(4, &[("h", &histogram(40.0))]).expect("written");

    let Some(read) = read(&run) else { return };
    let want = json!({ "a": [[1, 1.0], [2, 2.0], [3, 30.0]], "b": [[1, 0.0], [2, 0.0]] });
    assert_eq!(read["scalars"], want);
    let h = |max: f64| {
        json!({
            "min": -0.5, "max": max, "num": 6.0, "sum": 1.5, "sum_squares": 2.75,
            "bucket_limit": [-0.25, 0.0, 0.5, 2.0], "bucket": [1.0, 0.0, 3.0, 2.0],
        })
    };
    assert_eq!(read["histograms"], json!({ "h": [[1, h(1.0)], [2, h(2.0)], [4, h(40.0)]] }));
}

/// Small runs stay small.
#[test]
fn nothing_is_written_unless_asked_for() {
    let folder = Folder::new();
    folder.trained("run", &["--steps", "1"]);
    assert!(!folder.listing().iter().any(|name| name.contains("tfevents")));
    let config = String::from_utf8(folder.read("run/config.toml")).expect("UTF-8");
    assert!(config.contains("[watch]\ntensorboard = false"), "{config}");
    folder.train(&["--set", "watch.tensorbord=true"]).refused(2, &["watch.tensorbord", "\"tensorboard\""]);
    folder.train(&["--set", "watch.tensorboard=1"]).refused(2, &["watch.tensorboard = 1", "true or false"]);
}
