//! `--profile`: the table, `profile.json`, and a trace that viewers open.

use serde_json::Value;

use crate::folder::{Folder, events};

/// Name, beginning and end of the spans of a process, in microseconds.
fn spans(trace: &Value, pid: u64) -> Vec<(String, f64, f64)> {
    let events = trace["traceEvents"].as_array().expect("events");
    let mut spans = Vec::new();
    for event in events.iter().filter(|event| event["pid"] == pid) {
        assert!(event["tid"].is_u64() && event["name"].is_string() && event["ts"].is_number(), "{event}");
        match event["ph"].as_str() {
            Some("M") => assert!(event["args"]["name"].is_string(), "{event}"),
            Some("X") => {
                let (from, dur) =
                    (event["ts"].as_f64().expect("a time"), event["dur"].as_f64().expect("one"));
                assert!(from >= 0.0 && dur >= 0.0, "{event}");
                spans.push((event["name"].as_str().expect("a name").to_owned(), from, from + dur));
            }
            other => panic!("a phase {other:?} in {event}"),
        }
    }
    spans
}

#[test]
fn a_profile_is_a_table_and_a_trace_and_changes_nothing() {
    let folder = Folder::new();
    folder.trained("plain", &["--steps", "20"]);
    let done = folder.train(&["--steps", "20", "--profile", "--out", "run"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let plain = folder.metrics("plain");
    let told = folder.metrics("run");
    assert!(folder.read("run/model.safetensors") == folder.read("plain/model.safetensors"), "other weights");
    let losses = |lines: &[Value]| -> Vec<Value> {
        events(lines, "step").iter().map(|line| line["loss"].clone()).collect()
    };
    assert_eq!(losses(&told), losses(&plain));

    let json = |name: &str| -> Value { serde_json::from_slice(&folder.read(name)).expect("JSON") };
    let (profile, trace) = (json("run/profile.json"), json("run/trace.json"));
    let (host, device) = (spans(&trace, 1), spans(&trace, 2));
    let count = |spans: &[(String, f64, f64)], name: &str| spans.iter().filter(|s| s.0 == name).count();
    assert!(count(&host, "step") >= 10 && count(&host, "evaluation") == 1, "{host:?}");
    assert_eq!(count(&host, "checkpoint copy"), 1);
    assert_eq!(profile["wall_step_seconds"].as_array().map(Vec::len), Some(count(&host, "step")));
    // Spans of a thread nest: what begins within another ends within it, to what rounding takes off a microsecond.
    for all in [&host, &device] {
        for (name, from, to) in all {
            for (other, a, b) in all {
                let apart = *to <= a + 1e-3 || *b <= from + 1e-3;
                let within =
                    (from + 1e-3 >= *a && *to <= b + 1e-3) || (*a + 1e-3 >= *from && *b <= to + 1e-3);
                assert!(apart || within, "{name} {from} to {to}, {other} {a} to {b}");
            }
        }
    }
    if let Some(why) = profile["untimed"].as_str() {
        assert!(device.is_empty() && why.contains("no timestamps"), "{why}");
        assert!(done.stdout.contains("kernels are not timed"), "{}", done.stdout);
        return;
    }
    for name in ["record", "submit", "wait"] {
        assert_eq!((count(&host, name), count(&host, "profiled step")), (10, 10), "{name}");
    }
    // The kernels are those of the plan, in its order, once in each step.
    let explained: Value = {
        let family = if done.stdout.contains("software") { "software" } else { "gpu" };
        let done = folder.run(&["explain", "net.toml", "--target", family, "--json"]);
        serde_json::from_str(&done.stdout).expect("JSON")
    };
    let planned: Vec<&str> = explained["train"][0]["kernels"]
        .as_array()
        .expect("kernels")
        .iter()
        .map(|kernel| kernel["kernel"].as_str().expect("an entry"))
        .collect();
    let kernels: Vec<&str> = device.iter().map(|s| s.0.as_str()).filter(|name| *name != "step").collect();
    assert_eq!(kernels, planned.repeat(10));
    // They run one after the other, so that they take at most the step, whose rest is what lies between passes.
    let seconds = |key: &str| profile[key].as_f64().expect("seconds");
    let steps: Vec<f64> = profile["device_step_seconds"]
        .as_array()
        .expect("steps")
        .iter()
        .map(|s| s.as_f64().expect("one"))
        .collect();
    let (sum, step) = (seconds("kernel_seconds"), steps.iter().sum::<f64>() / 10.0);
    assert!(sum > 0.0 && sum <= step * (1.0 + 1e-9), "{sum} of {step}");
    let rows = profile["kernels"].as_array().expect("rows");
    let share: f64 = rows.iter().map(|row| row["share"].as_f64().expect("a share")).sum();
    assert!((share - 1.0).abs() <= 1e-9, "{share}");
    let calls: u64 = rows.iter().map(|row| row["calls"].as_u64().expect("a count")).sum();
    assert_eq!(calls, 10 * planned.len() as u64);
    for word in ["GFLOP/s", "share", "feed_gather", "https://ui.perfetto.dev"] {
        assert!(done.stdout.contains(word), "{word} is missing: {}", done.stdout);
    }
}
