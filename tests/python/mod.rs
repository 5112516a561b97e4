//! The Python that some tests run, where there is one.

use std::path::Path;
use std::process::Command;

/// A Python that has torch, safetensors and numpy: the one of `DOWNHILL_PYTHON`, or `python3`. Where `python3` has not, it
/// prints that the test is skipped.
#[track_caller]
pub fn with_torch() -> Option<String> {
    having(std::env::var("DOWNHILL_PYTHON").ok(), "DOWNHILL_PYTHON", "torch, safetensors, numpy")
}

/// A Python that has ONNX and its runtime: the one of `DOWNHILL_ONNX_PYTHON`, or `python3`. Where `python3` has not, it
/// prints that the test is skipped.
#[track_caller]
pub fn with_onnx() -> Option<String> {
    let modules = "onnx, onnxruntime, safetensors, numpy";
    having(std::env::var("DOWNHILL_ONNX_PYTHON").ok(), "DOWNHILL_ONNX_PYTHON", modules)
}

/// The Python that `variable` names, or `python3`, if it has these modules.
#[track_caller]
fn having(named: Option<String>, variable: &str, modules: &str) -> Option<String> {
    let is_named = named.is_some();
    let python = named.unwrap_or_else(|| "python3".into());
    let tried = Command::new(&python).args(["-c", &format!("import {modules}")]).output();
    let fault = match tried {
        Ok(output) if output.status.success() => return Some(python),
        Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
        Err(err) => err.to_string(),
    };
    assert!(!is_named, "{variable} = {python} has not {modules}: {fault}");
    eprintln!("skipped: {python} has not {modules}; {variable} names one that has");
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
    having(Some("no-python-of-this-name".into()), "DOWNHILL_PYTHON", "torch, safetensors, numpy");
}
