//! `downhill export`: the examples' nets in PyTorch answer as `downhill predict` does.

use downhill::config::Config;
use downhill::data::Encoding;
use downhill::graph::DType;
use downhill::shape::Shape;
use downhill::{Gpu, GpuOptions, Value, run};

use crate::adapter::wanted;
use crate::folder::Folder;
use crate::python;
use crate::rows::{self, GARDEN};

/// The promise, relative to the largest answer.
const BOUND: f64 = 1e-5;

/// An NPY file of bytes.
fn npy(shape: &[usize], bytes: &[u8]) -> Vec<u8> {
    let extents: String = shape.iter().map(|extent| format!("{extent}, ")).collect();
    let header = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': ({extents}), }}\n");
    [&b"\x93NUMPY\x01\x00"[..], &(header.len() as u16).to_le_bytes(), header.as_bytes(), bytes].concat()
}

/// Trains an example into `run`, with more arguments, and exports it.
fn exported(example: &str, more: &[&str]) -> Folder {
    let folder = Folder::new();
    let config = format!("{}/examples/{example}.toml", env!("CARGO_MANIFEST_DIR"));
    let train = ["train", &config, "--out", "run", "--adapter", &wanted()];
    let done = folder.run(&[&train[..], more].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    for format in ["pytorch", "onnx"] {
        let done = folder.run_without_adapter(&["export", "run", "--format", format]);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    }
    folder
}

/// The first answers of ONNX Runtime to rows of a CSV file, a column an input.
fn onnx_answers(folder: &Folder, python: &str, file: &str) -> Vec<Vec<f64>> {
    let script = format!(
        "import csv, json, numpy, onnx, onnxruntime\nonnx.checker.check_model('run/model.onnx', full_check=True)\n\
         session = onnxruntime.InferenceSession('run/model.onnx', providers=['CPUExecutionProvider'])\n\
         rows = [{{key.strip(): cell.strip() for key, cell in row.items()}} for row in csv.DictReader(open('{file}'))]\n\
         def number(cell):\n    try:\n        return float(cell)\n    except ValueError:\n        return float('nan')\n\
         feed = {{}}\n\
         for put in session.get_inputs():\n    cells = [row[put.name] for row in rows]\n    \
         is_text = put.type == 'tensor(string)'\n    \
         feed[put.name] = numpy.array([[cell if is_text else number(cell)] for cell in cells], dtype=object if is_text else float)\n\
         print(json.dumps(session.run(None, feed)[0].reshape(len(rows), -1).tolist()))"
    );
    serde_json::from_str(&python::run(python, &folder.path("."), &script)).expect("JSON")
}

/// The answers of the module at `module` to what `inputs` makes in Python.
fn torch_answers(folder: &Folder, python: &str, module: &str, inputs: &str) -> Vec<Vec<f64>> {
    let script = format!(
        "import csv, json, sys, numpy, torch\nsys.path.insert(0, '{module}')\nimport model\nnet = model.load()\n\
         print(json.dumps(model.predict(net, {inputs}).flatten(1).tolist()))"
    );
    serde_json::from_str(&python::run(python, &folder.path("."), &script)).expect("JSON")
}

/// The numbers that `downhill predict` writes for a file.
fn our_answers(folder: &Folder, file: &str) -> Vec<Vec<f64>> {
    let done = folder.run(&["predict", "run", file, "--adapter", &wanted()]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let (header, lines) = done.stdout.split_once('\n').expect("a header");
    // The prediction of a class comes before the probabilities.
    let name = usize::from(header.contains("p_"));
    let numbers =
        |line: &str| line.split(',').skip(name).map(|cell| cell.parse().expect("a number")).collect();
    lines.lines().map(numbers).collect()
}

#[track_caller]
fn check(what: &str, ours: &[Vec<f64>], theirs: &[Vec<f64>]) {
    assert!(!ours.is_empty() && ours.len() == theirs.len(), "{what}: {} and {}", ours.len(), theirs.len());
    let largest = theirs.iter().flatten().fold(0.0_f64, |most, x| most.max(x.abs()));
    for (ours, theirs) in ours.iter().zip(theirs) {
        assert_eq!(ours.len(), theirs.len(), "{what}");
        for (a, b) in ours.iter().zip(theirs) {
            assert!((a - b).abs() <= BOUND * largest, "{what}: {a}, {b} of {largest}");
        }
    }
}

#[test]
fn image_nets_answer_in_torch_as_here() {
    let Some(python) = python::with_torch() else { return };
    let pixels: Vec<u8> = (0..4 * 64).map(|i| (i * 7 % 17) as u8).collect();
    for example in ["digits", "digits_cnn", "digits_resnet", "autoencoder"] {
        let folder = exported(example, &["--steps", "5"]);
        folder.write("images.npy", npy(&[4, 8, 8], &pixels));
        let inputs = "torch.from_numpy(numpy.load('images.npy'))";
        let theirs = torch_answers(&folder, &python, "run", inputs);
        check(example, &our_answers(&folder, "images.npy"), &theirs);
    }
}

/// Bytes of images go in as floats, and names of classes are among the metadata.
#[test]
fn image_nets_answer_in_onnx_runtime_as_here() {
    let Some(python) = python::with_onnx() else { return };
    let pixels: Vec<u8> = (0..4 * 64).map(|i| (i * 7 % 17) as u8).collect();
    for example in ["digits", "autoencoder"] {
        let folder = exported(example, &["--steps", "5"]);
        folder.write("images.npy", npy(&[4, 8, 8], &pixels));
        let script = "import json, numpy, onnxruntime\n\
                      session = onnxruntime.InferenceSession('run/model.onnx', providers=['CPUExecutionProvider'])\n\
                      x = numpy.load('images.npy').astype(numpy.float32).reshape(-1, 1, 8, 8)\n\
                      print(json.dumps(session.run(None, {'input': x})[0].reshape(4, -1).tolist()))\n\
                      print(json.dumps(session.get_modelmeta().custom_metadata_map))";
        let printed = python::run(&python, &folder.path("."), script);
        let (answers, metadata) = printed.split_once('\n').expect("two lines");
        let theirs: Vec<Vec<f64>> = serde_json::from_str(answers).expect("JSON");
        check(example, &our_answers(&folder, "images.npy"), &theirs);
        let metadata: serde_json::Value = serde_json::from_str(metadata).expect("JSON");
        let encoding = metadata["encoding"].as_str().expect("an encoding");
        assert!(encoding.contains("16"), "{encoding}");
    }
}

#[test]
fn table_nets_answer_in_onnx_runtime_as_here() {
    let Some(python) = python::with_onnx() else { return };
    for example in ["tabular", "regression"] {
        let folder = exported(example, &["--steps", "5"]);
        let path = format!("{}/data/tables/{example}.csv", env!("CARGO_MANIFEST_DIR"));
        let rows: Vec<String> =
            std::fs::read_to_string(path).expect("a table").lines().take(20).map(str::to_owned).collect();
        folder.write("rows.csv", rows.join("\n"));
        check(example, &our_answers(&folder, "rows.csv"), &onnx_answers(&folder, &python, "rows.csv"));
    }
    // Missing cells by words and by numbers, fills, a target in its own unit.
    let folder = Folder::new();
    let mut table = String::from("a,kind,b,y\n");
    for i in 0..40 {
        let a = ["-999", "-", " ", "NA"].get(i).map_or((i * 7 % 13).to_string(), ToString::to_string);
        let kind = ["x", "y", " z ", "-"][i % 4];
        table += &format!("{a},{kind},{},{}\n", i % 5, 500 + 30 * (i * 7 % 13) + i);
    }
    folder.write("table.csv", table);
    train(
        &folder,
        "target = \"y\", missing = [\"-\", \" -999 \"], fill = { a = \"median\", kind = \"unknown\" }, \
         standardise_target = true",
    );
    let done = folder.run_without_adapter(&["export", "run", "--format", "onnx"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    folder.write(
        "rows.csv",
        "kind,a,b\nx,5,1\nx,-999,1\nx,-999.0,2\nz,-,2\n-,5,3\n?,NA,3\n y , 7.50 ,+4e0\nnew,1E1,-0\nNaN,3,4\nnull,nan,2\n",
    );
    check("fills", &our_answers(&folder, "rows.csv"), &onnx_answers(&folder, &python, "rows.csv"));
    // A target that is large beside its deviation keeps its digits.
    let folder = Folder::new();
    let rows: String = (0..40).map(|i| format!("{i},{}\n", 1_700_000_000 + 3 * i)).collect();
    folder.write("table.csv", format!("a,y\n{rows}"));
    train(&folder, "target = \"y\", standardise_target = true");
    let done = folder.run_without_adapter(&["export", "run", "--format", "onnx"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    folder.write("rows.csv", "a\n1\n20\n39\n");
    let ours = our_answers(&folder, "rows.csv");
    let theirs = onnx_answers(&folder, &python, "rows.csv");
    for (ours, theirs) in ours.iter().flatten().zip(theirs.iter().flatten()) {
        // The deviation is about 35.
        assert!((ours - theirs).abs() <= 35.0 * BOUND, "{ours}, {theirs}");
    }
}

/// Files and folders of each format, and what is not overwritten.
#[test]
fn formats_have_their_files() {
    let folder = exported("digits", &["--steps", "2"]);
    let run = |arguments: &[&str]| folder.run_without_adapter(&[&["export", "run"], arguments].concat());
    let own = std::fs::read(folder.path("run/model.safetensors")).expect("weights");
    for (arguments, files) in [
        (&["--format", "onnx", "--out", "net.onnx"][..], &["net.onnx"][..]),
        (&["--format", "onnx", "--out", "deploy"], &["deploy/model.onnx"]),
        (&["--format", "safetensors", "--out", "w.safetensors"], &["w.safetensors"]),
        (&["--format", "safetensors"], &["run/model.safetensors"]),
        (&["--format", "page"], &["run/page/index.html", "run/page/program.json", "run/page/params.bin"]),
        (&["--format", "page", "--out", "site"], &["site/index.html", "site/net.js", "site/page.js"]),
    ] {
        for _ in 0..2 {
            let done = run(arguments);
            assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{arguments:?}");
            for file in files {
                assert!(folder.path(file).is_file(), "{file}");
            }
        }
    }
    assert_eq!(std::fs::read(folder.path("w.safetensors")).expect("weights"), own);
    assert_eq!(std::fs::read(folder.path("run/model.safetensors")).expect("weights"), own);
    for (arguments, remedy) in [
        (&["--out", "net.onnx"][..], "--format onnx"),
        (&["--format", "onnx", "--out", "net.PY"], "--format pytorch"),
        (&["--format", "page", "--out", "net.safetensors"], "--format safetensors"),
    ] {
        let done = run(arguments);
        assert!(done.code == 2 && done.stderr.contains(remedy), "{arguments:?}: {}", done.stderr);
    }
    let done = run(&["--format", "onnx", "--out", "Net.ONNX"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    assert!(folder.path("Net.ONNX").is_file());
    let done = run(&["--format", "onx"]);
    assert!(done.code == 2 && done.stderr.contains("onnx"), "{}", done.stderr);
    // Another run's weights.
    std::fs::create_dir(folder.path("other")).expect("a folder");
    for file in ["config.toml", "metrics.jsonl", "model.safetensors"] {
        std::fs::copy(folder.path("run").join(file), folder.path("other").join(file)).expect("a file");
    }
    let done = run(&["--format", "safetensors", "--out", "other"]);
    assert!(done.code == 2 && done.stderr.contains("not overwritten"), "{}", done.stderr);
}

#[test]
fn table_nets_answer_in_torch_as_here() {
    let Some(python) = python::with_torch() else { return };
    for (example, file) in [("tabular", "tabular"), ("regression", "regression")] {
        let folder = exported(example, &["--steps", "5"]);
        let path = format!("{}/data/tables/{file}.csv", env!("CARGO_MANIFEST_DIR"));
        let rows: Vec<String> =
            std::fs::read_to_string(path).expect("a table").lines().take(20).map(str::to_owned).collect();
        folder.write("rows.csv", rows.join("\n"));
        let inputs = "model.encode(csv.DictReader(open('rows.csv')))";
        let theirs = torch_answers(&folder, &python, "run", inputs);
        check(example, &our_answers(&folder, "rows.csv"), &theirs);
    }
}

/// Trains on `table.csv`, to a number, and exports the run.
#[track_caller]
fn train(folder: &Folder, options: &str) {
    let settings = [
        format!("data.source={{ csv = \"table.csv\", {options} }}"),
        "data.batch_size=5".into(),
        "model={ layers = [{ linear = 12 }, \"relu\", { linear = 1 }], loss = \"mse\" }".into(),
    ];
    let settings: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting.as_str()]).collect();
    folder.trained("run", &[&settings[..], &["--steps", "20"]].concat());
    let done = folder.run_without_adapter(&["export", "run"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
}

/// Missing cells by words and by numbers, fills, blanks around names, a target in its own unit.
#[test]
fn cells_become_numbers_in_torch_as_here() {
    let Some(python) = python::with_torch() else { return };
    let folder = Folder::new();
    let mut table = String::from(" a; kind ;b;y\n");
    for i in 0..40 {
        let a = ["-999", "-", " ", "NA"].get(i).map_or((i * 7 % 13).to_string(), ToString::to_string);
        let kind = ["x", "y", " z ", "-"][i % 4];
        table += &format!("{a};{kind};{};{}\n", i % 5, 500 + 30 * (i * 7 % 13) + i);
    }
    folder.write("table.csv", table);
    let options = "target = \"y\", missing = [\"-\", \" -999 \"], fill = { a = \"median\", kind = \"unknown\" }, \
                   standardise_target = true";
    train(&folder, options);

    let rows = "kind ; a;b;note\nx;5;1;\nx;-999;1;\nx;-999.0;2;\nz;-;2;\n-;5;3;\n?;NA;3;\n y ; 7.50 ;+4e0;\n\n\
                -999;.5;1;\nnew;1E1;-0;\n\"x\";3;\"4\";\n";
    folder.write("rows.csv", rows);
    folder.write("rows.tsv", format!("\u{feff}\n{}", rows.replace(';', "\t")));
    folder.write("commas.csv", rows.replace(';', ","));
    let ours = our_answers(&folder, "rows.csv");
    assert_eq!(ours.len(), 10);
    let by = |inputs: &str| torch_answers(&folder, &python, "run", inputs);
    check("DictReader", &ours, &by("model.encode(csv.DictReader(open('rows.csv'), delimiter=';'))"));
    for file in ["rows.csv", "rows.tsv", "commas.csv"] {
        check(file, &our_answers(&folder, file), &ours);
        check(file, &ours, &by(&format!("model.encode(model.read('{file}'))")));
    }

    // Rows that predict refuses are refused there, in words about the same column.
    let faults = [
        ("a,kind,b\n1,x,1_0\n", "'b'"),
        ("a,kind,b\n1,x,inf\n", "'b'"),
        ("a,kind,b\n1,x,1e400\n", "'b'"),
        ("a,kind,b\n1,x,1e39\n", "'b'"),
        ("a,kind,b\n1,x,\u{663}\n", "'b'"),
        ("a,kind,b\n1,x,-999\n", "'b'"),
        ("a,kind,b\n1,x,\n", "'b'"),
        ("a,kind,b\nx,x,1\n", "'a'"),
        ("a,sort,b\n1,x,1\n", "no column 'kind'"),
        ("a,kind,b,a\n1,x,1,2\n", "two columns"),
        ("a,kind,b\n1,x\n", "cells"),
        ("a,kind,b\n1,x,1,2\n", "cells"),
        ("a,kind,b\n1,x,\"1\n", "end of data"),
        ("", "empty"),
    ];
    let named = |i: usize| format!("fault{i}.csv");
    for (i, (text, _)) in faults.iter().enumerate() {
        folder.write(&named(i), text);
        let done = folder.run(&["predict", "run", &named(i), "--adapter", &wanted()]);
        assert_ne!(done.code, 0, "{text}: {}", done.stdout);
    }
    let script = format!(
        "import csv, sys\nsys.path.insert(0, 'run')\nimport model\nfor i in range({}):\n    try:\n        \
         print('taken', model.encode(model.read(f'fault{{i}}.csv')))\n    except (ValueError, csv.Error) as err:\n        \
         print('refused', err)",
        faults.len()
    );
    let answers = python::run(&python, &folder.path("."), &script);
    let answers: Vec<&str> = answers.lines().collect();
    assert_eq!(answers.len(), faults.len(), "{answers:?}");
    for (answer, (text, word)) in answers.iter().zip(faults) {
        assert!(answer.starts_with("refused") && answer.contains(word), "{text:?}: {answer}");
    }

    // A delimiter that the config names; an empty text among those that are missing; a category by the name of NA.
    let folder = Folder::new();
    let rows: String = (0..20).map(|i| format!("{}|{}|{}\n", i % 3, ["NA", "x"][i % 2], 100 + i)).collect();
    folder.write("table.csv", format!("a|kind|y\n{rows}"));
    train(&folder, "target = \"y\", missing = [\"\", \"2\"], fill = { a = 2.5 }, delimiter = \"|\"");
    folder.write("rows.csv", "a|kind\n2.0|NA\n|na\n1|x\n");
    let theirs = torch_answers(&folder, &python, "run", "model.encode(model.read('rows.csv'))");
    check("a bar", &our_answers(&folder, "rows.csv"), &theirs);
}

#[test]
fn the_text_net_answers_in_torch_as_here() {
    let Some(python) = python::with_torch() else { return };
    let folder = exported("tiny_gpt", &["--steps", "2", "--set", "data.eval_fraction=0.001"]);
    let text =
        "pub fn main() {\n    let x = \"1\\t\";\n}\n// a comment that fills the rest!".chars().take(64);
    let text: String = text.collect();
    folder.write("text", &text);
    let theirs = torch_answers(&folder, &python, "run", "model.encode(open('text').read())");

    let run = folder.path("run");
    let config = Config::load(&run.join("config.toml"), &[]).expect("a config");
    let Some(Encoding::Text { vocabulary }) = run::RunDir::encoding(&run).expect("data.json") else {
        panic!("no text")
    };
    let weights = run::load(&run.join("model.safetensors")).expect("weights");
    let gpu = Gpu::open(&GpuOptions { adapter: wanted(), ..GpuOptions::default() }).expect("a device");
    let sample = Shape::from([text.chars().count()]);
    let mut predictor = config.predictor(&gpu, &sample, DType::I32, 1, &weights).expect("a predictor");
    let answers =
        predictor.predict(Value::I32(&vocabulary.encode(&text).expect("characters"))).expect("answers");
    check("tiny_gpt", &[answers.iter().map(|x| f64::from(*x)).collect()], &theirs);
}

#[test]
fn the_module_goes_where_it_is_sent() {
    let folder = rows::trained(GARDEN, &[]);
    let export = |more: &[&str]| folder.run_without_adapter(&[&["export", "run"], more].concat());
    let weights = folder.read("run/model.safetensors");
    let module = |path: &str| String::from_utf8(folder.read(path)).expect("UTF-8");
    let done = export(&["--format", "pytorch"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    assert!(
        done.stdout.contains("run/model.py") && done.stdout.contains("run/model.safetensors"),
        "{}",
        done.stdout
    );
    assert_eq!(folder.read("run/model.safetensors"), weights);
    assert!(module("run/model.py").contains("CLASSES = [\"fair, really\", \"good\", \"poor\"]"));

    assert_eq!(export(&["--out", "deploy/here"]).code, 0);
    assert_eq!(folder.read("deploy/here/model.safetensors"), weights);
    assert_eq!(module("deploy/here/model.py"), module("run/model.py"));
    assert_eq!(export(&["--out", "net.py"]).code, 0);
    assert_eq!(folder.read("net.safetensors"), weights);
    assert!(module("net.py").contains("with_name(\"net.safetensors\")"));

    export(&["--average"]).refused(1, &["average.safetensors", "average.kind"]);
    export(&["--format", "onxx"]).refused(2, &["onnx", "pytorch"]);
    folder.run_without_adapter(&["export", "nowhere"]).refused(2, &["nowhere", "no such directory"]);
    std::fs::remove_file(folder.path("run/model.safetensors")).expect("a file");
    export(&[]).refused(1, &["model.safetensors", "train it to the end"]);
}

/// A run's weights are its own: export writes over no others.
#[test]
fn weights_of_runs_are_not_overwritten() {
    let folder = rows::trained(GARDEN, &["--set", "average={ kind = \"ema\", decay = 0.9 }"]);
    std::fs::create_dir(folder.path("other")).expect("a folder");
    for name in ["config.toml", "data.json", "metrics.jsonl"] {
        folder.write(&format!("other/{name}"), folder.read(&format!("run/{name}")));
    }
    folder.write("other/model.safetensors", "another's");
    let files = ["run/model.safetensors", "run/average.safetensors", "other/model.safetensors"];
    let before = files.map(|file| folder.read(file));
    let export = |more: &[&str]| folder.run_without_adapter(&[&["export", "run"], more].concat());
    for (more, file) in [
        (&["--average", "--out", "run/model.py"][..], files[0]),
        (&["--out", "run/average.py"], files[1]),
        (&["--out", "other"], files[2]),
    ] {
        export(more).refused(2, &[file, "weights", "not overwritten", "--out"]);
        assert!(!folder.path(file).with_extension("py").exists(), "{file}");
    }
    // Its own lie beside its module; other names are free, and files of an earlier export.
    for more in [
        &["--average"][..],
        &["--out", "run"],
        &["--out", "run/net.py"],
        &["--out", "run/net.py"],
        &["--out", "deploy"],
        &["--average", "--out", "deploy/model.py"],
    ] {
        let done = export(more);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{more:?}");
    }
    assert_eq!(files.map(|file| folder.read(file)), before);
    assert_eq!(folder.read("deploy/model.safetensors"), before[1]);
}
