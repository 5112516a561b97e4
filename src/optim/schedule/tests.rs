//! Properties of every schedule; torch's own numbers are in `tests/golden`.

use super::*;

fn parse(text: &str) -> Schedule {
    let schedule: Schedule = toml::from_str(text).unwrap();
    schedule.validate().unwrap();
    schedule
}

/// Every schedule with the keys that it needs and no others.
fn least() -> Vec<Schedule> {
    let example = |name| Schedule::about(name).unwrap().example;
    // Numbers as short as the runs of the tests.
    let short =
        |text: &str| text.replace("30", "3").replace("80", "5").replace("100", "4").replace("4000", "4");
    let lines = |name| short(example(name)).replacen(", schedules", "\nschedules", 1);
    Schedule::NAMES.iter().map(|name| parse(&format!("name = '{name}'\n{}", lines(name)))).collect()
}

#[test]
fn every_key_is_in_the_table_and_goes_round() {
    for schedule in least() {
        let resolved = schedule.resolve(90);
        let text = toml::to_string(&resolved).unwrap();
        assert_eq!(toml::from_str::<Schedule>(&text).unwrap(), resolved, "{text}");
        let table: toml::Table = toml::from_str(&text).unwrap();
        assert_eq!(table["name"].as_str(), Some(schedule.name()));
        let keys = Schedule::keys(schedule.name()).unwrap();
        // Every length is there, for `resolve` fills it in. Without d_model there is no width.
        let mut wanted: Vec<&str> = keys.iter().copied().filter(|key| *key != "d_model").collect();
        let mut written: Vec<&str> = table.keys().map(String::as_str).filter(|key| *key != "name").collect();
        // TOML has tables last.
        wanted.sort_unstable();
        written.sort_unstable();
        assert_eq!(written, wanted, "{text}");
        assert!(toml::from_str::<Schedule>(&format!("{text}\nnonsense = 1")).is_err(), "{text}");
    }
}

#[test]
fn rates_are_finite_and_scale_with_the_base() {
    for schedule in least() {
        let resolved = schedule.resolve(50);
        for k in (0..200).chain([1_000_000]) {
            let lr = resolved.lr(0.5, k);
            assert!(lr.is_finite() && (0.0..=0.5 + 1e-12).contains(&lr), "{resolved:?} at {k}: {lr}");
            assert!((resolved.lr(1.0, k) - 2.0 * lr).abs() < 1e-12, "{resolved:?} at {k}");
        }
    }
}

#[test]
fn lengths_that_are_left_out_are_the_run_s() {
    assert_eq!(parse("name = 'cosine'").resolve(40).lr(1.0, 40), 0.0);
    assert_eq!(parse("name = 'polynomial'").resolve(40).lr(1.0, 10), 0.75);
    let last = parse("name = 'one_cycle'").resolve(40).lr(1.0, 39);
    assert!((last - 1.0 / 25.0 / 1e4).abs() < 1e-12);
    let sequence = "name = 'sequence'\nmilestones = [10]\nschedules = [{ name = 'linear', total_iters = 10 }, \
                    { name = 'cosine' }]";
    let sequence = parse(sequence).resolve(40);
    assert_eq!((sequence.lr(1.0, 10), sequence.lr(1.0, 40)), (1.0, 0.0));
    assert!((sequence.lr(1.0, 25) - 0.5).abs() < 1e-12);
}

/// `cycles_momentum` is true for the schedules that move momentum, and for no others.
#[test]
fn momentum_is_cycled_where_it_is_said() {
    for schedule in least() {
        let resolved = schedule.resolve(50);
        let moves = (0..200).any(|k| resolved.momentum(k).is_some());
        assert_eq!((resolved.cycles_momentum(), schedule.cycles_momentum()), (moves, moves), "{resolved:?}");
        assert_eq!(moves, matches!(schedule, Schedule::OneCycle(_)));
    }
    let later =
        "name = 'sequence'\nmilestones = [10]\nschedules = [{ name = 'linear' }, { name = 'one_cycle' }]";
    assert!(parse(later).cycles_momentum());
}

#[test]
fn what_cannot_be_is_refused() {
    for (text, message) in [
        ("name = 'constant'\nfactor = 1.5", "schedule.factor = 1.5"),
        ("name = 'step'\nstep_size = 0", "schedule.step_size = 0: a whole number from 1 on"),
        ("name = 'step'\nstep_size = 2\ngamma = 0.0", "schedule.gamma = 0.0"),
        ("name = 'multistep'\nmilestones = [5, 2]", "milestones rise"),
        ("name = 'linear'\nstart_factor = 0.0", "schedule.start_factor = 0.0"),
        ("name = 'cosine'\nt_max = 0", "schedule.t_max = 0"),
        ("name = 'cosine'\neta_min = -1.0", "schedule.eta_min = -1.0"),
        ("name = 'cosine_restarts'\nt_0 = 3\nt_mult = 0", "schedule.t_mult = 0"),
        ("name = 'one_cycle'\npct_start = 1.5", "schedule.pct_start = 1.5"),
        ("name = 'one_cycle'\ndiv_factor = 0.0", "schedule.div_factor = 0.0"),
        ("name = 'polynomial'\npower = -1.0", "schedule.power = -1.0"),
        ("name = 'plateau'\nfactor = 1.0", "schedule.factor = 1.0: a factor is below 1"),
        ("name = 'plateau'\nmetric = 'eval_accuracy'", "more is better of eval_accuracy"),
        ("name = 'inverse_sqrt'\nwarmup_steps = 0", "schedule.warmup_steps = 0"),
        ("name = 'sequence'\nschedules = []\nmilestones = []", "schedule.milestones"),
        (
            "name = 'sequence'\nschedules = [{ name = 'linear' }]\nmilestones = [3]",
            "a sequence of 1 schedules has 0 milestones",
        ),
        (
            "name = 'sequence'\nschedules = [{ name = 'linear' }, { name = 'plateau' }]\nmilestones = [3]",
            "schedule.schedules[1]: a sequence has neither",
        ),
        (
            "name = 'sequence'\nschedules = [{ name = 'linear' }, { name = 'cosine', t_max = 0 }]\nmilestones = [3]",
            "schedule.schedules[1].t_max = 0",
        ),
    ] {
        let err = toml::from_str::<Schedule>(text).unwrap().validate().unwrap_err().to_string();
        assert!(err.contains(message), "{text}: {err}");
    }
}

#[test]
fn a_plateau_goes_on_from_its_memory() {
    let rule = Plateau { patience: 1, cooldown: 2, min_lr: 0.02, ..Plateau::default() };
    let metrics = [1.0, 0.9, 0.9, 0.95, 0.9, 0.9, 0.9, 0.9, 0.9, 0.5, 0.5, 0.5, 0.5, 0.5, 0.5];
    let mut whole = PlateauState::default();
    let mut lrs = Vec::new();
    for (i, value) in metrics.into_iter().enumerate() {
        whole.observe(&rule, 1.0, value);
        lrs.push(whole.lr(&rule, 1.0));
        if i == 6 {
            let text = serde_json::to_string(&whole).unwrap();
            whole = serde_json::from_str(&text).unwrap();
        }
    }
    let want = [1.0, 1.0, 1.0, 0.1, 0.1, 0.1, 0.1, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02];
    for (have, want) in lrs.iter().zip(want) {
        assert!((have - want).abs() < 1e-15, "{lrs:?}");
    }
}
