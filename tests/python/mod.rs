//! The Python that some tests run, where there is one.

use std::path::Path;
use std::process::Command;

/// A Python that has torch, safetensors and numpy: the one of `DOWNHILL_PYTHON`, or `python3`. Without one it prints that
/// the test is skipped.
pub fn with_torch() -> Option<String> {
    let python = std::env::var("DOWNHILL_PYTHON").unwrap_or_else(|_| "python3".into());
    let tried = Command::new(&python).args(["-c", "import torch, safetensors, numpy"]).output();
    let works = tried.is_ok_and(|output| output.status.success());
    if !works {
        eprintln!(
            "skipped: {python} has not torch, safetensors and numpy; DOWNHILL_PYTHON names one that has"
        );
    }
    works.then_some(python)
}

/// Runs a script in `folder`, which must succeed: what it printed.
#[track_caller]
pub fn run(python: &str, folder: &Path, script: &str) -> String {
    let output = Command::new(python).arg("-c").arg(script).current_dir(folder).output().expect("Python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}
