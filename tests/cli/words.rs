//! What a beginner reads: remedies, names, units, the next command; and that no text is endless.

use downhill::run;
use serde_json::Value;

use crate::adapter::wanted;
use crate::eval::found;
use crate::folder::Folder;
use crate::rows::{self, GARDEN};

/// Two columns and a label, 0 or 1.
fn labels() -> Folder {
    let folder = Folder::new();
    let row = |i: usize| format!("{},{},{}\n", (i * 7) % 11, (i * 5) % 13, usize::from((i * 7) % 11 > 5));
    folder.write("bin.csv", format!("a,b,label\n{}", (0..60).map(row).collect::<String>()));
    folder
}

/// The columns of the garden that a model reads, as `inputs.csv`.
fn inputs(folder: &Folder) {
    let text = String::from_utf8(folder.read("garden.csv")).expect("UTF-8");
    let line = |line: &str| line.split(',').take(3).collect::<Vec<_>>().join(",") + "\n";
    folder.write("inputs.csv", text.lines().map(line).collect::<String>());
}

/// `command net.toml` on the table with these settings.
fn on_labels(folder: &Folder, command: &str, source: &str, loss: &str, more: &[&str]) -> crate::folder::Done {
    let settings = [
        format!("data={{ source = {{ csv = \"bin.csv\", target = \"label\"{source} }}, batch_size = 10 }}"),
        format!("model={{ layers = [{{ linear = 4 }}, \"relu\", {{ linear = 2 }}], loss = \"{loss}\" }}"),
    ];
    let settings: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting.as_str()]).collect();
    folder.run(&[&[command, "net.toml"], &settings[..], more].concat())
}

#[test]
fn a_column_of_labels_under_a_loss_of_classes_names_the_remedy() {
    let folder = labels();
    for loss in ["cross_entropy", "nll"] {
        let done = on_labels(&folder, "explain", "", loss, &[]);
        done.refused(2, &[loss, "\"label\"", "bin.csv", "data.source.classes = true", "mse"]);
    }
    let done = on_labels(&folder, "explain", ", classes = true", "cross_entropy", &[]);
    assert_eq!(done.code, 0, "{}", done.stderr);
}

#[test]
fn a_pipe_shows_the_metrics_and_the_next_commands() {
    let folder = labels();
    let more = [
        "--set",
        "eval.metrics=[\"f1\", \"accuracy\", \"confusion_matrix\"]",
        "--adapter",
        &wanted(),
        "--out",
        "run",
    ];
    let done = on_labels(&folder, "train", ", classes = true", "cross_entropy", &more);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let line = |head: &str| {
        let line = done.stdout.lines().find(|line| line.starts_with(head));
        line.unwrap_or_else(|| panic!("{head}: {}", done.stdout)).to_owned()
    };
    let last = folder.metrics("run").pop().expect("a line");
    let f1 = format!("eval f1 {:.4}", last["eval_metrics"]["f1"].as_f64().expect("a number"));
    let accuracy = format!("eval accuracy {:.2}%", 100.0 * last["eval_accuracy"].as_f64().expect("a share"));
    for text in [line("epoch 1/1"), line("done ")] {
        assert!(text.contains(&f1) && text.contains(&accuracy) && text.contains("eval loss "), "{text}");
        assert_eq!(text.matches("accuracy").count(), 1, "{text}");
    }
    assert!(done.stdout.contains("confusion  0  1\n"), "{}", done.stdout);

    // Every command that is offered exists.
    let (_, next) = done.stdout.split_once("\nnext ").expect("the next commands");
    let commands: Vec<&str> = next.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    for want in ["predict", "eval", "lr-find", "train"] {
        assert!(commands.contains(&want), "{want}: {next}");
    }
    for command in &commands {
        assert_eq!(folder.run(&[command, "--help"]).code, 0, "{command}");
    }
    assert!(next.contains("predict run rows.csv") && !next.contains("smaller"), "{next}");
    let done = folder.run(&["eval", "run", "--adapter", &wanted()]);
    assert_eq!(done.code, 0, "the second line works as it stands: {}", done.stderr);
}

#[test]
fn a_confusion_matrix_names_its_classes() {
    let folder = rows::trained(GARDEN, &[]);
    let metrics = ["--set", "eval.metrics=[\"confusion_matrix\", \"f1\"]"];
    let json = found(&folder, "run", &metrics);
    assert_eq!(json["classes"], serde_json::json!(["fair, really", "good", "poor"]));
    assert_eq!(json["confusion"].as_array().map(Vec::len), Some(3));
    assert!(json["metrics"]["f1"].is_f64(), "{json}");
    assert!(found(&folder, "run", &[]).get("metrics").is_none(), "the run's own config has none");
    let done = folder.run(&[&["eval", "run", "--adapter", &wanted()], &metrics[..]].concat());
    for words in ["   confusion  fair, really  good  poor\n", "\n        good  ", "true class"] {
        assert!(done.stdout.contains(words), "{words:?}: {}", done.stdout);
    }
    let refused = |setting: &str, words: &[&str]| {
        let set = ["eval", "run", "--adapter", &wanted(), "--set", setting];
        folder.run(&set).refused(2, words);
    };
    refused("eval.metric=[\"f1\"]", &["eval.metric", "metrics"]);
    refused("eval.metrics=[\"mae\"]", &["mae", "classes"]);
}

/// Of a target near 500, learnt as (value - mean) / std.
#[test]
fn errors_of_a_standardised_target_are_in_its_own_unit() {
    let folder = rows::trained("weight", &["--set", "data.eval_fraction=0"]);
    let metrics = ["--part", "train", "--set", "eval.metrics=[\"mae\", \"rmse\"]"];
    let json = found(&folder, "run", &metrics);
    let text = String::from_utf8(folder.read("garden.csv")).expect("UTF-8");
    let truth = text.lines().skip(1).map(|line| line.rsplit(',').next().expect("a cell").parse::<f64>());
    let truth: Vec<f64> = truth.map(|cell| cell.expect("a number")).collect();
    inputs(&folder);
    let said = rows::predictions(&folder, &["inputs.csv"]);
    let said: Vec<f64> = said.iter().map(|row| row["prediction"].as_f64().expect("a number")).collect();
    let n = truth.len() as f64;
    let off = || truth.iter().zip(&said).map(|(t, y)| (t - y).abs());
    let (mae, rmse) = (off().sum::<f64>() / n, (off().map(|d| d * d).sum::<f64>() / n).sqrt());
    for (key, want) in [("mae", mae), ("rmse", rmse)] {
        let got = json["metrics"][key].as_f64().expect("a number");
        assert!((got - want).abs() <= 1e-4 * want, "{key}: {got}, {want}");
    }
    // The loss is of the standardised number.
    let encoding: Value = serde_json::from_slice(&folder.read("run/data.json")).expect("JSON");
    let std = encoding["target"]["std"].as_f64().expect("a deviation");
    let loss = json["loss"].as_f64().expect("a loss");
    assert!((loss - (rmse / std).powi(2)).abs() <= 1e-4 * loss, "{loss}, {rmse}, {std}");
    let done = folder.run(&["eval", "run", "--adapter", &wanted(), "--data", "garden.csv"]);
    for words in ["target   \"weight\" is standardised", "losses are of that number", "unit of \"weight\""] {
        assert!(done.stdout.contains(words), "{words}: {}", done.stdout);
    }
}

#[test]
fn explain_begins_with_the_layers() {
    let folder = Folder::new();
    let layers = "model.layers=[\"flatten\", { linear = 16 }, \"batch_norm\", \"relu\", { residual = [{ linear = 16 }] }, \
                  { linear = 10 }]";
    let frozen = "optimizer.groups=[{ params = [\"1.*\"], frozen = true }]";
    let done = folder.run(&["explain", "net.toml", "--set", layers]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let cells: Vec<Vec<&str>> = done.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    let want = [
        "layer kind output parameters",
        "0 flatten [n, 64] 0",
        "1 linear [n, 16] 1,040",
        "2 batch_norm [n, 16] 32",
        "3 relu [n, 16] 0",
        "4 residual [n, 16] 0",
        "4.layers.0 linear [n, 16] 272",
        "5 linear [n, 10] 170",
        "1,514 parameters in 8 tensors: 1,514 trainable, 0 frozen; 33 more that are not trained (running \
         statistics); 15 steps an epoch",
    ];
    for (line, want) in cells.iter().zip(want) {
        assert_eq!(line.join(" "), want, "{}", done.stdout);
    }
    let json = folder.run(&["explain", "net.toml", "--json", "--set", layers, "--set", frozen]);
    let json: Value =
        serde_json::from_str(&json.stdout).unwrap_or_else(|err| panic!("{err}: {}", json.stderr));
    assert_eq!((&json["parameter_count"], &json["trainable_count"]), (&1514.into(), &474.into()));
    let linear = serde_json::json!(
        { "name": "1", "kind": "linear", "output": [100, 16], "parameters": 1040, "trainable": 0 }
    );
    assert_eq!(json["layers"][1], linear);
}

/// One row, one class, one batch: the singular. What is too long is cut.
#[test]
fn texts_count_rightly_and_are_not_endless() {
    let folder = labels();
    folder.write("bin.csv", "a,b,label\n1,2,0\n");
    on_labels(&folder, "explain", "", "mse", &[]).refused(1, &["bin.csv has 1 row,"]);
    let refused = |setting: &str, words: &[&str]| {
        let done = folder.run(&["explain", "net.toml", "--set", setting]);
        done.refused(2, words);
        assert!(done.stderr.len() < 3000, "{} bytes: {setting:.80}", done.stderr.len());
        assert!(!done.stderr.contains("and this is an integer"), "{}", done.stderr);
    };
    refused("model.layers=[\"flatten\", { linear = 1 }]", &["output has 1 class and"]);
    refused("train.steps=99999999999999999999", &["train.steps"]);
    refused("data.batch_size=0", &["data.batch_size = 0: a whole number above 0, or \"full\", is needed\n"]);
    let (many, deep) = ("\"relu\",".repeat(15_000), ["[".repeat(70), "]".repeat(70)]);
    refused(&format!("model.layers=[[{many}]]"), &["model.layers[0] = ", " ..: ", "a layer is a name"]);
    refused(
        &format!("model.layers={}{many}{}", deep[0], deep[1]),
        &["model.layers[0] = ", "a layer is a name"],
    );
    refused(&format!("model.layers=[\"{}\"]", "x".repeat(50_000)), &["unknown layer"]);
    let nested = "[{ repeat = { times = 1, layers = ".repeat(12) + "[{ linear = true }]" + &"}}]".repeat(12);
    refused(&format!("model.layers={nested}"), &["linear", "true"]);
    folder.write("deep.toml", format!("model = {}{}\n", "[".repeat(20_000), "]".repeat(20_000)));
    let done = folder.run(&["explain", "deep.toml"]);
    done.refused(2, &["deep.toml", "not valid TOML", "line 1, column"]);
    assert!(done.stderr.len() < 600, "{}", done.stderr);

    // The words of a command fit what it writes.
    folder.write("there.dhd", "x");
    std::fs::create_dir(folder.path("folder.dhd")).expect("a folder");
    let convert = |out: &str| folder.run(&["data", "convert", "net.toml", "--out", out]);
    convert("there.dhd").refused(2, &["there.dhd", "another --out", "--force"]);
    assert!(!convert("there.dhd").stderr.contains("directory"));
    convert("folder.dhd").refused(2, &["folder.dhd is a directory", "a file is needed"]);
    let help = folder.run(&["--help"]).stdout;
    assert!(help.contains("Inspect data, convert them"), "{help}");
}

/// Before it asks for a target, which is of no use then.
#[cfg(not(feature = "parquet"))]
#[test]
fn a_format_that_is_not_built_in_is_told_first() {
    let folder = Folder::new();
    folder.write("t.parquet", "PAR1");
    folder.run(&["data", "inspect", "t.parquet"]).refused(2, &["t.parquet", "--features parquet"]);
    let source = "data.source={ parquet = \"t.parquet\" }";
    folder.run(&["explain", "net.toml", "--set", source]).refused(2, &["t.parquet", "--features parquet"]);
}

#[test]
fn predict_writes_json_as_other_commands_do() {
    let folder = rows::trained(GARDEN, &[]);
    inputs(&folder);
    let json = rows::csv(&folder, &["inputs.csv", "--json"]);
    assert_eq!(json, rows::csv(&folder, &["inputs.csv", "--format", "jsonl"]));
    assert_eq!(json.lines().count(), 48);
    rows::predict(&folder, &["garden.csv", "--json", "--format", "csv"]).refused(2, &["--json", "--format"]);
    let help = folder.run(&["predict", "--help"]).stdout;
    assert!(help.contains("--json") && !help.contains("--format"), "{help}");
}

#[test]
fn weights_that_are_not_numbers_are_an_error() {
    let folder = rows::trained(GARDEN, &[]);
    let file = folder.path("run/model.safetensors");
    let mut weights = run::load(&file).expect("weights");
    weights[0].values[3] = f32::NAN;
    run::save(&file, &weights).expect("weights");
    for more in [&[][..], &["--json"]] {
        let done = folder.run(&[&["eval", "run", "--adapter", &wanted()], more].concat());
        assert_eq!(done.code, 1, "{}{}", done.stdout, done.stderr);
        for words in ["loss is NaN", "1 weight of", "model.safetensors", "smaller learning rate"] {
            assert!(done.stderr.contains(words), "{words}: {}", done.stderr);
        }
        if !more.is_empty() {
            let json: Value = serde_json::from_str(&done.stdout).expect("JSON");
            assert!(json["loss"].is_null() && json["samples"].is_u64(), "{json}");
        }
    }
}
