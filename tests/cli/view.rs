//! How a run is shown: in a pipe, quietly, as JSON, on a terminal.

use serde_json::Value;

use crate::folder::{Done, Folder, events};

/// Every line of standard output, each of which must be an object.
fn objects(done: &Done) -> Vec<Value> {
    let lines = done.stdout.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{l}: {e}")));
    lines.collect()
}

#[test]
fn quiet_is_silent_but_for_errors() {
    let folder = Folder::new();
    let done = folder.train(&["--quiet", "--out", "run", "--assert", "steps == 15"]);
    assert_eq!((done.code, &*done.stdout, &*done.stderr), (0, "", ""));
    assert!(folder.path("run/model.safetensors").exists());
    let done = folder.train(&["-q", "--out", "other", "--assert", "eval_loss < 0"]);
    done.refused(3, &["asserted eval_loss < 0.0"]);
    assert_eq!((&*done.stdout, done.stderr.lines().count()), ("", 1));
    let done = folder.train(&["--quiet", "--out", "run"]);
    done.refused(2, &["run"]);
    assert_eq!(done.stdout, "");
    let done = folder.run(&["resume", "run", "--quiet"]);
    assert_eq!((done.code, &*done.stdout, &*done.stderr), (0, "", ""));
    folder.train(&["--quiet", "--json"]).refused(2, &["--quiet", "--json", "cannot be used with"]);
}

#[test]
fn json_is_an_object_a_line() {
    let folder = Folder::new();
    let settings =
        ["--json", "--out", "run", "--set", "train.epochs=2", "--set", "checkpoint.every_steps=10"];
    let done = folder.train(&settings);
    assert_eq!((done.code, &*done.stderr), (0, ""), "{}", done.stderr);
    let lines = objects(&done);
    let names: Vec<&str> = lines.iter().map(|line| line["event"].as_str().expect("an event")).collect();
    assert_eq!((names.first(), names.last()), (Some(&"start"), Some(&"end")), "{names:?}");
    let start = &lines[0];
    for (key, want) in [("step", 0), ("total_steps", 30), ("steps_per_epoch", 15), ("batch_size", 100)] {
        assert_eq!(start[key], want, "{start}");
    }
    assert_eq!(
        (&start["run"], &start["parameters"]),
        (&"run".into(), &(16 * 65 + 10 * 17).into()),
        "{start}"
    );
    assert!(
        start["memory"].as_u64() > Some(0) && start["budget"].as_u64() > start["memory"].as_u64(),
        "{start}"
    );
    // Epochs are those of the file, and know their step.
    let metrics = folder.metrics("run");
    let (told, kept) = (events(&lines, "epoch"), events(&metrics, "epoch"));
    assert_eq!(told.len(), 2);
    for (i, (told, kept)) in told.into_iter().zip(kept).enumerate() {
        let mut told = told.clone();
        assert_eq!(told.as_object_mut().expect("an object").remove("step"), Some((15 * (i + 1)).into()));
        assert_eq!(&told, kept);
    }
    let checkpoints: Vec<&Value> = events(&lines, "checkpoint").iter().map(|line| &line["step"]).collect();
    assert_eq!(checkpoints, [10, 20, 30]);
    let end = serde_json::json!({ "event": "end", "end": "finished", "step": 30, "run": "run" });
    assert_eq!(lines.last(), Some(&end));
    // There is nothing to go on with, and that is an end as well.
    let again = folder.run(&["resume", "run", "--json"]);
    assert_eq!((again.code, objects(&again)), (0, vec![end]), "{}", again.stderr);
    let failed = folder.train(&["--json", "--out", "failed", "--set", "optimizer.lr=1e30"]);
    failed.refused(1, &["loss"]);
    assert!(events(&objects(&failed), "end").is_empty(), "{}", failed.stdout);
}

/// Standard output and standard error under a terminal of so many columns.
#[cfg(target_os = "linux")]
fn on_terminal(folder: &Folder, columns: usize, environment: &str, more: &str) -> String {
    let program = env!("CARGO_BIN_EXE_downhill");
    let adapter = crate::adapter::wanted();
    let command = format!(
        "stty cols {columns} rows 24; {environment} {program} train net.toml --adapter '{adapter}' \
         --set train.epochs=60 {more}"
    );
    let mut script = std::process::Command::new("script");
    script.args(["--quiet", "--return", "--command", &command, "/dev/null"]).current_dir(folder.path(""));
    script.stdin(std::process::Stdio::null()).env("TERM", "xterm").env_remove("NO_COLOR");
    script.env("DOWNHILL_PIPELINE_CACHE", "off");
    let done = Done::of(&script.output().expect("script, of util-linux"));
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    done.stdout
}

#[cfg(target_os = "linux")]
#[test]
fn a_terminal_has_two_bars_and_is_left_as_it_was() {
    let folder = Folder::new();
    for columns in [100, 60, 40] {
        let text = on_terminal(&folder, columns, "", &format!("--out run{columns}"));
        // Bars and their shares, losses, and a curve over steps.
        for want in ["\nrun", "epoch 1/60", "\u{2501}", "%", "loss", "\u{1b}[32m", "step 1 "] {
            assert!(text.contains(want), "{want:?} at {columns} columns: {text:?}");
        }
        let [hides, shows] = ["\u{1b}[?25l", "\u{1b}[?25h"].map(|code| text.matches(code).count());
        assert!(hides > 0 && hides == shows, "the cursor is hidden {hides} times and shown {shows} times");
        // What was drawn is taken away, and below come the lines of the end.
        let (_, end) = text.rsplit_once("\u{1b}[?25h").expect("a frame");
        assert!(end.starts_with("done ") && !end.contains('\u{1b}') && !end.contains("epoch "), "{end:?}");
    }
    let text = on_terminal(&folder, 80, "NO_COLOR=1", "--out colourless");
    assert!(
        text.contains("\u{2501}") && !text.contains("\u{1b}[32m") && !text.contains("\u{1b}[2m"),
        "{text:?}"
    );
    for (environment, more) in
        [("TERM=dumb", "--out dumb"), ("", "--json --out json"), ("", "-q --out quiet")]
    {
        let text = on_terminal(&folder, 80, environment, more);
        assert!(!text.contains('\u{1b}'), "{environment} {more}: {text:?}");
        assert_eq!(text.contains("epoch 60/60"), environment == "TERM=dumb", "{text:?}");
    }
}
