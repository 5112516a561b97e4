//! The section `[schedule]`.

use super::*;
use crate::optim::schedule::{
    Anneal, Constant, Cosine, CosineRestarts, Exponential, InverseSqrt, Linear, Metric, Mode, MultiStep,
    OneCycle, Plateau, Polynomial, Sequence, Step, ThresholdMode,
};
use crate::optim::{Interval, Schedule};

fn of(text: &str) -> (Schedule, Interval) {
    let update = reads(&format!("[schedule]\n{text}")).update;
    (update.schedule.expect("a schedule"), update.interval)
}

#[test]
fn without_the_section_there_is_none() {
    for text in ["", "[schedule]"] {
        let config = reads(text);
        assert_eq!((&config.update.schedule, config.update.interval), (&None, Interval::Step));
        assert!(!config.to_toml().contains("schedule"));
    }
}

/// Every key of every schedule, none at its default.
#[test]
fn every_key_is_read() {
    let cases = [
        (
            "constant",
            "factor = 0.5\ntotal_iters = 7",
            Schedule::Constant(Constant { factor: 0.5, total_iters: 7 }),
        ),
        ("step", "step_size = 3\ngamma = 0.5", Schedule::Step(Step { step_size: 3, gamma: 0.5 })),
        (
            "multistep",
            "milestones = [2, 5]\ngamma = 0.5",
            Schedule::MultiStep(MultiStep { milestones: vec![2, 5], gamma: 0.5 }),
        ),
        ("exponential", "gamma = 0.9", Schedule::Exponential(Exponential { gamma: 0.9 })),
        (
            "linear",
            "start_factor = 0.25\nend_factor = 0.5\ntotal_iters = 9",
            Schedule::Linear(Linear { start_factor: 0.25, end_factor: 0.5, total_iters: 9 }),
        ),
        ("cosine", "t_max = 9\neta_min = 1e-5", Schedule::Cosine(Cosine { t_max: Some(9), eta_min: 1e-5 })),
        (
            "cosine_restarts",
            "t_0 = 4\nt_mult = 2\neta_min = 1e-5",
            Schedule::CosineRestarts(CosineRestarts { t_0: 4, t_mult: 2, eta_min: 1e-5 }),
        ),
        (
            "one_cycle",
            "total_steps = 90\npct_start = 0.5\nanneal_strategy = 'linear'\ncycle_momentum = false\n\
             base_momentum = 0.5\nmax_momentum = 0.75\ndiv_factor = 4\nfinal_div_factor = 8\nthree_phase = true",
            Schedule::OneCycle(OneCycle {
                total_steps: Some(90),
                pct_start: 0.5,
                anneal_strategy: Anneal::Linear,
                cycle_momentum: false,
                base_momentum: 0.5,
                max_momentum: 0.75,
                div_factor: 4.0,
                final_div_factor: 8.0,
                three_phase: true,
            }),
        ),
        (
            "polynomial",
            "total_iters = 9\npower = 2",
            Schedule::Polynomial(Polynomial { total_iters: Some(9), power: 2.0 }),
        ),
        (
            "plateau",
            "metric = 'eval_accuracy'\nmode = 'max'\nfactor = 0.5\npatience = 2\nthreshold = 0.01\n\
             threshold_mode = 'abs'\ncooldown = 3\nmin_lr = 1e-5\neps = 1e-6",
            Schedule::Plateau(Plateau {
                metric: Metric::EvalAccuracy,
                mode: Mode::Max,
                factor: 0.5,
                patience: 2,
                threshold: 0.01,
                threshold_mode: ThresholdMode::Abs,
                cooldown: 3,
                min_lr: 1e-5,
                eps: 1e-6,
            }),
        ),
        (
            "inverse_sqrt",
            "warmup_steps = 4000\nd_model = 512",
            Schedule::InverseSqrt(InverseSqrt { warmup_steps: 4000, d_model: Some(512) }),
        ),
        (
            "sequence",
            "milestones = [100]\nschedules = [{ name = 'linear', total_iters = 100 }, { name = 'cosine' }]",
            Schedule::Sequence(Sequence {
                milestones: vec![100],
                schedules: vec![
                    Schedule::Linear(Linear { total_iters: 100, ..Linear::default() }),
                    Schedule::Cosine(Cosine::default()),
                ],
            }),
        ),
    ];
    assert_eq!(cases.each_ref().map(|case| case.0), Schedule::NAMES);
    for (name, keys, wanted) in cases {
        let given: Vec<&str> = keys.lines().filter_map(|line| line.split(" = ").next()).collect();
        for key in Schedule::keys(name).expect("keys") {
            assert!(given.contains(key), "{name}: {key} is not tried");
        }
        assert_eq!(of(&format!("name = '{name}'\n{keys}")).0, wanted);
    }
}

#[test]
fn intervals_are_read_and_a_plateau_goes_by_epochs() {
    for (text, interval) in [
        ("name = 'cosine'", Interval::Step),
        ("name = 'cosine'\ninterval = 'step'", Interval::Step),
        ("name = 'step'\nstep_size = 3\ninterval = 'epoch'", Interval::Epoch),
        ("name = 'plateau'", Interval::Epoch),
        ("name = 'plateau'\ninterval = 'epoch'", Interval::Epoch),
    ] {
        assert_eq!(of(text).1, interval, "{text}");
    }
}

#[test]
fn sequences_are_tables_in_a_list() {
    let text = r#"
        name = "sequence"
        milestones = [100]
        [[schedule.schedules]]
        name = "linear"
        start_factor = 0.01
        [[schedule.schedules]]
        name = "cosine"
    "#;
    let linear = Schedule::Linear(Linear { start_factor: 0.01, ..Linear::default() });
    let schedules = vec![linear, Schedule::Cosine(Cosine::default())];
    assert_eq!(of(text).0, Schedule::Sequence(Sequence { milestones: vec![100], schedules }));
}

#[test]
fn settings_make_a_schedule() {
    let settings = ["schedule.name=cosine".to_owned(), "schedule.t_max=9".to_owned()];
    let config = Config::parse(DIGITS, &settings).unwrap();
    assert_eq!(config.update.schedule, Some(Schedule::Cosine(Cosine { t_max: Some(9), eta_min: 0.0 })));
}

#[test]
fn faults_name_key_value_and_remedy() {
    refused(
        r#"
        schedule=cosine => schedule = "cosine": a table is needed, and this is a string
        schedule.eta_min=0 => schedule.name is missing; for example name = "cosine"
        schedule.nam=cosine => unknown key schedule.nam; did you mean "name"?
        schedule.name=3 => schedule.name = 3: a name is needed, and this is an integer
        schedule.name=cosin => schedule.name: unknown schedule "cosin"; did you mean "cosine"?
        schedul.name=cosine => unknown key schedul; did you mean "schedule"?
        schedule.name=cosine & schedule.tmax=3 => unknown key schedule.tmax for cosine; did you mean "t_max"?
        schedule.name=cosine & schedule.intervall=epoch => schedule.intervall for cosine; did you mean "interval"?
        schedule.name=cosine & schedule.gamma=0.1 => unknown key schedule.gamma for cosine; there are: t_max, eta_min, interval
        schedule.name=cosine & schedule.patience=3 => unknown key schedule.patience for cosine
        schedule.name=cosine & schedule.interval=batch => schedule.interval = "batch": "step" or "epoch" is needed
        schedule.name=cosine & schedule.t_max=2.5 => schedule.t_max = 2.5: a whole number from 0 on is needed, and this is a number
        schedule.name=cosine & schedule.t_max=-1 => schedule.t_max = -1: a whole number from 0 on is needed
        schedule.name=cosine & schedule.t_max=0 => schedule.t_max = 0: a whole number from 1 on is needed
        schedule.name=exponential => schedule.gamma is missing
        schedule.name=exponential & schedule.gamma=slow => schedule.gamma = "slow": a number is needed, and this is a string
        schedule.name=exponential & schedule.gamma=nan => schedule.gamma = nan: a finite number is needed
        schedule.name=exponential & schedule.gamma=-1 => schedule.gamma = -1.0: gamma is finite and above 0
        schedule.name=linear & schedule.start_factor=0 => schedule.start_factor = 0.0: a factor to start from is finite and above 0
        schedule.name=one_cycle & schedule.anneal_strategy=cosine => schedule.anneal_strategy = "cosine": "cos" or "linear" is needed
        schedule.name=one_cycle & schedule.three_phase=1 => schedule.three_phase = 1: true or false is needed, and this is an integer
        schedule.name=one_cycle & optimizer={ name = "sgd" } => the optimizer has neither momentum above 0 nor betas
        schedule.name=plateau & schedule.interval=step => schedule.interval = "step": a plateau looks at its metric once an epoch
        schedule.name=plateau & schedule.metric=accuracy => schedule.metric = "accuracy": "eval_loss" or "eval_accuracy" or "train_loss" is needed
        schedule.name=plateau & schedule.metric=eval_accuracy => more is better of eval_accuracy ("max")
        schedule.name=multistep & schedule.milestones=[3, -1] => schedule.milestones[1] = -1: a whole number from 0 on is needed, and this is a negative number
        schedule.name=cosine & optimizer={ name = "schedule_free_adamw" } => a schedule-free optimizer goes without
    "#,
    );
}

#[test]
fn faults_in_a_sequence_have_their_place() {
    refused(
        r#"
        schedule.name=sequence & schedule.milestones=[3] => schedule.schedules is missing; for example
        schedule.name=sequence & schedule.schedules=[] => schedule.milestones is missing; for example
        schedule={ name = 'sequence', milestones = [5], schedules = 3 } => schedule.schedules = 3: a list is needed, and this is an integer
        schedule={ name = 'sequence', milestones = [5], schedules = [{ name = 'linear' }, 'cosine'] } => schedule.schedules[1] = "cosine": a table is needed, and this is a string
        schedule={ name = 'sequence', milestones = [5], schedules = [{ name = 'linear' }, { name = 'cosin' }] } => schedule.schedules[1].name: unknown schedule
        schedule={ name = 'sequence', milestones = [5], schedules = [{ name = 'linear' }, { name = 'cosine', t = 3 }] } => unknown key schedule.schedules[1].t for cosine
        schedule={ name = 'sequence', milestones = [5], schedules = [{ name = 'linear' }, { name = 'cosine', interval = 'step' }] } => unknown key schedule.schedules[1].interval for cosine
        schedule={ name = 'sequence', milestones = [5], schedules = [{ name = 'linear' }, { name = 'cosine', t_max = 'x' }] } => schedule.schedules[1].t_max = "x": a whole number
        schedule={ name = 'sequence', milestones = [5], schedules = [{ name = 'linear' }, { name = 'cosine', eta_min = -1 }] } => schedule.schedules[1].eta_min = -1.0: a learning rate is finite and at least 0
        schedule={ name = 'sequence', milestones = [5], schedules = [{ name = 'linear' }] } => schedule.milestones = [5]: a sequence of 1 schedules has 0 milestones
        schedule={ name = 'sequence', milestones = [5], schedules = [{ name = 'linear' }, { name = 'plateau' }] } => schedule.schedules[1]: a sequence has neither a plateau nor a sequence in it
    "#,
    );
}

/// A plateau watches a metric that each epoch of the run reports; otherwise the plan is refused.
#[test]
fn a_plateau_needs_its_metric() {
    let table = concat!(env!("CARGO_MANIFEST_DIR"), "/data/tables/regression.csv");
    let text = format!(
        "[data]\nsource = {{ csv = '{table}', target = 'power' }}\n[model]\nlayers = [{{ linear = 1 }}]\nloss = 'mse'\n\
         [optimizer]\nname = 'sgd'\n[schedule]\nname = 'plateau'\n"
    );
    let plan = |settings: &[&str]| {
        let settings: Vec<String> = settings.iter().map(|s| (*s).to_owned()).collect();
        Config::parse(&text, &settings).and_then(|config| plan(&config)).map_err(|err| err.to_string())
    };
    let accuracy = ["schedule.metric=eval_accuracy", "schedule.mode=max"];
    let (nothing, losses) = ("data.eval_fraction=0", "schedule.metric=train_loss");
    let err = plan(&[nothing]).unwrap_err();
    assert!(err.contains("schedule.metric = \"eval_loss\": there are no samples to evaluate on"), "{err}");
    let err = plan(&[nothing, accuracy[0], accuracy[1]]).unwrap_err();
    assert!(err.contains("schedule.metric = \"eval_accuracy\": there are no samples"), "{err}");
    let err = plan(&accuracy).unwrap_err();
    assert!(err.contains("\"eval_accuracy\": evaluation counts no right predictions"), "{err}");
    for settings in [&[][..], &[losses], &[nothing, losses]] {
        plan(settings).unwrap();
    }
}

/// The reference page has a row for each schedule, with each of its keys.
#[test]
fn the_reference_page_has_every_key() {
    for name in Schedule::NAMES {
        let cells = reference_row("schedules.md", name);
        for key in Schedule::keys(name).expect("keys") {
            assert!(cells.contains(&format!("`{key}")), "{name}: {key} is not in {cells}");
        }
    }
}
