//! `downhill predict`: rows, arrays and images in, classes and numbers out.

use std::io::Write;
use std::process::Stdio;

use downhill::data::{Part, digits};
use serde_json::Value;

use crate::adapter::wanted;
use crate::eval::found;
use crate::folder::{Done, Folder};
use crate::rows::{self, GARDEN, csv, predict, predictions};

/// Rows in another order of columns, without the target, and with a column that is no input.
const NEW: &str = "sun,soil,id,rain\n3,clay,a,1\n9,sand,b,6\n0,loam,c,0\n7,moss,d,2\n3,clay,e,1\n";

/// An NPY file of floats.
pub fn npy(shape: &[usize], values: &[f32]) -> Vec<u8> {
    let extents: String = shape.iter().map(|extent| format!("{extent}, ")).collect();
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({extents}), }}\n");
    let mut bytes =
        [&b"\x93NUMPY\x01\x00"[..], &(header.len() as u16).to_le_bytes(), header.as_bytes()].concat();
    values.iter().for_each(|value| bytes.extend(value.to_le_bytes()));
    bytes
}

/// The first `count` digits to evaluate on, and their labels.
fn some_digits(count: usize) -> (Vec<f32>, Vec<String>) {
    let data = digits().expect("the digits");
    let eval: &Part = data.eval().expect("a part");
    let pixels = eval.inputs().samples(0, count).expect("pixels").into_iter().map(|v| v as f32).collect();
    let labels =
        eval.targets().samples(0, count).expect("labels").into_iter().map(|v| v.to_string()).collect();
    (pixels, labels)
}

#[test]
fn rows_get_their_class_and_its_probability() {
    let folder = rows::trained(GARDEN, &[]);
    folder.write("new.csv", NEW);
    let done = predict(&folder, &["new.csv", "--batch", "2"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    assert_eq!(done.stderr.trim_end(), "note: columns that are no input of the model are passed over: id");
    let lines: Vec<&str> = done.stdout.lines().collect();
    assert_eq!((lines[0], lines.len()), ("prediction,\"p_fair, really\",p_good,p_poor", 6));
    // Alike rows have alike answers, in whichever batch and place they are.
    assert_eq!(lines[1], lines[5]);
    let told = |more: &[&str]| {
        let done = predict(&folder, &[&["new.csv", "--batch", "2"], more].concat());
        assert_eq!(done.code, 0, "{}", done.stderr);
        done.stdout
    };
    for (line, text) in lines[1..].iter().zip(told(&["--format", "jsonl"]).lines()) {
        let value: Value = serde_json::from_str(text).expect("JSON");
        let shares = value["probabilities"].as_object().expect("an object");
        let shares: Vec<(&str, f64)> =
            shares.iter().map(|(name, p)| (name.as_str(), p.as_f64().expect("a number"))).collect();
        assert_eq!(
            shares.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
            ["fair, really", "good", "poor"]
        );
        // Three roundings of f32.
        let sum: f64 = shares.iter().map(|(_, p)| p).sum();
        assert!((sum - 1.0).abs() <= 4.0 * f64::from(f32::EPSILON), "{sum}");
        let best = shares.iter().fold(("", -1.0), |best, one| if one.1 > best.1 { *one } else { best });
        assert_eq!(value["prediction"], best.0);
        let cells: Vec<f64> =
            line.rsplitn(4, ',').take(3).map(|cell| cell.parse().expect("a number")).collect();
        assert_eq!(cells, shares.iter().rev().map(|(_, p)| *p).collect::<Vec<_>>());
    }
    // The likeliest two, the likelier first.
    let top = told(&["--top", "2"]);
    let first: Vec<&str> = top.lines().next().expect("a header").split(',').collect();
    assert_eq!(first, ["prediction", "class_1", "p_1", "class_2", "p_2"]);
    let top = told(&["--top", "1", "--format", "jsonl"]);
    let value: Value = serde_json::from_str(top.lines().next().expect("a line")).expect("JSON");
    assert_eq!(value["row"], 1);
    let shares = value["probabilities"].as_object().expect("an object");
    assert_eq!(shares.keys().collect::<Vec<_>>(), [value["prediction"].as_str().expect("a name")]);

    // Into a file, by the name of its kind; rows from standard input; a category that the run had none of.
    assert_eq!(told(&["--out", "told.jsonl"]), "");
    assert_eq!(String::from_utf8(folder.read("told.jsonl")).expect("UTF-8"), told(&["--format", "jsonl"]));
    let mut command = folder.command(&["predict", "run", "--adapter", &wanted(), "--batch", "2"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary");
    child.stdin.take().expect("a pipe").write_all(NEW.as_bytes()).expect("rows");
    assert_eq!(Done::of(&child.wait_with_output().expect("an end")).stdout, done.stdout);
    // No row is no fault.
    folder.write("none.csv", "sun,soil,rain\n");
    assert_eq!(csv(&folder, &["none.csv"]).lines().count(), 1);
}

#[test]
fn a_reader_that_goes_away_is_no_fault() {
    let folder = rows::trained(GARDEN, &[]);
    folder.write("many.csv", "rain,sun,soil\n".to_owned() + &"1,3,clay\n".repeat(20_000));
    let mut command = folder.command(&["predict", "run", "many.csv", "--adapter", &wanted()]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary");
    drop(child.stdout.take());
    let done = Done::of(&child.wait_with_output().expect("an end"));
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
}

#[test]
fn rows_that_do_not_fit_say_where() {
    let folder = rows::trained(GARDEN, &[]);
    let before = folder.listing();
    let refused = |text: &str, words: &[&str]| {
        folder.write("wrong.csv", text);
        let done = predict(&folder, &["wrong.csv", "--out", "told.csv"]);
        done.refused(1, &[&["wrong.csv"], words].concat());
        std::fs::remove_file(folder.path("wrong.csv")).expect("a file");
        assert_eq!(folder.listing(), before, "nothing is left of a file that is not whole");
    };
    refused("rain,sun,soil\n1,3,clay\n\n,3,clay\n", &["row 2 (line 4), column \"rain\"", "data.source.fill"]);
    refused("rain,sun,soil\n1,much,clay\n", &["line 2", "\"sun\"", "\"much\" is not a number"]);
    refused("rain,sun,soil\n1,3\n", &["line 2", "3 cells", "this one 2"]);
    refused("rain,soil\n1,clay\n", &["no column \"sun\"", "rain, sun, soil"]);
    refused("", &["empty"]);
    for (args, code, words) in [
        (&["garden.csv", "new.csv"][..], 2, &["new.csv", "one input"][..]),
        (&["none.csv"], 1, &["none.csv"]),
        (&["run"], 1, &["run", "a folder", "CSV"]),
        (&["garden.csv", "--top", "4"], 2, &["--top 4", "3 classes"]),
        (&["garden.csv", "--top", "0"], 2, &["--top"]),
        (&["garden.csv", "--weights", "net.toml"], 1, &["net.toml", "safetensors"]),
        (&["garden.csv", "--format", "xml"], 2, &["csv", "jsonl"]),
    ] {
        predict(&folder, args).refused(code, words);
    }
}

/// Cells that are missing follow the run's rule, and numbers are in the target's unit: what the standardised target's error
/// is says how far they are off.
#[test]
fn numbers_are_in_the_targets_own_unit() {
    let folder = rows::trained("weight", &["--set", "data.source.fill=\"median\""]);
    let told = predict(&folder, &["garden.csv"]);
    assert_eq!((told.code, told.stderr.contains("passed over: harvest")), (0, true), "{}", told.stderr);
    let mut lines = told.stdout.lines();
    assert_eq!(lines.next(), Some("prediction"));
    let told: Vec<f64> = lines.map(|line| line.parse().expect("a number")).collect();
    let table = String::from_utf8(folder.read("garden.csv")).expect("UTF-8");
    let weights: Vec<f64> = table
        .lines()
        .skip(1)
        .map(|line| line.rsplit(',').next().expect("a cell").parse().expect("it"))
        .collect();
    assert_eq!(told.len(), weights.len());
    let data: Value = serde_json::from_slice(&folder.read("run/data.json")).expect("JSON");
    let std = data["target"]["std"].as_f64().expect("a deviation");
    assert!(std > 1.0, "the target is standardised: {data}");
    let error: f64 = told.iter().zip(&weights).map(|(a, b)| ((a - b) / std).powi(2)).sum::<f64>() / 48.0;
    let loss = found(&folder, "run", &["--data", "garden.csv"])["loss"].as_f64().expect("a loss");
    // The target has lost 2⁻²⁴ of some standard deviations to f32, and so has the sum of squares.
    assert!((error - loss).abs() <= 1e-5 * loss.max(1.0), "{error}, {loss}");

    // The median of the training part, whose rows are drawn.
    let median = data["columns"][0]["fill"].as_f64().expect("a median");
    assert!((3.0..=4.0).contains(&median), "{median}");
    folder.write("holes.csv", format!("rain,sun,soil\n,3,clay\n{median},3,clay\n"));
    let holes = csv(&folder, &["holes.csv"]);
    let holes: Vec<&str> = holes.lines().collect();
    assert_eq!(holes[1], holes[2]);
    let json = predictions(&folder, &["holes.csv"]);
    assert_eq!(json[1]["prediction"].as_f64(), holes[2].parse().ok());
    predict(&folder, &["holes.csv", "--top", "1"]).refused(2, &["--top 1", "leave it out"]);
}

/// Every right answer of the evaluation is one of predict, whatever the batches.
#[test]
fn arrays_are_what_the_run_was_evaluated_on() {
    let folder = Folder::new();
    folder.trained("run", &[]);
    let (pixels, labels) = some_digits(360);
    folder.write("images.npy", npy(&[360, 1, 8, 8], &pixels));
    let told = csv(&folder, &["images.npy", "--batch", "17"]);
    let right =
        told.lines().skip(1).zip(&labels).filter(|(line, label)| line.split(',').next() == Some(label));
    let accuracy = found(&folder, "run", &[])["accuracy"].as_f64().expect("a share");
    assert_eq!(right.count(), (accuracy * 360.0).round() as usize);
    assert_eq!(told.lines().next(), Some("prediction,p_0,p_1,p_2,p_3,p_4,p_5,p_6,p_7,p_8,p_9"));
    // The bytes of the files they came from.
    let files = format!("{}/data/digits/t10k-images-idx3-ubyte", env!("CARGO_MANIFEST_DIR"));
    assert_eq!(csv(&folder, &[&files, "--batch", "17"]), told);
    folder.write("flat.npy", npy(&[2, 63], &[0.0; 126]));
    predict(&folder, &["flat.npy"]).refused(1, &["flat.npy", "[63]", "[1, 8, 8]"]);
    folder.write("wild.npy", npy(&[2, 8, 8], &[&[0.5; 127][..], &[f32::NAN]].concat()));
    predict(&folder, &["wild.npy"]).refused(1, &["row 2", "not finite"]);
    predict(&folder, &[]).refused(2, &["NPY or IDX"]);
}

/// A PNG of a digit is answered as the digit is, and so are its colours, its negative and its enlargement.
#[cfg(feature = "images")]
#[test]
fn images_are_samples_of_a_run_of_arrays() {
    let folder = Folder::new();
    folder.trained("run", &[]);
    let (pixels, _) = some_digits(6);
    // Sixteenths become bytes that are a seventeenth of 255 apart, to the rounding of 255 / 16.
    let bytes: Vec<u8> = pixels.iter().map(|v| (v * 255.0).round() as u8).collect();
    std::fs::create_dir(folder.path("digits")).expect("a folder");
    std::fs::create_dir(folder.path("ink")).expect("a folder");
    for (i, image) in bytes.chunks_exact(64).enumerate() {
        let rgb: Vec<u8> = image.iter().flat_map(|&v| [v; 3]).collect();
        folder.png(&format!("digits/{i}.png"), [8, 8], if i % 2 == 0 { image } else { &rgb });
        folder.png(&format!("ink/{i}.png"), [8, 8], &image.iter().map(|v| 255 - v).collect::<Vec<u8>>());
    }
    let answers = |more: &[&str]| {
        let told = csv(&folder, more);
        let lines: Vec<Vec<String>> =
            told.lines().skip(1).map(|line| line.split(',').map(str::to_owned).collect()).collect();
        lines
    };
    folder.write(
        "floats.npy",
        npy(&[6, 1, 8, 8], &bytes.iter().map(|v| f32::from(*v) / 255.0).collect::<Vec<_>>()),
    );
    let floats = answers(&["floats.npy"]);
    let images = answers(&["digits"]);
    assert_eq!(images[3][0], "digits/3.png");
    for (image, float) in images.iter().zip(&floats) {
        assert_eq!(image[1], float[0]);
        for (a, b) in image[2..].iter().zip(&float[1..]) {
            let [a, b] = [a, b].map(|text| text.parse::<f64>().expect("a probability"));
            // The bytes are scaled by another product of f32: relative errors of a few 2^-24 in logits below 30.
            assert!((a - b).abs() <= 1e-4 * b + 1e-9, "{a} {b}");
        }
    }
    let inverted = answers(&["ink", "--invert"]);
    assert!(inverted.iter().zip(&images).all(|(a, b)| a[1..] == b[1..]));
    assert!(answers(&["ink"]).iter().zip(&images).any(|(a, b)| a[1..] != b[1..]));
    // Twice as wide and high; in the middle of something wider.
    let twice: Vec<u8> = (0..256).map(|at| bytes[at / 32 * 8 + at % 16 / 2]).collect();
    folder.png("twice.png", [16, 16], &twice);
    let refused = predict(&folder, &["digits/0.png", "twice.png"]);
    assert_eq!(refused.stdout, "");
    refused.refused(1, &["twice.png", "16 x 16", "8 x 8", "[1, 8, 8]", "--fit crop"]);
    assert_eq!(answers(&["twice.png", "--fit", "stretch"])[0][1], images[0][1]);
    predict(&folder, &["floats.npy", "--invert"]).refused(2, &["--invert", "images"]);
    folder.write("none.png", "no image");
    predict(&folder, &["none.png"]).refused(1, &["none.png, byte 0", "no PNG and no JPEG"]);
}

/// CIFAR's kind of shape, the other order of axes, rows of pixels; and what is no image.
#[cfg(feature = "images")]
#[test]
fn the_run_s_shape_says_what_an_image_becomes() {
    let folder = Folder::new();
    let rgb: Vec<u8> = (0..4 * 6 * 3).map(|i| (i * 37 % 256) as u8).collect();
    folder.png("rgb.png", [6, 4], &rgb);
    let grey = |pixel: &[u8]| {
        let [r, g, b] = [0, 1, 2].map(|c| u32::from(pixel[c]));
        ((r * 19595 + g * 38470 + b * 7471 + 0x8000) >> 16) as u8
    };
    let grey: Vec<u8> = rgb.chunks_exact(3).map(grey).collect();
    let planes: Vec<u8> =
        (0..3).flat_map(|c| rgb.iter().skip(c).step_by(3).copied().collect::<Vec<_>>()).collect();
    let bytes = |shape: &[usize], sample: &[u8], kind: &str| {
        let extents: String = shape.iter().map(|extent| format!("{extent}, ")).collect();
        let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': (4, {extents}), }}\n");
        let noise = |i: usize| sample.iter().map(move |v| v.wrapping_mul(i as u8));
        let values: Vec<u8> = sample.iter().copied().chain((1..4).flat_map(noise)).collect();
        [&b"\x93NUMPY\x01\x00"[..], &(header.len() as u16).to_le_bytes(), header.as_bytes(), &values].concat()
    };
    folder.write(
        "y.npy",
        [
            &b"\x93NUMPY\x01\x00\x38\x00{'descr': '|u1', 'fortran_order': False, 'shape': (4,)} "[..],
            &[0, 1, 0, 1],
        ]
        .concat(),
    );
    for (name, shape, sample) in
        [("a", &[3, 4, 6][..], &planes), ("b", &[4, 6, 3], &rgb), ("c", &[4, 6], &grey), ("d", &[24], &grey)]
    {
        folder.write("x.npy", bytes(shape, sample, "|u1"));
        let settings = [
            "data={ source = { npy = \"x.npy\", target = \"y.npy\" }, normalise = \"standard\", eval_fraction = 0 }",
            "model={ layers = [\"flatten\", { linear = 2 }], loss = \"cross_entropy\" }",
        ];
        folder.trained(name, &["--set", settings[0], "--set", settings[1], "--steps", "3"]);
        let answer = |input: &str| {
            let done = folder.run(&["predict", name, input, "--adapter", &wanted()]);
            assert_eq!(done.code, 0, "{name}: {}", done.stderr);
            done.stdout.lines().nth(1).expect("an answer").trim_start_matches("rgb.png,").to_owned()
        };
        // The first sample of the array is the image.
        assert_eq!(answer("rgb.png"), answer("x.npy"), "{name}");
    }
    folder.png("small.png", [2, 2], &[0; 4]);
    let run = |name: &str| folder.run(&["predict", name, "small.png", "--adapter", &wanted()]);
    run("d").refused(1, &["small.png", "2 x 2 = 4 pixels", "24 numbers"]);
    folder.write("x.npy", bytes(&[6], &[0; 24], "<f4"));
    let settings = [
        "data={ source = { npy = \"x.npy\", target = \"y.npy\" } }",
        "model={ layers = [{ linear = 2 }], loss = \"cross_entropy\" }",
    ];
    folder.trained("floats", &["--set", settings[0], "--set", settings[1], "--steps", "1"]);
    run("floats").refused(1, &["numbers as they were", "NPY"]);
}

#[test]
fn what_a_loss_makes_of_an_output_is_told() {
    let folder = Folder::new();
    let (pixels, _) = some_digits(5);
    folder.write("images.npy", npy(&[5, 8, 8], &pixels));
    let with = |name: &str, settings: &[&str]| {
        let settings: Vec<&str> = settings.iter().flat_map(|setting| ["--set", *setting]).collect();
        folder.trained(name, &[&settings[..], &["--steps", "5"]].concat());
        let args =
            ["predict", name, "images.npy", "--adapter", &wanted(), "--format", "jsonl", "--batch", "2"];
        let done = folder.run(&args);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""));
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|err| panic!("{line}: {err}"));
        done.stdout.lines().map(parse).collect::<Vec<Value>>()
    };
    let sum = |value: &Value| -> f64 {
        value.as_object().expect("an object").values().map(|p| p.as_f64().expect("a number")).sum()
    };
    // Labels by themselves: logits near 0 give a half for each.
    let each = &with("labels", &["model.loss=\"bce_with_logits\""])[0];
    assert!(sum(&each["probabilities"]) > 1.5, "{each}");
    let layers = "model.layers=[\"flatten\", { linear = 10 }, \"log_softmax\"]";
    let shares = &with("logs", &[layers, "model.loss=\"nll\""])[4];
    // The log of a probability is off by some of its ulps, ln 10 · 2⁻²⁴ a class.
    assert!((sum(&shares["probabilities"]) - 1.0).abs() <= 1e-5, "{shares}");
    let outputs = &with("numbers", &["model.loss=\"mse\""])[2];
    assert!(outputs["outputs"]["9"].is_number() && outputs["prediction"].is_string(), "{outputs}");
    let layers = "model.layers=[\"flatten\", { linear = 64 }, { reshape = [1, 8, 8] }]";
    let images = with("same", &["data.target=\"inputs\"", "model.loss=\"mse\"", layers]);
    assert_eq!(images[4]["prediction"].as_array().map(Vec::len), Some(64));
    // A mean over the batch is no answer to a sample.
    let norm =
        "model.layers=[\"flatten\", { batch_norm = { track_running_stats = false } }, { linear = 10 }]";
    folder.trained("norm", &["--set", norm, "--steps", "1"]);
    let done = folder.run(&["predict", "norm", "images.npy", "--adapter", &wanted()]);
    done.refused(2, &["track_running_stats", "beside other samples"]);
}

#[test]
fn images_come_with_their_paths() {
    let folder = Folder::new();
    for (class, shade) in [("dark", 30), ("light", 220)] {
        std::fs::create_dir_all(folder.path(&format!("photos/{class}"))).expect("a folder");
        for i in 0..6 {
            folder.png(&format!("photos/{class}/{i}.png"), [4, 4], &[shade + 3 * i; 16]);
        }
    }
    let data = "data={ source = { images = \"photos\", size = [4, 4] }, batch_size = 4 }";
    let settings =
        ["--set", data, "--set", "model.layers=[\"flatten\", { linear = 2 }]", "--set", "optimizer.lr=0.1"];
    folder.trained("run", &[&settings[..], &["--steps", "40"]].concat());
    // Another size and another depth, in a folder within the folder.
    std::fs::create_dir_all(folder.path("new/within")).expect("a folder");
    folder.png("new/within/b.png", [9, 6], &[215; 9 * 6 * 3]);
    folder.png("new/a.png", [4, 4], &[40; 16]);
    folder.write("new/notes.txt", "no image");
    let told = csv(&folder, &["new", "photos/light/0.png", "--batch", "2"]);
    let starts: Vec<String> =
        told.lines().map(|line| line.split(',').take(2).collect::<Vec<_>>().join(",")).collect();
    let slash = |text: &str| text.replace('/', std::path::MAIN_SEPARATOR_STR);
    assert_eq!(starts[0], "path,prediction");
    let wanted = ["new/a.png,dark", "new/within/b.png,light", "photos/light/0.png,light"];
    assert_eq!(starts[1..], wanted.map(slash));
    assert_eq!(predictions(&folder, &["new"])[0]["path"], slash("new/a.png"));
    folder.write("new/broken.png", "no image");
    predict(&folder, &["new"]).refused(1, &["broken.png"]);
    predict(&folder, &["run"]).refused(1, &["run", "no PNG or JPEG"]);
    predict(&folder, &[]).refused(2, &["PNG or JPEG"]);
    // Folders of classes can be evaluated.
    assert_eq!(found(&folder, "run", &["--data", "photos"])["accuracy"], 1.0);
}

#[test]
fn a_text_is_for_sample() {
    let folder = Folder::new();
    folder.write("pattern.txt", "gradient\n".repeat(30));
    let settings = [
        "data={ source = { text = \"pattern.txt\" }, context = 8 }",
        "model.layers=[{ embedding = { num_embeddings = 9, embedding_dim = 4 } }, { linear = 9 }]",
    ];
    let settings: Vec<&str> = settings.iter().flat_map(|setting| ["--set", *setting]).collect();
    folder.trained("run", &[&settings[..], &["--steps", "1"]].concat());
    predict(&folder, &["pattern.txt"]).refused(2, &["downhill sample run"]);
}
