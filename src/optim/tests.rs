//! The table of optimizers: its config form, and the changes that schedules and groups make to an optimizer.

use toml::{Table, Value};

use super::*;

/// The row begins with `expected`, each to a part in 10⁶ (f32 rounds to 6e-8), and zeros follow.
#[track_caller]
pub(super) fn assert_close<const N: usize>(row: [f32; SCALARS], expected: [f64; N]) {
    for (have, want) in row.into_iter().zip(expected.into_iter().chain(std::iter::repeat(0.0))) {
        assert!((f64::from(have) - want).abs() <= 1e-6 * want.abs(), "{row:?}, not {expected:?}");
    }
}

/// Another value of the same type; of a word one of the others that serde names.
fn another(name: &str, key: &str, value: &Value) -> Value {
    match value {
        Value::Integer(i) => (i + 1).into(),
        Value::Float(x) => (x / 2.0 + 0.125).into(),
        Value::Boolean(b) => (!b).into(),
        Value::Array(list) => list.iter().map(|value| another(name, key, value)).collect::<Vec<_>>().into(),
        Value::Table(table) => Value::Table(
            table.iter().map(|(inner, value)| (inner.clone(), another(name, inner, value))).collect(),
        ),
        Value::String(word) => {
            let text = format!("name = '{name}'\n{key} = 'nonsense'");
            let text = toml::from_str::<Optimizer>(&text).unwrap_err().to_string();
            let (_, words) = text.split_once("expected").expect("the words that are allowed");
            let other = words.split('`').skip(1).step_by(2).find(|other| other != word);
            other.unwrap_or_else(|| panic!("{key} of {name} has one word")).into()
        }
        Value::Datetime(_) => panic!("{key} of {name} is a date"),
    }
}

/// Every key of every optimizer, none at its default, is read from a config and written back.
#[test]
fn every_key_goes_through_toml() {
    for name in Optimizer::NAMES {
        let default: Optimizer = toml::from_str(&format!("name = \"{name}\"")).unwrap();
        default.validate().unwrap();
        assert_eq!(default, Optimizer::parse(name, "").unwrap());
        assert_eq!(default.name(), name);
        let (table, keys) = (default.table(), Optimizer::keys(name).unwrap());
        assert_eq!(table["name"].as_str(), Some(name));
        assert_eq!(table.keys().filter(|key| *key != "name").collect::<Vec<_>>(), keys);
        let mut others = table.clone();
        for key in keys {
            others[*key] = another(name, key, &table[*key]);
            assert_ne!(others[*key], table[*key], "{name}.{key}");
        }
        let text = others.to_string();
        let read: Optimizer = toml::from_str(&text).unwrap_or_else(|err| panic!("{text}: {err}"));
        assert_eq!(read.table(), others, "{text}");
        assert_eq!(toml::from_str::<Optimizer>(&toml::to_string(&read).unwrap()).unwrap(), read, "{text}");
    }
}

/// An optimizer with decay and a warm-up, where it has them.
fn with_everything(name: &str, settings: &str) -> Optimizer {
    let optimizer = Optimizer::parse(name, settings).unwrap();
    let numbers = [
        ("weight_decay", Value::Float(0.25)),
        ("lr_decay", Value::Float(0.25)),
        ("warmup_steps", Value::Integer(7)),
    ];
    let keys = Optimizer::keys(name).unwrap();
    let has = numbers.into_iter().filter(|(key, _)| keys.contains(key));
    optimizer.with(&has.map(|(key, value)| (key.to_owned(), value)).collect()).unwrap()
}

/// The changes that [`Rule`] makes are those of the keys by these names.
#[test]
fn changes_of_an_optimizer_are_those_of_its_keys() {
    for name in Optimizer::NAMES {
        let trials = Optimizer::about(name).unwrap().trials;
        let settings = trials.kernel.iter().copied().chain(["", trials.parabola, trials.valley]);
        for optimizer in settings.map(|settings| with_everything(name, settings)) {
            let keys = Optimizer::keys(name).unwrap();
            let set = |key: &str, value: Value| {
                if !keys.contains(&key) {
                    return optimizer.clone();
                }
                optimizer.with(&Table::from_iter([(key.to_owned(), value)])).unwrap()
            };
            let mut undecayed = set("weight_decay", 0.0.into());
            if let Optimizer::Muon(muon) = &mut undecayed {
                muon.adamw.weight_decay = 0.0;
            }
            assert_eq!(optimizer.without_decay(), undecayed);

            let steady = match () {
                () if keys.contains(&"warmup_steps") => set("warmup_steps", 0.into()),
                () => set("lr_decay", 0.0.into()),
            };
            assert_eq!(optimizer.steady(), steady);

            let table = optimizer.table();
            let moved = match (table.get("momentum").and_then(Value::as_float), table.get("betas")) {
                (Some(own), _) if own != 0.0 => Some(set("momentum", 0.625.into())),
                (_, Some(betas)) => {
                    let mut betas = betas.clone();
                    betas[0] = 0.625.into();
                    Some(set("betas", betas))
                }
                _ => None,
            };
            assert_eq!(optimizer.with_momentum(0.625), moved);
            assert!(optimizer.with_momentum(f64::NAN).is_none(), "{optimizer:?}");
        }
    }
}

#[test]
fn matrices_have_a_rule_of_their_own() {
    let muon = Optimizer::Muon(Muon::default());
    assert!(muon.of_matrices() && muon.clone().for_axes(2).of_matrices());
    for axes in [0, 1, 3] {
        assert!(!muon.clone().for_axes(axes).of_matrices());
    }
}

#[test]
fn defaults_are_torch_s() {
    let parse = |text: &str| toml::from_str::<Optimizer>(text).unwrap();
    let adam =
        Adam { lr: 1e-3, betas: [0.9, 0.999], eps: 1e-8, weight_decay: 0.0, amsgrad: false, state_bits: 32 };
    assert_eq!(parse("name = 'adam'"), Optimizer::Adam(adam));
    let adamw = AdamW {
        lr: 1e-3,
        betas: [0.9, 0.999],
        eps: 1e-8,
        weight_decay: 1e-2,
        amsgrad: false,
        state_bits: 32,
    };
    assert_eq!(parse("name = 'adamw'"), Optimizer::AdamW(adamw));
    let (lr, momentum, dampening, nesterov, weight_decay) = (1e-3, 0.0, 0.0, false, 0.0);
    let form = MomentumForm::Torch;
    let sgd = Sgd { lr, momentum, dampening, nesterov, weight_decay, form };
    assert_eq!(parse("name = 'sgd'"), Optimizer::Sgd(sgd));
    let (lr, alpha, eps, centered, bias_correction) = (1e-2, 0.99, 1e-8, false, false);
    let rms = RmsProp { lr, alpha, eps, weight_decay, momentum, centered, bias_correction };
    assert_eq!(parse("name = 'rmsprop'"), Optimizer::RmsProp(rms));
    let (lr, betas, eps) = (2e-3, [0.9, 0.999], 1e-8);
    let decoupled_weight_decay = false;
    let nadam = NAdam { lr, betas, eps, weight_decay, momentum_decay: 4e-3, decoupled_weight_decay };
    assert_eq!(parse("name = 'nadam'"), Optimizer::NAdam(nadam));
    let radam = RAdam { lr: 1e-3, betas, eps, weight_decay, decoupled_weight_decay };
    assert_eq!(parse("name = 'radam'"), Optimizer::RAdam(radam));
    assert_eq!(parse("name = 'adamax'"), Optimizer::Adamax(Adamax { lr, betas, eps, weight_decay }));
    let (lr_decay, initial_accumulator_value) = (0.0, 0.0);
    let adagrad = Adagrad { lr: 1e-2, lr_decay, weight_decay, initial_accumulator_value, eps: 1e-10 };
    assert_eq!(parse("name = 'adagrad'"), Optimizer::Adagrad(adagrad));
    let adadelta = Adadelta { lr: 1.0, rho: 0.9, eps: 1e-6, weight_decay };
    assert_eq!(parse("name = 'adadelta'"), Optimizer::Adadelta(adadelta));
}

/// An optimizer that torch does not have takes the numbers of its authors.
#[test]
fn other_defaults_are_their_authors() {
    let parse = |text: &str| toml::from_str::<Optimizer>(text).unwrap();
    let lion = Lion { lr: 1e-4, betas: [0.9, 0.99], weight_decay: 0.0 };
    assert_eq!(parse("name = 'lion'"), Optimizer::Lion(lion));
    let (weight_decay, warmup_steps, r, weight_lr_power) = (0.0, 0, 0.0, 2.0);
    let (lr, betas, eps) = (2.5e-3, [0.9, 0.999], 1e-8);
    let adamw = ScheduleFreeAdamW { lr, betas, eps, weight_decay, warmup_steps, r, weight_lr_power };
    assert_eq!(parse("name = 'schedule_free_adamw'"), Optimizer::ScheduleFreeAdamW(adamw));
    let (lr, momentum) = (1.0, 0.9);
    let sgd = ScheduleFreeSgd { lr, momentum, weight_decay, warmup_steps, r, weight_lr_power };
    assert_eq!(parse("name = 'schedule_free_sgd'"), Optimizer::ScheduleFreeSgd(sgd));
}

#[test]
fn whole_numbers_are_rates_and_unknown_keys_are_refused() {
    let sgd = toml::from_str("name = 'sgd'\nlr = 1\nform = 'velocity'\nmomentum = 0.5").unwrap();
    let expected = Sgd { lr: 1.0, momentum: 0.5, form: MomentumForm::Velocity, ..Sgd::default() };
    assert_eq!(Optimizer::Sgd(expected), sgd);
    for name in Optimizer::NAMES {
        let err = toml::from_str::<Optimizer>(&format!("name = '{name}'\nlearning_rate = 0.1")).unwrap_err();
        assert!(err.to_string().contains("learning_rate"), "{err}");
    }
    for text in ["name = 'adam'\nmomentum = 0.9", "name = 'adamix'", "lr = 0.1", "name = 'sgd'\nform = 'x'"] {
        assert!(toml::from_str::<Optimizer>(text).is_err(), "{text}");
    }
    assert_eq!(Optimizer::keys("adamix"), None);
}
