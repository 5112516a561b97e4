//! Every source read and written back; what is refused, with its words.

use toml::{Table, Value};

use super::super::Config;
use super::table::FORM as CSV;
use super::*;
use crate::compile::TrainOptions;
use crate::data::{Array, Arrays, Sampling, Values};
use crate::error::{Error, Result};

const REST: &str = "[model]\nlayers = [{ linear = 1 }]\nloss = \"mse\"\n[optimizer]\nname = \"sgd\"\n";

fn parse(data: &str) -> Result<Config> {
    Config::parse(&format!("[data]\n{data}\n{REST}"), &[])
}

#[track_caller]
fn assert_refused(data: &str, words: &[&str]) {
    let err = parse(data).and_then(|config| config.dataset().map(|_| config)).unwrap_err();
    assert!(matches!(err, Error::Config(_)), "{err:?}");
    for word in words {
        assert!(err.to_string().contains(word), "{data}: {err}");
    }
}

#[test]
fn every_source_reads_itself_back() {
    for data in [
        "source = \"digits\"\nbatch_size = \"full\"",
        "source = \"digits\"\nsampling = \"once\"",
        "source = \"digits\"\nsampling = \"replacement\"",
        "source = \"sources\"\ncontext = 64",
        "source = { text = \"a b/c.txt\" }\ncontext = 64\nhop = 3\neval_fraction = 0.25\nshuffle = false",
        "source = { csv = \"t.csv\", target = \"y\" }",
        "source = { csv = \"t.csv\", target = \"y\", numeric = [\"a\"], categorical = [], delimiter = \"\\t\", \
         classes = true }\neval_fraction = 0\nsplit_seed = 7",
        "source = { csv = \"t.csv\", target = \"y\", standardise_target = true, eval_csv = \"e.csv\" }",
        "source = { parquet = \"t.parquet\", target = \"y\", fill = \"median\" }\nstratify = true",
        "source = { arrow = \"t.arrow\", target = \"y\", eval = \"e.parquet\", fill = { a = \"mean\", b = 1, c = 0.5, d \
         = \"none\" } }",
        "source = { csv = \"t.csv\", target = \"y\", ignore = [\"\", \"id\"], missing = [\"-\", \"-999\"] }",
        "source = { npy = \"x.npy\" }\ntarget = \"inputs\"",
        "source = { idx = \"mnist\" }",
        "source = { idx = \"emnist\", set = \"emnist-letters\" }\nnormalise = \"none\"\neval_fraction = 0",
        "source = { cifar = \"c\" }\nnormalise = { mean = [0.5, 0.25, 1], std = [0.5, 0.25, 1] }",
        "source = { cifar = \"c\", labels = \"coarse\" }\nnormalise = \"standard\"\nstratify = true\nsplit_seed = 7",
        "source = { npz = \"a.npz\" }\neval_fraction = \"auto\"\nnormalise = \"auto\"",
        "source = { npz = \"a.npz\", x = \"a\", y = \"b\", eval_x = \"c\", eval_y = \"d\" }\nnormalise = \"unit\"",
        "source = { npy = \"x.npy\", target = \"y.npy\" }\neval_fraction = 0.3",
        "source = { safetensors = \"a.safetensors\", x = \"a\" }\ntarget = \"inputs\"",
        "source = \"digits\"\ntarget = \"inputs\"",
        "source = { images = \"no/such\" }",
        "source = { images = \"d\", size = [28, 32], fit = \"stretch\", channels = 1 }\neval_fraction = 0.1\n\
         split_seed = 3\nstratify = true\nnormalise = \"standard\"",
        "source = { images = \"d\", size = [1, 1] }\nnormalise = { mean = [0.5, 1], std = [0.25, 0.5] }",
        "source = { pack = \"d.dhd\" }",
        "source = \"memory\"",
        "source = \"memory\"\neval_fraction = 0.25\nstratify = true\nsplit_seed = 3\nnormalise = \"standard\"",
        "source = \"memory\"\ntarget = \"inputs\"\nsample = [1, 8, 8]",
        "source = \"memory\"\nsample = [16]\nintegers = true",
        "source = { csv = \"t.csv\", target = \"y\" }\ntarget = \"inputs\"\nsplit_seed = 7",
    ] {
        let config = parse(data).unwrap();
        let resolved = config.to_toml();
        assert_eq!(Config::parse(&resolved, &[]).unwrap(), config, "{resolved}");
    }
}

#[test]
fn paths_are_relative_to_the_config() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::create_dir(dir.path().join("deep")).unwrap();
    std::fs::write(dir.path().join("words.txt"), "some words to read").unwrap();
    let path = dir.path().join("deep/net.toml");
    let data = "[data]\nsource = { text = \"../words.txt\" }\ncontext = 4\n";
    std::fs::write(&path, format!("{data}{REST}")).unwrap();
    let config = Config::load(&path, &["data.eval_fraction=0".to_owned()]).unwrap();
    let found = config.dataset().unwrap();
    assert_eq!((found.name(), found.train().len()), ("words.txt", 4));
    // The resolved config finds the same file from anywhere.
    let elsewhere = dir.path().join("resolved.toml");
    std::fs::write(&elsewhere, config.to_toml()).unwrap();
    let again = Config::load(&elsewhere, &[]).unwrap();
    assert_eq!(again, config);
    assert_eq!(again.dataset().unwrap(), found);
}

#[test]
fn a_written_config_finds_its_files_wherever_both_are() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name);
    for folder in ["a/configs", "a/data", "a/runs/one"] {
        std::fs::create_dir_all(at(folder)).unwrap();
    }
    std::fs::write(at("a/data/words.txt"), "some words to read ".repeat(9)).unwrap();
    let write = |name: &str, text: String| std::fs::write(at(name), text).unwrap();
    write(
        "a/configs/net.toml",
        format!("[data]\nsource = {{ text = \"../data/words.txt\" }}\ncontext = 4\n{REST}"),
    );
    let config = Config::load(&at("a/configs/net.toml"), &[]).unwrap();
    write("a/runs/one/config.toml", config.to_toml_in(&at("a/runs/one")));
    let stored = || Config::load(&at("a/runs/one/config.toml"), &[]);
    assert_eq!(stored().unwrap(), config);
    std::fs::rename(at("a"), at("b")).unwrap();
    let moved = Config::load(&at("b/runs/one/config.toml"), &[]).unwrap();
    assert_eq!(moved.dataset().unwrap().name(), "words.txt");
    assert_ne!(moved, config);
    assert_eq!(config.with_places_of(&moved), moved);

    // An absolute path stays so, where it is not below the config's folder.
    let absolute = at("b/data/words.txt").display().to_string();
    write("b/configs/net.toml", format!("[data]\nsource = {{ text = \"{absolute}\" }}\ncontext = 4\n{REST}"));
    let config = Config::load(&at("b/configs/net.toml"), &[]).unwrap();
    let text = config.to_toml_in(&at("b/runs/one"));
    assert!(text.contains(&absolute) && !text.contains("root ="), "{text}");
    // A folder, or a list of folders: the first that has the file counts.
    for root in ["\"../data\"", "[\"nowhere\", \"../data\"]"] {
        write(
            "b/configs/net.toml",
            format!("[data]\nroot = {root}\nsource = {{ text = \"words.txt\" }}\ncontext = 4\n{REST}"),
        );
        let found = Config::load(&at("b/configs/net.toml"), &[]).unwrap().dataset().unwrap();
        assert_eq!(found.name(), "words.txt");
    }
    assert_refused(
        "source = { text = \"a\" }\ncontext = 4\nroot = 3",
        &["data.root = 3", "a folder or a list"],
    );
    assert_refused("source = { text = \"a\" }\ncontext = 4\nroot = [3]", &["data.root = 3"]);
}

#[test]
fn inputs_can_be_their_own_targets() {
    let [plain, own] = ["", "target = \"inputs\""].map(|more| {
        let config = parse(&format!("source = \"digits\"\n{more}")).unwrap();
        config.dataset().unwrap()
    });
    for (plain, own) in [(plain.train(), own.train()), (plain.eval().unwrap(), own.eval().unwrap())] {
        assert_eq!((own.inputs(), own.targets()), (plain.inputs(), plain.inputs()));
        assert_eq!(own.fields().count(), 1, "gathered once");
    }
    assert_eq!((plain.classes(), own.classes()), (Some(10), None));
}

#[test]
fn faults_name_the_key_and_the_remedy() {
    assert_refused("source = \"digts\"", &["\"digts\"", "did you mean \"digits\""]);
    assert_refused("source = \"text\"", &["\"text\"", "{ text = \"FILE\" }"]);
    assert_refused("source = 3", &["data.source = 3", "an integer"]);
    assert_refused("source = {}", &["data.source", "{ text = \"FILE\" }", CSV]);
    assert_refused("source = { txt = \"x\" }", &["data.source.txt", "did you mean \"text\""]);
    assert_refused("source = { text = 3 }", &["data.source.text = 3", "a file is needed"]);
    assert_refused("source = { text = \"\" }", &["data.source.text", "no path"]);
    assert_refused("source = \"sources\"", &["data.context is missing", "context = 64"]);
    assert_refused("source = \"sources\"\ncontxt = 64", &["data.contxt", "did you mean \"context\""]);
    assert_refused("source = \"digits\"\ntarget = 3", &["data.target = 3", "\"inputs\"", CSV]);
    let integers = "source = \"sources\"\ncontext = 4\ntarget = \"inputs\"";
    assert_refused(
        integers,
        &["data.target = \"inputs\"", "\"sources\"", "integers", "leave data.target out"],
    );
    assert_refused("source = \"sources\"\ncontext = -1", &["data.context = -1"]);
    assert_refused("source = \"sources\"\ncontext = 0", &["data.context = 0", "at least 1"]);
    assert_refused("source = \"sources\"\ncontext = 4\nhop = 0", &["data.hop = 0", "at least 1"]);
    let share = "source = \"sources\"\ncontext = 4\neval_fraction = 1";
    assert_refused(share, &["data.eval_fraction = 1", "below 1"]);
    assert_refused("source = \"digits\"\nhop = 4", &["data.hop goes with text", "\"digits\""]);
    let csv = |rest: &str| format!("source = {{ csv = \"no.csv\"{rest}");
    assert_refused("source = \"csv\"", &["\"csv\"", CSV]);
    assert_refused(&csv(" }"), &["data.source.target is missing", CSV]);
    assert_refused(&csv(", targt = \"y\" }"), &["data.source.targt", "did you mean \"target\""]);
    assert_refused(&csv(", target = 3 }"), &["data.source.target = 3", "name of a column"]);
    assert_refused(&csv(", text = \"x\" }"), &["text or csv, not both"]);
    assert_refused(&csv(", target = \"y\", numeric = \"a\" }"), &["numeric = \"a\"", "a list of columns"]);
    assert_refused(&csv(", target = \"y\", numeric = [3] }"), &["numeric = [3]", "a list of columns"]);
    assert_refused(&csv(", target = \"y\", delimiter = \"tab\" }"), &["delimiter = \"tab\"", "one ASCII"]);
    assert_refused(&csv(", target = \"y\", clases = true }"), &["clases", "did you mean \"classes\""]);
    assert_refused(&csv(", target = \"y\" }"), &["no.csv", "relative to the config's folder"]);
    assert_refused(&csv(", target = \"y\" }\ncontext = 4"), &["data.context goes with text", "no.csv"]);
    assert_refused(&csv(", target = \"y\" }\nnumeric = []"), &["data.numeric belongs into data.source"]);
    for (fill, words) in [
        ("\"mode\"", &["fill = \"mode\"", "\"median\" or \"mean\"", "{ COLUMN = \"mode\" }"][..]),
        ("3", &["fill = 3", "a table by column"]),
        ("{ a = true }", &["fill.a = true", "a category"]),
    ] {
        assert_refused(&csv(&format!(", target = \"y\", fill = {fill} }}")), words);
    }
    assert_refused(&csv(", target = \"y\", eval = \"a\", eval_csv = \"b\" }"), &["eval and eval_csv"]);
    assert_refused(
        "source = { arrow = \"t\", parquet = \"t\", target = \"y\" }",
        &["parquet or arrow, not both"],
    );
    assert_refused(
        "source = { parquet = \"t\", target = \"y\", delimiter = \";\" }",
        &["data.source.delimiter"],
    );
    let both = csv(", target = \"y\", eval_csv = \"e.csv\" }\neval_fraction = 0.1");
    assert_refused(&both, &["data.eval_fraction goes with", "without eval"]);
    let npz = |rest: &str| format!("source = {{ npz = \"a.npz\" }}\n{rest}");
    assert_refused(&npz("normalise = \"units\""), &["data.normalise", "\"unit\"", "mean = [..]"]);
    assert_refused(&npz("normalise = { mean = [0.5] }"), &["data.normalise.std is missing"]);
    assert_refused(
        &npz("normalise = { mean = [\"a\"], std = [1] }"),
        &["data.normalise.mean", "list of numbers"],
    );
    assert_refused(
        &npz("normalise = { mean = 0, std = 1, sd = 1 }"),
        &["data.normalise.sd", "did you mean \"std\""],
    );
    assert_refused(&npz("eval_fraction = true"), &["data.eval_fraction = true", "\"auto\""]);
    assert_refused(&npz("x = \"a\""), &["data.x belongs into data.source, beside npz"]);
    assert_refused(&npz(""), &["a.npz", "relative to the config's folder"]);
    let named = "source = { safetensors = \"a\", eval_x = \"c\" }\nstratify = true";
    assert_refused(named, &["data.stratify goes with", "without eval_x"]);
    assert_refused("source = { npy = \"a.npy\" }", &["data.source.target is missing", "{ npy = \"FILE\""]);
    assert_refused(
        "source = { cifar = \"c\", labels = \"both\" }",
        &["data.source.labels", "\"fine\" or \"coarse\""],
    );
    assert_refused(
        "source = { idx = \"no-such-folder\" }",
        &["no-such-folder", "relative to the config's folder"],
    );
    assert_refused(
        "source = { idx = \"no/such/fashion-mnist\" }",
        &[
            "no/such/fashion-mnist",
            "apt-get install dataset-fashion-mnist",
            "relative to the config's folder",
        ],
    );
    assert_refused("source = { idx = \"d\", sets = \"a\" }", &["data.source.sets", "did you mean \"set\""]);
    assert_refused(
        "source = \"digits\"\nnormalise = \"unit\"",
        &["data.normalise goes with images and arrays", "\"digits\""],
    );
    let images = |rest: &str| format!("source = {{ images = \"no/such\"{rest}");
    assert_refused(&images(" }"), &["no/such", "relative to the config's folder"]);
    assert_refused(&images(", size = 3 }"), &["size = 3", "height and width", "an integer"]);
    assert_refused(&images(", size = [3] }"), &["size = [3]", "[32, 32]"]);
    assert_refused(&images(", fit = \"crop\" }"), &["data.source.fit", "size, which is missing"]);
    assert_refused(
        &images(", size = [3, 3], fit = \"fill\" }"),
        &["fit = \"fill\"", "\"crop\" or \"stretch\""],
    );
    assert_refused(&images(", channels = 4 }"), &["channels = 4", "1 (grey) or 3"]);
    assert_refused(&images(" }\nsize = [3, 3]"), &["data.size belongs into data.source"]);
    assert_refused(
        &images(" }\nnormalise = \"units\""),
        &["normalise = \"units\"", "\"standard\"", "mean = [..]"],
    );
    assert_refused(&images(" }\nnormalise = { mean = [1] }"), &["data.normalise.std is missing"]);
    assert_refused(
        &images(" }\nnormalise = { mean = true, std = [1] }"),
        &["data.normalise.mean = true", "a list"],
    );
    assert_refused("source = { pack = \"no.dhd\" }", &["no.dhd", "relative to the config's folder"]);
    assert_refused(
        "source = { pack = \"no.dhd\" }\nstratify = true",
        &["data.stratify goes with sources that hold samples out"],
    );
    let missing = "source = { text = \"no/such/file.txt\" }\ncontext = 4";
    assert_refused(missing, &["no/such/file.txt", "relative to the config's folder"]);
}

/// The keys in the table are those that serde reads, and no key takes a list of lists.
#[test]
fn every_key_of_the_table_is_read() {
    let odd = || Value::Array(vec![Value::Array(Vec::new())]);
    let refused = |table: Table, key: &str| {
        let err =
            super::read(table, "".as_ref(), None, &mut TrainOptions::default()).unwrap_err().to_string();
        assert!(err.starts_with(&format!("{key} = [[]]: ")), "{key}: {err}");
    };
    for format in DATA_FORMATS {
        let context = if format.about("context").is_some() { "context = 64\n" } else { "" };
        let example: Table = format!("{context}source = {}", format.form).parse().unwrap();
        let mut options = TrainOptions::default();
        let (spec, _) = super::read(example.clone(), "".as_ref(), None, &mut options).unwrap();
        assert_eq!(spec.source().file().0, format.name);
        for (key, _) in format.keys.iter().filter(|(key, _)| *key != "eval_csv") {
            let mut table = example.clone();
            table["source"].as_table_mut().unwrap().insert((*key).to_owned(), odd());
            refused(table, &format!("data.source.{key}"));
        }
        for (key, _) in format.beside.iter().flat_map(|group| group.keys) {
            let mut table = example.clone();
            table.insert((*key).to_owned(), odd());
            refused(table, &format!("data.{key}"));
        }
    }
}

/// A run writes the short form where there is one, as runs always did.
#[test]
fn sampling_is_written_shortly() {
    let sampling = |line: &str| parse(&format!("source = \"digits\"\n{line}")).unwrap();
    for (lines, wanted, written) in [
        (&["", "shuffle = true", "sampling = \"epoch\""][..], Sampling::Epoch, "shuffle = true"),
        (&["shuffle = false", "sampling = \"file\""], Sampling::File, "shuffle = false"),
        (&["sampling = \"once\""], Sampling::Once, "sampling = \"once\""),
        (&["sampling = \"replacement\""], Sampling::Replacement, "sampling = \"replacement\""),
    ] {
        for line in lines {
            let config = sampling(line);
            assert_eq!(config.options.sampling, wanted, "{line}");
            let text = config.to_toml();
            assert!(text.contains(&format!("batch_size = 32\n{written}\ndrop_last")), "{text}");
            assert_eq!(text.matches("shuffle").count() + text.matches("sampling").count(), 1, "{text}");
        }
    }
}

/// Four samples of two numbers, with labels, and as many to evaluate on where they are asked for.
fn corners(has_eval: bool) -> Arrays {
    let array = |name: &str, shape: &[usize], values: Values| Array {
        name: name.into(),
        shape: shape.into(),
        values,
    };
    let both = || {
        let x = array("x", &[4, 2], vec![0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0].into());
        (x, Some(array("t", &[4], vec![0, 1, 1, 0].into())))
    };
    Arrays { name: "corners".into(), train: both(), eval: has_eval.then(both) }
}

#[test]
fn arrays_of_a_program_go_beside_the_config() {
    let load = |data: &str, has_eval: bool| {
        parse(data).and_then(|config| config.dataset_of(Some(&corners(has_eval))).map(|set| (config, set)))
    };
    let (mut config, data) = load("source = \"memory\"", false).unwrap();
    assert_eq!((data.train().len(), data.eval().is_some(), data.classes()), (4, false, Some(2)));
    // A run writes what its samples were, and then takes no others.
    config.data.describe(&data);
    let written = config.to_toml();
    assert!(written.contains("sample = [2]") && !written.contains("integers"), "{written}");
    let again = Config::parse(&written, &[]).unwrap();
    assert_eq!(again.dataset_of(Some(&corners(false))).unwrap(), data);
    let mut other = corners(false);
    other.train.0.shape = vec![4, 1, 2];
    let err = again.dataset_of(Some(&other)).unwrap_err().to_string();
    assert!(err.contains("trained on samples of shape [2], f32, and these have shape [1, 2], f32"), "{err}");

    assert_eq!(load("source = \"memory\"", true).unwrap().1.eval().unwrap().len(), 4);
    let (_, held) = load("source = \"memory\"\neval_fraction = 0.25", false).unwrap();
    assert_eq!((held.train().len(), held.eval().unwrap().len()), (3, 1));
    let (_, scaled) = load("source = \"memory\"\nnormalise = \"standard\"", false).unwrap();
    assert_eq!(scaled.train().inputs().sample(3).unwrap(), [1.0, 1.0]);
    let (_, own) = load("source = \"memory\"\ntarget = \"inputs\"", false).unwrap();
    assert_eq!(own.train().fields().count(), 1);
    let refused = |data: &str, has_eval: bool, words: &str| {
        let err = load(data, has_eval).unwrap_err();
        assert!(matches!(err, Error::Config(_)) && err.to_string().contains(words), "{err}");
    };
    refused("source = \"digits\"", false, "data.source = \"digits\": arrays of a program go with");
    refused("source = \"memory\"\neval_fraction = 0.25", true, "there are arrays to evaluate on");
    refused("source = \"digits\"\nsample = [2]", false, "data.sample goes with arrays of a program (memory)");
    assert_refused(
        "source = \"memory\"",
        &["no file has them", "downhill.resume(RUN, x, t)", "--data FILE.npz"],
    );
}
