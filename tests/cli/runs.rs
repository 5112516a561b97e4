//! Runs that work: what they write, and that options do what they say.

use serde_json::Value;

use crate::folder::{Folder, events};

fn keys(line: &Value) -> Vec<&str> {
    line.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// The lines without the numbers that depend on the clock.
pub fn timeless(lines: &[Value]) -> Vec<Value> {
    let mut lines = lines.to_vec();
    for line in &mut lines {
        if let Some(line) = line.as_object_mut() {
            line.remove("samples_per_second");
            line.remove("data_wait");
        }
    }
    lines
}

/// Names and order of the keys are what later work and outside checks read.
#[test]
fn metrics_have_the_keys_of_the_interface() {
    let folder = Folder::new();
    folder.trained("run", &[]);
    let text = String::from_utf8(folder.read("run/metrics.jsonl")).expect("UTF-8");
    // serde_json sorts the keys of a value: their order is in the text.
    let order = |line: &str| -> Vec<String> {
        line.split('"')
            .skip(1)
            .step_by(2)
            .filter(|word| *word != "step" && *word != "epoch")
            .map(Into::into)
            .collect()
    };
    let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    assert_eq!(lines.len(), 16);
    for (i, (line, text)) in lines[..15].iter().zip(text.lines()).enumerate() {
        let mut sorted = keys(line);
        sorted.sort_unstable();
        assert_eq!(sorted, ["epoch", "event", "loss", "lr", "step"], "{line}");
        assert!(
            text.starts_with(&format!(r#"{{"event":"step","step":{},"epoch":1,"loss":"#, i + 1)),
            "{text}"
        );
        assert!(text.ends_with(r#","lr":0.001}"#), "{text}");
        assert!(line["loss"].as_f64().is_some_and(|loss| loss > 0.0 && loss < 10.0), "{line}");
    }
    let (last, text) = (&lines[15], text.lines().last().expect("lines"));
    let mut sorted = keys(last);
    sorted.sort_unstable();
    let names = ["epoch", "eval_accuracy", "eval_loss", "event", "samples_per_second", "train_loss"];
    assert_eq!(sorted, names, "{last}");
    assert_eq!(order(text), ["event", "train_loss", "eval_loss", "eval_accuracy", "samples_per_second"]);
    assert!(text.starts_with(r#"{"event":"epoch","epoch":1,"train_loss":"#), "{text}");
    // The epoch's loss is the mean over its samples, 14 batches of 100 and one of 37.
    let weighted: f64 = lines[..15]
        .iter()
        .enumerate()
        .map(|(i, line)| line["loss"].as_f64().expect("a loss") * if i < 14 { 100.0 } else { 37.0 })
        .sum();
    let train_loss = last["train_loss"].as_f64().expect("a loss");
    assert!((train_loss - weighted / 1437.0).abs() <= 1e-6 * train_loss, "{train_loss}");
    let right = last["eval_accuracy"].as_f64().expect("a share") * 360.0;
    assert!((right - right.round()).abs() <= 1e-6, "{right} of 360");
    assert_eq!(
        folder.listing(),
        [
            "net.toml",
            "run",
            "run/.lock",
            "run/config.toml",
            "run/metrics.jsonl",
            "run/model.safetensors",
            "run/system.json"
        ]
    );
}

#[test]
fn steps_stop_before_and_after_the_epochs_end() {
    let folder = Folder::new();
    for (steps, epochs) in [("1", 1), ("5", 1), ("15", 1), ("16", 2), ("40", 3)] {
        let lines = folder.trained(&format!("run-{steps}"), &["--steps", steps]);
        let done = events(&lines, "step");
        assert_eq!(done.len().to_string(), steps);
        for (i, line) in done.iter().enumerate() {
            assert_eq!(
                (line["step"].as_u64(), line["epoch"].as_u64()),
                (Some(i as u64 + 1), Some(i as u64 / 15 + 1))
            );
        }
        let ends = events(&lines, "epoch");
        assert_eq!(ends.len(), epochs, "{steps}");
        let last = lines.last().expect("lines");
        assert_eq!(last, *ends.last().expect("an epoch"), "a part of an epoch is closed too");
        assert_eq!(last["epoch"], epochs);
        assert!(last["eval_loss"].is_number() && last["eval_accuracy"].is_number());
    }
    // A shorter run is the beginning of a longer one.
    let [short, long] = ["run-16", "run-40"].map(|run| folder.metrics(run));
    assert_eq!(events(&short, "step")[..], events(&long, "step")[..16]);
}

#[test]
fn a_resolved_config_gives_the_run_again() {
    let folder = Folder::new();
    for (i, settings) in [
        &["optimizer.lr=3e-3", "data.batch_size=full", "train.epochs=3"][..],
        &["optimizer={ name = \"rmsprop\", lr = 1e-3, centered = true }", "data.shuffle=false"],
        &["optimizer={ name = \"sgd\", momentum = 0.7, form = \"average\" }", "data.drop_last=true"],
        &[
            "model.layers=[\"flatten\", { linear = { out_features = 12, bias = false } }, { leaky_relu = 0.1 }, \
             { linear = 12 }, { gelu = \"tanh\" }, { linear = 12 }, { softplus = { beta = 0.3 } }, { linear = 10 }]",
            "model.loss={ cross_entropy = { label_smoothing = 0.1, ignore_index = 3 } }",
        ],
        &["model.loss={ huber = { delta = 0.7 } }", "data.batch_size=64"],
        &[
            "model.layers=[{ conv2d = { out_channels = 4, kernel_size = 3, padding = \"same\" } }, \
             { repeat = { times = 2, layers = [{ residual = [\"relu\", { conv2d = { out_channels = 4, \
             kernel_size = [3, 1], padding = [1, 0] } }] }] } }, { max_pool2d = 2 }, \
             { parallel = [[{ avg_pool2d = { kernel_size = 3, stride = 1, padding = 1 } }], []] }, \
             { block = { name = \"head\", layers = [\"flatten\", { linear = 10 }, \"log_softmax\"] } }]",
            "model.loss=nll",
        ],
        &[
            "model.layers=[\"flatten\", { linear = 24 }, { batch_norm = { momentum = \"none\" } }, \"relu\", \
             { dropout = 0.2 }, { reshape = [6, -1] }, { group_norm = 3 }, { rms_norm = 2 }, \"flatten\", \
             \"layer_norm\", { linear = 10 }]",
        ],
        &[
            "model.layers=[{ reshape = [8, 8] }, { positional_embedding = 8 }, { residual = [\"layer_norm\", \
             { multi_head_attention = { num_heads = 2, causal = true, dropout = 0.1 } }] }, \
             { gru = { hidden_size = 9, return_sequences = false } }, { linear = 10 }]",
        ],
    ]
    .into_iter()
    .enumerate()
    {
        let [first, again] = ["first", "again"].map(|name| format!("{name}-{i}"));
        let mut options = vec!["--seed", "77", "--steps", "20"];
        options.extend(settings.iter().flat_map(|setting| ["--set", *setting]));
        let lines = folder.trained(&first, &options);
        let config = format!("{first}/config.toml");
        let done = folder.run(&["train", &config, "--adapter", &crate::adapter::wanted(), "--out", &again]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert_eq!(timeless(&folder.metrics(&again)), timeless(&lines), "{settings:?}");
        for name in ["model.safetensors", "config.toml"] {
            let [a, b] = [&first, &again].map(|run| folder.read(&format!("{run}/{name}")));
            assert_eq!(a, b, "{name}: {settings:?}");
        }
        let text = String::from_utf8(folder.read(&config)).expect("UTF-8");
        for key in ["seed = 77", "steps = 20", "shuffle = ", "drop_last = ", "weight_decay = ", "epochs = "] {
            assert!(text.contains(key), "no {key} in {text}");
        }
    }
}

#[test]
fn seeds_are_taken_from_the_command_line_or_the_config() {
    let folder = Folder::new();
    let weights = |run: &str, more: &[&str]| {
        folder.trained(run, &[&["--steps", "3"], more].concat());
        folder.read(&format!("{run}/model.safetensors"))
    };
    let plain = weights("a", &[]);
    assert_eq!(weights("b", &["--seed", "4"]), plain, "the config says 4");
    assert_eq!(weights("c", &["--set", "seed=4"]), plain);
    assert_ne!(weights("d", &["--seed", "5"]), plain);
    assert_eq!(weights("e", &["--seed", "5", "--set", "seed=6"]), weights("f", &["--set", "seed=5"]));
    assert_ne!(weights("g", &["--seed", "9223372036854775807"]), plain);
}

/// Weights go out as they come in, and a run goes on from them.
#[test]
fn weights_go_round() {
    let folder = Folder::new();
    let first = folder.trained("first", &[]);
    let still = ["--set", "optimizer={ name = \"sgd\", lr = 0 }"];
    let options = [&["--init", "first/model.safetensors", "--steps", "1"], &still[..]].concat();
    let still = folder.trained("still", &options);
    assert_eq!(folder.read("still/model.safetensors"), folder.read("first/model.safetensors"));
    let evals = [&first, &still].map(|lines| events(lines, "epoch")[0]["eval_loss"].clone());
    assert_eq!(evals[0], evals[1], "the same weights, evaluated again");
    let on = folder.trained("on", &["--init", "first/model.safetensors"]);
    let loss = |lines: &[Value]| lines[0]["loss"].as_f64().expect("a loss");
    assert!(loss(&on) < loss(&first) - 0.01, "{} against {}", loss(&on), loss(&first));

    let file = folder.read("first/model.safetensors");
    let tensors = safetensors::SafeTensors::deserialize(&file).expect("safetensors");
    let mut shapes: Vec<(String, Vec<usize>)> =
        tensors.tensors().into_iter().map(|(name, view)| (name, view.shape().to_vec())).collect();
    shapes.sort();
    let want =
        [("1.bias", vec![16]), ("1.weight", vec![16, 64]), ("3.bias", vec![10]), ("3.weight", vec![10, 16])];
    assert_eq!(shapes, want.map(|(name, shape)| (name.to_owned(), shape)));
}

/// A schedule-free optimizer trains y; what is evaluated and saved is x, so a run from the file begins where it ended.
#[test]
fn a_schedule_free_run_saves_what_it_evaluated() {
    let folder = Folder::new();
    for (name, lr) in [("schedule_free_adamw", 0.01), ("schedule_free_sgd", 1.0)] {
        let optimizer = format!("optimizer={{ name = \"{name}\", lr = {lr:?}, warmup_steps = 4 }}");
        let first = folder.trained(name, &["--set", &optimizer]);
        assert!(!folder.path(&format!("{name}/average.safetensors")).exists(), "the average is the model");
        let (file, still) = (format!("{name}/model.safetensors"), format!("{name}-still"));
        let sgd = "optimizer={ name = \"sgd\", lr = 0 }";
        let again = folder.trained(&still, &["--init", &file, "--steps", "1", "--set", sgd]);
        let evals = [&first, &again].map(|lines| events(lines, "epoch")[0]["eval_loss"].clone());
        assert_eq!(evals[0], evals[1], "{name}");
        assert!(evals[0].as_f64().is_some_and(|loss| loss < 2.2), "{name}: {}", evals[0]);
    }
}

#[test]
fn batches_of_every_kind() {
    let folder = Folder::new();
    for (name, settings, steps) in [
        ("full", &["data.batch_size=full"][..], 1),
        ("larger", &["data.batch_size=5000"], 1),
        ("all", &["data.batch_size=1437"], 1),
        ("but one", &["data.batch_size=1436"], 2),
        ("dropped", &["data.batch_size=1436", "data.drop_last=true"], 1),
        ("short dropped", &["data.drop_last=true"], 14),
        ("even", &["data.batch_size=479", "data.drop_last=true"], 3),
        ("sevens", &["data.batch_size=7"], 206),
    ] {
        let settings: Vec<&str> = settings.iter().flat_map(|setting| ["--set", *setting]).collect();
        let lines = folder.trained(name, &settings);
        assert_eq!(events(&lines, "step").len(), steps, "{name}");
        assert_eq!(events(&lines, "epoch").len(), 1, "{name}");
    }
    // All at once is all at once, whatever it is called.
    let [full, larger, all] = ["full", "larger", "all"].map(|run| timeless(&folder.metrics(run)));
    assert_eq!(full, larger);
    assert_eq!(full, all);
    // Nothing would be left.
    let dropped = ["--set", "data.batch_size=5000", "--set", "data.drop_last=true", "--out", "none"];
    folder.train(&dropped).refused(2, &["5000", "1437", "drop_last"]);
}

#[test]
fn run_directories_are_numbered() {
    let folder = Folder::new();
    for number in 1..=2 {
        let done = folder.train(&["--steps", "1"]);
        assert_eq!(done.code, 0, "{}", done.stderr);
        let run = format!("runs/net-{number}");
        assert!(done.stdout.contains(&run), "{}", done.stdout);
        assert!(folder.path(&run).join("model.safetensors").exists());
    }
    // An empty directory of one's own is as good as none.
    std::fs::create_dir(folder.path("mine")).expect("a folder");
    folder.trained("mine", &["--steps", "1"]);
    // In a pipe: plain lines, no control characters.
    let done = folder.train(&["--steps", "1", "--out", "piped"]);
    for text in [&done.stdout, &done.stderr] {
        assert!(!text.contains(['\u{1b}', '\r']), "{text:?}");
    }
    for word in ["adapter", "loss", "accuracy", "samples/s", "piped", "next"] {
        assert!(done.stdout.contains(word), "{word}: {}", done.stdout);
    }
}

/// `for i in 1 2 3 4 5; do downhill train net.toml -q & done; wait`: to make the directory is to own its number.
#[test]
fn runs_started_at_once_get_a_directory_each() {
    let folder = Folder::new();
    let args = ["train", "net.toml", "--steps", "2", "-q", "--adapter", &crate::adapter::wanted()];
    let start = |_| folder.command(&args).stderr(std::process::Stdio::piped()).spawn().expect("the binary");
    let children: Vec<_> = (0..5).map(start).collect();
    for child in children {
        let done = crate::folder::Done::of(&child.wait_with_output().expect("an end"));
        assert_eq!(done.code, 0, "{}", done.stderr);
    }
    let runs: Vec<String> = folder.listing().into_iter().filter(|name| name.starts_with("runs/")).collect();
    let finished = runs.iter().filter(|name| name.ends_with("/model.safetensors"));
    let want = [1, 2, 3, 4, 5].map(|number| format!("runs/net-{number}/model.safetensors"));
    assert_eq!(finished.collect::<Vec<_>>(), want.iter().collect::<Vec<_>>(), "{runs:?}");
    assert!(want.iter().all(|weights| folder.read(weights) == folder.read(&want[0])), "one config, one seed");
}

/// The number is above every other: the last run is the one of the highest number, whatever was removed.
#[test]
fn a_number_is_above_every_other() {
    let folder = Folder::new();
    // A run that was removed, an empty folder, a file; and names that are not of this config.
    std::fs::create_dir_all(folder.path("runs/net-2")).expect("a folder");
    folder.write("runs/net-3", "a file");
    for other in ["net-x", "net-007", "net-9-1", "net-+8", "network-8", "net-"] {
        std::fs::create_dir(folder.path("runs").join(other)).expect("a folder");
    }
    let quiet = ["--steps", "1", "-q"];
    assert_eq!(folder.train(&quiet).code, 0);
    assert!(folder.path("runs/net-4/model.safetensors").exists(), "{:?}", folder.listing());
    std::fs::create_dir(folder.path("runs/net-5")).expect("a folder");
    // The last run is that of number 4: the folder above it holds none.
    let done = folder.train(&["--resume", "--set", "train.steps=1"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert!(done.stdout.contains("runs/net-4 is finished"), "{}", done.stdout);
    assert!(!folder.path("runs/net-6").exists() && !folder.path("runs/net-1").exists());
}

/// A table's encoding is kept with its run, and the resolved config trains on the same rows from another folder.
#[test]
fn a_table_is_learnt_and_its_encoding_kept() {
    let folder = Folder::new();
    let row = |i: usize| {
        let (x, kind) = (i as f64 / 10.0, ["even", "odd"][i % 2]);
        format!("{x},{kind},{}\n", 2.0 * x + [1.0, -1.0][i % 2])
    };
    std::fs::create_dir(folder.path("tables")).expect("a folder");
    folder.write("tables/line.csv", (0..60).fold("x,kind,y\n".to_owned(), |t, i| t + &row(i)));
    let settings = [
        "data={ source = { csv = \"tables/line.csv\", target = \"y\", standardise_target = true } }",
        "model.layers=[{ linear = 1 }]",
        "model.loss=mse",
        "optimizer={ name = \"adam\", lr = 0.05 }",
        "train.epochs=200",
    ];
    let settings: Vec<&str> = settings.iter().flat_map(|setting| ["--set", *setting]).collect();
    let lines = folder.trained("run", &settings);
    let last = events(&lines, "epoch").last().expect("an epoch")["eval_loss"].as_f64().expect("a loss");
    assert!(last < 1e-4, "a line is learnt: {last}");
    let kept = folder.listing().into_iter().filter(|name| name.starts_with("run/")).collect::<Vec<_>>();
    assert_eq!(
        kept,
        [
            "run/.lock",
            "run/config.toml",
            "run/data.json",
            "run/metrics.jsonl",
            "run/model.safetensors",
            "run/system.json"
        ]
    );

    let run = folder.path("run");
    let encoding = downhill::run::RunDir::encoding(&run).expect("an encoding").expect("one");
    let downhill::data::Encoding::Table(table) = encoding else { panic!("{encoding:?}") };
    let weights = downhill::run::load(&run.join("model.safetensors")).expect("weights");
    let [bias, weight] = &weights[..] else { panic!("{weights:?}") };
    for (x, kind, want) in [("3.3", "odd", 5.6), ("0.4", "even", 1.8)] {
        let row = table.encode(&[("x", x), ("kind", kind)]).expect("numbers");
        let output = row.iter().zip(&weight.values).fold(bias.values[0], |sum, (x, w)| sum + x * w);
        let y = table.value(output).expect("a number");
        assert!((y - want).abs() < 0.1, "{x} {kind}: {y}, not {want}");
    }

    let done =
        folder.run(&["train", "run/config.toml", "--adapter", &crate::adapter::wanted(), "--out", "again"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    for name in ["config.toml", "data.json", "model.safetensors"] {
        assert_eq!(folder.read(&format!("again/{name}")), folder.read(&format!("run/{name}")), "{name}");
    }
    // A run whose numbers were numbers from the start keeps none.
    folder.trained("digits", &["--steps", "1"]);
    assert!(!folder.path("digits/data.json").exists());
}

/// The examples with tables come near what `data/tables/README.md` says is to be had; a linear model does not.
#[test]
fn the_tables_of_the_examples_are_learnt() {
    let folder = Folder::new();
    let last = |name: &str, more: &[&str]| {
        let example = format!("{}/examples/{name}.toml", env!("CARGO_MANIFEST_DIR"));
        let out = format!("{name}-{}", more.len());
        let adapter = crate::adapter::wanted();
        let done = folder.run(&[&["train", &example, "--adapter", &adapter, "--out", &out], more].concat());
        assert_eq!(done.code, 0, "{}", done.stderr);
        let lines = folder.metrics(&out);
        let epoch = events(&lines, "epoch").pop().expect("an epoch").clone();
        let number = |key: &str| epoch[key].as_f64().unwrap_or(f64::NAN);
        (number("eval_loss"), number("eval_accuracy"))
    };
    let (loss, _) = last("regression", &[]);
    assert!(loss < 0.025, "{loss}");
    let (loss, _) = last("regression", &["--set", "model.layers=[{ linear = 1 }]"]);
    assert!(loss > 0.15, "{loss}");
    let (_, accuracy) = last("tabular", &[]);
    assert!(accuracy > 0.76, "{accuracy}");
    let (_, accuracy) = last("tabular", &["--set", "model.layers=[{ linear = 3 }]"]);
    assert!(accuracy < 0.6, "{accuracy}");
}

#[test]
fn f16_tells_its_loss_scale() {
    let folder = Folder::new();
    let done = folder.train(&["--out", "run", "--set", "train.precision=f16"]);
    if done.code == 1 && done.stderr.contains("shader-f16") {
        assert!(done.stderr.contains("train.precision"), "{}", done.stderr);
        return;
    }
    assert_eq!(done.code, 0, "{}", done.stderr);
    let config = String::from_utf8(folder.read("run/config.toml")).expect("UTF-8");
    assert!(config.contains("precision = \"f16\""), "{config}");
    let mut skipped = 0.0;
    let text = String::from_utf8(folder.read("run/metrics.jsonl")).expect("UTF-8");
    let lines: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).expect("JSON")).collect();
    for line in events(&lines, "step") {
        let scale = line["loss_scale"].as_f64().expect("a scale");
        assert_eq!(
            scale,
            65536.0 / f64::powf(2.0, line["skipped_steps"].as_f64().expect("a count")),
            "{line}"
        );
        skipped = line["skipped_steps"].as_f64().expect("a count");
    }
    assert_eq!(done.stdout.contains("skipped "), skipped > 0.0, "{}", done.stdout);
    let planned = folder.run(&["explain", "net.toml", "--set", "train.precision=f16"]);
    for kernel in ["half_weights", "gradients_norm_settle", "parameters (f16)"] {
        assert!(planned.stdout.contains(kernel), "{}", planned.stdout);
    }
}
