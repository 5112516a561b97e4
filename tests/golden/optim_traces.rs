//! Fifty steps of the optimizers of `optim_traces.py` and, at the edges of their hyperparameters, of
//! `optim_corners.py`; at some steps the parameters must be those of f64.

use downhill::optim::Optimizer;
use serde::Deserialize;
use serde_json::Value;

use crate::driven::{Driven, Param, drive};
use crate::oracle::optim::{
    net::NetRule,
    room::{Room, Way},
};
use crate::store::{self, Report, Tensors};

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
    optimizer: Value,
}

impl Trace {
    fn optimizer_name(&self) -> &str {
        self.optimizer["name"].as_str().expect("a name")
    }

    /// `None` where the engine has no optimizer of this name. The oracle alone follows the trace then.
    fn optimizer(&self) -> Option<Optimizer> {
        let known = Optimizer::NAMES.contains(&self.optimizer_name());
        let read =
            || Optimizer::deserialize(&self.optimizer).unwrap_or_else(|e| panic!("{}: {e}", self.name));
        known.then(read)
    }
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

/// A file of traces.
struct Traces {
    golden: Golden,
    tensors: Tensors,
}

impl Traces {
    fn open(file: &str) -> Self {
        Self {
            golden: store::json(&format!("{file}.json")),
            tensors: Tensors::open(&format!("{file}.safetensors")),
        }
    }

    /// Compares the stored steps. `prefix` is `TRACE` or `TRACE/average`; `times` widens the room.
    fn check(
        &self,
        report: &mut Report,
        prefix: &str,
        optimizer: &str,
        times: f64,
        driven: &[Vec<Vec<f32>>],
    ) {
        let wide = |values: &[f32]| -> Vec<f64> { values.iter().map(|&w| w.into()).collect() };
        for (p, name) in self.golden.params.iter().enumerate() {
            let Room { own, shared } = Room::of(optimizer, &self.tensors.get(&format!("init/{name}")).shape);
            let room = Room { own: times * own, shared: times * shared };
            let init = self.tensors.f32(&format!("init/{name}"));
            let want = self.tensors.f64(&format!("{prefix}/{name}"));
            let mut way = Way::new(wide(init));
            for (t, step) in (1..).zip(driven) {
                way.go(&wide(&step[p]));
                let Some(at) = self.golden.kept.iter().position(|&kept| kept == t) else { continue };
                let want = &want[at * init.len()..][..init.len()];
                report.compare(&format!("{prefix} step {t} {name}"), &step[p], want, |i| {
                    way.bound(i, 2.0, &room)
                });
            }
        }
    }

    fn follow(&self, file: &str) {
        let mut report = Report::default();
        for trace in &self.golden.traces {
            let Some(optimizer) = trace.optimizer() else { continue };
            let params = params(&self.golden, &self.tensors, trace.lrs.len());
            match drive(&optimizer, &trace.lrs, &params) {
                Ok(Driven { weights, averages }) => {
                    let name = trace.optimizer_name();
                    self.check(&mut report, &trace.name, name, 1.0, &weights);
                    if !averages.is_empty() {
                        // x is y and z brought together by 1 - 1/beta, so it carries the roundings of both.
                        self.check(&mut report, &format!("{}/average", trace.name), name, 4.0, &averages);
                    }
                }
                Err(e) => report.fail(&trace.name, e),
            }
        }
        report.finish(file);
    }
}

#[test]
fn traces_of_every_other_optimizer() {
    Traces::open("optim_traces").follow("optim_traces");
}

#[test]
fn traces_at_the_edges_of_the_hyperparameters() {
    Traces::open("optim_corners").follow("optim_corners");
}

/// Every optimizer has a trace, here or in `optimizers.json`. Those of the oracle that are here have one at the edges too.
#[test]
fn no_optimizer_is_without_a_trace() {
    let [traces, corners] = ["optim_traces", "optim_corners"].map(|file| Traces::open(file).golden);
    let here = |golden: &Golden, name| golden.traces.iter().any(|trace| trace.optimizer_name() == name);
    for name in Optimizer::NAMES {
        let first = ["sgd", "rmsprop", "adam", "adamw"].contains(&name);
        assert!(first || here(&traces, name), "{name} has no trace in optim_traces.json");
        let has_corner = !NetRule::knows(name) || here(&corners, name);
        assert!(first || has_corner, "{name} has no trace in optim_corners.json");
    }
}
