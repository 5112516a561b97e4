//! Every schedule against torch's, step by step.

use downhill::optim::Schedule;
use downhill::optim::schedule::PlateauState;
use serde::Deserialize;

use crate::store;

#[derive(Deserialize)]
struct Golden {
    schedules: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    case: String,
    lr: f64,
    schedule: Schedule,
    lrs: Vec<f64>,
    momenta: Option<Vec<f64>>,
    /// What a plateau sees after each epoch.
    metrics: Option<Vec<f64>>,
}

/// torch multiplies from step to step, here a power is taken at once: some roundings of f64 apart.
fn assert_near(have: f64, want: f64, what: &str) {
    assert!((have - want).abs() <= 1e-12 * want.abs().max(1e-3), "{what}: {have} for {want}");
}

#[test]
fn schedules_are_torch_s() {
    let golden: Golden = store::json("schedules.json");
    for case in &golden.schedules {
        case.schedule.validate().expect(&case.case);
        let mut plateau = PlateauState::default();
        for (k, &want) in case.lrs.iter().enumerate() {
            let what = format!("{} after {k}", case.case);
            match (&case.schedule, &case.metrics) {
                (Schedule::Plateau(rule), Some(metrics)) => {
                    assert_near(plateau.lr(rule, case.lr), want, &what);
                    plateau.observe(rule, case.lr, metrics[k]);
                }
                (schedule, _) => assert_near(schedule.lr(case.lr, k as u64), want, &what),
            }
            let momentum = case.schedule.momentum(k as u64);
            assert_eq!(momentum.is_some(), case.momenta.is_some(), "{what}");
            if let (Some(have), Some(momenta)) = (momentum, &case.momenta) {
                assert_near(have, momenta[k], &what);
            }
        }
    }
    for name in Schedule::NAMES {
        let has = |case: &Case| {
            toml::Table::try_from(&case.schedule).expect("a table")["name"].as_str() == Some(name)
        };
        assert!(golden.schedules.iter().any(has), "{name} is not compared");
    }
}
