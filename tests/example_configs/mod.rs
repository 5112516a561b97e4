//! The configs under `examples/`, and digits in the place of data that only a package of the system brings.

use std::path::{Path, PathBuf};

use downhill::data::synth::{self, Kind, SynthOptions};
use tempfile::TempDir;

/// Every config, in the order of their names.
pub fn all() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples");
    let files = std::fs::read_dir(folder).expect("the examples").map(|entry| entry.expect("an entry").path());
    let mut configs: Vec<PathBuf> =
        files.filter(|path| path.extension().is_some_and(|e| e == "toml")).collect();
    configs.sort();
    configs
}

/// 300 digits to train on and 50 to evaluate on, in the files, shapes and classes of Fashion-MNIST.
pub struct StandIn {
    folder: TempDir,
}

impl StandIn {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let digits = SynthOptions { kind: Kind::Digits28, count: 300, seed: 0, force: false };
        synth::write(&digits, folder.path(), &mut |_| {}).expect("digits");
        StandIn { folder }
    }

    /// The settings under which a config has its data on every machine.
    pub fn settings(&self, config: &Path) -> Vec<String> {
        let text = std::fs::read_to_string(config).expect("a config");
        let packaged = text.contains("\"/usr/share/datasets/");
        let path = || format!("data.source.idx='{}'", self.folder.path().display());
        packaged.then(path).into_iter().collect()
    }
}
