//! The learning rate and momentum of every update under every schedule, against torch's own schedulers.

use downhill::optim::Schedule;
use downhill::optim::schedule::PlateauState;
use serde::Deserialize;

use crate::store::{self, Report, within};

/// The roundoff of f64.
const ROUNDOFF: f64 = f64::EPSILON / 2.0;

#[derive(Deserialize)]
struct Golden {
    /// Updates in the run, for the lengths that are left out.
    length: u64,
    schedules: Vec<Trace>,
}

/// One row of `schedules.json`.
#[derive(Deserialize)]
struct Trace {
    name: String,
    base: f64,
    schedule: Schedule,
    lrs: Vec<f64>,
    /// None where the schedule leaves the momentum alone.
    momenta: Vec<Option<f64>>,
    /// The metric observed after each update, for a plateau.
    metrics: Vec<f64>,
}

/// Learning rate and momentum of every update.
fn drive(trace: &Trace, length: u64) -> (Vec<f64>, Vec<Option<f64>>) {
    trace.schedule.validate().unwrap_or_else(|err| panic!("{}: {err}", trace.name));
    let schedule = trace.schedule.resolve(length);
    let mut plateau = PlateauState::default();
    let (mut lrs, mut momenta) = (Vec::new(), Vec::new());
    for k in 0..length {
        lrs.push(match &schedule {
            Schedule::Plateau(rule) => plateau.lr(rule, trace.base),
            schedule => schedule.lr(trace.base, k),
        });
        momenta.push(schedule.momentum(k));
        if let (Schedule::Plateau(rule), Some(metric)) = (&schedule, trace.metrics.get(k as usize)) {
            plateau.observe(rule, trace.base, *metric);
        }
    }
    (lrs, momenta)
}

/// Four roundings of the largest value so far for each step of torch's recursion (a quotient, a product, a sum, and the
/// cosines in them), and four for what both take at once: where a rate comes near to 0, it has the errors of the large
/// ones that it came from.
fn bounds(want: &[f64]) -> Vec<f64> {
    let mut largest = 0.0_f64;
    let bound = |(k, want): (usize, &f64)| {
        largest = largest.max(want.abs());
        4.0 * (k as f64 + 1.0) * ROUNDOFF * largest
    };
    want.iter().enumerate().map(bound).collect()
}

/// Those that are moved.
fn moved(momenta: &[Option<f64>]) -> Vec<f64> {
    momenta.iter().flatten().copied().collect()
}

#[test]
fn schedules_are_torch_s() {
    let golden: Golden = store::json("schedules.json");
    let mut report = Report::default();
    for trace in &golden.schedules {
        let (lrs, momenta) = drive(trace, golden.length);
        let at = |momenta: &[Option<f64>]| momenta.iter().map(Option::is_some).collect::<Vec<_>>();
        if at(&momenta) != at(&trace.momenta) {
            report.fail(&trace.name, "momentum is moved at other steps than torch moves it");
        }
        let momenta = [moved(&momenta), moved(&trace.momenta)];
        for (what, [got, want]) in [("lr", [lrs, trace.lrs.clone()]), ("momentum", momenta)] {
            let bounds = bounds(&want);
            report.compare(&format!("{} {what}", trace.name), &got, &want, |k| bounds[k]);
        }
    }
    report.finish("schedules");
}

#[test]
fn every_name_has_a_trace() {
    let golden: Golden = store::json("schedules.json");
    for name in Schedule::NAMES {
        let traced = |trace: &Trace| serde_json::to_value(&trace.schedule).is_ok_and(|s| s["name"] == name);
        assert!(golden.schedules.iter().any(traced), "{name}");
    }
}

/// The check has teeth: no trace passes as another, nor one step late.
#[test]
fn every_other_schedule_is_refused() {
    let golden: Golden = store::json("schedules.json");
    let same = |got: &[f64], want: &[f64]| {
        got.iter().zip(want).zip(bounds(want)).all(|((got, want), bound)| within((got - want).abs(), bound))
    };
    for trace in &golden.schedules {
        for other in golden.schedules.iter().filter(|other| other.name != trace.name) {
            let (theirs, own) = (moved(&other.momenta), moved(&trace.momenta));
            let momentum = theirs.len() == own.len() && same(&theirs, &own);
            assert!(!(same(&other.lrs, &trace.lrs) && momentum), "{} passes as {}", other.name, trace.name);
        }
        assert!(!same(&trace.lrs[1..], &trace.lrs), "{} passes one step late", trace.name);
    }
}
