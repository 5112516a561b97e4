//! A project that is moved, as a whole or in parts: its runs are evaluated, used and resumed where they are.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::adapter::wanted;
use crate::folder::{Done, Folder, events};
use crate::runs::timeless;

const TABLE: &str = "{ csv = \"../data/garden.csv\", target = \"y\", eval = \"../data/eval.csv\" }";
const MODEL: &str = "[\"flatten\", { linear = 6 }, \"relu\", { linear = 3 }]";

/// A project with `configs/net.toml`, whose data are beside: `source` in `data/`.
fn project(name: &str, source: &str) -> Folder {
    let folder = Folder::new();
    for part in ["configs", "data"] {
        fs::create_dir_all(folder.path(&format!("{name}/{part}"))).expect("a folder");
    }
    let rows = |from: usize, to: usize| -> String {
        let row = |i: usize| format!("{},{},{}\n", i % 7, (i * 5) % 11, ["a", "b", "c"][i % 3]);
        "p,q,y\n".to_owned() + &(from..to).map(row).collect::<String>()
    };
    folder.write(&format!("{name}/data/garden.csv"), rows(0, 30));
    folder.write(&format!("{name}/data/eval.csv"), rows(30, 41));
    let config = format!(
        "[data]\nsource = {source}\nbatch_size = 8\n[model]\nlayers = {MODEL}\nloss = \"cross_entropy\"\n\
         [optimizer]\nname = \"adamw\"\nlr = 1e-2\n[train]\nepochs = 2\n[checkpoint]\nevery_epochs = 1\n"
    );
    folder.write(&format!("{name}/configs/net.toml"), config);
    folder
}

fn run_in(folder: &Folder, place: &str, args: &[&str]) -> Done {
    let adapter = wanted();
    let args = [args, &["--adapter", &adapter]].concat();
    Done::of(&folder.command(&args).current_dir(folder.path(place)).output().expect("the binary"))
}

#[track_caller]
fn ok(done: Done) -> String {
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    done.stdout
}

/// Two runs in the project: `whole` of two epochs, and `half` of the first.
fn train_both(folder: &Folder, name: &str) {
    for (run, epochs) in [("whole", "2"), ("half", "1")] {
        let (out, epochs) = (format!("runs/{run}"), format!("train.epochs={epochs}"));
        ok(run_in(folder, name, &["train", "configs/net.toml", "--out", &out, "--set", &epochs, "-q"]));
    }
}

/// The loss that `eval --json` gives is that of the run's last epoch.
#[track_caller]
fn assert_evaluated(folder: &Folder, run: &str, more: &[&str]) {
    let text = ok(run_in(folder, ".", &[&["eval", run, "--json"], more].concat()));
    let found: Value = serde_json::from_str(&text).expect("JSON");
    let lines = folder.metrics(run);
    let last = *events(&lines, "epoch").last().expect("an epoch");
    assert_eq!(found["loss"], last["eval_loss"]);
}

#[track_caller]
fn assert_alike(folder: &Folder, whole: &str, other: &str) {
    assert_eq!(timeless(&folder.metrics(whole)), timeless(&folder.metrics(other)));
    let weights = |run: &str| folder.read(&format!("{run}/model.safetensors"));
    assert!(weights(whole) == weights(other), "other weights");
}

fn rename(folder: &Folder, from: &str, to: &str) {
    let to = folder.path(to);
    fs::create_dir_all(to.parent().unwrap_or(Path::new(""))).expect("a folder");
    fs::rename(folder.path(from), to).expect("moved");
}

#[test]
fn a_project_is_moved_as_a_whole() {
    let folder = project("old", TABLE);
    train_both(&folder, "old");
    let config = String::from_utf8(folder.read("old/runs/half/config.toml")).expect("UTF-8");
    assert!(config.contains("\"../../configs\"") && config.contains("\"../data/garden.csv\""), "{config}");

    rename(&folder, "old", "a/deeper/new");
    assert_evaluated(&folder, "a/deeper/new/runs/half", &[]);
    folder.write("rows.csv", "p,q\n1,2\n3,4\n");
    let rows = folder.path("rows.csv");
    let rows = rows.to_str().expect("UTF-8");
    let answers = ok(run_in(&folder, "a", &["predict", "deeper/new/runs/half", rows]));
    assert_eq!(answers.lines().count(), 3, "{answers}");
    ok(run_in(&folder, "a/deeper", &["resume", "new/runs/half", "--set", "train.epochs=2", "-q"]));
    assert_alike(&folder, "a/deeper/new/runs/whole", "a/deeper/new/runs/half");
    let same = folder.run(&["compare", "a/deeper/new/runs/whole", "a/deeper/new/runs/half", "--json"]);
    assert!(!ok(same).contains("data."), "where the files lie is no setting");

    // The run alone is moved, and the data stay.
    rename(&folder, "a/deeper/new/runs/half", "elsewhere/half");
    assert_evaluated(&folder, "elsewhere/half", &[]);
    // A run that is done stays so, wherever its data are named.
    let data = folder.path("a/deeper/new/data");
    let root = data.to_str().expect("UTF-8");
    let done = ok(run_in(&folder, ".", &["resume", "elsewhere/half", "--data-root", root]));
    assert!(done.contains("nothing to resume"), "{done}");
}

#[test]
fn data_that_lie_elsewhere_are_named_by_their_folder() {
    let folder = project("old", TABLE);
    train_both(&folder, "old");
    rename(&folder, "old/runs", "runs");
    rename(&folder, "old/data", "sets/2026");
    fs::remove_dir_all(folder.path("old")).expect("removed");

    for command in ["eval", "resume"] {
        let more = if command == "eval" { &["--part", "eval"][..] } else { &["--set", "train.epochs=2"] };
        let done = run_in(&folder, ".", &[&[command, "runs/half"], more].concat());
        done.refused(2, &["data.source", "garden.csv", "--data-root DIR"]);
    }
    let nowhere = run_in(&folder, ".", &["eval", "runs/half", "--data-root", "nowhere"]);
    nowhere.refused(2, &["--data-root nowhere", "no such folder"]);
    assert_evaluated(&folder, "runs/half", &["--data-root", "sets/2026"]);

    // Other data of the same name are refused, and the run stays as it was.
    fs::create_dir_all(folder.path("other")).expect("a folder");
    let eval = folder.read("sets/2026/eval.csv");
    folder.write("other/eval.csv", &eval);
    let changed =
        String::from_utf8(folder.read("sets/2026/garden.csv")).expect("UTF-8").replacen("5", "6", 1);
    folder.write("other/garden.csv", changed);
    let resume = ["resume", "runs/half", "--set", "train.epochs=2", "--data-root"];
    let files = || {
        ["config.toml", "model.safetensors", "metrics.jsonl"]
            .map(|name| folder.read(&format!("runs/half/{name}")))
    };
    let before = files();
    let other = run_in(&folder, ".", &[&resume[..], &["other"]].concat());
    other.refused(1, &["the data are not those of the run", "fingerprint"]);
    assert!(files() == before, "a refusal changes nothing");

    ok(run_in(&folder, ".", &[&resume[..], &["sets/2026", "-q"]].concat()));
    assert_alike(&folder, "runs/whole", "runs/half");
    // The run has learnt where they are.
    assert_evaluated(&folder, "runs/half", &[]);
}

#[test]
fn absolute_paths_of_older_runs_are_found_below_a_folder() {
    let folder = project("old", TABLE);
    train_both(&folder, "old");
    let name = "old/runs/half/config.toml";
    let config = String::from_utf8(folder.read(name)).expect("UTF-8");
    let lines = config.lines().filter(|line| !line.starts_with("root ="));
    let lines: Vec<String> =
        lines.map(|line| line.replace("\"../data/", "\"/nowhere/at all/data/")).collect();
    assert!(config.lines().count() > lines.len(), "{config}");
    folder.write(name, lines.join("\n"));
    run_in(&folder, ".", &["eval", "old/runs/half"]).refused(2, &["/nowhere/at all/data/garden.csv"]);
    assert_evaluated(&folder, "old/runs/half", &["--data-root", "old"]);
    let resume = ["resume", "old/runs/half", "--set", "train.epochs=2", "-q", "--data-root", "old/data"];
    ok(run_in(&folder, ".", &resume));
    assert_alike(&folder, "old/runs/whole", "old/runs/half");
}

/// A folder of images with a part to evaluate on is looked into while its config is read.
#[test]
fn a_folder_of_images_is_moved() {
    let folder = project("old", "{ images = \"../data/pets\" }");
    for part in ["train", "eval"] {
        for (class, shade) in [("cat", 20u8), ("dog", 200)] {
            let place = format!("old/data/pets/{part}/{class}");
            fs::create_dir_all(folder.path(&place)).expect("a folder");
            for i in 0..8u8 {
                folder.png(&format!("{place}/{i}.png"), [3, 2], &[shade + i, 7 * i, 90, shade, 0, i]);
            }
        }
    }
    train_both(&folder, "old");
    rename(&folder, "old/runs", "runs");
    rename(&folder, "old/data", "sets");
    let resume = ["resume", "runs/half", "--set", "train.epochs=2", "-q"];
    run_in(&folder, ".", &resume).refused(2, &["pets", "--data-root DIR"]);
    ok(run_in(&folder, ".", &[&resume[..], &["--data-root", "sets"]].concat()));
    assert_alike(&folder, "runs/whole", "runs/half");
}
