//! The oracle's update rules against the golden traces, to 1e-10, without a GPU and without the engine.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::oracle::{
    Array,
    optim::net::{NetOracle, NetRule},
};
use crate::store::{self, Data, Tensors, within};

/// The files of traces, without their ending.
const FILES: [&str; 3] = ["optimizers", "optim_traces", "optim_corners"];

#[derive(Deserialize)]
struct Golden {
    /// The steps whose parameters are stored, from 1: all of them where this is missing.
    kept: Option<Vec<usize>>,
    params: Vec<String>,
    traces: Vec<Trace>,
}

/// `optimizer` is a name with the hyperparameters beside it, or a table with both.
#[derive(Deserialize)]
struct Trace {
    name: String,
    lrs: Vec<f64>,
    optimizer: Value,
    #[serde(flatten)]
    beside: Map<String, Value>,
}

impl Trace {
    /// The optimizer's name and hyperparameters in one table, as in a config.
    fn table(&self) -> Map<String, Value> {
        let Value::String(name) = &self.optimizer else {
            return self.optimizer.as_object().expect("a name or a table").clone();
        };
        let mut table = self.beside.clone();
        table.remove("source");
        table.insert("name".to_owned(), name.as_str().into());
        table
    }

    fn optimizer_name(&self) -> &str {
        let name = self.optimizer.as_str().or(self.optimizer.get("name").and_then(Value::as_str));
        name.expect("a name or a table")
    }

    fn rule(&self) -> NetRule {
        NetRule::read(self.table()).unwrap_or_else(|e| panic!("{}: {e}", self.name))
    }
}

/// Gradient `t` of a parameter; they are stored one after the other.
fn gradient(tensors: &Tensors, param: &str, t: usize) -> Array {
    let Array { shape, data } = start(tensors, param);
    let all = &tensors.f32(&format!("grads/{param}"))[t * data.len()..][..data.len()];
    Array::new(&shape, all.iter().map(|&g| f64::from(g)).collect())
}

fn start(tensors: &Tensors, param: &str) -> Array {
    let init = tensors.get(&format!("init/{param}"));
    let Data::F32(values) = &init.data else { panic!("init/{param} is not F32") };
    Array::new(&init.shape, values.iter().map(|&w| f64::from(w)).collect())
}

/// A comparison with a stored trace, and the largest |w| of each element so far.
struct Course<'a> {
    tensors: &'a Tensors,
    prefix: String,
    largest: Vec<Vec<f64>>,
    /// The largest difference as a part of the largest |w| of its element, and where.
    worst: (f64, String),
}

impl Course<'_> {
    /// After step `t`: `values` of every parameter against place `at` of what is stored, if it is.
    fn follow(&mut self, params: &[String], t: usize, at: Option<usize>, values: &[Vec<f64>]) {
        for ((name, largest), values) in params.iter().zip(&mut self.largest).zip(values) {
            largest.iter_mut().zip(values).for_each(|(most, w)| *most = most.max(w.abs()));
            let Some(at) = at else { continue };
            let path = format!("{}/{name}", self.prefix);
            let want = &self.tensors.f64(&path)[at * values.len()..][..values.len()];
            for (i, (got, want)) in values.iter().zip(want).enumerate() {
                let part = (got - want).abs() / largest[i].max(f64::MIN_POSITIVE);
                if !within(part, self.worst.0) {
                    self.worst = (part, format!("{path}[{i}] after step {t}: {got:e} for {want:e}"));
                }
            }
        }
    }
}

/// The course of `trace`, and of what is evaluated where that is stored too: the worst difference of both.
fn worst(golden: &Golden, tensors: &Tensors, trace: &Trace, rule: NetRule) -> (f64, String) {
    let mut w: Vec<Array> = golden.params.iter().map(|name| start(tensors, name)).collect();
    let mut oracle = NetOracle::new(rule, &w.iter().map(Array::len).collect::<Vec<_>>());
    let course = |prefix: String| Course {
        tensors,
        prefix,
        largest: w.iter().map(|w| w.data.iter().map(|w| w.abs()).collect()).collect(),
        worst: (0.0, String::new()),
    };
    let mut trained = course(trace.name.clone());
    let mut evaluated = course(format!("{}/average", trace.name));
    let mut compared = 0;
    for (t, &lr) in (1..).zip(&trace.lrs) {
        let g: Vec<Array> = golden.params.iter().map(|name| gradient(tensors, name, t - 1)).collect();
        oracle.set_lr(lr);
        oracle.step(&mut w, &g);
        let at = golden.kept.as_ref().map_or(Some(t - 1), |kept| kept.iter().position(|&kept| kept == t));
        compared += usize::from(at.is_some());
        let values: Vec<Vec<f64>> = w.iter().map(|w| w.data.clone()).collect();
        trained.follow(&golden.params, t, at, &values);
        if let Some(averages) = oracle.evaluated() {
            evaluated.follow(&golden.params, t, at, &averages);
        }
    }
    assert_eq!(compared, golden.kept.as_ref().map_or(trace.lrs.len(), Vec::len), "{}", trace.name);
    // a NaN is the worst of all
    if within(evaluated.worst.0, trained.worst.0) { trained.worst } else { evaluated.worst }
}

/// Fifty steps of f64 err by some 1e-14; Newton-Schulz multiplies what is small beside the largest by up to 485.
const TOLERANCE: f64 = 1e-10;

#[test]
fn the_oracle_follows_every_trace() {
    let mut failures = Vec::new();
    for file in FILES {
        let golden: Golden = store::json(&format!("{file}.json"));
        let tensors = Tensors::open(&format!("{file}.safetensors"));
        let mut most = 0.0_f64;
        for trace in golden.traces.iter().filter(|trace| NetRule::knows(trace.optimizer_name())) {
            let (part, place) = worst(&golden, &tensors, trace, trace.rule());
            most = most.max(part);
            if !within(part, TOLERANCE) {
                failures.push(format!("{place}, off by {part:.1e} of the largest"));
            }
        }
        println!("{file}: {} traces, off by {most:.1e} at most", golden.traces.len());
        assert!(!golden.traces.is_empty(), "{file} has no trace");
    }
    assert!(failures.is_empty(), "{} traces\n{}", failures.len(), failures.join("\n"));
}
