//! `downhill tune`, and `--tune` of `train` and `explain`, with tables written by hand.

use serde_json::Value;

use crate::folder::Folder;

/// Tiles of the first layer of the folder's config, and of the gradient of its weight.
const TABLE: &str = r#"
[tune]
adapter = "made up"
driver = "7"
template = "0"

[tune.products]
"100x16x64 NT" = "32x32x32"
"16x64x100 TN row sums" = "64x32x16"
"#;

/// Kernel by kernel, as larger nets are.
const CONFIG: [&str; 2] =
    ["--set", "model.layers=[\"flatten\", {linear=16}, \"batch_norm\", \"relu\", {linear=10}]"];

fn folder() -> Folder {
    let folder = Folder::new();
    folder.write("t.toml", TABLE);
    folder
}

fn explained(folder: &Folder, more: &[&str]) -> Vec<Value> {
    let done = folder.run_without_adapter(&[&["explain", "net.toml", "--json"], &CONFIG[..], more].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    let plan: Value = serde_json::from_str(&done.stdout).expect("JSON");
    let kernels = |build: &Value| build["kernels"].as_array().expect("kernels").clone();
    ["train", "eval"]
        .iter()
        .flat_map(|part| plan[*part].as_array().expect("builds"))
        .flat_map(kernels)
        .collect()
}

#[test]
fn explain_shows_which_tiles_are_tuned() {
    let folder = folder();
    let (plain, tuned) = (explained(&folder, &[]), explained(&folder, &["--tune", "t.toml"]));
    assert!(plain.iter().all(|kernel| kernel["tuned"] == false));
    let named: Vec<(&str, &str)> = tuned
        .iter()
        .filter(|kernel| kernel["tuned"] == true)
        .map(|kernel| {
            (kernel["product"].as_str().expect("a product"), kernel["tile"].as_str().expect("a tile"))
        })
        .collect();
    // The layer is in the step and in the evaluation.
    let layer = ("100x16x64 NT", "32x32x32");
    assert_eq!(named, [layer, ("16x64x100 TN row sums", "64x32x16"), layer]);
    for (plain, tuned) in plain.iter().zip(&tuned) {
        assert_eq!(plain != tuned, tuned["tuned"] == true, "{plain}\n{tuned}");
    }
    let text = folder.run(&[&["explain", "net.toml", "--tune", "t.toml"], &CONFIG[..]].concat()).stdout;
    assert_eq!(text.matches("32x32x32 tuned").count(), 2, "{text}");
    assert_eq!(text.matches("64x32x16 tuned").count(), 1, "{text}");
    let software = ["explain", "net.toml", "--tune", "t.toml", "--target", "software"];
    assert!(!folder.run(&software).stdout.contains("tuned"));
}

#[test]
fn a_run_keeps_the_table_and_a_resumed_run_takes_no_other() {
    let folder = folder();
    let adapter = crate::adapter::wanted();
    let epochs = |n| [&CONFIG[..], &["--set", n, "--set", "checkpoint.every_epochs=1"]].concat();
    let (one, two) = (epochs("train.epochs=1"), epochs("train.epochs=2"));
    let done = folder.train(&[&["--out", "whole", "--tune", "t.toml"], &two[..]].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    // A tiled adapter uses it and says that it is of another one; others say that it has no effect.
    assert!(done.stdout.contains("made up (driver 7)"), "{}", done.stdout);
    let config = String::from_utf8(folder.read("whole/config.toml")).expect("UTF-8");
    for line in TABLE.lines().filter(|line| !line.is_empty()) {
        assert!(config.contains(line), "{line}: {config}");
    }
    let machine: Value = serde_json::from_slice(&folder.read("whole/system.json")).expect("JSON");
    let has_tiles = machine["kernels"] == "Tiled" && machine["tuned_products"] == 3;
    assert!(has_tiles || machine["tuned_products"] == 0, "{machine}");
    assert_eq!(done.stdout.contains("have no effect here"), !has_tiles, "{}", done.stdout);
    assert_eq!(done.stdout.contains("products as [tune] says"), has_tiles, "{}", done.stdout);

    folder.trained("run", &[&["--tune", "t.toml"], &one[..]].concat());
    folder.write("other.toml", TABLE.replace("64x32x16", "16x16x128").replace("made up", "other card"));
    let resume = ["train", "--resume", "run", "--adapter", &adapter, "--tune", "other.toml"];
    let done = folder.run(&[&resume[..], &["--set", "train.epochs=2"]].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    let told = "the run keeps tiles for 2 products, measured on made up";
    assert!(done.stdout.contains(told) && done.stdout.contains("other card"), "{}", done.stdout);
    let weights = |run: &str| folder.read(&format!("{run}/model.safetensors"));
    assert!(weights("whole") == weights("run"), "other weights");
    assert!(String::from_utf8(folder.read("run/config.toml")).expect("UTF-8").contains("64x32x16"));
    // A finished run with another table asked for is still finished.
    let done = folder.run(&resume);
    assert!(done.code == 0 && done.stdout.contains("is finished"), "{}{}", done.stdout, done.stderr);

    let evaluated = folder.run(&["eval", "run", "--json", "--adapter", &adapter]);
    let evaluated: Value = serde_json::from_str(&evaluated.stdout).expect("JSON");
    let metrics = folder.metrics("run");
    let last = metrics.iter().rfind(|line| line["event"] == "epoch").expect("an epoch");
    assert_eq!(evaluated["loss"], last["eval_loss"]);

    folder.trained("plain", &two);
    let done = folder.run(&["compare", "plain", "whole"]);
    assert_eq!(done.code, if has_tiles { 3 } else { 0 }, "{}", done.stdout);
    for words in [
        "config   tune.products.100x16x64 NT is not there in plain and \"32x32x32\" in whole",
        "tune.adapter",
    ] {
        assert!(done.stdout.contains(words), "{words}: {}", done.stdout);
    }
    let runs = folder.run(&["runs", "plain", "whole"]).stdout;
    assert!(runs.contains("tune.adapter") && !runs.contains("tune.products"), "{runs}");
}

#[test]
fn a_wrong_table_is_refused_with_its_line() {
    let folder = folder();
    for (name, text, words) in [
        ("tile.toml", TABLE.replace("32x32x32", "33x33x33"), ["no tile is named \"33x33x33\"", "line 8"]),
        (
            "product.toml",
            TABLE.replace("100x16x64 NT", "100x16 NT"),
            ["\"100x16 NT\" is no product", "line 8"],
        ),
        ("cut.toml", TABLE[..TABLE.len() - 10].to_owned(), ["TOML parse error", "line 9"]),
        ("parts.toml", TABLE.replace("32x32x32", "32x32x32 in 9 parts"), ["makes 2 parts", "line 8"]),
        ("other.toml", "seed = 4\n".to_owned(), ["tune", "no table of tiles"]),
    ] {
        folder.write(name, text);
        for command in ["train", "explain"] {
            let done = folder.run(&[command, "net.toml", "--tune", name]);
            done.refused(2, &[words[0], words[1], name, "downhill tune"]);
        }
    }
    folder.run(&["train", "net.toml", "--tune", "none.toml"]).refused(2, &["none.toml"]);
    let setting = "tune.products.100x16x64 NT=33x33x33";
    let done = folder.run(&["explain", "net.toml", "--set", setting]);
    done.refused(2, &["tune.products.100x16x64 NT: no tile is named \"33x33x33\"", "32x32x32"]);
    assert!(folder.listing().iter().all(|name| !name.starts_with("runs")), "{:?}", folder.listing());
}

/// On a software adapter there is nothing to tune; else there is a file, which training takes.
#[test]
fn tune_measures_or_says_why_not() {
    let folder = folder();
    let adapter = crate::adapter::wanted();
    let tune = [&["tune", "net.toml", "--runs", "3", "--adapter", &adapter], &CONFIG[..]].concat();
    let done = folder.run(&tune);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    let is_there = folder.path("net.tune.toml").exists();
    let json = folder.run(&[&tune[..], &["--json"]].concat()).stdout;
    let json: Value = serde_json::from_str(&json).expect("JSON");
    if done.stdout.starts_with("nothing to tune: ") {
        assert!(!is_there && done.stdout.contains("software adapters"), "{}", done.stdout);
        assert!(json["nothing"].as_str().is_some_and(|why| why.contains("software adapters")), "{json}");
    } else {
        assert!(is_there && done.stdout.contains("net.tune.toml"), "{}", done.stdout);
        // All is known the second time.
        assert_eq!(
            (&json["products"], json["steps"][0]["products"].as_u64()),
            (&Value::Array(vec![]), Some(0))
        );
        let tuned = explained(&folder, &["--tune", "net.tune.toml"]);
        assert!(tuned.iter().all(|kernel| kernel["tuned"] == !kernel["tile"].is_null()));
        folder.trained("run", &[&["--tune", "net.tune.toml"], &CONFIG[..]].concat());
    }
    // What is no table of tiles is not overwritten.
    for (file, words) in [("net.toml", "no table of tiles"), ("both.toml", "is not overwritten")] {
        folder.write("both.toml", format!("seed = 1\n{TABLE}"));
        let before = folder.read(file);
        folder.run(&[&tune[..], &["--out", file]].concat()).refused(2, &[file, words]);
        assert_eq!(folder.read(file), before);
    }
}
