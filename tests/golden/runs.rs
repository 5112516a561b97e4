//! Whole runs through the binary: a hundred steps on the digits, each loss on PyTorch's f64 curve.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;

use crate::adapter;
use crate::store::{self, within};

/// The promise: every step's loss is within this of PyTorch in f64, relatively. torch's own f32 stays within
/// 2e-5 for each of these runs (make.py asserts that), so that none of them amplifies rounding.
const BAR: f64 = 1e-4;

const GROUPS: &[&str] = &["activation", "image", "loss", "net", "optimizer", "sequence"];

#[derive(Deserialize)]
struct Golden {
    steps: usize,
    batch: usize,
    train: usize,
    test: usize,
    runs: Vec<Run>,
}

#[derive(Deserialize)]
struct Run {
    name: String,
    group: String,
    lr: f64,
    losses: Vec<f64>,
    evals: Vec<Eval>,
}

/// The test part, after `step` steps.
#[derive(Deserialize)]
struct Eval {
    step: usize,
    loss: f64,
    accuracy: f64,
    /// Images whose two best classes are so close that rounding may choose.
    close: usize,
}

/// A line of `metrics.jsonl`.
#[derive(Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Line {
    Step {
        step: usize,
        epoch: usize,
        loss: f64,
        lr: f64,
    },
    Epoch {
        epoch: usize,
        eval_loss: f64,
        eval_accuracy: f64,
    },
    #[serde(other)]
    Other,
}

/// Runs the binary into `out` and reads its metrics.
fn train(run: &Run, steps: usize, out: &Path) -> Result<Vec<Line>, String> {
    let file = |extension: &str| store::path(&format!("runs/{}.{extension}", run.name));
    let output = Command::new(env!("CARGO_BIN_EXE_downhill"))
        .arg("train")
        .arg(file("toml"))
        .arg("--init")
        .arg(file("safetensors"))
        .args(["--adapter", &adapter::wanted(), "--steps", &steps.to_string(), "--out"])
        .arg(out)
        .env("DOWNHILL_PIPELINE_CACHE", "off")
        .output()
        .map_err(|e| e.to_string())?;
    if !output.status.success() {
        return Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()));
    }
    let text =
        std::fs::read_to_string(out.join("metrics.jsonl")).map_err(|e| format!("metrics.jsonl: {e}"))?;
    text.lines().map(|line| serde_json::from_str(line).map_err(|e| format!("{line}: {e}"))).collect()
}

/// What is wrong with the metrics of a run, and the worst relative error of a step's and an eval's loss.
fn check(golden: &Golden, run: &Run, lines: &[Line]) -> (Vec<String>, f64, f64) {
    let mut wrong = Vec::new();
    let (mut worst_step, mut worst_eval) = (0.0_f64, 0.0_f64);
    let (mut steps, mut evals) = (0, 0);
    let steps_an_epoch = golden.train.div_ceil(golden.batch);
    for line in lines {
        match *line {
            Line::Step { step, epoch, loss, lr } => {
                steps += 1;
                let Some(&want) = run.losses.get(steps - 1) else { continue };
                let error = (loss - want).abs() / want;
                worst_step = worst_step.max(error);
                if (step, epoch) != (steps, (steps - 1) / steps_an_epoch + 1) {
                    wrong.push(format!("step {steps} is called {step}, in epoch {epoch}"));
                }
                if !within((lr - run.lr).abs(), 1e-6 * run.lr) {
                    wrong.push(format!("step {step}: lr {lr}, want {}", run.lr));
                }
                if !within(error, BAR) {
                    wrong.push(format!("step {step}: loss {loss}, want {want}, off by {error:.1e}"));
                }
            }
            Line::Epoch { epoch, eval_loss, eval_accuracy } => {
                evals += 1;
                let Some(want) = run.evals.get(evals - 1) else { continue };
                let error = (eval_loss - want.loss).abs() / want.loss;
                worst_eval = worst_eval.max(error);
                if (epoch, steps) != (evals, want.step) {
                    wrong.push(format!("eval {evals} is called epoch {epoch}, after {steps} steps"));
                }
                if !within(error, BAR) {
                    let want = want.loss;
                    wrong.push(format!(
                        "epoch {epoch}: eval_loss {eval_loss}, want {want}, off by {error:.1e}"
                    ));
                }
                // To the image, but for those too close to call; the rest is the rounding of a quotient.
                let undecided = (want.close as f64 + 1e-3) / golden.test as f64;
                if !within((eval_accuracy - want.accuracy).abs(), undecided) {
                    let want = want.accuracy;
                    wrong.push(format!("epoch {epoch}: eval_accuracy {eval_accuracy}, want {want}"));
                }
            }
            Line::Other => {}
        }
    }
    if (steps, evals) != (golden.steps, run.evals.len()) {
        wrong.push(format!("{steps} steps and {evals} evals, want {} and {}", golden.steps, run.evals.len()));
    }
    (wrong, worst_step, worst_eval)
}

fn check_group(group: &str) {
    let golden: Golden = store::json("runs/runs.json");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut failures = Vec::new();
    let mut ran = 0;
    for run in golden.runs.iter().filter(|run| run.group == group) {
        ran += 1;
        let name = &run.name;
        let lines = match train(run, golden.steps, &folder.path().join(name)) {
            Ok(lines) => lines,
            Err(e) => {
                failures.push(format!("{name}: {e}"));
                continue;
            }
        };
        let (mut wrong, worst_step, worst_eval) = check(&golden, run, &lines);
        println!("{name:18} worst relative error: step loss {worst_step:.1e}, eval loss {worst_eval:.1e}");
        if wrong.len() > 4 {
            let rest = wrong.len() - 4;
            wrong.truncate(4);
            wrong.push(format!("and {rest} more"));
        }
        failures.extend(wrong.into_iter().map(|what| format!("{name}: {what}")));
    }
    assert!(failures.is_empty(), "{group}:\n{}", failures.join("\n"));
    assert!(ran > 0, "no runs in group {group}");
}

#[test]
fn runs_of_every_optimizer() {
    check_group("optimizer");
}

#[test]
fn runs_of_activations() {
    check_group("activation");
}

#[test]
fn runs_of_losses() {
    check_group("loss");
}

#[test]
fn runs_of_other_nets() {
    check_group("net");
}

#[test]
fn runs_of_image_nets() {
    check_group("image");
}

#[test]
fn runs_of_sequence_nets() {
    check_group("sequence");
}

#[test]
fn every_group_of_runs_is_checked() {
    let golden: Golden = store::json("runs/runs.json");
    let groups: BTreeSet<&str> = golden.runs.iter().map(|run| run.group.as_str()).collect();
    assert_eq!(groups, GROUPS.iter().copied().collect());
    for run in &golden.runs {
        assert_eq!(run.losses.len(), golden.steps, "{}", run.name);
    }
}
