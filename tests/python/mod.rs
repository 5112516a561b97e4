//! The Python that some tests run, where there is one.

use std::path::Path;
use std::process::Command;

/// A Python that has torch, safetensors and numpy: the one of `DOWNHILL_PYTHON`, or `python3`. Where `python3` has not, it
/// prints that the test is skipped.
#[track_caller]
pub fn with_torch() -> Option<String> {
    having_torch(std::env::var("DOWNHILL_PYTHON").ok())
}

#[track_caller]
fn having_torch(named: Option<String>) -> Option<String> {
    let is_named = named.is_some();
    let python = named.unwrap_or_else(|| "python3".into());
    let tried = Command::new(&python).args(["-c", "import torch, safetensors, numpy"]).output();
    let fault = match tried {
        Ok(output) if output.status.success() => return Some(python),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(err) => err.to_string(),
    };
    assert!(!is_named, "DOWNHILL_PYTHON = {python} has not torch, safetensors and numpy: {fault}");
    eprintln!("skipped: {python} has not torch, safetensors and numpy; DOWNHILL_PYTHON names one that has");
    None
}

/// Runs a script in `folder`, which must succeed: what it printed.
#[track_caller]
pub fn run(python: &str, folder: &Path, script: &str) -> String {
    let output = Command::new(python).arg("-c").arg(script).current_dir(folder).output().expect("Python");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
#[should_panic(expected = "DOWNHILL_PYTHON = no-python-of-this-name has not torch")]
fn a_named_python_without_torch_is_a_fault() {
    having_torch(Some("no-python-of-this-name".into()));
}
