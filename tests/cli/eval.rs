//! `downhill eval`: a run's weights on its own data and on others.

use serde_json::Value;

use crate::adapter::wanted;
use crate::folder::{Done, Folder, events};
use crate::rows::{self, GARDEN};
use crate::runs::timeless;

fn eval(folder: &Folder, run: &str, more: &[&str]) -> Done {
    folder.run(&[&["eval", run, "--adapter", &wanted()], more].concat())
}

/// What `--json` prints, which must be all.
#[track_caller]
pub fn found(folder: &Folder, run: &str, more: &[&str]) -> Value {
    let done = eval(folder, run, &[more, &["--json"]].concat());
    assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{}", done.stdout);
    serde_json::from_str(&done.stdout).unwrap_or_else(|err| panic!("{}: {err}", done.stdout))
}

/// Loss and accuracy are those of the run's last epoch, bit for bit.
#[track_caller]
fn assert_same(found: &Value, lines: &[Value]) {
    let last = *events(lines, "epoch").last().expect("an epoch");
    let bits = |value: &Value| value.as_f64().map(f64::to_bits);
    assert!(last["eval_loss"].is_f64(), "{last}");
    assert_eq!(bits(&found["loss"]), bits(&last["eval_loss"]), "{found}, {last}");
    assert_eq!(bits(&found["accuracy"]), bits(&last["eval_accuracy"]), "{found}, {last}");
}

/// The last batch is short in training and in evaluation; weights and their average, a schedule-free optimizer, running
/// statistics, a memory that is small.
#[test]
fn the_runs_own_evaluation_comes_back_bit_for_bit() {
    let folder = Folder::new();
    let plain = folder.trained("plain", &[]);
    assert_same(&found(&folder, "plain", &[]), &plain);

    let ema =
        ["--set", "average={ kind = \"ema\", decay = 0.9 }", "--set", "data.batch_size=7", "--steps", "30"];
    let averaged = folder.trained("averaged", &ema);
    assert_same(&found(&folder, "averaged", &["--average"]), &averaged);
    let own = found(&folder, "averaged", &[]);
    assert_ne!(own["loss"], found(&folder, "averaged", &["--average"])["loss"]);
    let file = folder.path("averaged/average.safetensors");
    assert_same(&found(&folder, "averaged", &["--weights", file.to_str().expect("UTF-8")]), &averaged);

    let free = ["--set", "optimizer={ name = \"schedule_free_adamw\" }", "--steps", "9", "--seed", "5"];
    assert_same(&found_of(&folder, "free", &free), &folder.metrics("free"));
    let norm = "model.layers=[\"flatten\", { linear = 24 }, \"batch_norm\", \"relu\", { dropout = 0.2 }, { linear = 10 }]";
    let norm = ["--set", norm, "--memory", "384KiB", "--steps", "9"];
    assert_same(&found_of(&folder, "norm", &norm), &folder.metrics("norm"));
}

/// Trains into `run`, and evaluates.
fn found_of(folder: &Folder, run: &str, settings: &[&str]) -> Value {
    folder.trained(run, settings);
    found(folder, run, &[])
}

#[test]
fn parts_batches_and_other_data_are_evaluated() {
    let folder = Folder::new();
    folder.trained("run", &[]);
    let own = found(&folder, "run", &[]);
    assert_eq!(
        (&own["samples"], &own["part"], &own["data"]),
        (&360.into(), &"eval".into(), &"digits".into())
    );
    let train = found(&folder, "run", &["--part", "train"]);
    assert_eq!((&train["samples"], &train["part"]), (&1437.into(), &"train".into()));
    // Of the whole net's outputs each is right or wrong, whatever the batches; a mean of means in f32 is off by its
    // roundings, half an ulp of each batch's mean and of what it is summed of.
    let small = found(&folder, "run", &["--batch", "7"]);
    assert_eq!(small["accuracy"], own["accuracy"]);
    let [a, b] = [&small, &own].map(|value| value["loss"].as_f64().expect("a loss"));
    assert!((a - b).abs() <= 1e-5 * b, "{a}, {b}");
    // The same images as bytes, in files: the evaluation part of the folder, which is the run's.
    let files = format!("{}/data/digits", env!("CARGO_MANIFEST_DIR"));
    let other = found(&folder, "run", &["--data", &files]);
    for key in ["loss", "accuracy", "samples"] {
        assert_eq!(other[key], own[key], "{key}");
    }
    assert!(other["part"].is_null() && other["data"] == "digits", "{other}");

    let done = eval(&folder, "run", &[]);
    let accuracy = format!("{:.2}%", 100.0 * own["accuracy"].as_f64().expect("a share"));
    for words in ["the evaluation part, 360 samples", "run/model.safetensors", "loss     ", &accuracy] {
        assert!(done.stdout.contains(words), "{words}: {}", done.stdout);
    }
}

/// Rows of which one alone, or all alike, would be anything by their own mean.
#[test]
fn other_rows_are_encoded_as_the_runs_were() {
    let folder = rows::trained(GARDEN, &[]);
    folder.write("other.csv", "sun,harvest,rain,soil\n9,good,3,clay\n9,poor,3,loam\n9,good,3,sand\n");
    let other = found(&folder, "run", &["--data", "other.csv"]);
    assert_eq!(other["samples"], 3);
    // What predict says of each row by itself.
    let told = rows::predictions(&folder, &["other.csv"]);
    let of = |row: usize, class: &str| told[row]["probabilities"][class].as_f64().expect("a probability");
    let want = -(of(0, "good").ln() + of(1, "poor").ln() + of(2, "good").ln()) / 3.0;
    let loss = other["loss"].as_f64().expect("a loss");
    // The loss is of log-probabilities in f32, the other way by probabilities in f32.
    assert!((loss - want).abs() <= 1e-5 * want.max(1.0), "{loss}, {want}");

    let refused = |text: &str, words: &[&str]| {
        folder.write("wrong.csv", text);
        let done = eval(&folder, "run", &["--data", "wrong.csv"]);
        assert_eq!(done.stdout, "");
        done.refused(if words[0] == "no column" { 2 } else { 1 }, words);
    };
    refused("sun,harvest,rain,soil\n9,great,3,clay\n", &["line 2", "\"great\" is no class"]);
    refused("sun,harvest,rain,soil\n9,good,,clay\n", &["line 2", "\"rain\"", "missing"]);
    refused("sun,harvest,soil\n9,good,clay\n", &["no column", "\"rain\""]);
}

#[test]
fn what_cannot_be_evaluated_says_so() {
    let folder = rows::trained(GARDEN, &["--set", "data.eval_fraction=0"]);
    eval(&folder, "run", &[]).refused(2, &["no part to evaluate on", "--part train", "--data"]);
    assert_eq!(found(&folder, "run", &["--part", "train"])["samples"], 48);
    eval(&folder, "run", &["--average"]).refused(1, &["average.safetensors", "average.kind"]);
    eval(&folder, "run", &["--data", "none.csv"]).refused(1, &["none.csv"]);
    eval(&folder, "none", &[]).refused(2, &["none", "no such directory"]);
    eval(&folder, "run", &["--part", "test"]).refused(2, &["train", "eval"]);
    folder.write("digits.toml", "[data]\nsource = \"digits\"\n");
    eval(&folder, "run", &["--data", "digits.toml"]).refused(2, &["digits.toml", "another kind", "a table"]);
    std::fs::remove_file(folder.path("run/model.safetensors")).expect("the weights");
    eval(&folder, "run", &[]).refused(1, &["model.safetensors", "to the end"]);
}

#[test]
fn another_text_has_the_runs_characters() {
    let folder = Folder::new();
    folder.write("pattern.txt", "gradient\n".repeat(30));
    let settings = [
        "data={ source = { text = \"pattern.txt\" }, context = 8, batch_size = 16 }",
        "model.layers=[{ embedding = { num_embeddings = 9, embedding_dim = 4 } }, { linear = 9 }]",
    ];
    let settings: Vec<&str> = settings.iter().flat_map(|setting| ["--set", *setting]).collect();
    let lines = folder.trained("run", &settings);
    assert_same(&found(&folder, "run", &[]), &lines);
    // Its own vocabulary would number these otherwise.
    folder.write("other.txt", "tend\ntend\ntend\n");
    let other = found(&folder, "run", &["--data", "other.txt"]);
    // 15 characters, of which the last is a target only.
    assert_eq!(other["samples"], 1);
    folder.write("wrong.txt", "grad\nient!");
    eval(&folder, "run", &["--data", "wrong.txt"]).refused(1, &["wrong.txt, line 2", "'!'", "9 characters"]);
}

/// In a small memory evaluation has the same bits, and the run's config says how many samples go at once.
#[test]
fn memory_decides_no_bit_of_an_evaluation() {
    let folder = Folder::new();
    let metrics = ["--set", "eval.metrics=[\"f1\", { top_k = 3 }]", "--set", "train.epochs=2"];
    folder.trained("free", &metrics);
    let mut saving = 0;
    for memory in ["768KiB", "512KiB", "384KiB", "320KiB", "256KiB", "192KiB", "128KiB"] {
        let out = format!("in {memory}");
        let done = folder.train(&[&["--out", &out, "--memory", memory][..], &metrics].concat());
        if done.code != 0 {
            done.refused(1, &["budget"]);
            continue;
        }
        saving += usize::from(done.stdout.contains("streamed"));
        assert_eq!(timeless(&folder.metrics(&out)), timeless(&folder.metrics("free")), "{memory}");
        let compared = folder.run(&["compare", "free", &out]);
        assert!(compared.code == 0 && !compared.stdout.contains("eval.batch_size"), "{}", compared.stdout);
        found(&folder, &out, &[]);
    }
    assert!(saving > 0, "no memory was small");
    let config = String::from_utf8(folder.read("free/config.toml")).expect("UTF-8");
    assert!(config.contains("[eval]\nbatch_size = 100\n"), "{config}");
    // A run that is resumed by its first config takes the number over.
    let resumed = folder.train(&[&["--resume", "--out", "free"][..], &metrics].concat());
    assert!(resumed.code == 0 && resumed.stdout.contains("nothing to resume"), "{}", resumed.stderr);
    // It can be chosen, and is a setting then.
    folder.trained("chosen", &[&metrics[..], &["--set", "eval.batch_size=360"]].concat());
    let compared = folder.run(&["compare", "free", "chosen"]);
    assert!(compared.stdout.contains("eval.batch_size"), "{}", compared.stdout);
    folder.train(&["--set", "eval.batch_size=0"]).refused(2, &["eval.batch_size = 0"]);
    let chosen = [&metrics[..], &["--memory", "8KiB"]].concat();
    folder.train(&chosen).refused(1, &["budget"]);
}
