//! `downhill runs`: states, order, settings, and folders with anything in them.

use serde_json::Value;

use crate::folder::{Folder, events};

/// Four runs: two that finished, one that diverged, one that was stopped; and what is none.
fn with_runs() -> Folder {
    let folder = Folder::new();
    folder.trained("runs/net-1", &["--set", "train.epochs=2"]);
    folder.trained("runs/net-10", &["--set", "train.epochs=2", "--set", "optimizer.lr=1e-2"]);
    folder.trained("runs/sweep/deep/net-2", &["--steps", "4", "--seed", "5"]);
    std::fs::remove_file(folder.path("runs/sweep/deep/net-2/model.safetensors")).expect("a file");
    let sgd = "optimizer={ name = \"sgd\", lr = 1e30 }";
    folder.train(&["--out", "runs/wild", "--set", sgd]).refused(1, &["the loss became"]);

    std::fs::create_dir(folder.path("runs/empty")).expect("a folder");
    std::fs::create_dir(folder.path("runs/page")).expect("a folder");
    folder.write("runs/page/config.toml", "baseURL = 'of a page'");
    folder.write("runs/notes.txt", "not a folder");
    #[cfg(unix)]
    std::os::unix::fs::symlink("..", folder.path("runs/sweep/up")).expect("a link");
    folder
}

fn json(folder: &Folder, args: &[&str]) -> Vec<Value> {
    let done = folder.run(&[&["runs", "--json"], args].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    serde_json::from_str(&done.stdout).expect("JSON")
}

fn names(runs: &[Value]) -> Vec<&str> {
    runs.iter().map(|run| run["run"].as_str().expect("a name")).collect()
}

#[test]
fn runs_are_listed_with_what_they_reached() {
    let folder = with_runs();
    let runs = json(&folder, &[]);
    assert_eq!(names(&runs), ["runs/net-1", "runs/net-10", "runs/sweep/deep/net-2", "runs/wild"]);
    let states: Vec<&str> = runs.iter().map(|run| run["state"].as_str().expect("a state")).collect();
    assert_eq!(states, ["finished", "finished", "stopped", "diverged"]);
    let done = |run: &Value| ["epochs", "total_epochs", "steps", "total_steps"].map(|key| run[key].as_u64());
    assert_eq!(done(&runs[0]), [Some(2), Some(2), Some(30), None]);
    assert_eq!(done(&runs[2]), [Some(1), None, Some(4), Some(4)]);
    assert!(runs[3]["error"].as_str().is_some_and(|error| error.contains("the loss became")), "{}", runs[3]);
    assert!(runs.iter().all(|run| run["faults"] == serde_json::json!([])));

    // The numbers are those of the lines.
    let lines = folder.metrics("runs/net-10");
    let (steps, epochs) = (events(&lines, "step"), events(&lines, "epoch"));
    assert_eq!(runs[1]["loss"], steps[29]["loss"]);
    for (metric, is_less) in [("eval_loss", true), ("eval_accuracy", false), ("train_loss", true)] {
        let of = |epoch: usize| epochs[epoch][metric].as_f64().expect("a number");
        let best = usize::from((of(1) < of(0)) == is_less && of(1) != of(0));
        let found = &runs[1]["metrics"][metric];
        assert_eq!(
            (found["last"].as_f64(), found["best"].as_f64()),
            (Some(of(1)), Some(of(best))),
            "{metric}"
        );
        assert_eq!(found["epoch"], best + 1, "{metric}");
    }
    let seconds = runs[1]["seconds"].as_f64().expect("a time");
    assert!(seconds > 0.0 && seconds < 600.0, "{seconds}");

    // Only the settings in which they differ.
    let keys: Vec<&String> = runs[0]["settings"].as_object().expect("settings").keys().collect();
    for key in ["seed", "optimizer.lr", "optimizer.name", "train.epochs"] {
        assert!(keys.contains(&&key.to_owned()), "no {key} in {keys:?}");
    }
    assert!(!keys.iter().any(|key| key.starts_with("model.") || key.starts_with("data.")), "{keys:?}");
    assert_eq!(
        (&runs[1]["settings"]["optimizer.lr"], &runs[0]["settings"]["seed"]),
        (&0.01.into(), &4.into())
    );

    // In a pipe the table has every column.
    let text = folder.run(&["runs"]).stdout;
    let head = text.lines().next().expect("a head");
    for word in
        ["run", "state", "epochs", "steps", "loss", "best eval_loss", "in epoch", "time", "optimizer.lr"]
    {
        assert!(head.contains(word), "no {word} in {head}");
    }
    assert!(text.contains("diverged runs/wild: the loss became") && text.contains("2/2"), "{text}");
    assert_eq!(text.lines().count(), 6, "{text}");
}

#[test]
fn runs_are_sorted_by_anything() {
    let folder = with_runs();
    let sorted = |key: &str| {
        let runs = json(&folder, &["--sort", key]);
        let names: Vec<String> = names(&runs).iter().map(|name| (*name).to_owned()).collect();
        (runs, names)
    };
    for (key, metric) in
        [("eval_loss", "eval_loss"), ("accuracy", "eval_accuracy"), ("-accuracy", "eval_accuracy")]
    {
        let (runs, names) = sorted(key);
        let best = |run: &Value| run["metrics"][metric]["best"].as_f64();
        let values: Vec<f64> = runs.iter().map_while(best).collect();
        assert_eq!((values.len(), names[3].as_str()), (3, "runs/wild"), "{key}: a run without it comes last");
        let falls = key == "accuracy";
        assert!(values.is_sorted_by(|a, b| if falls { a >= b } else { a <= b }), "{key}: {values:?}");
    }
    let order = |key: &str| {
        sorted(key)
            .1
            .iter()
            .map(|name| name.rsplit('/').next().unwrap_or_default().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(order("optimizer.lr"), ["net-1", "net-2", "net-10", "wild"]);
    assert_eq!(order("-optimizer.lr"), ["wild", "net-10", "net-1", "net-2"]);
    assert_eq!(order("-run"), ["wild", "net-2", "net-10", "net-1"]);
    assert_eq!(order("steps")[2..], ["net-2", "wild"]);
    assert_eq!(order("state"), ["net-1", "net-10", "net-2", "wild"]);
    assert_eq!(order("started"), ["wild", "net-2", "net-10", "net-1"]);
    let done = folder.run(&["runs", "--sort", "acuracy"]);
    done.refused(2, &["--sort acuracy", "eval_accuracy"]);
    // The metric that is sorted by is the one that is shown.
    let text = folder.run(&["runs", "--sort", "accuracy"]).stdout;
    assert!(text.lines().next().is_some_and(|head| head.contains("best eval_accuracy")), "{text}");
}

#[test]
fn csv_has_a_column_for_each_metric_and_setting() {
    let folder = with_runs();
    let done = folder.run(&["runs", "--csv", "runs/wild", "runs", "runs/net-1"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let mut reader = csv::Reader::from_reader(done.stdout.as_bytes());
    let head = reader.headers().expect("a head").clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.expect("a row")).collect();
    let cell = |row: usize, name: &str| {
        let at =
            head.iter().position(|column| column == name).unwrap_or_else(|| panic!("no {name} in {head:?}"));
        rows[row][at].to_owned()
    };
    // In the order given, each once.
    assert_eq!(
        (rows.len(), cell(0, "run").as_str(), cell(1, "run").as_str()),
        (4, "runs/wild", "runs/net-1")
    );
    let lines = folder.metrics("runs/net-1");
    assert_eq!(cell(1, "eval_loss"), events(&lines, "epoch")[1]["eval_loss"].to_string());
    assert_eq!((cell(1, "best eval_accuracy epoch").len(), cell(0, "eval_loss")), (1, String::new()));
    assert_eq!((cell(0, "optimizer.name"), cell(1, "optimizer.name")), ("sgd".into(), "adamw".into()));
    assert!(cell(0, "error").contains("the loss became"));
}

/// A run that a process has open; a line that is being written; files that are damaged or gone.
#[test]
fn runs_in_any_condition_are_listed() {
    let folder = with_runs();
    let lock = std::fs::File::open(folder.path("runs/sweep/deep/net-2/.lock")).expect("a lock");
    lock.lock().expect("the lock");
    let text = String::from_utf8(folder.read("runs/net-1/metrics.jsonl")).expect("UTF-8");
    folder.write("runs/net-1/metrics.jsonl", &text[..text.len() - 20]);
    folder.write("runs/net-10/config.toml", "seed = 4\n[optimizer\n");
    std::fs::remove_file(folder.path("runs/wild/metrics.jsonl")).expect("a file");
    let runs = json(&folder, &[]);
    let fault = |run: &Value| {
        run["faults"].as_array().map(|faults| faults.iter().map(Value::to_string).collect::<String>())
    };
    let found: Vec<_> = runs
        .iter()
        .map(|run| (run["state"].as_str().expect("a state"), fault(run).expect("faults")))
        .collect();
    assert_eq!((found[0].0, found[0].1.as_str()), ("finished", ""), "a line that is cut off is left out");
    assert_eq!((&runs[0]["epochs"], &runs[0]["steps"]), (&1.into(), &30.into()));
    assert!(found[1].0 == "finished" && found[1].1.contains("runs/net-10/config.toml:2: "), "{found:?}");
    assert_eq!(found[2], ("running", String::new()));
    assert!(found[3].0 == "stopped" && found[3].1.contains("runs/wild/metrics.jsonl"), "{found:?}");
    // A config that cannot be read differs in nothing.
    assert!(runs[0]["settings"].get("data.batch_size").is_none(), "{}", runs[0]["settings"]);
    let text = folder.run(&["runs"]).stdout;
    assert!(text.contains("fault    runs/net-10/config.toml:2: "), "{text}");

    // To look takes no lock away.
    lock.unlock().expect("the lock");
    assert_eq!(json(&folder, &["runs/sweep/deep/net-2"])[0]["state"], "stopped");
    let done = folder.run(&["resume", "runs/sweep/deep/net-2", "--adapter", &crate::adapter::wanted(), "-q"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(json(&folder, &["runs/sweep"])[0]["state"], "finished");
}

#[test]
fn folders_without_runs() {
    let folder = Folder::new();
    folder.run(&["runs"]).refused(2, &["runs: no such directory", "as train makes them"]);
    folder.run(&["runs", "net.toml"]).refused(2, &["net.toml: no directory"]);
    let done = folder.run(&["runs", ".", "--sort", "accuracy"]);
    assert_eq!((done.code, done.stdout.as_str()), (0, "no runs in .\n"));
    assert_eq!(json(&folder, &["."]), Vec::<Value>::new());
    let done = folder.run(&["runs", ".", "--csv"]);
    assert_eq!((done.code, done.stdout.lines().count()), (0, 1), "{}", done.stdout);
}
