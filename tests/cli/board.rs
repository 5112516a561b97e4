//! Event files as TensorBoard's own reader has them.

use std::process::Command;

use downhill::train::{EventFile, Histogram};
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
