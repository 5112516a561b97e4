//! `--init`, `--init-map` and `[init]`: runs that start from other nets' weights.

use downhill::plan::NamedTensor;
use downhill::run;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;

use crate::folder::{Done, Folder, events};

/// A folder with a net of ten classes in `donor`, and its weights below `model.` in `theirs.safetensors`.
fn with_donor() -> Folder {
    let folder = Folder::new();
    folder.trained("donor", &["--steps", "3"]);
    let weights = run::load(&folder.path("donor/model.safetensors")).expect("weights");
    let prefixed = |own: NamedTensor| NamedTensor { name: format!("model.{}", own.name), ..own };
    let theirs: Vec<NamedTensor> = weights.into_iter().map(prefixed).collect();
    run::save(&folder.path("theirs.safetensors"), &theirs).expect("weights");
    folder
}

fn values(folder: &Folder, file: &str, name: &str) -> Vec<f32> {
    let tensors = run::load(&folder.path(file)).expect("weights");
    tensors.into_iter().find(|own| own.name == name).unwrap_or_else(|| panic!("{file}: no {name}")).values
}

fn fates(folder: &Folder, run: &str) -> Vec<(String, String)> {
    let report: Value = serde_json::from_slice(&folder.read(&format!("{run}/init.json"))).expect("JSON");
    let tensors = report["tensors"].as_array().expect("tensors");
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    tensors.iter().map(|tensor| (text(&tensor["name"]), text(&tensor["fate"]))).collect()
}

fn started(folder: &Folder, out: &str, more: &[&str]) -> Done {
    let done = folder.train(&[&["--out", out, "--steps", "1"], more].concat());
    assert_eq!(done.code, 0, "{}", done.stderr);
    done
}

const STILL: [&str; 2] = ["--set", "optimizer={ name = \"sgd\", lr = 0 }"];

#[test]
fn names_are_mapped() {
    let folder = with_donor();
    folder
        .train(&["--init", "theirs.safetensors"])
        .refused(1, &["4 in the file alone", "model.1.weight [16, 64]", "--init-map \"model.=>\""]);
    let done = started(
        &folder,
        "run",
        &[&["--init", "theirs.safetensors", "--init-map", "model.=>"], &STILL[..]].concat(),
    );
    assert!(
        done.stdout.contains("4 of 4 tensors") && done.stdout.contains("from model.1.weight"),
        "{}",
        done.stdout
    );
    assert_eq!(folder.read("run/model.safetensors"), folder.read("donor/model.safetensors"));
    assert!(fates(&folder, "run").iter().all(|(_, fate)| fate == "loaded"));
    // The directory of a run will do, and needs no table.
    let done = started(&folder, "again", &[&["--init", "donor"], &STILL[..]].concat());
    assert!(done.stdout.contains("model.safetensors: all 4 tensors\n"), "{}", done.stdout);
    assert_eq!(folder.read("again/model.safetensors"), folder.read("donor/model.safetensors"));

    let wrong = |map: &str, code: i32, words: &[&str]| {
        folder.train(&["--init", "theirs.safetensors", "--init-map", map]).refused(code, words);
    };
    wrong("model.", 2, &["init.map", "=>"]);
    wrong("modle.=>", 2, &["init.map", "modle."]);
    wrong("model.1.=>3.,model.3.=>3.", 2, &["3.bias", "both"]);
    folder.train(&["--init-map", "model.=>"]).refused(2, &["init.file is missing"]);
    folder.train(&["--init", "nowhere"]).refused(1, &["nowhere"]);
    folder.run(&["train", "--resume", "run", "--init-map", "a=>"]).refused(2, &["resumes from its own"]);
}

/// A head of another width, over frozen layers of the donor.
#[test]
fn a_head_is_new_and_the_rest_is_loaded() {
    let folder = with_donor();
    let layers = "model.layers=[\"flatten\", { linear = 16 }, \"relu\", { linear = 12 }]";
    let base = ["--init", "donor", "--set", layers];
    let refused = folder.train(&base);
    refused.refused(
        1,
        &["2 of another shape", "3.weight [12, 16]", "3.weight [10, 16]", "init.skip", "init.strict"],
    );
    let frozen = "optimizer.groups=[{ params = [\"1.*\"], frozen = true }]";
    let with = |out: &str, setting: &str| {
        started(&folder, out, &[&base[..], &["--set", setting, "--set", frozen]].concat())
    };
    let done = with("part", "init.strict=false");
    for words in ["2 of 4 tensors", "other shape", "keeps its initial values: [10, 16] in the file"] {
        assert!(done.stdout.contains(words), "no {words:?} in {}", done.stdout);
    }
    let done = with("skip", "init.skip=[\"3.*\"]");
    assert!(done.stdout.contains("skipped") && done.stdout.contains("init.skip"), "{}", done.stdout);
    assert_eq!(folder.read("part/model.safetensors"), folder.read("skip/model.safetensors"));
    let donor = values(&folder, "donor/model.safetensors", "1.weight");
    assert_eq!(values(&folder, "part/model.safetensors", "1.weight"), donor, "frozen layers stay");
    // What is not loaded is as it would be without.
    let head = |file: &str| values(&folder, file, "3.weight");
    let without = ["--set", layers, "--set", "optimizer={ name = \"sgd\", lr = 0 }"];
    started(&folder, "drawn", &without);
    assert_eq!(head("part/init.safetensors"), head("drawn/model.safetensors"));
    let all = fates(&folder, "part");
    let fate = |name: &str| all.iter().find(|(own, _)| own == name).expect("a tensor").1.clone();
    assert_eq!([fate("1.bias"), fate("3.bias")], ["loaded", "misshapen"]);
    folder
        .train(&[&base[..], &["--set", "init.skip=[\"9.*\"]"]].concat())
        .refused(2, &["init.skip", "\"9.*\""]);
}

/// The run has all it needs once it has started.
#[test]
fn a_run_goes_on_without_the_file() {
    let folder = with_donor();
    let config = String::from_utf8(folder.read("net.toml")).expect("UTF-8");
    folder.write("tuned.toml", config + "[init]\nfile = \"theirs.safetensors\"\nmap = [\"model.=>\"]\n");
    let adapter = crate::adapter::wanted();
    let train = |more: &[&str]| folder.run(&[&["train", "tuned.toml", "--adapter", &adapter], more].concat());
    assert_eq!(train(&["--out", "run"]).code, 0);
    std::fs::remove_file(folder.path("theirs.safetensors")).expect("a file");
    let kept = String::from_utf8(folder.read("run/config.toml")).expect("UTF-8");
    assert!(kept.contains("[init]") && kept.contains("map = [\"model.=>\"]"), "{kept}");
    let done = folder.run(&["eval", "run", "--adapter", &adapter]);
    assert_eq!((done.code, done.stderr.as_str()), (0, ""));
    // As if it was killed before its first checkpoint; by its own config, and by one without the section.
    let whole = folder.read("run/model.safetensors");
    std::fs::copy(folder.path("net.toml"), folder.path("tuned.toml")).expect("a copy");
    for args in [
        &["resume", "run", "--adapter", &adapter][..],
        &["train", "tuned.toml", "--resume", "run", "--adapter", &adapter],
    ] {
        std::fs::remove_file(folder.path("run/model.safetensors")).expect("a file");
        // There is none unless the run was slow.
        let _ = std::fs::remove_dir_all(folder.path("run/checkpoints"));
        let done = folder.run(args);
        assert_eq!(done.code, 0, "{}", done.stderr);
        assert!(folder.read("run/model.safetensors") == whole, "{args:?}: other weights");
        assert_eq!(events(&folder.metrics("run"), "step").len(), 15);
    }
    assert_eq!(String::from_utf8(folder.read("run/config.toml")).expect("UTF-8"), kept);
    train(&["--out", "none", "--set", "init.file=\"theirs.safetensors\""])
        .refused(1, &["theirs.safetensors"]);
}

/// Whole numbers, as PyTorch's buffers of positions, are no obstacle unless the model wants them.
#[test]
fn tensors_of_other_types_are_passed_over() {
    let folder = with_donor();
    let bytes = folder.read("donor/model.safetensors");
    let donor = SafeTensors::deserialize(&bytes).expect("weights");
    let (positions, bias) = ([1_u8; 8 * 6], [0_u8; 8 * 10]);
    let view = |shape: &[usize], bytes| TensorView::new(Dtype::I64, shape.to_vec(), bytes).expect("a tensor");
    let write = |name: &str, extra: (&str, TensorView<'_>)| {
        let own = donor.tensors().into_iter().filter(|(name, _)| *name != extra.0);
        let all = own.chain([(extra.0.to_owned(), extra.1.clone())]);
        folder.write(name, safetensors::serialize(all, None).expect("weights"));
    };
    write("theirs.safetensors", ("embeddings.position_ids", view(&[1, 6], &positions)));
    let refused = folder.train(&["--init", "theirs.safetensors"]);
    refused.refused(1, &["4 loaded", "1 in the file alone", "embeddings.position_ids [1, 6]", "init.strict"]);
    let lenient = [&["--init", "theirs.safetensors", "--set", "init.strict=false"], &STILL[..]].concat();
    let done = started(&folder, "run", &lenient);
    for words in ["4 of 4 tensors", "unused", "embeddings.position_ids", "[1, 6] of I64 in the file alone"] {
        assert!(done.stdout.contains(words), "no {words:?} in {}", done.stdout);
    }
    assert_eq!(folder.read("run/model.safetensors"), folder.read("donor/model.safetensors"));
    let fates = fates(&folder, "run");
    assert!(fates.contains(&("embeddings.position_ids".into(), "unused".into())), "{fates:?}");

    // One that the model has, by its own name or by a rename; unless it is skipped.
    let needed = ["3.bias", "I64", "f32, f64, f16 or bf16"];
    write("theirs.safetensors", ("3.bias", view(&[10], &bias)));
    folder.train(&lenient).refused(1, &needed);
    started(&folder, "skipped", &["--init", "theirs.safetensors", "--set", "init.skip=[\"3.bias\"]"]);
    write("theirs.safetensors", ("head.bias", view(&[10], &bias)));
    let map = ["--init", "theirs.safetensors", "--init-map", "3.=>old.,head.=>3."];
    folder.train(&[&map[..], &["--set", "init.strict=false"]].concat()).refused(1, &needed);
}
