//! What `downhill explain` says of a run before it: kernels, parameters, buffers, the peak.

use std::fmt::Write;

use serde_json::{Value, json};

use super::align;
use crate::gpu::Access;
use crate::plan::{Plan, Step};
use crate::train::{Blueprint, Build, Checkpointing};
use crate::units;

fn read_and_written(step: &Step) -> (u64, u64) {
    let sum = |access| step.bindings.iter().filter(|b| b.1 == access).map(|b| b.2.bytes).sum();
    (sum(Access::Read), sum(Access::Write))
}

fn kernels(plan: &Plan) -> String {
    let header = ["#", "kernel", "what", "makes", "grid", "FLOPs", "reads", "writes"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for (i, step) in plan.steps.iter().enumerate() {
        let (read, written) = read_and_written(step);
        let [x, y, z] = step.kernel.grid;
        rows.push(vec![
            (i + 1).to_string(),
            step.kernel.entry.to_owned(),
            step.title.clone(),
            step.shape.to_string(),
            format!("{x}x{y}x{z}"),
            units::count(step.kernel.flops as f64),
            units::bytes(read),
            units::bytes(written),
        ]);
    }
    align(&rows, &[false, true, true, true, true])
}

fn section(out: &mut String, title: &str, build: &Build) {
    let plan = &build.plan;
    let _ = writeln!(
        out,
        "{title}, batch {}: {} dispatches, {} FLOPs",
        build.batch,
        plan.steps.len(),
        units::count(plan.flops() as f64)
    );
    out.push_str(&kernels(plan));
    out.push('\n');
}

/// The blueprint as tables for a person. `reading` and `writing` count each buffer bound, once a kernel.
pub fn explain_text(blueprint: &Blueprint) -> String {
    let mut out = String::new();
    let steps = blueprint.batches.steps();
    let _ = writeln!(
        out,
        "{} parameters in {} tensors; {steps} steps an epoch\n",
        blueprint.parameter_count(),
        blueprint.parameters.len()
    );
    for (build, title) in blueprint.train.iter().zip(["training step", "training step, short last batch"]) {
        section(&mut out, title, build);
    }
    for (build, title) in blueprint.eval.iter().zip(["evaluation", "evaluation, short last batch"]) {
        section(&mut out, title, build);
    }
    out.push_str("parameters\n");
    let rows: Vec<Vec<String>> = blueprint
        .parameters
        .iter()
        .map(|p| vec![p.name.clone(), p.shape.to_string(), p.shape.elements().to_string()])
        .collect();
    out.push_str(&align(&rows, &[true, true]));
    if let Some(c) = blueprint.checkpointing {
        let _ = writeln!(out, "\n{}", checkpointing(&c));
    }
    out.push_str("\nbuffers\n");
    let mut rows: Vec<Vec<String>> = blueprint
        .all_buffers()
        .into_iter()
        .map(|b| vec![b.name, units::bytes(b.bytes), format!("{} B", b.bytes)])
        .collect();
    rows.push(vec![
        "peak".into(),
        units::bytes(blueprint.peak_bytes()),
        format!("{} B", blueprint.peak_bytes()),
    ]);
    out.push_str(&align(&rows, &[true]));
    out
}

/// `checkpointed blocks save 12 MiB of activations and cost 3.1 M FLOPs more a step (+20%)`
fn checkpointing(c: &Checkpointing) -> String {
    let share = 100.0 * c.added_flops as f64 / c.flops_without.max(1) as f64;
    let (verb, bytes) = if c.saved_bytes < 0 { ("add", -c.saved_bytes) } else { ("save", c.saved_bytes) };
    format!(
        "checkpointed blocks {verb} {} of activations and cost {} FLOPs more a step (+{share:.0}%)",
        units::bytes(bytes as u64),
        units::count(c.added_flops as f64)
    )
}

fn build_json(build: &Build) -> Value {
    let plan = &build.plan;
    let kernels: Vec<Value> = plan
        .steps
        .iter()
        .map(|step| {
            let (read, written) = read_and_written(step);
            json!({
                "kernel": step.kernel.entry,
                "what": step.title,
                "shape": step.shape.to_vec(),
                "grid": step.kernel.grid,
                "flops": step.kernel.flops,
                "bytes_read": read,
                "bytes_written": written,
            })
        })
        .collect();
    json!({
        "batch": build.batch,
        "dispatches": plan.steps.len(),
        "flops": plan.flops(),
        "kernels": kernels,
    })
}

/// The blueprint for programs.
pub fn explain_json(blueprint: &Blueprint) -> Value {
    let parameters: Vec<Value> = blueprint
        .parameters
        .iter()
        .map(|p| json!({ "name": p.name, "shape": p.shape.to_vec(), "elements": p.shape.elements() }))
        .collect();
    let buffers: Vec<Value> =
        blueprint.all_buffers().iter().map(|b| json!({ "name": b.name, "bytes": b.bytes })).collect();
    json!({
        "parameter_count": blueprint.parameter_count(),
        "parameters": parameters,
        "steps_per_epoch": blueprint.batches.steps(),
        "train": blueprint.train.iter().map(build_json).collect::<Vec<_>>(),
        "eval": blueprint.eval.iter().map(build_json).collect::<Vec<_>>(),
        "buffers": buffers,
        "peak_bytes": blueprint.peak_bytes(),
        "checkpointing": blueprint.checkpointing.map(|c| json!({
            "saved_bytes": c.saved_bytes,
            "added_flops": c.added_flops,
        })),
    })
}
