//! `downhill data convert` and `inspect`: folders, files and configs in, one file and plain words out.

use serde_json::Value;

use crate::folder::Folder;

/// Grey images of 8×8 in two classes, 10 of each, the fixture's bytes where they do.
fn photos(folder: &Folder) {
    for (class, light) in [("dark", 20u8), ("light", 200)] {
        std::fs::create_dir_all(folder.path(&format!("photos/{class}"))).expect("a folder");
        for i in 0..10 {
            let pixels: Vec<u8> = (0..64).map(|at| light + i + at % 8 * (at / 8) % 8).collect();
            folder.png(&format!("photos/{class}/{i}.png"), [8, 8], &pixels);
        }
    }
}

/// The net trains on a folder, and on what was packed of it, to the same bits.
#[test]
fn a_packed_folder_trains_as_the_folder() {
    let folder = Folder::new();
    photos(&folder);
    let source = |text: &str| format!("data={{ source = {text}, batch_size = 4 }}");
    let images = source("{ images = \"photos\" }");
    let plain = folder.trained("plain", &["--set", &images]);
    let done = folder.run(&["data", "convert", "photos", "--set", "seed=4", "--out", "photos.dhd"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    for words in ["photos: 16 to train on, 4 to evaluate on", "wrote    photos.dhd", "source = { pack = \""] {
        assert!(done.stdout.contains(words), "{words}: {}", done.stdout);
    }
    let packed = folder.trained("packed", &["--set", &source("{ pack = \"photos.dhd\" }")]);
    let losses =
        |lines: &[serde_json::Value]| lines.iter().map(|line| line["loss"].clone()).collect::<Vec<_>>();
    assert_eq!(losses(&plain), losses(&packed));
    let kept: serde_json::Value = serde_json::from_slice(&folder.read("packed/data.json")).expect("JSON");
    assert_eq!((&kept["kind"], &kept["classes"][1]), (&"images".into(), &"light".into()));
    assert_eq!(folder.read("plain/data.json"), folder.read("packed/data.json"));
    // Nothing is replaced unasked, and nothing is left over.
    let again = ["data", "convert", "net.toml", "--out", "photos.dhd"];
    folder.run(&again).refused(2, &["photos.dhd", "there is a file already", "--force"]);
    let done = folder.run(&[&again[..], &["--force"]].concat());
    assert!(done.code == 0 && done.stdout.contains("digits: 1437 to train on, 360"), "{}", done.stderr);
    assert!(!folder.listing().iter().any(|name| name.ends_with(".tmp")));
}

#[test]
fn inspect_says_what_data_are() {
    let folder = Folder::new();
    photos(&folder);
    let done = folder.run(&["data", "inspect", "photos", "--set", "data.stratify=true", "--rows", "1"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    for words in [
        "a folder of images",
        "16 to train on, 4 to evaluate on, 2 classes",
        "[1, 8, 8]",
        "u8",
        "train classes: dark 8, light 8",
        "eval classes: dark 2, light 2",
        "sample 0",
        "t dark",
        "stratify = true",
        "source = { images = \"/",
    ] {
        assert!(done.stdout.contains(words), "{words}: {}", done.stdout);
    }
    assert_eq!(folder.run(&["data", "convert", "net.toml", "--out", "d.dhd"]).code, 0);
    let done = folder.run(&["data", "inspect", "d.dhd", "--json", "--verify"]);
    let json: serde_json::Value = serde_json::from_str(&done.stdout).expect("JSON");
    assert_eq!(json["is"], "a packed data set");
    assert_eq!(json["verified_bytes"], (1437 + 360) * 65 * 4);
    assert_eq!(json["device_bytes"], json["verified_bytes"]);
    assert_eq!(json["parts"][1]["samples"], 360);
    assert_eq!(json["parts"][0]["fields"][0]["channels"][0]["max"], 1.0);
    folder.write(
        "words.txt",
        "a few words of text that is long enough to be cut into samples of a few letters, with a tenth to evaluate on",
    );
    let done = folder.run(&["data", "inspect", "words.txt", "--set", "data.context=8"]);
    assert!(done.code == 0 && done.stdout.contains("x \"a few wo\""), "{} {}", done.stdout, done.stderr);
    folder.write("t.csv", "a,y\n1,2\n3,4\n5,6\n7,8\n9,10\n");
    let done = folder.run(&["data", "inspect", "t.csv", "--set", "data.source.target=y"]);
    assert!(done.code == 0 && done.stdout.contains("4 to train on, 1 to evaluate on"), "{}", done.stderr);
}

#[test]
fn a_table_is_told_column_by_column() {
    let folder = Folder::new();
    let inspect = |more: &[&str]| folder.run(&[&["data", "inspect"], more].concat());
    let row = |i: usize| {
        format!(
            "{i},{},{},{}\n",
            i % 11,
            ["a", "b"][i % 2],
            if i == 4 { String::new() } else { (i * 3).to_string() }
        )
    };
    folder.write("t.csv", (0..40).fold(",n,s,y\n".to_owned(), |text, i| text + &row(i)));
    // Without a target, and with missing cells, it says what is there.
    let done = inspect(&["t.csv"]);
    let whole = done.stdout.clone() + &done.stderr;
    assert_eq!(done.code, 0, "{whole}");
    for words in [
        "t.csv: 40 rows",
        "\"\"",
        "counts the rows",
        "ignore = [\"\"]",
        "categorical",
        "target is missing",
        "--target",
        "target = \"COLUMN\"",
    ] {
        assert!(done.stdout.contains(words), "{words}: {whole}");
    }
    let json: Value = serde_json::from_str(&inspect(&["t.csv", "--json"]).stdout).expect("JSON");
    assert_eq!((&json["rows"], &json["columns"][3]["missing"]), (&Value::from(40), &Value::from(1)));
    assert_eq!(
        (&json["columns"][2]["use"], &json["columns"][2]["categories"]),
        (&Value::from("categorical"), &Value::from(2))
    );
    assert!(json["not_loaded"].as_str().is_some_and(|why| why.contains("target is missing")), "{json}");
    let ignore = ["--set", "data.source.ignore=[\"\"]"];
    let done = inspect(&[&["t.csv", "--target", "s"], &ignore[..]].concat());
    assert!(
        done.code == 0 && done.stdout.contains("in column \"y\" 1 cell is missing"),
        "{}{}",
        done.stdout,
        done.stderr
    );
    let fill = ["--set", "data.source.fill=median"];
    let done = inspect(&[&["t.csv", "--target", "s"], &ignore[..], &fill].concat());
    assert!(done.code == 0 && done.stdout.contains("1 -> median"), "{}{}", done.stdout, done.stderr);
    assert!(
        done.stdout.contains("target, class") && done.stdout.contains("train classes: a "),
        "{}",
        done.stdout
    );
    // What a run refuses is told below the columns, with the exit code of a fault.
    folder.write(
        "dash.csv",
        (0..40).fold("x,y\n".to_owned(), |text, i| {
            text + &format!("{},1\n", if i == 7 { "-".into() } else { i.to_string() })
        }),
    );
    let done = inspect(&["dash.csv", "--target", "y"]);
    assert!(done.stdout.contains("39 numbers and 1 word"), "{}", done.stdout);
    done.refused(1, &["39 of 40 cells are numbers", "\"-\" in row 8 (line 9)", "missing = [\"-\"]"]);
}

/// An NPY file of bytes.
fn npy(shape: &str, kind: &str, values: &[u8]) -> Vec<u8> {
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n");
    [&b"\x93NUMPY\x01\x00"[..], &(header.len() as u16).to_le_bytes(), header.as_bytes(), values].concat()
}

#[test]
fn arrays_and_their_labels_are_told() {
    let folder = Folder::new();
    let inspect = |more: &[&str]| folder.run(&[&["data", "inspect", "--rows", "0"], more].concat());
    folder.write("x.npy", npy("(6, 2, 2)", "|u1", &[0, 1, 1, 0].repeat(6)));
    let done = inspect(&["x.npy"]);
    assert_eq!(done.code, 0, "{}{}", done.stdout, done.stderr);
    for words in [
        "5 to train on, 1 to evaluate on",
        "[2, 2]",
        "data.source.target is missing: the file of targets",
        "bytes up to 1",
        "target = \"inputs\"",
    ] {
        assert!(done.stdout.contains(words), "{words}: {}", done.stdout);
    }
    let labels = |labels: [i32; 6]| npy("(6,)", "<i4", &labels.map(i32::to_le_bytes).concat());
    folder.write("y.npy", labels([0, 1, 2, 0, 1, 2]));
    let done = inspect(&[
        "x.npy",
        "--target",
        "y.npy",
        "--set",
        "data.normalise=standard",
        "--set",
        "data.eval_fraction=0",
    ]);
    assert!(
        done.code == 0 && done.stdout.contains("3 classes") && !done.stdout.contains("note"),
        "{}{}",
        done.stdout,
        done.stderr
    );
    folder.write("gap.npy", labels([0, 1_000_000, 0, 0, 1_000_000, 0]));
    let done = inspect(&["x.npy", "--target", "gap.npy", "--set", "data.eval_fraction=0"]);
    assert!(
        done.stdout.contains("only 2 of these 1000001 classes have a sample"),
        "{}{}",
        done.stdout,
        done.stderr
    );
    let source = "data={ source = { npy = \"x.npy\", target = \"gap.npy\" }, eval_fraction = 0 }";
    folder
        .train(&["--set", source, "--out", "run"])
        .refused(2, &["label 1000000 is not in 0..10", "only 2 of these"]);
    folder.write("one.npy", labels([0; 6]));
    let done = inspect(&["x.npy", "--target", "one.npy"]);
    assert!(done.code == 0 && done.stdout.contains("of one class, 0"), "{}{}", done.stdout, done.stderr);
    let one =
        folder.train(&["--set", "data.source={ npy = \"x.npy\", target = \"one.npy\" }", "--out", "run"]);
    one.refused(1, &["samples to train on are of one class, 0", "nothing to learn"]);
    let none = folder.train(&["--set", "data.source={ npy = \"x.npy\" }", "--out", "run"]);
    none.refused(2, &["data.source.target is missing", "data.target = \"inputs\""]);
    assert!(!folder.path("run").exists());
}

/// Nothing waits for a pipe, and nothing reads a device to its end.
#[cfg(unix)]
#[test]
fn what_is_no_file_is_refused_at_once() {
    let folder = Folder::new();
    for name in ["p.csv", "p.npy", "p.npz", "p.dhd", "p.txt", "p.safetensors"] {
        let made = std::process::Command::new("mkfifo").arg(folder.path(name)).status().expect("mkfifo");
        assert!(made.success());
        folder
            .run(&["data", "inspect", name])
            .refused(1, &[name, "it is a pipe, and a regular file is needed"]);
    }
    for source in [
        "{ csv = \"p.csv\", target = \"y\" }",
        "{ npy = \"p.npy\", target = \"p.npy\" }",
        "{ npz = \"p.npz\" }",
        "{ safetensors = \"p.safetensors\" }",
        "{ pack = \"p.dhd\" }",
        "{ text = \"p.txt\" }",
    ] {
        let context = if source.contains("text") { ["--set", "data.context=8"] } else { ["--set", "seed=0"] };
        let train = |source: &str| {
            folder.train(&["--set", &format!("data.source={source}"), context[0], context[1], "--out", "run"])
        };
        train(source).refused(2, &["it is a pipe"]);
        let start = source.find('"').expect("a path");
        let end = start + 1 + source[start + 1..].find('"').expect("its end");
        let device = format!("{}\"/dev/zero{}", &source[..start], &source[end..]);
        train(&device).refused(2, &["/dev/zero", "it is a device"]);
    }
    folder.train(&["--init", "p.dhd", "--out", "run"]).refused(1, &["p.dhd", "it is a pipe"]);
    folder.run(&["explain", "/dev/zero"]).refused(2, &["/dev/zero", "no config is so long"]);
}

#[test]
fn a_config_with_augmentation_is_inspected() {
    let folder = Folder::new();
    folder.write("a.toml", "[data]\nsource = \"digits\"\naugment = [{ shift = 1 }]\n");
    let done = folder.run(&["data", "inspect", "a.toml", "--rows", "0"]);
    assert!(
        done.code == 0 && done.stdout.contains("digits: 1437 to train on"),
        "{}{}",
        done.stdout,
        done.stderr
    );
    let wrong = ["data", "inspect", "a.toml", "--set", "data.augment=[{ shfit = 1 }]"];
    folder.run(&wrong).refused(2, &["data.augment", "did you mean \"shift\""]);
}

#[test]
fn bad_data_are_refused() {
    let folder = Folder::new();
    photos(&folder);
    let inspect = |more: &[&str]| folder.run(&[&["data", "inspect"], more].concat());
    folder.run(&["data", "convert", "photos"]).refused(2, &["--out"]);
    inspect(&["nothing"]).refused(1, &["nothing", "No such file"]);
    inspect(&["photos", "--verify"]).refused(2, &["--verify", "packed file"]);
    inspect(&["photos", "--set", "data.source.sise=[2,2]"]).refused(2, &["sise", "did you mean \"size\""]);
    folder.write("t.csv", "a,y\n1,2\n");
    let convert = folder.run(&["data", "convert", "t.csv", "--out", "t.dhd"]);
    convert.refused(2, &["t.csv as a table", "target is missing", "--set data.source.KEY"]);
    // A config is named too.
    folder.write("t.toml", "[data]\nsource = { csv = \"t.csv\" }\n");
    folder
        .run(&["data", "convert", "t.toml", "--out", "t.dhd"])
        .refused(2, &["t.toml: ", "target is missing"]);
    std::fs::create_dir(folder.path("empty")).expect("a folder");
    inspect(&["empty"]).refused(2, &["empty", "cannot be told", "a folder of images"]);
    folder.write("other.toml", "[data]\nsource = { images = \"empty\" }\n");
    inspect(&["other.toml"]).refused(1, &["empty", "no folder of a class"]);
    std::fs::create_dir(folder.path("photos/none")).expect("a folder");
    inspect(&["photos"]).refused(1, &["photos/none", "has no image"]);
    folder.write("photos/none/x.png", "no image");
    inspect(&["photos"]).refused(1, &["x.png, byte 0", "no PNG and no JPEG"]);
    folder.png("photos/none/x.png", [8, 9], &[0; 72]);
    inspect(&["photos"]).refused(1, &["x.png is 8 × 9", "8 × 8", "size = [8, 8]"]);
    let sized = ["data", "convert", "photos", "--set", "data.source.size=[4,4]", "--out", "p.dhd"];
    assert_eq!(folder.run(&sized).code, 0);
    let mut bytes = folder.read("p.dhd");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    folder.write("p.dhd", &bytes);
    inspect(&["p.dhd", "--verify"]).refused(1, &["p.dhd, byte ", "damaged", "checksum"]);
    folder.write("p.dhd", &bytes[..last]);
    inspect(&["p.dhd"]).refused(1, &["p.dhd, byte 24", "convert it again"]);
    // A damaged image ends the conversion, and no file is left.
    let whole = folder.read("photos/dark/3.png");
    folder.write("photos/dark/3.png", &whole[..whole.len() - 20]);
    let cut = ["data", "convert", "photos", "--set", "data.source.size=[4,4]", "--out", "q.dhd"];
    folder.run(&cut).refused(1, &["3.png", "no whole PNG"]);
    assert!(!folder.listing().iter().any(|name| name.starts_with("q.dhd")));
}
