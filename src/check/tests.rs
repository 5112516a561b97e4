//! The optimizers' kernels against their rules in f64, on an adapter.

use std::sync::Arc;

use super::{Element, Near, Settings, TensorTerms};
use crate::gpu::{Access, Binding, Buffer, Gpu, GpuOptions, ShaderKey, wgsl};
use crate::graph::Clock;
use crate::kernel::update::text_by_blocks;
use crate::optim::{Adam, Optimizer, ROW, UpdateKernel, table_row};

/// Every kernel, form and switch of the elementwise optimizers, with decay where torch has it.
fn variants() -> Vec<Optimizer> {
    let of = |name| {
        let trials = Optimizer::about(name).unwrap().trials.kernel;
        trials.iter().map(move |settings| Optimizer::parse(name, settings).unwrap())
    };
    Optimizer::NAMES.into_iter().flat_map(of).collect()
}

// Every variant takes STEPS steps over LENGTH vec4s, and each weight is compared with the rule after each step.

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

/// The largest difference of a weight from the rule, over the rounding of f32: for each step half a unit in the last place
/// of the weight and 64 of the movement.
fn worst(gpu: &Gpu, optimizer: &Optimizer, text: &str) -> f64 {
    let device = Device::new(gpu, optimizer, text);
    let start = start();
    let mut weights: Vec<f64> = start.iter().map(|&w| w.into()).collect();
    let UpdateKernel { slots: names, average, .. } = optimizer.kernel();
    let base = average.map(|average| average.base);
    // The slot that starts at the weight holds it; the others are 0.
    let first =
        |w: &f32| names.iter().map(|slot| Near::exact(if base == Some(*slot) { *w } else { 0.0 })).collect();
    let mut memory: Vec<Vec<Near>> = start.iter().map(first).collect();
    let mut settings = Settings::from_optimizer(optimizer).unwrap();
    let mut path = vec![(0.0_f64, 0.0_f64); weights.len()]; // largest weight, sum of movements
    let mut worst: f64 = 0.0;
    for t in 1..=STEPS {
        let (params, done) = device.step(gpu, t);
        assert_eq!(done as usize, t, "the step was not closed");
        settings.table.insert("lr".into(), rate(optimizer, t).into());
        assert_eq!(params[4 * LENGTH..], start[4 * LENGTH..], "the kernel wrote past its length");
        for (i, &have) in params[..4 * LENGTH].iter().enumerate() {
            let before = weights[i];
            // The rule's value alone: numbers that are exact in f64.
            let exact = |value: f64| Near { value, bound: 0.0 };
            let slots = std::mem::take(&mut memory[i]);
            let grad = Near::exact(gradient(t, i));
            let mut element = Element { param: exact(before), grad, names: &names, slots };
            element.step(&settings, t as u64, TensorTerms::default()).unwrap();
            weights[i] = element.param.value;
            memory[i] = element.slots.iter().map(|slot| exact(slot.value)).collect();
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
            .map(|(slot, buffer)| Binding { slot, buffer, offset: 0, bytes: buffer.bytes(), image: None })
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
    text_by_blocks(&optimizer.kernel())
}

/// The software adapter, else any adapter.
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

/// Otherwise a net could go on training with a weight that no longer moves, and the loss would not show it.
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
        ("adam_amsgrad_update", "max(old.peak, next.v)", "next.v"),
        ("adam_update", "state[1] - 1u", "max(state[1], 2u) - 2u"),
        ("rmsprop_update", " * row.unbias", ""),
        ("rmsprop_centered_update", "s - m * m", "s"),
        ("rmsprop_momentum_update", "row.momentum * old.b", "0.0 * old.b"),
        ("sgd_momentum_update", "row.keep * old.b", "old.b"),
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
        ("adamax_update", "max(row.beta2 * old.u", "max(old.u"),
        ("adagrad_update", " + row.first", ""),
        ("adagrad_update", "sqrt(s) + row.eps", "sqrt(s + row.eps)"),
        ("adadelta_update", "sqrt(a + row.eps)", "sqrt(a)"),
        ("adadelta_update", "row.one_minus_rho * delta * delta", "row.one_minus_rho * g * g"),
        ("lion_update", "row.beta1 * m", "row.beta2 * m"),
        ("lion_update", "row.shrink * w", "0.0 * w"),
        ("lion_update", "row.beta2 * m +", "row.beta1 * m +"),
        ("lion_update", "row.one_minus_beta2 * g", "row.one_minus_beta1 * g"),
        ("schedule_free_adamw_update", "blend(y, old.z, row.take)", "y"),
        ("schedule_free_adamw_update", "old.z - row.step * d", "old.z - row.back * d"),
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
    let seen = |optimizer: &Optimizer| {
        let UpdateKernel { entry, slots, constants, .. } = optimizer.kernel();
        let switches: Vec<_> = constants.into_iter().filter(|(name, _)| *name == "NESTEROV").collect();
        (entry, slots, switches)
    };
    let mut forms = Vec::new();
    for name in Optimizer::NAMES {
        let about = Optimizer::about(name).unwrap();
        for keys in std::iter::once("").chain(about.forms.iter().map(|form| form.keys)) {
            forms.push(seen(&Optimizer::parse(name, keys).unwrap()));
        }
    }
    for optimizer in variants() {
        assert!(forms.contains(&seen(&optimizer)), "no form is as {optimizer:?}");
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
