//! Each bad input is an error with the remedy, exit code 2 or 1, and nothing half-written.

use std::collections::HashMap;

use safetensors::tensor::{Dtype, TensorView, serialize};

use crate::folder::{CONFIG, Folder, events};

/// Settings that are wrong, each alone, and what the error must say. Exit code 2, and no run directory.
#[test]
fn wrong_settings() {
    let cases: &[(&str, &[&str])] = &[
        // unknown keys and names, with the nearest
        ("optimizer.lrr=1", &["optimizer.lrr", "did you mean \"lr\""]),
        ("optimizer.beta=[0.9, 0.99]", &["optimizer.beta", "did you mean \"betas\""]),
        ("data.batchsize=8", &["data.batchsize", "did you mean \"batch_size\""]),
        ("train.epoch=8", &["train.epoch", "did you mean \"epochs\""]),
        ("optimiser.lr=1", &["optimiser", "did you mean \"optimizer\""]),
        ("optimizer.name=adamv", &["adamv", "did you mean \"adam"]),
        ("data.source=digit", &["digit", "did you mean \"digits\""]),
        ("model.loss=crossentropy", &["crossentropy", "did you mean \"cross_entropy\""]),
        ("model.layers=[\"flattn\"]", &["model.layers[0]", "did you mean \"flatten\""]),
        (
            "model.layers=[\"flatten\", { linear = { out_feature = 3 } }]",
            &["model.layers[1]", "out_features"],
        ),
        ("data={ sorce = \"digits\" }", &["data.sorce", "did you mean \"source\""]),
        ("optimizer={ nam = \"sgd\" }", &["optimizer.nam", "did you mean \"name\""]),
        ("model={ layer = [\"flatten\"], loss = \"mse\" }", &["model.layer", "did you mean \"layers\""]),
        // keys of another optimizer
        ("optimizer.momentum=0.9", &["optimizer.momentum", "adamw"]),
        ("optimizer={ name = \"lion\", eps = 1e-8 }", &["optimizer.eps", "lion", "betas"]),
        ("optimizer={ name = \"adagrad\", initial_accumulator = 1 }", &["\"initial_accumulator_value\""]),
        ("optimizer={ name = \"schedule_free\" }", &["schedule_free", "did you mean \"schedule_free_"]),
        // wrong types
        ("optimizer.lr=fast", &["optimizer.lr", "fast"]),
        ("optimizer.betas=0.9", &["optimizer.betas"]),
        ("optimizer.betas=[0.9]", &["optimizer.betas"]),
        ("data.shuffle=1", &["data.shuffle", "true or false"]),
        ("data.batch_size=all", &["data.batch_size", "full"]),
        ("data.batch_size=2.5", &["data.batch_size", "whole number"]),
        ("model.layers=relu", &["model.layers", "list"]),
        ("model.layers=[3]", &["model.layers[0]"]),
        ("train=3", &["train", "table"]),
        ("seed=zero", &["seed", "zero"]),
        ("seed=-1", &["seed", "-1"]),
        ("seed=99999999999999999999", &["seed"]),
        // out of range
        ("optimizer.lr=-0.1", &["optimizer.lr", "-0.1"]),
        ("optimizer.lr=nan", &["optimizer.lr"]),
        ("optimizer.lr=inf", &["optimizer.lr"]),
        ("optimizer.lr=1e400", &["optimizer.lr"]),
        ("optimizer.betas=[0.9, 1.0]", &["betas"]),
        ("optimizer.eps=-1", &["optimizer.eps"]),
        ("optimizer.weight_decay=-1", &["optimizer.weight_decay"]),
        ("optimizer={ name = \"adadelta\", rho = 1.1 }", &["optimizer.rho = 1.1", "at most 1"]),
        ("optimizer={ name = \"nadam\", momentum_decay = -1 }", &["optimizer.momentum_decay", "-1"]),
        ("optimizer={ name = \"adagrad\", lr_decay = -1 }", &["optimizer.lr_decay", "at least 0"]),
        ("optimizer={ name = \"schedule_free_adamw\", betas = [0, 0.9] }", &["optimizer.betas", "above 0"]),
        ("optimizer={ name = \"schedule_free_sgd\", momentum = 0 }", &["optimizer.momentum", "above 0"]),
        ("optimizer={ name = \"schedule_free_sgd\", r = 200 }", &["optimizer.r = 200", "from 0 to 100"]),
        ("optimizer.clip_norm=-1", &["optimizer.clip_norm = -1", "above 0"]),
        ("optimizer.groups=[{ params = [\"9.*\"] }]", &["optimizer.groups[0]", "\"9.*\"", "1.weight"]),
        ("schedule={ name = \"cosin\" }", &["cosin", "did you mean \"cosine"]),
        ("average={ kind = \"ema\", decay = 1 }", &["average.decay = 1", "below 1"]),
        ("train.micro_batch=0", &["train.micro_batch = 0", "at least 1"]),
        ("train.micro_batch=1", &["train.micro_batch = 1", "100 micro-batches", "the least is 2"]),
        ("data.batch_size=0", &["data.batch_size", "full"]),
        ("train.epochs=0", &["at least 1"]),
        ("train.steps=0", &["at least 1"]),
        ("model.layers=[]", &["model.layers"]),
        ("model.layers=[\"flatten\", { linear = 0 }]", &["model.layers[1]"]),
        ("model.layers=[\"flatten\", { linear = -3 }]", &["model.layers[1]", "-3"]),
        ("model.loss={ cross_entropy = { label_smoothing = 1.5 } }", &["label_smoothing", "1.5"]),
        ("model.loss={ huber = { delta = 0 } }", &["delta"]),
        // no key, no value
        ("optimizer.lr", &["optimizer.lr", "="]),
        ("=3", &["--set =3", "the key"]),
        ("optimizer.lr.x=3", &["optimizer.lr.x=3", "not a table"]),
        // layers that do not fit: the layer, and both shapes
        ("model.layers=[{ linear = 10 }]", &["[100, 1, 8, 10]", "[100]"]),
        ("model.layers=[\"flatten\"]", &["no parameters"]),
        ("model.layers=[\"flatten\", \"relu\"]", &["no parameters"]),
        ("model.layers=[\"flatten\", { linear = 10000000000 }]", &["layer 1 (linear)", "10000000000"]),
        ("model.layers=[\"flatten\", { linear = 9223372036854775807 }]", &["layer 1 (linear)"]),
        // labels the output has no class for
        ("model.layers=[\"flatten\", { linear = 5 }]", &["label", "0..5", "at least"]),
    ];
    let folder = Folder::new();
    for (setting, words) in cases {
        let done = folder.train(&["--out", "run", "--set", setting]);
        assert_eq!(done.code, 2, "{setting}: {}{}", done.stdout, done.stderr);
        done.refused(2, words);
        assert_eq!(folder.listing(), ["net.toml"], "{setting} left something behind");
    }
}

/// The same where there is no adapter: a config that cannot work is worth more words than that.
#[test]
fn a_wrong_config_needs_no_adapter_to_be_told() {
    let folder = Folder::new();
    for command in ["train", "explain"] {
        let layers = "model.layers=[\"flatten\", { linear = 5 }]";
        folder.run_without_adapter(&[command, "net.toml", "--set", layers]).refused(2, &["0..5"]);
        folder.run_without_adapter(&[command, "net.toml", "--set", "seeed=1"]).refused(2, &["\"seed\""]);
    }
    assert_eq!(folder.listing(), ["net.toml"]);
}

#[test]
fn losses_of_dense_targets_name_both_shapes() {
    let folder = Folder::new();
    for loss in ["mse", "l1", "huber", "bce_with_logits"] {
        // No flatten: the output is [100, 1, 8, 10], and a label is one number.
        let done = folder.train(&[
            "--set",
            "model.layers=[{ linear = 10 }]",
            "--set",
            &format!("model.loss={loss}"),
        ]);
        done.refused(2, &["[100, 1, 8, 10]", "[100, 10]"]);
        let layers = "model.layers=[\"flatten\", { linear = 7 }]";
        let done = folder.train(&["--set", layers, "--set", &format!("model.loss={loss}")]);
        done.refused(2, &["7", "10"]);
    }
    assert_eq!(folder.listing(), ["net.toml"]);
}

#[test]
fn wrong_command_lines() {
    let folder = Folder::new();
    for (args, words) in [
        (&["train"][..], &["CONFIG"][..]),
        (&["trian", "net.toml"], &["train"]),
        (&["train", "net.toml", "--stepps", "3"], &["--steps"]),
        (&["train", "net.toml", "--steps", "0"], &["--steps"]),
        (&["train", "net.toml", "--steps", "many"], &["--steps"]),
        (&["train", "net.toml", "--seed=-1"], &["--seed"]),
        (&["train", "net.toml", "--seed", "18446744073709551615"], &["--seed"]),
        (&["explain", "net.toml", "--target", "tpu"], &["gpu", "software"]),
        (&["completions", "tcsh"], &["bash"]),
    ] {
        folder.run(args).refused(2, words);
    }
    assert_eq!(folder.listing(), ["net.toml"]);
}

#[test]
fn configs_that_cannot_be_read() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("folder")).expect("a folder");
    folder.write("bytes.toml", [0x5b, 0xff, 0xfe, 0x5d]);
    folder.write("empty.toml", "");
    folder.write("broken.toml", CONFIG.replace("[model]", "[model"));
    folder.write("section.toml", CONFIG.replace("[model]", "[modle]"));
    folder.write("twice.toml", format!("{CONFIG}\n[data]\n"));
    let before = folder.listing();
    for (name, words) in [
        ("missing.toml", &["missing.toml", "No such file"][..]),
        ("folder", &["folder"]),
        ("bytes.toml", &["bytes.toml", "UTF-8"]),
        ("empty.toml", &["empty.toml", "data.source", "missing"]),
        ("broken.toml", &["broken.toml", "not valid TOML", "line 6"]),
        ("section.toml", &["section.toml", "modle", "did you mean \"model\""]),
        ("twice.toml", &["twice.toml", "not valid TOML"]),
    ] {
        for command in ["train", "explain"] {
            folder.run(&[command, name]).refused(2, words);
        }
    }
    assert_eq!(folder.listing(), before);
}

#[test]
fn no_adapter_says_what_to_install() {
    let folder = Folder::new();
    folder.run_without_adapter(&["train", "net.toml"]).refused(1, &["adapter", "mesa-vulkan-drivers"]);
    folder.run_without_adapter(&["adapters"]).refused(1, &["adapter", "mesa-vulkan-drivers"]);
    assert_eq!(folder.listing(), ["net.toml"]);
}

#[test]
fn an_unknown_adapter_lists_those_there_are() {
    let folder = Folder::new();
    for which in ["voodoo", "99"] {
        let done = folder.run(&["train", "net.toml", "--adapter", which]);
        done.refused(1, &[which, "there are", "  0 "]);
    }
    assert_eq!(folder.listing(), ["net.toml"]);
}

#[test]
fn a_loss_that_turns_nan_keeps_the_metrics_so_far() {
    let folder = Folder::new();
    let sgd = ["--set", "optimizer={ name = \"sgd\", lr = 1e30 }", "--out", "run"];
    let done = folder.train(&sgd);
    done.refused(1, &["step 2", "learning rate 1e30", "smaller lr", "metrics so far"]);
    let lines = folder.metrics("run");
    assert_eq!(events(&lines, "step").len(), 1, "{lines:?}");
    assert!(lines[0]["loss"].as_f64().is_some_and(f64::is_finite));
    assert_eq!(
        folder.listing(),
        ["net.toml", "run", "run/.lock", "run/config.toml", "run/metrics.jsonl", "run/system.json"]
    );

    // Later, in an epoch that is not the first: an lr that grows weights without bound.
    let folder = Folder::new();
    let growing = "optimizer={ name = \"sgd\", lr = 0.5, weight_decay = 100.0 }";
    let done = folder.train(&["--set", growing, "--set", "train.epochs=9", "--out", "run"]);
    done.refused(1, &["learning rate 0.5"]);
    let lines = folder.metrics("run");
    let steps = events(&lines, "step");
    assert!(steps.len() > 1 && steps.iter().all(|s| s["loss"].is_number()), "{lines:?}");
    assert!(done.stderr.contains(&format!("step {} ", steps.len() + 1)), "{}", done.stderr);
    assert!(!folder.path("run/model.safetensors").exists());
}

/// The last step's loss is finite, and the weights after it are not worth keeping.
#[test]
fn an_evaluation_that_turns_nan_is_an_error_too() {
    let folder = Folder::new();
    let sgd = ["--set", "optimizer={ name = \"sgd\", lr = 1e38 }", "--steps", "1", "--out", "run"];
    folder.train(&sgd).refused(1, &["step 1", "learning rate 1e38"]);
    let lines = folder.metrics("run");
    assert_eq!((events(&lines, "step").len(), events(&lines, "epoch").len()), (1, 0), "{lines:?}");
    assert!(!folder.path("run/model.safetensors").exists());
}

fn file(tensors: &[(&str, Dtype, &[usize])]) -> Vec<u8> {
    let bytes = vec![0u8; 1 << 16];
    let view = |(name, dtype, shape): &(&str, Dtype, &[usize])| {
        let size = shape.iter().product::<usize>() * if *dtype == Dtype::I64 { 8 } else { 4 };
        ((*name).to_owned(), TensorView::new(*dtype, shape.to_vec(), &bytes[..size]).expect("a tensor"))
    };
    serialize(tensors.iter().map(view), None::<HashMap<String, String>>).expect("a file")
}

#[test]
fn weights_that_cannot_be_used() {
    let folder = Folder::new();
    let fitting: [(&str, Dtype, &[usize]); 4] = [
        ("1.weight", Dtype::F32, &[16, 64]),
        ("1.bias", Dtype::F32, &[16]),
        ("3.weight", Dtype::F32, &[10, 16]),
        ("3.bias", Dtype::F32, &[10]),
    ];
    let good = file(&fitting);
    let with = |index: usize, tensor: (&'static str, Dtype, &'static [usize])| {
        let mut tensors = fitting;
        tensors[index] = tensor;
        file(&tensors)
    };
    folder.write("good.safetensors", &good);
    folder.write("empty", "");
    folder.write("text", "1.weight = 3");
    folder.write("truncated", &good[..good.len() - 9]);
    folder.write("header", &good[..40]);
    folder.write("length", [0xff; 64]);
    let mut flipped = good.clone();
    flipped[20] ^= 0x55;
    folder.write("flipped", flipped);
    folder.write("longer", [&good[..], &[0; 8]].concat());
    folder.write("integers", with(1, ("1.bias", Dtype::I64, &[16])));
    folder.write("shape", with(0, ("1.weight", Dtype::F32, &[64, 16])));
    folder.write("name", with(0, ("0.weight", Dtype::F32, &[16, 64])));
    folder.write("fewer", file(&fitting[..3]));
    let extra: [(&str, Dtype, &[usize]); 1] = [("5.bias", Dtype::F32, &[3])];
    folder.write("more", file(&[&fitting[..], &extra].concat()));
    std::fs::create_dir(folder.path("folder")).expect("a folder");
    let before = folder.listing();

    for (name, words) in [
        ("missing", &["missing", "No such file"][..]),
        ("folder", &["folder"]),
        ("empty", &["empty", "safetensors"]),
        ("text", &["text", "safetensors"]),
        ("truncated", &["truncated", "safetensors"]),
        ("header", &["header", "safetensors"]),
        ("length", &["length", "safetensors"]),
        ("flipped", &["flipped", "safetensors"]),
        ("longer", &["longer", "safetensors"]),
        ("integers", &["1.bias", "I64", "f32"]),
        // both sides listed
        ("shape", &["1.weight [16, 64]", "1.weight [64, 16]", "3.bias [10]"]),
        ("name", &["1.weight [16, 64]", "0.weight [16, 64]"]),
        ("fewer", &["3.bias [10]", "3.weight [10, 16]"]),
        ("more", &["5.bias [3]", "3.bias [10]"]),
    ] {
        folder.train(&["--out", "run", "--init", name]).refused(1, words);
        assert_eq!(folder.listing(), before, "{name} left something behind");
    }
    folder.trained("run", &["--init", "good.safetensors", "--steps", "1"]);
}

/// Tests run as root, whom no permission bits stop; a file in the way does.
#[test]
fn directories_that_cannot_be_written() {
    let folder = Folder::new();
    folder.write("file", "here");
    for out in ["file", "file/run", "file/deeper/run"] {
        folder.train(&["--out", out]).refused(1, &[out]);
    }
    folder.write("runs", "in the way of the default");
    let done = folder.train(&[]);
    done.refused(1, &["runs/net-1"]);
    assert_eq!(folder.listing(), ["file", "net.toml", "runs"]);
    assert_eq!(folder.read("file"), b"here");
}

#[test]
fn a_run_is_never_written_over() {
    let folder = Folder::new();
    folder.trained("run", &["--steps", "2"]);
    let kept = ["config.toml", "metrics.jsonl", "model.safetensors"].map(|name| format!("run/{name}"));
    let before = kept.clone().map(|name| folder.read(&name));
    folder.train(&["--out", "run", "--seed", "9"]).refused(2, &["run", "another --out"]);
    assert_eq!(kept.map(|name| folder.read(&name)), before);
}

/// Reading half of what is printed is no fault: `downhill train net.toml | head -1`.
#[test]
fn a_reader_that_goes_away_is_no_fault() {
    let folder = Folder::new();
    let train = ["train", "net.toml", "--adapter", &crate::adapter::wanted()];
    for args in [&train[..], &["explain", "net.toml"], &["adapters"]] {
        let mut command = folder.command(args);
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let mut child = command.spawn().expect("the binary");
        drop(child.stdout.take());
        let done = crate::folder::Done::of(&child.wait_with_output().expect("an end"));
        assert_eq!(done.code, 0, "{args:?}: {}", done.stderr);
    }
    assert!(folder.path("runs/net-1/model.safetensors").exists());
}

/// Texts that cannot be used: said before there is a run directory.
#[test]
fn texts_that_cannot_be_used() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("folder")).expect("a folder");
    folder.write("short.txt", "forty characters, of which four are kept");
    folder.write("bytes.txt", b"caf\xe9 au lait");
    folder.write("empty.txt", "");
    let before = folder.listing();
    let cases: &[(&str, &str, i32, &[&str])] = &[
        ("short.txt", "data.context=64", 1, &["short.txt", "40 characters, 36", "at least 65", "smaller"]),
        ("short.txt", "data.context=8", 1, &["4 of them to evaluate on", "at least 9", "eval_fraction"]),
        ("empty.txt", "data.context=8", 1, &["empty.txt", "0 characters"]),
        ("bytes.txt", "data.context=8", 1, &["bytes.txt", "byte 3", "UTF-8"]),
        ("missing.txt", "data.context=8", 2, &["missing.txt", "relative to the config's folder"]),
        ("folder", "data.context=8", 2, &["folder"]),
        ("short.txt", "data.context=0", 2, &["data.context = 0"]),
        ("short.txt", "data.contxt=8", 2, &["data.contxt", "did you mean \"context\""]),
    ];
    for (file, setting, code, words) in cases {
        let source = format!("data={{ source = {{ text = \"{file}\" }} }}");
        for command in ["train", "explain"] {
            let settings = ["--set", &source, "--set", setting];
            folder.run(&[&[command, "net.toml"], &settings[..]].concat()).refused(*code, words);
        }
        assert_eq!(folder.listing(), before, "{file} left something behind");
    }
}

/// Tables that cannot be used: code 2 where the config is at fault, 1 where the file is; the place, the remedy.
#[test]
fn tables_that_cannot_be_used() {
    let folder = Folder::new();
    folder.write("good.csv", "rain,soil,yield\n1,clay,4\n2,sand,5\n3,clay,6\n4,loam,7\n5,sand,8\n");
    folder.write("hole.csv", "rain,yield\n1,4\n,5\n3,6\n");
    folder.write("uneven.csv", "rain,yield\n1,4\n2\n");
    folder.write("bars.csv", "rain|yield\n1|4\n2|5\n");
    folder.write("empty.csv", "");
    let before = folder.listing();
    let cases: &[(&str, &str, i32, &[&str])] = &[
        ("good.csv", "", 2, &["data.source.target is missing", "target = \"COLUMN\""]),
        ("good.csv", "target = \"yeild\"", 2, &["data.source.target", "did you mean \"yield\""]),
        ("good.csv", "target = \"yield\", numeric = [\"rian\"]", 2, &["numeric", "did you mean \"rain\""]),
        ("good.csv", "target = \"yield\", numeric = [\"soil\"]", 1, &["column \"soil\"", "is not a number"]),
        ("good.csv", "target = \"yield\", eval_csv = \"none.csv\"", 2, &["none.csv", "config's folder"]),
        ("good.csv", "target = \"yield\", eval_csv = \"bars.csv\"", 2, &["bars.csv", "delimiter"]),
        ("good.csv", "target = \"soil\", standardise_target = true", 2, &["standardise_target", "classes"]),
        ("hole.csv", "target = \"yield\"", 1, &["row 2 (line 3), column \"rain\"", "missing", "fill it in"]),
        ("uneven.csv", "target = \"yield\"", 1, &["uneven.csv, line 3", "2 cells", "this one 1"]),
        ("bars.csv", "target = \"yield\"", 2, &["\"rain|yield\"", "delimiter = \"|\""]),
        ("empty.csv", "target = \"yield\"", 1, &["empty.csv", "empty"]),
        ("missing.csv", "target = \"yield\"", 2, &["missing.csv", "relative to the config's folder"]),
    ];
    for (file, rest, code, words) in cases {
        let comma = if rest.is_empty() { "" } else { ", " };
        let source = format!("data={{ source = {{ csv = \"{file}\"{comma}{rest} }} }}");
        for command in ["train", "explain"] {
            folder.run(&[command, "net.toml", "--set", &source]).refused(*code, words);
        }
        assert_eq!(folder.listing(), before, "{file} {rest} left something behind");
    }
}
