//! `downhill data convert` and `inspect`: folders, files and configs in, one file and plain words out.

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
fn bad_data_are_refused() {
    let folder = Folder::new();
    photos(&folder);
    let inspect = |more: &[&str]| folder.run(&[&["data", "inspect"], more].concat());
    folder.run(&["data", "convert", "photos"]).refused(2, &["--out"]);
    inspect(&["nothing"]).refused(1, &["nothing", "No such file"]);
    inspect(&["photos", "--verify"]).refused(2, &["--verify", "packed file"]);
    inspect(&["photos", "--set", "data.source.sise=[2,2]"]).refused(2, &["sise", "did you mean \"size\""]);
    folder.write("t.csv", "a,y\n1,2\n");
    inspect(&["t.csv"]).refused(2, &["t.csv as a table", "target is missing", "--set data.source.KEY"]);
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
