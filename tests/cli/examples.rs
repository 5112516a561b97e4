//! The configs in `examples/`: each can be planned, and the nets learn from the first steps on.

use serde_json::Value;

use crate::example_configs::{self, StandIn};
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
    let (folder, stand_in) = (Folder::new(), StandIn::new());
    let configs = example_configs::all();
    for path in &configs {
        let name = path.to_str().expect("UTF-8");
        let settings = stand_in.settings(path);
        let mut args = vec!["explain", name];
        args.extend(settings.iter().flat_map(|setting| ["--set", setting.as_str()]));
        let done = folder.run_without_adapter(&args);
        assert_eq!((done.code, done.stderr.as_str()), (0, ""), "{name}");
    }
    assert!(configs.len() >= 8, "{}", configs.len());
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
