//! Fifty steps of the optimizers of `optim_traces.py`, at some of which the parameters must be those of f64.

use downhill::optim::Optimizer;
use serde::Deserialize;

use crate::optimizers::{Driven, Param, drive};
use crate::store::{self, ROUNDOFF, Report, Tensors};

#[derive(Deserialize)]
struct Golden {
    /// The steps after which the parameters are stored, from 1.
    kept: Vec<usize>,
    params: Vec<String>,
    traces: Vec<Trace>,
}

#[derive(Deserialize)]
struct Trace {
    name: String,
    lrs: Vec<f64>,
    optimizer: Optimizer,
}

fn params(golden: &Golden, tensors: &Tensors, steps: usize) -> Vec<Param> {
    let param = |name: &String| {
        let init = tensors.f32(&format!("init/{name}")).to_vec();
        let grads = tensors.f32(&format!("grads/{name}")).chunks(init.len()).map(<[f32]>::to_vec).collect();
        let param = Param {
            name: name.clone(),
            shape: tensors.get(&format!("init/{name}")).shape.clone(),
            init,
            grads,
        };
        assert_eq!(param.grads.len(), steps, "{name}");
        param
    };
    golden.params.iter().map(param).collect()
}

/// How many roundoffs of the way gone a parameter may be off by.
///
/// 64 for elementwise rules, as in `optimizers.rs`. Lamb's, LARS's and Adafactor's steps are multiplied with quotients of
/// sums over hundreds of squares, each off by a few roundoffs more. Newton-Schulz multiplies small singular values, and
/// the roundoff beside them, by up to 3.4445 five times, 485 in all, with three products of some twenty terms each time.
fn room(optimizer: &str) -> f64 {
    match optimizer {
        "lamb" | "lars" | "adafactor" => 128.0,
        "muon" => 4096.0,
        _ => 64.0,
    }
}

/// Compares the steps that are stored; `prefix` is `TRACE` or `TRACE/average`.
fn check(
    report: &mut Report,
    golden: &Golden,
    tensors: &Tensors,
    prefix: &str,
    room: f64,
    driven: &[Vec<Vec<f32>>],
) {
    for (p, name) in golden.params.iter().enumerate() {
        let mut before = tensors.f32(&format!("init/{name}")).to_vec();
        let width = before.len();
        let want = tensors.f64(&format!("{prefix}/{name}"));
        let (mut largest, mut way) = (vec![0.0_f64; width], vec![0.0_f64; width]);
        for (t, step) in (1..).zip(driven) {
            for i in 0..width {
                largest[i] = largest[i].max(f64::from(before[i].abs().max(step[p][i].abs())));
                way[i] += f64::from((step[p][i] - before[i]).abs());
            }
            before.clone_from(&step[p]);
            if let Some(at) = golden.kept.iter().position(|&kept| kept == t) {
                let bound = |i: usize| ROUNDOFF * (2.0 * t as f64 * largest[i] + room * way[i]);
                report.compare(
                    &format!("{prefix} step {t} {name}"),
                    &step[p],
                    &want[at * width..][..width],
                    bound,
                );
            }
        }
    }
}

#[test]
fn traces_of_every_other_optimizer() {
    let golden: Golden = store::json("optim_traces.json");
    let tensors = Tensors::open("optim_traces.safetensors");
    let mut report = Report::default();
    for trace in &golden.traces {
        let params = params(&golden, &tensors, trace.lrs.len());
        let table = toml::Table::try_from(&trace.optimizer).expect("a table");
        let room = room(table["name"].as_str().expect("a name"));
        match drive(&trace.optimizer, &trace.lrs, &params) {
            Ok(Driven { weights, averages }) => {
                check(&mut report, &golden, &tensors, &trace.name, room, &weights);
                if !averages.is_empty() {
                    // x is y and z brought together by 1 - 1/beta, so it carries the roundings of both.
                    check(
                        &mut report,
                        &golden,
                        &tensors,
                        &format!("{}/average", trace.name),
                        4.0 * room,
                        &averages,
                    );
                }
            }
            Err(e) => report.fail(&trace.name, e),
        }
    }
    report.finish("optim_traces");
}

/// Every optimizer has a trace, here or in `optimizers.json`.
#[test]
fn no_optimizer_is_without_a_trace() {
    let golden: Golden = store::json("optim_traces.json");
    let here = |name: &str| golden.traces.iter().any(|trace| trace.name.starts_with(name));
    for name in Optimizer::NAMES {
        assert!(here(name) || ["sgd", "rmsprop", "adam", "adamw"].contains(&name), "{name} has no trace");
    }
}
