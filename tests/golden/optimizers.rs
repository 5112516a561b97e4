//! Thirty steps of the first optimizers. After each step the parameters must be those of f64.

use downhill::optim::{Adam, AdamW, MomentumForm, Optimizer, RmsProp, Sgd};
use serde::Deserialize;

use crate::driven::{Param, drive};
use crate::store::{self, ROUNDOFF, Report, Tensors};

#[derive(Deserialize)]
struct Golden {
    steps: usize,
    /// Names of the parameter tensors, in order.
    params: Vec<String>,
    traces: Vec<Trace>,
}

/// One row of `optimizers.json`: an optimizer and the learning rate of every step.
#[derive(Deserialize)]
struct Trace {
    name: String,
    optimizer: String,
    lr: f64,
    /// Of every step: all `lr`, but in the `_rates` traces.
    lrs: Vec<f64>,
    weight_decay: f64,
    #[serde(default)]
    momentum: f64,
    #[serde(default)]
    dampening: f64,
    #[serde(default)]
    nesterov: bool,
    form: Option<String>,
    #[serde(default)]
    alpha: f64,
    #[serde(default)]
    eps: f64,
    #[serde(default)]
    centered: bool,
    #[serde(default)]
    bias_correction: bool,
    #[serde(default)]
    betas: [f64; 2],
    #[serde(default)]
    amsgrad: bool,
}

impl Trace {
    fn optimizer(&self) -> Optimizer {
        let &Trace { lr, weight_decay, momentum, dampening, nesterov, alpha, eps, centered, .. } = self;
        let &Trace { bias_correction, betas, amsgrad, .. } = self;
        match self.optimizer.as_str() {
            "sgd" => {
                let form = match self.form.as_deref() {
                    Some("torch") => MomentumForm::Torch,
                    Some("velocity") => MomentumForm::Velocity,
                    Some("average") => MomentumForm::Average,
                    other => panic!("{}: form {other:?}", self.name),
                };
                Optimizer::Sgd(Sgd { lr, momentum, dampening, nesterov, weight_decay, form })
            }
            "rmsprop" => Optimizer::RmsProp(RmsProp {
                lr,
                alpha,
                eps,
                weight_decay,
                momentum,
                centered,
                bias_correction,
            }),
            "adam" => Optimizer::Adam(Adam { lr, betas, eps, weight_decay, amsgrad, ..Adam::default() }),
            "adamw" => Optimizer::AdamW(AdamW { lr, betas, eps, weight_decay, amsgrad, ..AdamW::default() }),
            other => panic!("{}: no optimizer {other}", self.name),
        }
    }
}

fn params(golden: &Golden, tensors: &Tensors) -> Vec<Param> {
    let param = |name: &String| {
        let init = tensors.f32(&format!("init/{name}")).to_vec();
        let grads: Vec<_> =
            tensors.f32(&format!("grads/{name}")).chunks(init.len()).map(<[f32]>::to_vec).collect();
        assert_eq!(grads.len(), golden.steps, "{name}");
        Param { name: name.clone(), shape: tensors.get(&format!("init/{name}")).shape.clone(), init, grads }
    };
    golden.params.iter().map(param).collect()
}

/// What one step must make of one parameter.
struct Expected<'a> {
    want: &'a [f64],
    /// How far each element moved in this step.
    moved: Vec<f64>,
    bound: Vec<f64>,
}

/// Every step of a parameter, with its tolerance.
///
/// Two roundings of the largest |w| so far a step (decay and update each round once), plus 64 roundoffs of
/// the way travelled, for the dozen operations on the slots; at step t
/// 2⁻²⁴·(2·t·max|w| + 64·Σ|Δw|), about 4e-6 at the end where one step moves by 1e-2. torch's own f32
/// uses half of it (make.py asserts that), and two tests below show that it is small enough.
fn expected<'a>(golden: &Golden, tensors: &'a Tensors, trace: &str, param: &str) -> Vec<Expected<'a>> {
    let mut before: Vec<f64> = tensors.f32(&format!("init/{param}")).iter().map(|&w| w.into()).collect();
    let mut largest = vec![0.0_f64; before.len()];
    let mut travelled = vec![0.0_f64; before.len()];
    let mut steps = Vec::new();
    for (t, want) in tensors.f64(&format!("{trace}/{param}")).chunks(before.len()).enumerate() {
        let moved: Vec<f64> = want.iter().zip(&before).map(|(now, before)| (now - before).abs()).collect();
        for i in 0..want.len() {
            largest[i] = largest[i].max(before[i].abs()).max(want[i].abs());
            travelled[i] += moved[i];
        }
        let roundings = 2.0 * (t + 1) as f64;
        let bound =
            largest.iter().zip(&travelled).map(|(w, way)| ROUNDOFF * (roundings * w + 64.0 * way)).collect();
        steps.push(Expected { want, moved, bound });
        before.copy_from_slice(want);
    }
    assert_eq!(steps.len(), golden.steps, "{trace}/{param}");
    steps
}

/// Compares `[step][parameter][element]` with the golden trace.
fn check_trace(
    report: &mut Report,
    golden: &Golden,
    tensors: &Tensors,
    trace: &str,
    params_after_each_step: &[Vec<Vec<f32>>],
) {
    if params_after_each_step.len() != golden.steps {
        return report.fail(trace, format!("{} steps, want {}", params_after_each_step.len(), golden.steps));
    }
    for (p, name) in golden.params.iter().enumerate() {
        let steps = expected(golden, tensors, trace, name);
        for (t, (step, got)) in steps.iter().zip(params_after_each_step).enumerate() {
            let label = format!("{trace} step {} {name}", t + 1);
            match got.get(p) {
                Some(got) => report.compare(&label, got, step.want, |i| step.bound[i]),
                None => report.fail(&label, "no such parameter"),
            }
        }
    }
}

#[test]
fn optimizer_traces() {
    let golden: Golden = store::json("optimizers.json");
    let tensors = Tensors::open("optimizers.safetensors");
    let params = params(&golden, &tensors);
    let mut report = Report::default();
    for trace in &golden.traces {
        match drive(trace.optimizer(), &trace.lrs, &params) {
            Ok(driven) => check_trace(&mut report, &golden, &tensors, &trace.name, &driven.weights),
            Err(e) => report.fail(&trace.name, e),
        }
    }
    report.finish("optimizers");
}

/// The golden trace itself, rounded to f32, in the form `drive` returns.
fn rounded(golden: &Golden, tensors: &Tensors, trace: &str) -> Vec<Vec<Vec<f32>>> {
    let column = |name: &String, t: usize| -> Vec<f32> {
        let all = tensors.f64(&format!("{trace}/{name}"));
        let width = all.len() / golden.steps;
        all[t * width..][..width].iter().map(|&w| w as f32).collect()
    };
    (0..golden.steps).map(|t| golden.params.iter().map(|name| column(name, t)).collect()).collect()
}

fn passes(golden: &Golden, tensors: &Tensors, trace: &str, steps: &[Vec<Vec<f32>>]) -> bool {
    let mut report = Report::default();
    check_trace(&mut report, golden, tensors, trace, steps);
    report.passed()
}

/// The check has teeth: a trace passes as itself and as no other variant, not even for the last step alone.
#[test]
fn every_other_trace_is_refused() {
    let golden: Golden = store::json("optimizers.json");
    let tensors = Tensors::open("optimizers.safetensors");
    for trace in &golden.traces {
        let own = rounded(&golden, &tensors, &trace.name);
        assert!(passes(&golden, &tensors, &trace.name, &own), "{} is refused as itself", trace.name);
        for other in golden.traces.iter().filter(|other| other.name != trace.name) {
            let steps = rounded(&golden, &tensors, &other.name);
            assert!(
                !passes(&golden, &tensors, &trace.name, &steps),
                "{} passes as {}",
                other.name,
                trace.name
            );
            let mut late = own.clone();
            late[golden.steps - 1].clone_from(&steps[golden.steps - 1]);
            assert!(!passes(&golden, &tensors, &trace.name, &late), "{} ends as {}", other.name, trace.name);
        }
        let mut broken = own;
        broken[3][1][2] = f32::NAN;
        assert!(!passes(&golden, &tensors, &trace.name, &broken), "{} passes with a NaN", trace.name);
    }
}

/// Beside what an optimizer gets wrong, a step's movement, the tolerance is nothing.
#[test]
fn the_tolerance_is_a_fiftieth_of_a_step_at_most() {
    let golden: Golden = store::json("optimizers.json");
    let tensors = Tensors::open("optimizers.safetensors");
    for trace in &golden.traces {
        for param in &golden.params {
            let steps = expected(&golden, &tensors, &trace.name, param);
            let Expected { moved, bound, .. } = steps.last().expect("30 steps");
            let most = (0..moved.len()).max_by(|&a, &b| moved[a].total_cmp(&moved[b])).expect("elements");
            let (moved, bound) = (moved[most], bound[most]);
            assert!(bound <= moved / 50.0, "{} {param}: moved {moved:e}, tolerance {bound:e}", trace.name);
        }
    }
}
