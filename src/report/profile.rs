//! `--profile`: the time of a training step, kernel by kernel.

use std::fmt::Write;

use serde_json::{Value, json};

use super::align;
use crate::train::{KernelTimes, Profile};
use crate::units;

/// The kernels of one row of the table: those with the same entry point, layer and shape.
struct Row<'p> {
    of: &'p KernelTimes,
    /// Calls in each step.
    calls: usize,
    /// Seconds over all steps.
    total: f64,
    /// FLOPs and bytes in a step.
    flops: u64,
    bytes: u64,
}

fn rows(profile: &Profile) -> Vec<Row<'_>> {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for of in &profile.kernels {
        let (flops, bytes, total) = (of.step.kernel.flops, of.step.bytes(), of.seconds.iter().sum::<f64>());
        let key = |of: &KernelTimes| (of.step.kernel.entry, of.step.title.clone(), of.step.shape.clone());
        match rows.iter_mut().find(|row| key(row.of) == key(of)) {
            Some(row) => {
                row.calls += 1;
                row.total += total;
                row.flops += flops;
                row.bytes += bytes;
            }
            None => rows.push(Row { of, calls: 1, total, flops, bytes }),
        }
    }
    rows.sort_by(|a, b| b.total.total_cmp(&a.total));
    rows
}

impl Row<'_> {
    /// Mean seconds of a call.
    fn mean(&self, steps: usize) -> f64 {
        self.total / (self.calls * steps).max(1) as f64
    }

    /// An amount a step as a rate a second.
    fn rate(&self, each: u64, steps: usize) -> f64 {
        if self.total > 0.0 { each as f64 * steps as f64 / self.total } else { 0.0 }
    }
}

fn mean(numbers: &[f64]) -> f64 {
    numbers.iter().sum::<f64>() / numbers.len().max(1) as f64
}

/// The profile as a table, the longest kernel first.
pub fn profile_text(profile: &Profile) -> String {
    let mut out = String::new();
    let steps = profile.device_steps.len();
    let wall = units::duration(mean(&profile.steps));
    if let Some(why) = &profile.untimed {
        let _ =
            writeln!(out, "profile  kernels are not timed: {why}; a step takes {wall} by the wall's clock");
        return out;
    }
    let kernels: f64 = profile.kernels.iter().flat_map(|kernel| &kernel.seconds).sum();
    let _ = writeln!(
        out,
        "profile  {steps} steps: the kernels take {} of {} a step by the device's clock, each in a pass of its own; {wall} \
         by the wall's clock as they are trained",
        units::duration(kernels / steps.max(1) as f64),
        units::duration(mean(&profile.device_steps)),
    );
    let header = ["kernel", "what", "makes", "calls", "total", "mean", "share", "GFLOP/s", "GB/s"];
    let mut table = vec![header.map(str::to_owned).to_vec()];
    for row in rows(profile) {
        table.push(vec![
            row.of.step.kernel.entry.to_owned(),
            row.of.step.title.clone(),
            row.of.step.shape.to_string(),
            (row.calls * steps).to_string(),
            units::duration(row.total),
            units::duration(row.mean(steps)),
            format!("{:.1}%", 100.0 * row.total / kernels.max(f64::MIN_POSITIVE)),
            units::three(row.rate(row.flops, steps) / 1e9),
            units::three(row.rate(row.bytes, steps) / 1e9),
        ]);
    }
    out.push_str(&align(&table, &[true, true, true]));
    out
}

/// The profile as JSON: seconds, and rates from the plan's FLOPs and the bytes of everything a kernel binds.
pub fn profile_json(profile: &Profile) -> Value {
    let steps = profile.device_steps.len();
    let kernels: f64 = profile.kernels.iter().flat_map(|kernel| &kernel.seconds).sum();
    let rows = rows(profile).into_iter().map(|row| {
        json!({
            "kernel": row.of.step.kernel.entry,
            "what": row.of.step.title,
            "makes": row.of.step.shape.to_vec(),
            "calls": row.calls * steps,
            "total_seconds": row.total,
            "mean_seconds": row.mean(steps),
            "share": row.total / kernels.max(f64::MIN_POSITIVE),
            "flops_per_second": row.rate(row.flops, steps),
            "bytes_per_second": row.rate(row.bytes, steps),
        })
    });
    json!({
        "kernels": rows.collect::<Vec<_>>(),
        "kernel_seconds": profile.untimed.is_none().then(|| kernels / steps.max(1) as f64),
        "device_step_seconds": profile.device_steps,
        "wall_step_seconds": profile.steps,
        "untimed": profile.untimed,
    })
}
