//! The configs in `examples/`: each can be planned, and the nets learn from the first steps on.

use serde_json::Value;

use crate::folder::{Folder, events};

fn example(name: &str) -> String {
    format!("{}/examples/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// The last epoch's record after so many steps.
fn after(name: &str, steps: &str) -> (Folder, Value) {
    let folder = Folder::new();
    let (config, adapter) = (example(name), crate::adapter::wanted());
    let done = folder.run(&["train", &config, "--adapter", &adapter, "--steps", steps, "--out", "run"]);
    assert_eq!(done.code, 0, "{}", done.stderr);
    let last = events(&folder.metrics("run"), "epoch").pop().expect("an epoch").clone();
    (folder, last)
}

#[test]
fn every_config_can_be_explained() {
    let folder = Folder::new();
    let mut count = 0;
    for entry in std::fs::read_dir(example("")).expect("a folder") {
        let name = entry.expect("an entry").file_name().into_string().expect("UTF-8");
        if name.ends_with(".toml") {
            let done = folder.run_without_adapter(&["explain", &example(&name)]);
            assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{name}");
            count += 1;
        }
    }
    assert!(count >= 6, "{count}");
}

#[test]
fn the_convolutional_net_learns() {
    let (_, last) = after("digits_cnn.toml", "90");
    assert!(last["eval_accuracy"].as_f64().is_some_and(|a| a > 0.85), "{last}");
}

#[test]
fn the_residual_net_learns() {
    let (_, last) = after("digits_resnet.toml", "45");
    assert!(last["eval_accuracy"].as_f64().is_some_and(|a| a > 0.7), "{last}");
}

/// It sees more than the mean image, whose squared error is 0.074, and has no labels to be right about.
#[test]
fn the_autoencoder_learns() {
    let (folder, last) = after("autoencoder.toml", "135");
    assert!(last["eval_loss"].as_f64().is_some_and(|loss| loss < 0.05), "{last}");
    assert_eq!(last.get("eval_accuracy"), None);
    let config = String::from_utf8(folder.read("run/config.toml")).expect("UTF-8");
    assert!(config.contains("target = \"inputs\""), "{config}");
}
