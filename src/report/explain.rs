//! `downhill explain`: the kernels, parameters, buffers and peak memory of a run, before it starts.

use std::fmt::Write;

use serde_json::{Value, json};

use super::align;
use crate::compile::{Recomputation, ReplicaBytes, StepPlan, TrainPlan};
use crate::gpu::reads::OLD;
use crate::gpu::{Access, Family, Reads};
use crate::kernel::matmul::ProductTile;
use crate::kernel::{Kernel, prediction};
use crate::plan::{Part, Plan, ReadCounts, Step};
use crate::shape::Shape;
use crate::units;

fn read_and_written(step: &Step) -> (u64, u64) {
    let sum = |write: bool| {
        // Old numbers of what a kernel writes are no further bytes.
        let bindings = step.bindings.iter().filter(|b| b.0 < OLD && (b.1 == Access::Write) == write);
        bindings.map(|b| b.2.bytes).sum()
    };
    (sum(false), sum(true))
}

/// `2 uniform, 1 image (copied)`: the ways in which a kernel reads, where one is not a storage buffer.
fn read_as(step: &Step) -> String {
    let counts = step.reads();
    let image = match counts {
        ReadCounts { image: 0, .. } => String::new(),
        ReadCounts { image: 1, copies: 1, .. } => "1 image (copied)".into(),
        ReadCounts { image, copies: 0, .. } => units::plural(image, "image"),
        ReadCounts { image, copies, .. } => format!("{} ({copies} copied)", units::plural(image, "image")),
    };
    let named = |count: usize, name: &str| if count > 0 { format!("{count} {name}") } else { String::new() };
    let (uniform, storage) = (named(counts.uniform, "uniform"), named(counts.storage, "storage"));
    if counts.uniform + counts.image == 0 {
        return String::new();
    }
    [uniform, image, storage].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ")
}

/// `64x32x16 in 4 parts tuned`: the tile of a product.
fn tile_text(tile: Option<ProductTile>) -> String {
    let text = |ProductTile { choice, is_tuned, .. }| {
        if is_tuned { format!("{choice} tuned") } else { choice.to_string() }
    };
    tile.map_or(String::new(), text)
}

/// Microseconds of a kernel on the nominal GPU; `None` for kernels of software adapters.
fn predicted(step: &Step, family: Family) -> Option<f64> {
    prediction::microseconds(&step.kernel, step.bytes(), family)
}

/// Microseconds of all kernels, one after the other.
fn predicted_sum(plan: &Plan, family: Family) -> Option<f64> {
    plan.steps.iter().map(|step| predicted(step, family)).sum()
}

/// A kernel of a step.
struct Each<'a> {
    kernel: &'a Kernel,
    title: &'a str,
    shape: &'a Shape,
    tile: Option<ProductTile>,
}

/// The kernels of a step: several where they run side by side.
fn each(step: &Step) -> Vec<Each<'_>> {
    if step.parts.is_empty() {
        let Step { kernel, title, shape, tile, .. } = step;
        return vec![Each { kernel, title, shape, tile: *tile }];
    }
    let parts = step.kernel.parts.iter().zip(&step.parts);
    parts.map(|(kernel, Part { title, shape, tile })| Each { kernel, title, shape, tile: *tile }).collect()
}

fn kernels(plan: &Plan, family: Family) -> String {
    let mut header = vec!["#", "kernel", "what", "makes", "grid", "FLOPs", "reads", "writes"];
    let read_as: Vec<String> = plan.steps.iter().map(read_as).collect();
    let is_read_otherwise = read_as.iter().any(|text| !text.is_empty());
    header.extend(is_read_otherwise.then_some("read as"));
    let has_tiles = plan.steps.iter().flat_map(each).any(|each| each.tile.is_some());
    header.extend(has_tiles.then_some("tile"));
    let is_predicted = predicted_sum(plan, family).is_some();
    header.extend(is_predicted.then_some("predicted"));
    let mut rows = vec![header.iter().map(|&name| name.to_owned()).collect::<Vec<_>>()];
    for (i, step) in plan.steps.iter().enumerate() {
        let (read, written) = read_and_written(step);
        for (place, Each { kernel, title, shape, tile }) in each(step).into_iter().enumerate() {
            let is_first = place == 0;
            let once = |text: String| if is_first { text } else { String::new() };
            let [x, y, z] = kernel.grid;
            let mut row = vec![
                // Kernels that run side by side share the number of their dispatch.
                if is_first { (i + 1).to_string() } else { "+".into() },
                kernel.entry.to_owned(),
                title.to_owned(),
                shape.to_string(),
                format!("{x}x{y}x{z}"),
                units::count(kernel.flops as f64),
                once(units::bytes(read)),
                once(units::bytes(written)),
            ];
            row.extend(is_read_otherwise.then(|| once(read_as[i].clone())));
            row.extend(has_tiles.then(|| tile_text(tile)));
            row.extend(predicted(step, family).map(|us| once(format!("{us:.1} µs"))));
            rows.push(row);
        }
    }
    let mut is_text = vec![false, true, true, true, true, false, false, false];
    is_text.extend([is_read_otherwise, has_tiles].into_iter().filter(|is| *is));
    align(&rows, &is_text)
}

fn section(out: &mut String, title: &str, plan: &Plan, family: Family) {
    let (dispatches, flops) =
        (units::plural(plan.steps.len(), "dispatch"), units::count(plan.flops() as f64));
    let time = match predicted_sum(plan, family) {
        Some(us) => format!(", {} predicted on the nominal GPU", units::duration(us * 1e-6)),
        None => String::new(),
    };
    let _ = writeln!(out, "{title}: {dispatches}, {flops} FLOPs{time}");
    if !plan.path.is_empty() {
        let _ = writeln!(out, "  path: {}", plan.path);
    }
    out.push_str(&kernels(plan, family));
    out.push('\n');
}

/// The plans of training and evaluation, each with its name.
fn builds(plan: &TrainPlan) -> Vec<(String, &Plan)> {
    let batches = plan.batches;
    let mut all = Vec::new();
    for (i, StepPlan { batch, plan }) in plan.train.iter().enumerate() {
        let title = match (batches.in_parts(), i) {
            (true, _) => format!("training, micro-batch {batch}"),
            (false, 0) => format!("training step, batch {batch}"),
            (false, _) => format!("training step, short last batch, batch {batch}"),
        };
        all.push((title, plan));
    }
    if let Some(update) = &plan.update {
        let parts = batches.parts(batches.rows).count();
        all.push((format!("update, after the {parts} micro-batches of a batch of {}", batches.rows), update));
    }
    if let Some(average) = &plan.average {
        all.push(("average, before an evaluation and a save".into(), average));
    }
    for (build, title) in plan.eval.iter().zip(["evaluation", "evaluation, short last batch"]) {
        all.push((format!("{title}, batch {}", build.batch), &build.plan));
    }
    all.extend(plan.statistics_plans());
    all
}

/// The layers with their outputs, n samples each, and their parameters.
fn layers(plan: &TrainPlan) -> String {
    let batch = plan.train.first().map(|build| build.batch);
    let header = ["layer", "kind", "output", "parameters"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for layer in &plan.layers {
        let output: Vec<String> = layer
            .output
            .iter()
            .enumerate()
            .map(|(axis, n)| if axis == 0 && Some(*n) == batch { "n".into() } else { n.to_string() })
            .collect();
        let parameters = held(plan, layer.parameters.iter().copied());
        rows.push(vec![
            layer.name.clone(),
            layer.kind.clone(),
            format!("[{}]", output.join(", ")),
            parameters,
        ]);
    }
    let mut is_listed = vec![false; plan.parameters.len()];
    plan.layers.iter().flat_map(|layer| &layer.parameters).for_each(|&i| is_listed[i] = true);
    let others: Vec<usize> = (0..is_listed.len()).filter(|i| !is_listed[*i]).collect();
    if !others.is_empty() {
        let parameters = held(plan, others.into_iter());
        rows.push(vec!["".into(), "in no layer".into(), "".into(), parameters]);
    }
    align(&rows, &[true, true, true])
}

/// The numbers of these parameters, and whether they are frozen.
fn held(plan: &TrainPlan, parameters: impl Iterator<Item = usize>) -> String {
    let (mut all, mut frozen) = (0, 0);
    for i in parameters {
        let elements = plan.parameters[i].shape.elements();
        all += elements;
        frozen += if plan.groups.of[i].is_none() { elements } else { 0 };
    }
    let note = match frozen {
        0 => String::new(),
        n if n == all => " frozen".into(),
        n => format!(" ({} frozen)", units::grouped(n)),
    };
    units::grouped(all) + &note
}

/// Numbers of the parameters that are trained.
fn trainable(plan: &TrainPlan) -> usize {
    plan.groups.trained().map(|i| plan.parameters[i].shape.elements()).sum()
}

/// `2,410 parameters in 4 tensors: 2,410 trainable, 0 frozen; 36 steps an epoch`
fn totals(plan: &TrainPlan) -> String {
    let (all, trained) = (plan.parameter_count(), trainable(plan));
    let buffers: usize = plan.buffers.iter().map(|b| b.shape.elements()).sum();
    let buffers = match buffers {
        0 => String::new(),
        n => format!("; {} more that are not trained (running statistics)", units::grouped(n)),
    };
    format!(
        "{} parameters in {}: {} trainable, {} frozen{buffers}; {} an epoch",
        units::grouped(all),
        units::plural(plan.parameters.len(), "tensor"),
        units::grouped(trained),
        units::grouped(all - trained),
        units::plural(plan.batches.steps(), "step")
    )
}

/// The plan as tables: first the layers, as Keras' summary has them. `reads` and `writes` count every bound buffer once
/// a kernel.
pub fn explain_text(plan: &TrainPlan) -> String {
    let mut out = layers(plan);
    let _ = writeln!(out, "{}\n", totals(plan));
    if plan.reads != Reads::Storage {
        let _ = writeln!(out, "reads: {}\n", plan.read_as());
    }
    for (title, part) in builds(plan) {
        section(&mut out, &title, part, plan.family);
    }
    out.push_str("parameters\n");
    let rows: Vec<Vec<String>> = plan
        .parameters
        .iter()
        .enumerate()
        .map(|(i, p)| {
            let group = group(plan, i).unwrap_or_default();
            vec![p.name.clone(), p.shape.to_string(), p.shape.elements().to_string(), group]
        })
        .collect();
    out.push_str(&align(&rows, &[true, true, false, true]));
    if let Some(c) = plan.recomputation {
        let _ = writeln!(out, "\n{}", checkpointing(&c));
    }
    out.push_str("\nbuffers\n");
    let mut rows: Vec<Vec<String>> = plan
        .all_buffers()
        .into_iter()
        .map(|b| vec![b.name, units::bytes(b.bytes), format!("{} B", b.bytes)])
        .collect();
    rows.push(vec!["peak".into(), units::bytes(plan.peak_bytes()), format!("{} B", plan.peak_bytes())]);
    out.push_str(&align(&rows, &[true]));
    out.push_str(&replicas(plan).unwrap_or_default());
    if let Some(budget) = plan.budget_choice.budget {
        let _ = writeln!(out, "\nbudget {} ({budget} B)", units::bytes(budget));
    }
    for choice in &plan.budget_choice.choices {
        let _ = writeln!(out, "  {choice}");
    }
    out
}

/// The cost of several nets that train at once: dispatches of a step, bytes that all share, and bytes of each.
fn replicas(plan: &TrainPlan) -> Option<String> {
    let ReplicaBytes { shared, private, images } = plan.replica_bytes()?;
    let (count, once) = (plan.replica_count(), plan.dispatches_for_all());
    let dispatches = units::plural(plan.dispatches(), "dispatch");
    let once = if once == 0 { String::new() } else { format!(", {once} of them once for all") };
    let mut rows = vec![("shared by all".to_owned(), shared), ("of each".to_owned(), private)];
    rows.extend((images > 0).then(|| ("images of all".to_owned(), images)));
    rows.push((format!("peak of {count}"), plan.peak_bytes()));
    let rows: Vec<Vec<String>> =
        rows.into_iter().map(|(name, bytes)| vec![name, units::bytes(bytes), format!("{bytes} B")]).collect();
    let mut text = format!("\n{count} replicas: {dispatches} a step{once}\n{}", align(&rows, &[true]));
    if let Some(budget) = plan.budget_choice.budget.filter(|_| images == 0) {
        let most = budget.saturating_sub(shared) / private.max(1);
        let _ = writeln!(text, "the budget holds {most} at once");
    }
    Some(text)
}

/// The settings in which the update of parameter `i` differs from `[optimizer]`.
fn group(plan: &TrainPlan, i: usize) -> Option<String> {
    let Some(at) = plan.groups.of[i] else { return Some("frozen".into()) };
    let group = &plan.groups.groups[at];
    let differing = group.optimizer.differing(&plan.rule.optimizer);
    let factor = (group.lr_factor != 1.0).then(|| format!("lr_factor = {:?}", group.lr_factor));
    let all: Vec<String> = factor.into_iter().chain(differing).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

/// `checkpointed blocks save 12 MiB of activations and cost 3.1 M FLOPs more a step (+20%)`
fn checkpointing(c: &Recomputation) -> String {
    let share = 100.0 * c.added_flops as f64 / c.flops_without.max(1) as f64;
    let (verb, bytes) = if c.saved_bytes < 0 { ("add", -c.saved_bytes) } else { ("save", c.saved_bytes) };
    format!(
        "checkpointed blocks {verb} {} of activations and cost {} FLOPs more a step (+{share:.0}%)",
        units::bytes(bytes as u64),
        units::count(c.added_flops as f64)
    )
}

fn build_json(build: &StepPlan, family: Family) -> Value {
    let mut json = plan_json(&build.plan, family);
    json["batch"] = build.batch.into();
    json
}

fn plan_json(plan: &Plan, family: Family) -> Value {
    let kernels: Vec<Value> = plan
        .steps
        .iter()
        .map(|step| {
            let (read, written) = read_and_written(step);
            let parts = each(step).into_iter().map(|Each { kernel, title, shape, tile }| {
                json!({
                    "kernel": kernel.entry,
                    "what": title,
                    "shape": shape.to_vec(),
                    "grid": kernel.grid,
                    "flops": kernel.flops,
                    "product": tile.map(|tile| tile.kind.to_string()),
                    "tile": tile.map(|tile| tile.choice.to_string()),
                    "tuned": tile.is_some_and(|tile| tile.is_tuned),
                })
            });
            json!({
                "kernel": step.kernel.entry,
                "what": step.title,
                "shape": step.shape.to_vec(),
                "grid": step.kernel.grid,
                "flops": step.kernel.flops,
                "bytes_read": read,
                "bytes_written": written,
                "reads": step.reads(),
                "predicted_us": predicted(step, family),
                "parts": if step.parts.is_empty() { vec![] } else { parts.collect::<Vec<_>>() },
                "product": step.tile.map(|tile| tile.kind.to_string()),
                "tile": step.tile.map(|tile| tile.choice.to_string()),
                "tuned": step.tile.is_some_and(|tile| tile.is_tuned),
            })
        })
        .collect();
    json!({
        "dispatches": plan.steps.len(),
        "flops": plan.flops(),
        "predicted_us": predicted_sum(plan, family),
        "kernels": kernels,
    })
}

/// The plan as JSON. `predicted_us` is null for kernels of software adapters.
pub fn explain_json(plan: &TrainPlan) -> Value {
    let family = plan.family;
    let parameters: Vec<Value> = plan
        .parameters
        .iter()
        .enumerate()
        .map(|(i, p)| {
            let (name, shape, elements) = (&p.name, p.shape.to_vec(), p.shape.elements());
            json!({ "name": name, "shape": shape, "elements": elements, "group": plan.groups.of[i] })
        })
        .collect();
    let buffers: Vec<Value> =
        plan.all_buffers().iter().map(|b| json!({ "name": b.name, "bytes": b.bytes })).collect();
    let statistics: Vec<Value> = plan
        .statistics_plans()
        .into_iter()
        .map(|(name, plan)| {
            let mut json = plan_json(plan, family);
            json["name"] = name.into();
            json
        })
        .collect();
    let layers: Vec<Value> = plan
        .layers
        .iter()
        .map(|layer| {
            let own = || layer.parameters.iter().map(|i| (*i, plan.parameters[*i].shape.elements()));
            let trained = own().filter(|(i, _)| plan.groups.of[*i].is_some());
            json!({
                "name": layer.name,
                "kind": layer.kind,
                "output": layer.output.to_vec(),
                "parameters": own().map(|(_, n)| n).sum::<usize>(),
                "trainable": trained.map(|(_, n)| n).sum::<usize>(),
            })
        })
        .collect();
    json!({
        "layers": layers,
        "parameter_count": plan.parameter_count(),
        "trainable_count": trainable(plan),
        "parameters": parameters,
        "steps_per_epoch": plan.batches.steps(),
        "train": plan.train.iter().map(|build| build_json(build, family)).collect::<Vec<_>>(),
        "update": plan.update.as_ref().map(|update| plan_json(update, family)),
        "average": plan.average.as_ref().map(|average| plan_json(average, family)),
        "eval": plan.eval.iter().map(|build| build_json(build, family)).collect::<Vec<_>>(),
        "statistics": statistics,
        "buffers": buffers,
        "peak_bytes": plan.peak_bytes(),
        "replicas": plan.replica_bytes().map(|bytes| json!({
            "count": plan.replica_count(),
            "dispatches": plan.dispatches(),
            "once": plan.dispatches_for_all(),
            "shared_bytes": bytes.shared,
            "private_bytes": bytes.private,
            "image_bytes": bytes.images,
        })),
        "budget": plan.budget_choice.budget,
        "choices": plan.budget_choice.choices,
        "reads": plan.read_as(),
        "checkpointing": plan.recomputation.map(|c| json!({
            "saved_bytes": c.saved_bytes,
            "added_flops": c.added_flops,
        })),
    })
}
