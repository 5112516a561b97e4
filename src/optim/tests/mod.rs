//! What holds for every optimizer: its config form, and its kernel against the equations in f64.

mod reference;
mod variants;

use std::sync::Arc;

use reference::step;
use variants::variants;

use super::*;
use crate::gpu::{Access, Binding, Buffer, Gpu, GpuOptions, ShaderKey, wgsl};
use crate::graph::Clock;

/// The row begins with `expected`, each to a part in 10⁶ (f32 rounds to 6e-8), and zeros follow.
#[track_caller]
pub(super) fn assert_close<const N: usize>(row: [f32; SCALARS], expected: [f64; N]) {
    for (have, want) in row.into_iter().zip(expected.into_iter().chain(std::iter::repeat(0.0))) {
        assert!((f64::from(have) - want).abs() <= 1e-6 * want.abs(), "{row:?}, not {expected:?}");
    }
}

/// `optimizer` survives TOML, its keys are `keys`, and the defaults need the name alone.
#[track_caller]
pub(super) fn round_trip(name: &str, optimizer: Optimizer, keys: &[&str]) {
    let text = toml::to_string(&optimizer).unwrap();
    assert_eq!(toml::from_str::<Optimizer>(&text).unwrap(), optimizer, "{text}");
    let table: toml::Table = toml::from_str(&text).unwrap();
    assert_eq!(table["name"].as_str(), Some(name));
    let others: Vec<_> = table.keys().filter(|key| *key != "name").collect();
    assert_eq!(others, keys);
    assert_eq!(Optimizer::keys(name), Some(keys));
    assert!(Optimizer::NAMES.contains(&name));
    let default: Optimizer = toml::from_str(&format!("name = \"{name}\"")).unwrap();
    assert_ne!(default, optimizer);
    default.validate().unwrap();
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

/// Where torch has no such method: the numbers of those who published it.
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

// The kernels. Every variant takes STEPS steps over LENGTH vec4s, and each weight is compared with the
// equations of the design's numerics, in f64, after each step.

const STEPS: usize = 24;
const LENGTH: usize = 150; // past two workgroups, not a multiple of one
const PADDED: usize = LENGTH + 4; // what lies past LENGTH must stay as it was

/// Weights of either sign.
fn start() -> Vec<f32> {
    (0..4 * PADDED).map(|i| ((i * 7919 + 13) % 1000) as f32 / 500.0 - 1.0).collect()
}

/// Sizes over four decades, either sign; some weights and one whole step have none.
fn gradient(t: usize, i: usize) -> f32 {
    if i % 17 == 3 || t == 11 || (i % 17 == 5 && t < 4) {
        return 0.0;
    }
    let size = [0.01, 0.3, 2.0, 40.0][i % 4] * (0.2 + (t as f64 * 0.9).sin().abs());
    (size * ((i * 37 + t * 101) as f64 * 0.61).sin() + 0.2 * size) as f32
}

fn rate(optimizer: &Optimizer, t: usize) -> f64 {
    optimizer.lr() * (0.25 + 0.75 * (0.4 * t as f64).cos().abs())
}

/// The largest difference of a weight from the equations, over what f32 allows: for each step half a unit in
/// the last place of the weight and 64 of the movement.
fn worst(gpu: &Gpu, optimizer: &Optimizer, text: &str) -> f64 {
    let device = Device::new(gpu, optimizer, text);
    let start = start();
    let mut weights: Vec<f64> = start.iter().map(|&w| w.into()).collect();
    let mut memory = vec![[0.0; 3]; weights.len()];
    let mut path = vec![(0.0_f64, 0.0_f64); weights.len()]; // largest weight, sum of movements
    let mut worst: f64 = 0.0;
    for t in 1..=STEPS {
        let (params, done) = device.step(gpu, t);
        assert_eq!(done as usize, t, "the step was not closed");
        assert_eq!(params[4 * LENGTH..], start[4 * LENGTH..], "the kernel wrote past its length");
        for (i, &have) in params[..4 * LENGTH].iter().enumerate() {
            let before = weights[i];
            let g = gradient(t, i).into();
            weights[i] = step(optimizer, t, rate(optimizer, t), before, g, &mut memory[i]);
            let (largest, moved) = &mut path[i];
            *largest = largest.max(before.abs()).max(weights[i].abs());
            *moved += (weights[i] - before).abs();
            let allowed = 2f64.powi(-24) * (t as f64 * *largest + 64.0 * *moved);
            let ratio = (f64::from(have) - weights[i]).abs() / allowed;
            worst = if ratio <= worst { worst } else { ratio }; // NaN stays
        }
    }
    worst
}

/// The buffers of one run and its kernel.
struct Device {
    arenas: Vec<Buffer>,
    dispatch: [crate::gpu::Dispatch; 1],
}

impl Device {
    fn new(gpu: &Gpu, optimizer: &Optimizer, text: &str) -> Device {
        let kernel = optimizer.kernel();
        let table: Vec<_> = (1..=STEPS)
            .flat_map(|t| table_row(&optimizer.scalars(t as u64, rate(optimizer, t)), 0.0, 0.0))
            .collect();
        let arena = |name: &str| gpu.storage(name, 16 * PADDED as u64).unwrap();
        let mut arenas = vec![
            arena("grad"),
            gpu.storage("table", (4 * ROW * STEPS) as u64).unwrap(),
            gpu.storage("state", 4 * Clock::WORDS as u64).unwrap(),
            arena("param"),
        ];
        arenas.extend(kernel.slots.iter().map(|slot| arena(slot)));
        if let Some(average) = &kernel.average {
            let base = kernel.slots.iter().position(|slot| *slot == average.base).unwrap();
            gpu.write(&arenas[4 + base], 0, bytemuck::cast_slice(&start()));
        }
        gpu.write(&arenas[1], 0, bytemuck::cast_slice(&table));
        gpu.write(&arenas[3], 0, bytemuck::cast_slice(&start()));
        let access = |slot| if slot < 2 { Access::Read } else { Access::Write };
        let mut constants = kernel.constants.clone();
        constants.push(("LENGTH", LENGTH as u32));
        let key = ShaderKey {
            entry: kernel.entry.into(),
            wgsl: Arc::from(text),
            constants,
            bindings: (0..arenas.len() as u32).map(|slot| (slot, access(slot))).collect(),
        };
        let bindings: Vec<_> = (0..)
            .zip(&arenas)
            .map(|(slot, buffer)| Binding { slot, buffer, offset: 0, bytes: buffer.bytes() })
            .collect();
        // Two workgroups in x, so that the rest is reached through y.
        let grid = [2, (LENGTH as u32).div_ceil(128), 1];
        let dispatch = [gpu.dispatch(&gpu.pipeline(&key).unwrap(), &bindings, grid)];
        Device { arenas, dispatch }
    }

    /// Opens step `t`, takes it, and reads the weights and the number of steps done.
    fn step(&self, gpu: &Gpu, t: usize) -> (Vec<f32>, u32) {
        let grad: Vec<f32> = (0..4 * PADDED).map(|i| gradient(t, i)).collect();
        self.step_along(gpu, t, &grad)
    }

    /// The same by the given gradients.
    fn step_along(&self, gpu: &Gpu, t: usize, grad: &[f32]) -> (Vec<f32>, u32) {
        gpu.write(&self.arenas[0], 0, bytemuck::cast_slice(grad));
        gpu.write(&self.arenas[2], 4, &(t as u32).to_ne_bytes());
        let mut recorder = gpu.recorder();
        recorder.pass(&self.dispatch, 1);
        recorder.submit().unwrap();
        let read = |at: usize| {
            let buffer = &self.arenas[at];
            pollster::block_on(gpu.read(buffer, 0, buffer.bytes())).unwrap()
        };
        (bytemuck::pod_collect_to_vec(&read(3)), bytemuck::pod_collect_to_vec::<_, u32>(&read(2))[0])
    }
}

fn text(optimizer: &Optimizer) -> String {
    wgsl::compose(optimizer.kernel().shader, &[])
}

/// The software adapter, or else whatever there is.
fn open() -> Gpu {
    let options =
        |adapter: &str| GpuOptions { adapter: adapter.into(), shader_checks: true, ..GpuOptions::default() };
    Gpu::open(&options("software")).or_else(|_| Gpu::open(&options("auto"))).unwrap()
}

#[test]
fn every_kernel_follows_its_equations() {
    let gpu = open();
    for optimizer in variants() {
        optimizer.validate().unwrap();
        let ratio = worst(&gpu, &optimizer, &text(&optimizer));
        println!("{ratio:.3} {optimizer:?}");
        assert!(ratio <= 1.0, "{ratio} times what f32 allows: {optimizer:?}");
    }
}

/// Else a net could go on with a weight that no longer moves, and its loss say nothing.
#[test]
fn a_gradient_that_is_not_a_number_is_seen_in_its_weight() {
    let gpu = open();
    for optimizer in variants() {
        let device = Device::new(&gpu, &optimizer, &text(&optimizer));
        device.step(&gpu, 1);
        let mut grad: Vec<f32> = (0..4 * PADDED).map(|i| gradient(2, i)).collect();
        let which = [0, 5, 4 * LENGTH - 1];
        which.iter().for_each(|&i| grad[i] = f32::NAN);
        let (weights, _) = device.step_along(&gpu, 2, &grad);
        let lost: Vec<usize> = (0..4 * LENGTH).filter(|&i| weights[i].is_nan()).collect();
        assert_eq!(lost, which, "{optimizer:?}");
    }
}

/// The check against the equations would see a wrong kernel: each mutant differs in one place.
#[test]
fn mutants_of_the_kernels_are_noticed() {
    let mutants = [
        ("adam_update", "row.step_size * m", "-row.step_size * m"),
        ("adam_update", " * row.unbias", ""),
        ("adam_update", "row.shrink * w", "0.0 * w"),
        ("adam_update", "sqrt(v) * row.unbias + row.eps", "sqrt(v * row.unbias + row.eps)"),
        ("adam_amsgrad_update", "max(max_exp_avg_sq[i], next.v)", "next.v"),
        ("adam_update", "state[1] - 1u", "max(state[1], 2u) - 2u"),
        ("rmsprop_update", " * row.unbias", ""),
        ("rmsprop_centered_update", "s - m * m", "s"),
        ("rmsprop_momentum_update", "row.momentum * momentum_buffer[i]", "0.0 * momentum_buffer[i]"),
        ("sgd_momentum_update", "row.keep * momentum_buffer[i]", "momentum_buffer[i]"),
        ("sgd_momentum_update", "g + row.momentum * b", "b"),
        ("sgd_update", "+ row.decay * w", ""),
        ("nadam_update", "row.take * g + row.go * m", "row.go * m"),
        ("nadam_update", " * row.unbias", ""),
        ("nadam_update", "row.shrink * w", "0.0 * w"),
        ("nadam_update", "+ row.decay * w", ""),
        ("radam_update", "row.adaptive != 0.0", "true"),
        ("radam_update", "sqrt(v) + row.eps", "sqrt(v + row.eps)"),
        ("radam_update", "row.shrink * w", "0.0 * w"),
        ("adamax_update", "abs(g) + row.eps", "abs(g)"),
        ("adamax_update", "max(row.beta2 * exp_inf[i]", "max(exp_inf[i]"),
        ("adagrad_update", " + row.first", ""),
        ("adagrad_update", "sqrt(s) + row.eps", "sqrt(s + row.eps)"),
        ("adadelta_update", "sqrt(a + row.eps)", "sqrt(a)"),
        ("adadelta_update", "row.one_minus_rho * delta * delta", "row.one_minus_rho * g * g"),
        ("lion_update", "row.beta1 * m", "row.beta2 * m"),
        ("lion_update", "row.shrink * w", "0.0 * w"),
        ("lion_update", "row.beta2 * m +", "row.beta1 * m +"),
        ("lion_update", "row.one_minus_beta2 * g", "row.one_minus_beta1 * g"),
        ("schedule_free_adamw_update", "blend(y, old, row.take)", "y"),
        ("schedule_free_adamw_update", "old - row.step * d", "old - row.back * d"),
        ("schedule_free_adamw_update", " * row.unbias", ""),
        ("schedule_free_sgd_update", "+ row.decay * y", ""),
        ("schedule_free_sgd_update", "- row.back * d", "- row.step * d"),
    ];
    let gpu = open();
    for (entry, from, to) in mutants {
        let of_entry: Vec<_> = variants().into_iter().filter(|o| o.kernel().entry == entry).collect();
        let text = text(&of_entry[0]);
        assert!(text.contains(from), "{entry} has no `{from}` left to mutate");
        let mutant = text.replace(from, to);
        let largest = of_entry.iter().map(|o| worst(&gpu, o, &mutant)).fold(0.0, f64::max);
        assert!(largest > 2.0, "nobody notices {from} -> {to} in {entry}: {largest}");
    }
}

/// The page of the optimizers has a row for every kernel, switch and set of slots.
#[test]
fn every_kernel_has_a_form_that_says_what_it_does() {
    let told = |optimizer: &Optimizer| {
        let UpdateKernel { entry, slots, constants, .. } = optimizer.kernel();
        let switches: Vec<_> = constants.into_iter().filter(|(name, _)| *name == "NESTEROV").collect();
        (entry, slots, switches)
    };
    let mut forms = Vec::new();
    for (name, _, about) in TABLE {
        for keys in std::iter::once("").chain(about.forms.iter().map(|form| form.keys)) {
            let keys = keys.replace(", ", "\n");
            let form: Optimizer = toml::from_str(&format!("name = '{name}'\n{keys}")).unwrap();
            form.validate().unwrap();
            forms.push(told(&form));
        }
    }
    for optimizer in variants() {
        assert!(forms.contains(&told(&optimizer)), "no form is as {optimizer:?}");
    }
}

#[test]
fn costs_are_those_of_the_slots() {
    for optimizer in variants() {
        let kernel = optimizer.kernel();
        assert_eq!(kernel.bytes_per_parameter, 12 + 8 * kernel.slots.len() as u32);
        assert_eq!(kernel.state_bytes(), 4 * kernel.slots.len() as u32);
        assert!(wgsl::source(kernel.shader).unwrap().contains(&format!("fn {}(", kernel.entry)));
    }
    let amsgrad = Optimizer::Adam(Adam { amsgrad: true, ..Adam::default() }).kernel();
    assert_eq!((amsgrad.bytes_per_parameter, amsgrad.slots.len()), (36, 3));
}
