//! The kernels of both families make the same update: GPUs' load four vec4s ahead in sixteen invocations a block, software
//! adapters' take block after block. Equal bits, for every optimizer whose sums have one order, in every state of the step.

mod adapter;
mod driven;

use downhill::gpu::Family;
use downhill::optim::{Average, Clip, Optimizer, ParamGroup, Update};
use driven::{Param, drive_changed};

const STEPS: usize = 4;

/// Tensors of less than a vec4, of a vec4 and a part, of several blocks and a part, of more than a workgroup of GPUs; the
/// trained arena ends within a block.
fn params() -> Vec<Param> {
    let shapes: [(&str, &[usize]); 5] =
        [("a", &[3]), ("b.weight", &[4, 15]), ("b.bias", &[70]), ("c", &[81, 64]), ("d", &[41, 5])];
    let wave = |i: usize, t: usize| ((i * 37 + t * 101) as f64 * 0.61).sin();
    let param = |(seed, (name, shape)): (usize, (&str, &[usize]))| {
        let count: usize = shape.iter().product();
        let gradient =
            |t: usize| (0..count).map(|i| (wave(i + 1000 * seed, t + 1) * 0.3 + 0.1) as f32).collect();
        Param {
            name: name.to_owned(),
            shape: shape.to_vec(),
            init: (0..count).map(|i| wave(i + 1000 * seed, 0) as f32).collect(),
            grads: (0..STEPS).map(gradient).collect(),
        }
    };
    shapes.into_iter().enumerate().map(param).collect()
}

/// An optimizer alone; with two groups and clipping by value; with clipping by norm, so that steps are checked; with an average.
fn updates(optimizer: &Optimizer) -> Vec<Update> {
    let alone = Update::new(optimizer.clone());
    let group = ParamGroup::new(["b.*"]).set("lr", optimizer.lr() / 2.0);
    let grouped = Update { groups: vec![group], clip: Some(Clip::Value(0.25)), ..alone.clone() };
    let checked = Update { clip: Some(Clip::Norm(2.0)), ..alone.clone() };
    let averaged = Update { average: Some(Average::Ema { decay: 0.9, eval: true }), ..alone.clone() };
    vec![alone, grouped, checked, averaged]
}

#[test]
fn both_families_make_equal_bits() {
    if adapter::families() == [Family::Tiled] {
        println!("skipped: the adapter has one family");
        return;
    }
    let params = params();
    let forms = |name: &str| -> Vec<Optimizer> {
        let trials = Optimizer::about(name).map_or(&[][..], |about| about.trials.kernel);
        let own = |settings: &&str| Optimizer::parse(name, settings).expect("settings of a trial");
        trials.iter().chain(trials.is_empty().then_some(&"")).map(own).collect()
    };
    // Products and sums of columns have an order of their own in each family.
    let names = Optimizer::NAMES.into_iter().filter(|name| !["muon", "adafactor"].contains(name));
    let mut all: Vec<Vec<Optimizer>> = names.map(forms).collect();
    all.push(vec![Optimizer::parse("adamw", "state_bits = 8").expect("AdamW in 8 bits")]);
    let mut compared = 0;
    for forms in &all {
        // What is around the update is the same text for every form of an optimizer.
        let others = forms[1..].iter().map(|form| Update::new(form.clone()));
        for update in updates(&forms[0]).into_iter().chain(others) {
            let run = |family| drive_changed(family, update.clone(), &[0.01; STEPS], &params, |_| ());
            let [lanes, tiled] = match [run(Family::Subgroup), run(Family::Tiled)] {
                [Ok(lanes), Ok(tiled)] => [lanes, tiled],
                // Too many slots for an average, or one of its own.
                [Err(lanes), Err(tiled)] if update.average.is_some() => {
                    assert_eq!(lanes.to_string(), tiled.to_string());
                    continue;
                }
                [lanes, tiled] => panic!("{update:?}: {:?}, {:?}", lanes.err(), tiled.err()),
            };
            assert!(lanes.weights == tiled.weights, "weights differ: {update:?}");
            assert!(lanes.averages == tiled.averages, "averages differ: {update:?}");
            compared += 1;
        }
    }
    assert!(compared >= 3 * all.len(), "{compared} of {} optimizers", all.len());
}

/// The test above has teeth: one vec4 of four left out, or taken twice, changes weights.
#[test]
fn a_vec4_left_out_is_noticed() {
    let params = params();
    let run = |change: &dyn Fn(&str) -> String| {
        let optimizer = Optimizer::parse("adamw", "").expect("AdamW");
        let driven = drive_changed(Family::Tiled, &optimizer, &[0.01; STEPS], &params, |plan| {
            for step in plan.train[0].plan.steps.iter_mut().filter(|step| step.kernel.entry == "adam_update")
            {
                step.kernel.wgsl = change(&step.kernel.wgsl);
            }
        });
        driven.expect("a run").weights
    };
    let right = run(&str::to_owned);
    for (from, to) in [
        ("adam_step(at, row, i, old0);", ""),
        ("i + 16u, old1", "i, old1"),
        ("adam_old(min(i + 32u,", "adam_old(min(i,"),
        ("if i + 48u < LENGTH", "if i + 48u > LENGTH"),
        ("lane / 16u", "lane / 32u"),
    ] {
        let changed = run(&|text| {
            assert!(text.contains(from), "no `{from}` left to change");
            text.replace(from, to)
        });
        assert!(changed != right, "nobody notices {from} -> {to}");
    }
}
