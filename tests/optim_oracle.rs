//! Every optimizer with random numbers, on tensors of random shapes in groups of their own, against the f64 oracle.
//!
//! # Tolerance
//! Three roundings of the largest |w| so far a step, as in `optimizers.rs`, and `Room` of the way gone. Of schedule-free
//! rules the parameters hold y, and z is stored as well and drawn to y: what z may be off by is added.

mod adapter;
mod driven;
mod oracle;

use downhill::optim::{Optimizer, ParamGroup, Update};
use driven::{Param, drive};
use oracle::{
    Array,
    compare::Cases,
    draw::{Rng, cases, rng_of},
    optim::{
        net::{NetOracle, NetRule},
        room::{Room, Way},
    },
};
use rand::{RngExt, seq::IndexedRandom};
use serde::Deserialize;
use serde_json::{Map, Value, json};

const STEPS: usize = 20;
const ROUNDINGS: f64 = 3.0;

type Keys = Map<String, Value>;

/// Zero in one case of four.
fn or_zero(rng: &mut Rng, low: f64, high: f64) -> f64 {
    if rng.random_bool(0.25) { 0.0 } else { rng.random_range(low..high) }
}

fn power(rng: &mut Rng, low: f64, high: f64) -> f64 {
    10.0_f64.powf(rng.random_range(low..high))
}

/// Optimizers that divide a gradient with L2 decay by its size, element by element.
const DIVIDED: [&str; 7] = ["rmsprop", "adam", "nadam", "radam", "adamax", "adagrad", "adadelta"];

/// A value for a key of an optimizer, from all of its range that is of use.
fn value(rng: &mut Rng, name: &str, key: &str) -> Value {
    let free = name.starts_with("schedule_free");
    match key {
        "lr" => {
            let usual = match name {
                "lars" | "adadelta" => 0.7,
                "adagrad" | "schedule_free_sgd" => 0.05,
                "lion" => 0.003,
                _ => 0.01,
            };
            json!(usual * power(rng, -0.5, 0.5))
        }
        // a blend of 0 has no inverse, by which x would come from y
        "betas" if free => json!([rng.random_range(0.5..0.95), rng.random_range(0.6..0.9995)]),
        "betas" => json!([or_zero(rng, 0.3, 0.98), rng.random_range(0.6..0.9995)]),
        "momentum" if free => json!(rng.random_range(0.5..0.95)),
        "momentum" => json!(or_zero(rng, 0.3, 0.95)),
        "alpha" | "rho" => json!(rng.random_range(0.5..0.995)),
        "dampening" => json!(or_zero(rng, 0.0, 0.5)),
        "weight_decay" | "lr_decay" => json!(or_zero(rng, 0.0, 0.3)),
        "eps" if name == "adafactor" => json!([power(rng, -7.0, -3.0), power(rng, -3.0, -1.0)]),
        // with L2 decay g + λw may come near 0, and centred s − m²: differences of numbers that are rounded
        "eps" if DIVIDED.contains(&name) => json!(power(rng, -2.0, -1.0)),
        "eps" => json!(power(rng, -8.0, -1.0)),
        "momentum_decay" => json!(power(rng, -3.0, -0.3)),
        "initial_accumulator_value" => json!(or_zero(rng, 0.0, 1.0)),
        "warmup_steps" => json!(rng.random_range(0..10)),
        "r" | "weight_lr_power" => json!(or_zero(rng, 0.0, 3.0)),
        "trust_coefficient" => json!(power(rng, -2.5, -1.5)),
        "beta2_decay" => json!(-rng.random_range(0.3..1.0)),
        "d" => json!(rng.random_range(1.0..2.0)),
        "ns_coefficients" => json!([3.4445, -4.775, 2.0315]),
        "ns_steps" => json!(rng.random_range(1..6)),
        "adjust_lr_fn" => json!(["original", "match_rms_adamw"].choose(rng)),
        "adamw" => {
            let keys = ["lr", "betas", "eps", "weight_decay"];
            keys.iter().map(|&key| (key.to_owned(), value(rng, "adamw", key))).collect::<Keys>().into()
        }
        "form" => json!(["torch", "torch", "velocity", "average"].choose(rng)),
        "nesterov" | "centered" | "bias_correction" | "amsgrad" | "decoupled_weight_decay" => {
            json!(rng.random_bool(0.5))
        }
        _ => panic!("no value is drawn for {key} of {name}"),
    }
}

/// Every key of an optimizer, those set aside that do not go together.
fn numbers(rng: &mut Rng, name: &str) -> Keys {
    let keys = Optimizer::keys(name).expect("an optimizer's name");
    // the oracle has the defaults of these, and no other
    let drawn = keys.iter().filter(|key| !["use_muon", "state_bits"].contains(key));
    let mut table: Keys = drawn.map(|&key| (key.to_owned(), value(rng, name, key))).collect();
    table.insert("name".to_owned(), name.into());
    let zero = |table: &Keys, key: &str| table.get(key).is_some_and(|value| value.as_f64() == Some(0.0));
    if table.contains_key("dampening") {
        let plain = table.get("form").is_none_or(|form| form == "torch");
        let nesterov = table["nesterov"] == true && plain && !zero(&table, "momentum");
        table.insert("nesterov".to_owned(), nesterov.into());
        if nesterov || !plain {
            table.insert("dampening".to_owned(), json!(0.0));
        }
    }
    if table.get("centered").is_some_and(|centered| centered == true) {
        table.insert("bias_correction".to_owned(), false.into());
    }
    table
}

/// Keys that a group may set: they change no slot and no kernel.
const OF_GROUPS: [&str; 9] =
    ["lr", "weight_decay", "eps", "betas", "alpha", "rho", "momentum_decay", "lr_decay", "trust_coefficient"];

/// Own values for some of them.
fn different(rng: &mut Rng, base: &Keys) -> Keys {
    let name = base["name"].as_str().expect("a name");
    let whole = match name {
        "muon" | "adafactor" => vec!["weight_decay"],
        _ => OF_GROUPS.to_vec(),
    };
    let free = name.starts_with("schedule_free");
    let open = |key: &&str| base.contains_key(*key) && !(free && *key == "betas");
    let chosen: Vec<&str> = whole.into_iter().filter(open).filter(|_| rng.random_bool(0.7)).collect();
    chosen.into_iter().map(|key| (key.to_owned(), value(rng, name, key))).collect()
}

struct Group {
    params: &'static str,
    keys: Keys,
    factor: f64,
    frozen: bool,
}

struct Case {
    numbers: Keys,
    /// A parameter belongs to the first that names it.
    groups: Vec<Group>,
    params: Vec<Param>,
    /// The run's rate at each step.
    lrs: Vec<f64>,
}

/// Weights of order 1; gradients of either sign that lean to one, of sizes that change with step and element, one in
/// ten exactly 0.
fn param(rng: &mut Rng, name: &str, shape: Vec<usize>) -> Param {
    let count = shape.iter().product();
    let init = (0..count).map(|_| rng.random_range(-1.0..1.0)).collect();
    let sizes: Vec<f64> = (0..count).map(|_| power(rng, -1.0, 0.0)).collect();
    let gradient = |_| {
        let size = power(rng, -0.5, 0.5);
        let mut element = |own: &f64| {
            if rng.random_bool(0.1) { 0.0 } else { (size * own * rng.random_range(-1.0..1.5)) as f32 }
        };
        sizes.iter().map(&mut element).collect()
    };
    let grads = (0..STEPS).map(gradient).collect();
    Param { name: name.to_owned(), shape, init, grads }
}

impl Case {
    fn new(name: &str, index: usize) -> Self {
        let rng = &mut rng_of(&format!("optimizers with random numbers: {name}"), index as u64);
        let numbers = numbers(rng, name);
        let group = |rng: &mut Rng, params| Group {
            params,
            keys: different(rng, &numbers),
            factor: rng.random_range(0.3..2.0),
            frozen: false,
        };
        let mut groups = vec![group(rng, "*.bias"), group(rng, "b.*")];
        if index % 2 == 1 {
            groups.push(Group { params: "d.weight", keys: Keys::new(), factor: 1.0, frozen: true });
        }
        let mut side = |most: usize| rng.random_range(1..=most);
        let shapes = [
            ("a.weight", vec![side(20), side(40)]),
            ("a.bias", vec![side(40)]),
            ("b.weight", vec![side(5), side(4), side(3), side(3)]),
            ("b.bias", vec![side(9)]),
            ("c.weight", vec![20 + side(20), side(10)]),
            ("d.weight", vec![side(6), 6 + side(20)]),
        ];
        let params = shapes.into_iter().map(|(name, shape)| param(rng, name, shape)).collect();
        let lr = numbers["lr"].as_f64().expect("a rate");
        let steady = name.starts_with("schedule_free");
        let rate = |_| if steady { lr } else { lr * rng.random_range(0.25..1.0) };
        let lrs = (0..STEPS).map(rate).collect();
        Self { numbers, groups, params, lrs }
    }

    fn name(&self) -> &str {
        self.numbers["name"].as_str().expect("a name")
    }

    fn update(&self) -> Update {
        let optimizer = Optimizer::deserialize(&Value::from(self.numbers.clone())).expect("an optimizer");
        let group = |group: &Group| {
            let mut made = ParamGroup::new([group.params]).lr_factor(group.factor);
            for (key, value) in &group.keys {
                made = made.set(key, toml::Value::try_from(value).expect("a number or several"));
            }
            if group.frozen { made.frozen() } else { made }
        };
        Update { groups: self.groups.iter().map(group).collect(), ..Update::new(optimizer) }
    }

    /// The numbers of a parameter and the factor of its rate; `None` is frozen.
    fn of(&self, name: &str) -> Option<(Keys, f64)> {
        let own = |group: &&Group| match group.params.split_once('*') {
            Some((head, tail)) => name.starts_with(head) && name.ends_with(tail),
            None => name == group.params,
        };
        let mut numbers = self.numbers.clone();
        let Some(group) = self.groups.iter().find(own) else { return Some((numbers, 1.0)) };
        numbers.extend(group.keys.clone());
        (!group.frozen).then_some((numbers, group.factor))
    }

    /// A parameter after each step with what it may be off by, at `times` the rate.
    fn expected(&self, param: &Param, times: f64) -> Vec<(Vec<f64>, Vec<f64>)> {
        let wide = |values: &[f32]| -> Vec<f64> { values.iter().map(|&x| x.into()).collect() };
        let mut w = [Array::new(&param.shape, wide(&param.init))];
        let Some((numbers, factor)) = self.of(&param.name) else {
            return vec![(wide(&param.init), vec![0.0; param.init.len()]); STEPS];
        };
        let lr = |numbers: &Keys| numbers["lr"].as_f64().expect("a rate");
        let ratio = times * factor * lr(&numbers) / lr(&self.numbers);
        let beta = numbers.get("momentum").or_else(|| numbers.get("betas")?.get(0)).and_then(Value::as_f64);
        let room = Room::of(self.name(), &param.shape);
        let mut oracle =
            NetOracle::new(NetRule::read(numbers).expect("the oracle's rule"), &[param.init.len()]);
        let (mut way, mut way_of_z) = (Way::new(w[0].data.clone()), Way::new(w[0].data.clone()));
        let step = |(g, lr): (&Vec<f32>, &f64)| {
            oracle.set_lr(lr * ratio);
            oracle.step(&mut w, &[Array::new(&param.shape, wide(g))]);
            let y = w[0].data.clone();
            way.go(&y);
            let mut bound: Vec<f64> = (0..y.len()).map(|i| way.bound(i, ROUNDINGS, &room)).collect();
            if let Some(x) = oracle.evaluated() {
                let beta = beta.expect("a blend");
                let z: Vec<f64> = y.iter().zip(&x[0]).map(|(y, x)| (y - beta * x) / (1.0 - beta)).collect();
                way_of_z.go(&z);
                (0..z.len()).for_each(|i| bound[i] += way_of_z.bound(i, ROUNDINGS, &room));
            }
            (y, bound)
        };
        param.grads.iter().zip(&self.lrs).map(step).collect()
    }
}

fn each_case(mut run: impl FnMut(&str, Case)) {
    for name in Optimizer::NAMES.into_iter().filter(|name| NetRule::knows(name)) {
        (0..cases(4)).for_each(|index| run(&format!("{name} {index}"), Case::new(name, index)));
    }
}

#[test]
fn random_numbers_follow_the_oracle() {
    let mut all = Cases::default();
    each_case(|label, case| {
        all.run(label, || {
            let driven = drive(case.update(), &case.lrs, &case.params).map_err(|e| e.to_string())?;
            for (p, param) in case.params.iter().enumerate() {
                for (t, (want, bound)) in case.expected(param, 1.0).iter().enumerate() {
                    let got = &driven.weights[t][p];
                    assert_eq!(got.len(), want.len());
                    let off = |&i: &usize| {
                        let within = (f64::from(got[i]) - want[i]).abs() <= bound[i];
                        !within // and so for NaN
                    };
                    let wrong: Vec<usize> = (0..want.len()).filter(off).collect();
                    let Some(&i) = wrong.first() else { continue };
                    return Err(format!(
                        "step {}, {} {:?}: {} of {} wrong, first {i}: got {:e}, want {:e}, tolerance {:.1e}\n{:?}",
                        t + 1, param.name, param.shape, wrong.len(), want.len(), got[i], want[i], bound[i],
                        case.of(&param.name),
                    ));
                }
            }
            Ok(())
        });
    });
    all.finish();
}

/// The check has teeth: rates a thousandth higher are out for some element of every tensor that is trained.
#[test]
fn a_thousandth_of_the_rate_is_noticed() {
    each_case(|label, case| {
        for param in case.params.iter().filter(|param| case.of(&param.name).is_some()) {
            let (right, wrong) = (case.expected(param, 1.0), case.expected(param, 1.001));
            let seen = right.iter().zip(&wrong).any(|((right, bound), (wrong, _))| {
                (0..right.len()).any(|i| (right[i] - wrong[i]).abs() > 2.0 * bound[i])
            });
            assert!(seen, "{label}: nothing is seen in {}", param.name);
        }
    });
}
