//! `downhill data`: made data come whole, in files that a config can use, and nothing is overwritten unasked.

use crate::folder::Folder;

/// The lines of a config that the command printed.
fn config(stdout: &str) -> toml::Table {
    let (_, lines) = stdout.split_once("next     in the config:\n").expect("lines of a config");
    lines.replace("[.., ", "[\"flatten\", ").parse().unwrap_or_else(|err| panic!("{err}: {lines}"))
}

#[test]
fn digits_come_in_the_four_files_of_mnist() {
    let folder = Folder::new();
    let done = folder.run(&["data", "synth", "digits28", "--count", "60", "--out", "made/digits"]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    for words in ["60 samples to train on, 10 to evaluate on", "train-images-idx3-ubyte, 46.0 KiB"] {
        assert!(done.stdout.contains(words), "{words}: {}", done.stdout);
    }
    let source = config(&done.stdout)["data"]["source"]["idx"].clone();
    assert!(std::path::Path::new(source.as_str().expect("a path")).is_absolute(), "{source}");
    let names = [
        ("t10k-images-idx3-ubyte", 16 + 10 * 784),
        ("t10k-labels-idx1-ubyte", 8 + 10),
        ("train-images-idx3-ubyte", 16 + 60 * 784),
        ("train-labels-idx1-ubyte", 8 + 60),
    ];
    let paths = names.map(|(name, _)| format!("made/digits/{name}"));
    assert_eq!(folder.listing()[2..], paths);
    for ((_, bytes), path) in names.iter().zip(&paths) {
        assert_eq!(folder.read(path).len(), *bytes, "{path}");
    }
    assert_eq!(folder.read(&paths[2])[..16], [0, 0, 8, 3, 0, 0, 0, 60, 0, 0, 0, 28, 0, 0, 0, 28]);
    assert_eq!(folder.read(&paths[1])[..8], [0, 0, 8, 1, 0, 0, 0, 10]);
}

/// A net of the printed lines can be planned on the table.
#[test]
fn tables_are_what_the_printed_config_needs() {
    let folder = Folder::new();
    for kind in ["spirals", "moons", "blobs", "teacher"] {
        let done = folder.run(&["data", "synth", kind, "--count", "120", "--out", "."]);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{kind}");
        assert!(done.stdout.contains(&format!("{kind}.csv, ")), "{}", done.stdout);
        let mut net: toml::Table = crate::folder::CONFIG.parse().expect("TOML");
        for (section, keys) in config(&done.stdout) {
            let have = net[section.as_str()].as_table_mut().expect("a table");
            have.extend(keys.as_table().expect("a table").clone());
        }
        folder.write("made.toml", net.to_string());
        let done = folder.run_without_adapter(&["explain", "made.toml"]);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{kind}");
    }
}

#[test]
fn a_seed_makes_the_same_and_files_stay_unless_forced() {
    let folder = Folder::new();
    let moons = |more: &[&str]| {
        folder.run(&[&["data", "synth", "moons", "--count", "50", "--out", "made"], more].concat())
    };
    assert_eq!(moons(&[]).code, 0);
    let first = folder.read("made/moons.csv");
    moons(&["--seed", "1"]).refused(2, &["moons.csv", "1.0 KiB", "--force"]);
    assert_eq!(folder.read("made/moons.csv"), first);
    assert_eq!(moons(&["--seed", "1", "--force"]).code, 0);
    assert_ne!(folder.read("made/moons.csv"), first);
    assert_eq!(moons(&["--seed", "0", "--force"]).code, 0);
    assert_eq!(folder.read("made/moons.csv"), first);
    // An empty file is nothing to lose.
    folder.write("made/moons.csv", "");
    assert_eq!(moons(&[]).code, 0);
    assert_eq!(folder.read("made/moons.csv"), first);
    assert_eq!(folder.listing(), ["made", "made/moons.csv", "net.toml"]);
}

#[test]
fn what_cannot_be_made_is_refused_and_leaves_nothing() {
    let folder = Folder::new();
    let synth = |more: &[&str]| folder.run(&[&["data", "synth"], more].concat());
    synth(&["spiral", "--count", "9", "--out", "made"]).refused(2, &["spiral", "similar", "'spirals'"]);
    synth(&["moons", "--count", "0", "--out", "made"]).refused(2, &["--count", "0"]);
    synth(&["moons", "--count", "4294967296", "--out", "made"]).refused(2, &["--count", "4294967295"]);
    synth(&["moons", "--count", "9"]).refused(2, &["--out"]);
    synth(&["moons", "--out", "made"]).refused(2, &["--count"]);
    synth(&["moons", "--count", "9", "--out", "net.toml"]).refused(1, &["directory", "net.toml"]);
    assert_eq!(folder.listing(), ["net.toml"]);
}
