//! `downhill sweep`: its folders are those of runs alone; what ends early, is killed, stopped or refused.

use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::folder::{Done, Folder};
use crate::runs::timeless;

fn args<'a>(adapter: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["sweep", "net.toml", "--adapter", adapter], more].concat()
}

fn sweep(folder: &Folder, more: &[&str]) -> Done {
    folder.run(&args(&crate::adapter::wanted(), more))
}

#[track_caller]
fn swept(folder: &Folder, more: &[&str]) -> Done {
    let done = sweep(folder, more);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    done
}

/// The cells of `replicas.csv`, without the head.
fn table(folder: &Folder, sweep: &str) -> (Vec<String>, Vec<Vec<String>>) {
    let bytes = folder.read(&format!("{sweep}/replicas.csv"));
    let mut reader = csv::Reader::from_reader(&bytes[..]);
    let head = reader.headers().expect("a head").iter().map(str::to_owned).collect();
    let row = |row: csv::Result<csv::StringRecord>| row.expect("a row").iter().map(str::to_owned).collect();
    (head, reader.records().map(row).collect())
}

fn lines(folder: &Folder, file: &str) -> Vec<Value> {
    let text = String::from_utf8(folder.read(file)).expect("UTF-8");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Each folder is that of its config trained alone, to the bit, over optimizers that make fleets of their own.
#[test]
fn folders_are_those_of_runs_alone() {
    let folder = Folder::new();
    let grid =
        ["--grid", "optimizer.lr=1e-3..1e-1:log:3", "--seeds", "0..2", "--steps", "all", "--keep", "all"];
    let more = ["--grid", "optimizer.name=adamw,sgd", "--set", "train.epochs=2", "--out", "S"];
    let done = swept(&folder, &[&grid[..], &more].concat());
    assert!(
        done.stdout.contains("12 runs, by optimizer.lr, optimizer.name, seed, in 2 fleets"),
        "{}",
        done.stdout
    );
    let (head, rows) = table(&folder, "S");
    let keys = ["optimizer.lr", "optimizer.name", "seed"];
    let ends = ["end", "epochs", "eval_loss", "eval_accuracy"];
    assert_eq!(head, [&["replica", "folder"], &keys[..], &ends].concat());
    assert_eq!(rows.len(), 12);
    assert_eq!(
        rows[5][..5],
        ["5", "05-lr=0.01-name=adamw-seed=1", "0.01", "\"adamw\"", "1"],
        "seeds are innermost"
    );
    for row in [&rows[1], &rows[6], &rows[11]] {
        let run = format!("S/{}", row[1]);
        let alone = folder.run(&[
            "train",
            &format!("{run}/config.toml"),
            "--adapter",
            &crate::adapter::wanted(),
            "--out",
            &row[1],
        ]);
        assert_eq!(alone.code, 0, "{}", alone.stderr);
        let compared = folder.run(&["compare", &run, &row[1], "--weights"]);
        assert_eq!(compared.code, 0, "{}", compared.stdout);
        let last = timeless(&folder.metrics(&run)).pop().expect("an epoch");
        assert_eq!(row[6..8], ["2".to_owned(), last["eval_loss"].to_string()], "{last}");
    }
    let best = rows.iter().min_by(|a, b| a[7].parse::<f64>().unwrap().total_cmp(&b[7].parse().unwrap()));
    assert!(done.stdout.contains(&format!("best     {}", best.expect("a row")[1])), "{}", done.stdout);
    assert!(done.stdout.contains("deviation"), "means over seeds: {}", done.stdout);
}

#[test]
fn the_worse_end_early_and_the_best_answer_together() {
    let folder = Folder::new();
    let sweep = ["--grid", "optimizer.lr=1e-4..1:log:9", "--halving", "3:1", "--set", "train.epochs=4"];
    swept(&folder, &[&sweep[..], &["--keep", "best:2", "--out", "S", "--json"]].concat());
    let (_, rows) = table(&folder, "S");
    let mut epochs: Vec<&str> = rows.iter().map(|row| row[4].as_str()).collect();
    epochs.sort_unstable();
    assert_eq!(epochs, ["1", "1", "1", "1", "1", "1", "3", "3", "4"]);
    let judged: Vec<Value> =
        lines(&folder, "S/sweep.jsonl").into_iter().filter(|line| line["event"] == "judged").collect();
    assert_eq!(judged.len(), 2);
    assert_eq!(judged[0]["kept"].as_array().map(Vec::len), Some(3));
    let mut kept: Vec<String> = folder.listing();
    kept.retain(|path| path.ends_with("model.safetensors"));
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert!(folder.metrics(&format!("S/{}", rows[0][1])).len() < 40);

    let pixels: Vec<f32> = (0..3 * 64).map(|i| (i * 7 % 17) as f32).collect();
    folder.write("rows.npy", crate::predict::npy(&[3, 8, 8], &pixels));
    let adapter = crate::adapter::wanted();
    let predict = |how: &str| {
        folder.run(&["predict", "S", "rows.npy", "--ensemble", how, "--adapter", &adapter, "--json"])
    };
    let together = predict("best:2");
    assert_eq!(together.code, 0, "{}", together.stderr);
    assert!(
        together.stderr.contains("ensemble of the best 2 of 9 runs by eval_loss: accuracy"),
        "{}",
        together.stderr
    );
    let alone: Vec<Vec<Value>> = kept
        .iter()
        .map(|path| {
            let run = path.strip_suffix("/model.safetensors").expect("a run");
            let done = folder.run(&["predict", run, "rows.npy", "--adapter", &adapter, "--json"]);
            done.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
        })
        .collect();
    let probability = |line: &Value| line["probabilities"]["3"].as_f64().expect("a probability");
    for (i, line) in together.stdout.lines().enumerate() {
        let line: Value = serde_json::from_str(line).expect("JSON");
        let mean = (probability(&alone[0][i]) + probability(&alone[1][i])) / 2.0;
        assert!((probability(&line) - mean).abs() < 1e-7, "{line}");
    }
    let more = predict("best:3");
    assert_eq!(more.code, 2);
    assert!(
        more.stderr.contains("has no weights, number 3 of the best") && more.stderr.contains("--keep best:3"),
        "{}",
        more.stderr
    );
}

/// One diverges: it is told with the others, which go on.
#[test]
fn a_run_that_diverges_ends_alone() {
    let folder = Folder::new();
    let done = swept(
        &folder,
        &["--grid", "optimizer.lr=1e-3,1e30", "--set", "optimizer={name=\"sgd\", lr=1.0}", "--out", "S"],
    );
    let (_, rows) = table(&folder, "S");
    assert_eq!((rows[0][3].as_str(), rows[1][3].as_str()), ("finished", "diverged"));
    assert!(done.stdout.contains("1 finished, 1 diverged"), "{}", done.stdout);
    let last = folder.metrics(&format!("S/{}", rows[1][1])).pop().expect("a line");
    assert_eq!(last["event"], "failed", "{last}");
    assert!(!folder.path(&format!("S/{}/model.safetensors", rows[1][1])).exists());
}

fn begin(folder: &Folder, args: &[&str]) -> Child {
    folder.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary")
}

fn done(child: Child) -> Done {
    Done::of(&child.wait_with_output().expect("the binary"))
}

/// Killed `kills` times at random moments and gone on with, a sweep leaves what one leaves that was not.
fn kill(kills: u32) {
    let folder = Folder::new();
    let adapter = crate::adapter::wanted();
    let options =
        ["--grid", "optimizer.lr=1e-3..1e-1:log:3", "--seeds", "0..2", "--steps", "all", "--keep", "all"];
    let slots = ["--at-once", "4", "--set", "train.epochs=20", "--set", "checkpoint.every_epochs=1"];
    let with = |out| args(&adapter, &[&options[..], &slots, &["--out", out]].concat());
    let whole = folder.run(&with("whole"));
    assert_eq!(whole.code, 0, "{}", whole.stderr);
    let mut seed = 0x9e37_79b9_u64;
    for _ in 0..kills {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let resumed = with("killed").into_iter().chain(["--resume"]).collect::<Vec<_>>();
        let mut child = begin(&folder, &resumed);
        std::thread::sleep(Duration::from_millis(100 + seed % 1200));
        let _ = child.kill();
        child.wait().expect("a child");
    }
    let end = folder.run(&["sweep", "killed", "--resume", "--adapter", &adapter]);
    assert_eq!(end.code, 0, "{}{}", end.stdout, end.stderr);
    assert_eq!(table(&folder, "whole"), table(&folder, "killed"));
    for row in table(&folder, "whole").1 {
        let runs = ["whole", "killed"].map(|sweep| format!("{sweep}/{}", row[1]));
        let compared = folder.run(&["compare", &runs[0], &runs[1], "--weights"]);
        assert_eq!(compared.code, 0, "{}", compared.stdout);
        assert!(!folder.path(&format!("{}/checkpoints", runs[1])).exists());
    }
}

#[test]
fn a_sweep_that_is_killed_goes_on_to_equal_bits() {
    kill(4);
}

#[test]
#[ignore = "takes a minute; benches/RESULTS.md has its result"]
fn so_does_one_that_is_killed_twenty_times() {
    kill(20);
}

#[cfg(unix)]
#[test]
fn ctrl_c_keeps_every_run() {
    let folder = Folder::new();
    let adapter = crate::adapter::wanted();
    let options = ["--seeds", "0..3", "--set", "train.epochs=400", "--out", "S", "--json"];
    let child = begin(&folder, &args(&adapter, &options));
    while std::fs::read(folder.path("S/sweep.jsonl")).unwrap_or_default().is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let sent = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.expect("kill").success());
    let stopped = done(child);
    assert_eq!(stopped.code, 130, "{}", stopped.stderr);
    let (_, rows) = table(&folder, "S");
    assert!(folder.path(&format!("S/{}/checkpoints", rows[2][1])).exists());
    let refused = folder.run(&["sweep", "S", "--resume", "--seeds", "0..4"]);
    assert!(
        refused.code == 2 && refused.stderr.contains("leave the other options out"),
        "{}",
        refused.stderr
    );
    let other = sweep(&folder, &["--seeds", "0..4", "--set", "train.epochs=400", "--out", "S", "--resume"]);
    assert!(other.code == 2 && other.stderr.contains("a sweep with other runs"), "{}", other.stderr);
    let again = sweep(&folder, &["--seeds", "0..3", "--out", "S"]);
    assert!(again.code == 2 && again.stderr.contains("holds a sweep already"), "{}", again.stderr);
}

#[test]
fn what_a_sweep_cannot_do_is_refused_before_it_makes_a_folder() {
    let folder = Folder::new();
    for (options, words) in [
        (&["--grid", "optimizer.l=1,2"][..], "the run with optimizer.l=1"),
        (&["--grid", "optimizer.lr=1e-3,-1"], "the run with optimizer.lr=-1"),
        (&["--grid", "optimizer.lr=1..2"], "--grid optimizer.lr=1..2"),
        (&[], "the sweep varies nothing"),
        (&["--seeds", "0..2", "--halving", "1:1"], "a factor from 2 on"),
        (&["--seeds", "0..2", "--asha"], "--halving 3:1 --asha"),
        (&["--seeds", "0..2", "--metric", "f1"], "sweep.metric = \"f1\": no epoch of this run reports it"),
        (&["--seeds", "0..2", "--set", "watch.statistics=1"], "train the run of interest alone"),
        (&["--seeds", "0..2", "--set", "checkpoint.keep_best=1"], "early_stopping.restore_best"),
        (&["--zip", "optimizer.lr=1,2", "--zip", "train.epochs=1,2,3"], "lists of one length"),
        (&["--grid", "train.memory=\"1MiB\",\"2MiB\""], "give one for all"),
        (&["--seeds", "0..2", "--set", "data.residence=streamed"], "share the order"),
    ] {
        let done = sweep(&folder, &[options, &["--out", "S"]].concat());
        assert_eq!(done.code, 2, "{options:?}: {}{}", done.stdout, done.stderr);
        assert!(done.stderr.contains(words), "{options:?}: {}", done.stderr);
        assert!(!folder.path("S").exists(), "{options:?}");
    }
    let shared = ["--seeds", "0..2", "--set", "data.residence=streamed", "--order", "shared", "--out", "S"];
    swept(&folder, &shared);
    let run = folder.read("S/1-seed=1/config.toml");
    assert!(
        String::from_utf8_lossy(&run).contains("[seeds]\norder = 4"),
        "{}",
        String::from_utf8_lossy(&run)
    );
}

/// The section of the config does what the options do, and a run of the config leaves it alone.
#[test]
fn a_section_of_the_config_is_a_sweep() {
    let folder = Folder::new();
    let text = format!(
        "{}[sweep]\nseeds = \"0..2\"\ngrid = {{ optimizer.lr = [1e-3, 1e-2] }}\n",
        crate::folder::CONFIG
    );
    folder.write("net.toml", text);
    swept(&folder, &["--out", "S", "--quiet"]);
    assert_eq!(table(&folder, "S").1.len(), 4);
    folder.trained("alone", &[]);
    let kept = String::from_utf8(folder.read("alone/config.toml")).expect("UTF-8");
    assert!(!kept.contains("[sweep"), "{kept}");
}
