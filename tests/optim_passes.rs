//! Optimizers of more than one pass: how many dispatches they take, and that every line of every pass counts.

mod adapter;
mod driven;

use downhill::compile::{TrainOptions, TrainPlan};
use downhill::kernel::{Family, Target};
use downhill::optim::{Optimizer, ParamGroup, Update};
use downhill::{Init, Tensor, data::Dataset, nn::Net};
use driven::{Driven, Param, drive, drive_changed};

fn optimizer(text: &str) -> Optimizer {
    toml::from_str(&text.replace("; ", "\n")).expect("an optimizer")
}

/// Steps enough for what a pass keeps to matter in the next ones.
const STEPS: usize = 5;

/// A parameter whose numbers follow from its name; one element in nine has no gradient.
fn param(name: &str, shape: &[usize]) -> Param {
    let seed = name.bytes().fold(7, |seed: usize, byte| seed * 31 % 1009 + usize::from(byte));
    let count: usize = shape.iter().product();
    let wave = |i: usize, t: usize| ((i * 37 + t * 101 + seed) as f64 * 0.61).sin();
    let gradient = |t: usize| {
        let number = |i| if (i + seed) % 9 == 0 { 0.0 } else { (wave(i, t + 1) * 0.3 + 0.1) as f32 };
        (0..count).map(number).collect()
    };
    Param {
        name: name.to_owned(),
        shape: shape.to_vec(),
        init: (0..count).map(|i| wave(i, 0) as f32).collect(),
        grads: (0..STEPS).map(gradient).collect(),
    }
}

fn params() -> Vec<Param> {
    let shapes: [(&str, &[usize]); 8] = [
        ("a", &[7, 40]),
        ("b", &[40]),
        ("c", &[2, 3, 5, 4]),
        ("d", &[70, 3]),
        ("e", &[7, 40]),
        ("f", &[300]),
        ("g", &[1100, 3]),
        ("h", &[2, 4, 9, 35]),
    ];
    shapes.iter().map(|(name, shape)| param(name, shape)).collect()
}

fn run(update: impl Into<Update>, params: &[Param]) -> Driven {
    drive(update, &[0.01; STEPS], params).expect("a run")
}

/// A net of `layers` matrices of one shape with a vector each.
fn dispatches(optimizer: &Optimizer, layers: usize) -> usize {
    let data = Dataset::from_arrays("ones", [8], vec![1.0; 16], [], vec![0.0; 2]).expect("data");
    let model = |net: &Net, x: &Tensor| {
        let layer = |h: Tensor, i: usize| {
            let w = net.parameter(&format!("{i}.weight"), [8, 8], Init::Constant(0.1));
            let b = net.parameter(&format!("{i}.bias"), [8], Init::Constant(0.0));
            h.matmul(&w).add(&b)
        };
        (0..layers).fold(x.clone(), layer).sum(&[1], false)
    };
    let loss = |y: &Tensor, t: &Tensor| y.sub(t).square().mean_all();
    let batches = TrainOptions::default().batches(&data).expect("batches");
    let target = Target::new(Family::Subgroup);
    let made = TrainPlan::builder(&data, optimizer)
        .model(&model, &loss)
        .batches(batches)
        .target(target)
        .build()
        .expect("a plan");
    made.train[0].plan.steps.iter().filter(|step| step.title == "optimizer").count()
}

#[test]
fn dispatches_do_not_grow_with_the_number_of_tensors() {
    for name in Optimizer::NAMES {
        let optimizer = optimizer(&format!("name = '{name}'"));
        let expected = match name {
            "lamb" | "lars" => 3,
            "adafactor" => 5,
            "muon" => 20,
            _ => 1,
        };
        for layers in [1, 2, 25] {
            assert_eq!(dispatches(&optimizer, layers), expected, "{name}, {layers} layers");
        }
    }
}

/// Parameters that are no matrices, and those of a group without Muon, are AdamW's to the bit.
#[test]
fn muon_leaves_the_others_to_adamw() {
    let numbers = "lr = 0.01; betas = [0.8, 0.95]; weight_decay = 0.1";
    let adamw = optimizer(&format!("name = 'adamw'; {numbers}"));
    let inner = numbers.replace("; ", ", ");
    let muon = optimizer(&format!("name = 'muon'; lr = 0.01; adamw = {{ {inner} }}"));
    let group = ParamGroup::new(["e"]).set("use_muon", false);
    let muon = Update { groups: vec![group], ..Update::new(muon) };
    let params = params();
    let (muon, adamw) = (run(muon, &params), run(adamw, &params));
    for (p, Param { name, .. }) in params.iter().enumerate() {
        let same = muon.weights[STEPS - 1][p] == adamw.weights[STEPS - 1][p];
        assert_eq!(same, !["a", "d", "g"].contains(&name.as_str()), "{name}");
    }
}

/// Matrices of a shape go through the same dispatches; each comes out as if it were alone.
#[test]
fn tensors_do_not_see_each_other() {
    for name in ["lamb", "lars", "adafactor", "muon"] {
        let optimizer = optimizer(&format!("name = '{name}'"));
        let params = params();
        let together = run(&optimizer, &params);
        for (p, param) in params.iter().enumerate() {
            let alone = run(&optimizer, std::slice::from_ref(param));
            for (i, (a, b)) in
                together.weights[STEPS - 1][p].iter().zip(&alone.weights[STEPS - 1][0]).enumerate()
            {
                let moved = (b - param.init[i]).abs();
                assert!(
                    (a - b).abs() <= 1e-4 * moved + 1e-6,
                    "{name} {}[{i}]: {a} together, {b} alone",
                    param.name
                );
            }
        }
    }
}

/// Where all tensors suit it, kernels load four neighbours as of one line, or store them at once: with the same bits.
#[test]
fn tensors_of_whole_vec4s_are_as_beside_others() {
    for name in ["adafactor", "muon"] {
        let optimizer = optimizer(&format!("name = '{name}'"));
        let all = params();
        let suits = |param: &&Param| matches!(param.shape[..], [.., width] if width % 4 == 0);
        let whole: Vec<Param> = params().into_iter().filter(|param| suits(&param)).collect();
        assert!(whole.len() > 3 && whole.len() < all.len(), "{}", whole.len());
        for &family in adapter::families() {
            let run = |params: &[Param]| {
                drive_changed(family, &optimizer, &[0.01; STEPS], params, |_| ()).expect("a run").weights
            };
            let (beside, alone) = (run(&all), run(&whole));
            for (p, Param { name: tensor, .. }) in whole.iter().enumerate() {
                let i = all.iter().position(|other| other.name == *tensor).expect("the same");
                assert!(beside[STEPS - 1][i] == alone[STEPS - 1][p], "{family:?}, {name}: {tensor}");
            }
        }
    }
}

/// What is changed to what, in the text from `entry` of a pass: the optimizer, the entry, and both texts.
type Mutant = (&'static str, &'static str, &'static str, &'static str);

/// Those of both families.
const MUTANTS: &[Mutant] = &[
    ("lamb", "lamb_sums", "dot(u, u)", "dot(u, w)"),
    ("lamb", "lamb_sums", "row.beta2 * old.v", "old.v"),
    ("lamb", "lamb_update", "norm.x / norm.y", "1.0"),
    ("lamb", "lamb_update", "row.decay * w", "0.0 * w"),
    ("lamb", "tensor_norms", "let norm = sqrt(", "let norm = abs("),
    ("lars", "lars_sums", "dot(w, w)", "dot(w, g)"),
    ("lars", "lars_update", "row.trust * ", ""),
    ("lars", "lars_update", "row.keep * old.b", "old.b"),
    ("adafactor", "adafactor_lines", "stride = shape.width", "stride = 1u"),
    ("adafactor", "adafactor_lines", "f32(length)", "1.0"),
    ("adafactor", "adafactor_lines", "place += shape.rows", "place += 0u"),
    ("adafactor", "adafactor_means", "f32(shape.height)", "1.0"),
    ("adafactor", "adafactor_means", "matrix * shape.height", "0u"),
    ("adafactor", "adafactor_sums", "dot(w, w)", "dot(u, u)"),
    ("adafactor", "adafactor_update", "own.line_in_matrix + lines", "0u * own.line_in_matrix + lines"),
    ("adafactor", "adafactor_update", "max(row.eps2, rms.x)", "row.eps2"),
    ("adafactor", "adafactor_update", "max(1.0, rms.y / row.d)", "1.0"),
    ("adafactor", "adafactor_update", "row.shrink * w", "0.0 * w"),
    ("muon", "muon_momentum", "momentum_buffer[i] = b", "momentum_buffer[i] = g"),
    ("muon", "muon_momentum", "d = blend(g, b, row.y)", "d = b"),
    ("muon", "muon_momentum", "own.place + first + c", "own.place + first"),
    ("muon", "muon_update", "row.x * x", "row.z * x"),
    ("muon", "muon_update", "row.w * w", "0.0 * w"),
    ("muon", "muon_others", "let slot = i - 64u * FIRST", "let slot = i"),
    ("muon", "muon_others", " * row.unbias", ""),
    ("muon", "muon_others", "row.shrink * w", "0.0 * w"),
];

/// Those of the family of GPUs.
const OF_TILED: &[Mutant] = &[
    ("lamb", "lamb_sums", "LANES / 16u", "LANES / 32u"),
    ("lamb", "lamb_sums", "i + 32u, old2", "i + 32u, old1"),
    ("lamb", "lamb_sums", "(own[0] + own[2])", "own[0]"),
    ("lamb", "lamb_sums", "sums[lane] += sums[lane + half]", "sums[lane] = sums[lane + half]"),
    ("lamb", "lamb_update", "i + 48u, old3", "i + 32u, old3"),
    ("lamb", "lamb_update", "i + 16u < LENGTH", "i + 16u > LENGTH"),
    ("lamb", "tensor_norms", "sums[lane] += sums[lane + half]", "sums[lane] = sums[lane + half]"),
    ("adafactor", "adafactor_lines", "if half >= lines && lane < half", "if lane < half"),
    ("adafactor", "adafactor_lines", "k = lane / lines", "k = 0u"),
    ("adafactor", "adafactor_lines", "k += LANES / lines", "k += LANES"),
    ("muon", "muon_momentum", "lane % 16u", "lane % 8u"),
];

/// Those of the family of subgroups.
const OF_SUBGROUPS: &[Mutant] = &[
    ("lamb", "lamb_sums", "8u * nth(k) + lane", "8u * k"),
    ("lamb", "lamb_sums", "tree.one + term", "term"),
    ("lamb", "lamb_sums", "tree.two + two", "two"),
    ("lamb", "lamb_sums", "select(four, tree.sum + four, k == 7u)", "four"),
    ("lamb", "lamb_sums", "return a + b;", "return a;"),
    ("lamb", "lamb_update", "i += LANES", "i += 2u * LANES"),
    ("lamb", "tensor_norms", "s1 += sum_at(b + 8u, end);", ""),
    ("lamb", "tensor_norms", "put_norm(b, end, norm);", ""),
    ("adafactor", "adafactor_lines", "e = 8u * nth(j) + first", "e = first"),
    ("adafactor", "adafactor_lines", "select(nth(k), lane, to_all)", "lane"),
    ("adafactor", "adafactor_lines", "select(1u, 8u, long && !to_all)", "1u"),
    ("adafactor", "adafactor_lines", "[element & 3u]", "[0]"),
    ("adafactor", "adafactor_means", "8u * nth(j) + lane", "lane"),
];

#[test]
fn mutants_of_the_passes_are_noticed() {
    for &family in adapter::families() {
        let of_family = if family == Family::Tiled { OF_TILED } else { OF_SUBGROUPS };
        MUTANTS.iter().chain(of_family).for_each(|mutant| assert_noticed(family, *mutant));
    }
}

fn assert_noticed(family: Family, (name, entry, from, to): Mutant) {
    let params = params();
    // Steps long enough to be clipped, decay, and for LARS dampening, which tells b from d.
    let keys = match name {
        "lars" => "momentum = 0.5; dampening = 0.3; weight_decay = 0.1; trust_coefficient = 0.1",
        "adafactor" => "d = 1.0; weight_decay = 0.5; lr = 0.1",
        _ => "weight_decay = 0.5; lr = 0.1",
    };
    let optimizer = optimizer(&format!("name = '{name}'; {keys}"));
    let right = drive_changed(family, &optimizer, &[0.01; STEPS], &params, |_| ()).expect("a run");
    let changed = drive_changed(family, &optimizer, &[0.01; STEPS], &params, |train_plan| {
        let steps = train_plan.train[0].plan.steps.iter_mut();
        let mut found = 0;
        for step in steps.filter(|step| step.kernel.entry == entry) {
            assert!(step.kernel.wgsl.contains(from), "{family:?}: {entry} has no `{from}` left to change");
            step.kernel.wgsl = step.kernel.wgsl.replace(from, to);
            found += 1;
        }
        assert_eq!(found, 1, "{entry}");
    });
    let changed = match changed {
        Ok(changed) => changed,
        Err(downhill::Error::Diverged { .. }) => return, // noticed
        Err(err) => panic!("{family:?}: {from} -> {to} in {entry}: {err}"),
    };
    // The oracle's tolerance is some 1e-5 of a movement: what moves a weight by a hundredth of it is far outside.
    let mut most = 0.0_f64;
    for (p, param) in params.iter().enumerate() {
        let (right, wrong) = (&right.weights[STEPS - 1][p], &changed.weights[STEPS - 1][p]);
        for i in 0..right.len() {
            let moved = f64::from((right[i] - param.init[i]).abs());
            let off = f64::from((right[i] - wrong[i]).abs());
            most = if off.is_nan() { f64::INFINITY } else { most.max(off / moved.max(1e-4)) };
        }
    }
    assert!(most > 0.01, "{family:?}: nobody notices {from} -> {to} in {entry}: {most:.1e} of a movement");
}
