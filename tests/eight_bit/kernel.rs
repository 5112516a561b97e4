//! The kernel step by step, each from what the device itself has kept: what it makes of it must be the step in f64.
//!
//! # Tolerance
//! With u = 2⁻²⁴: WGSL lets a division be off by 5u of itself, a root by 9u, a sum or product by 2u. A moment that comes
//! back is a quotient to the second or fourth power times a scale: off by 14u, or 26u of itself, and as it is f32 where it
//! is kept so. So m ← m + (1 − β₁)(g − m) is off by δm = 20u(|m| + |g|), v ← β₂v + (1 − β₂)g² by 36u of itself, the step
//! by the δm it is of, and by 36u/2 for the root's part and 22u for the operations, less than 64u in all; the weight by
//! 4u of itself. A code is of numbers so far off, hence between the codes of the ends, and off by what a division, roots and
//! a product make of at most 255, 30u of that.

use downhill::compile::TrainPlan;
use downhill::data::{BatchPlan, BatchSize, Dataset};
use downhill::gpu::{Family, Gpu};
use downhill::kernel::Target;
use downhill::nn::Net;
use downhill::optim::{AdamW, Optimizer, ParamGroup, ROW, Update, table_row};
use downhill::plan::{Memory, Plan, Program};
use downhill::{Init, Tensor};

use super::adapter::{families, open};
use super::noise;

const U: f64 = 1.0 / (1 << 24) as f64;
const STEPS: u64 = 12;
/// Numbers of each tensor: either side of 4,096, whole blocks and not; those from "e" on are a group of their own.
const TENSORS: [(&str, usize); 7] =
    [("a", 13), ("b", 4160), ("c", 4095), ("d", 4096), ("e", 5), ("f", 6931), ("g", 300)];
const BLOCK: usize = 256;

fn optimizer() -> AdamW {
    AdamW { lr: 0.01, betas: [0.8, 0.95], eps: 1e-4, weight_decay: 0.1, state_bits: 8, ..AdamW::default() }
}

fn train_plan(target: Target) -> TrainPlan {
    let width = TENSORS.iter().map(|t| t.1).sum::<usize>();
    let data = Dataset::from_arrays("gradients", [width], vec![0.0; width], [], vec![0.0]).expect("a sample");
    let model = |net: &Net, x: &Tensor| {
        let mut at = 0;
        let mut parts = TENSORS.iter().map(|&(name, n)| {
            let part = x.slice(1, at, at + n).mul(&net.parameter(name, [n], Init::Constant(0.0)));
            at += n;
            part.sum_all()
        });
        let first = parts.next().expect("tensors");
        parts.fold(first, |sum, part| sum.add(&part))
    };
    let group = ParamGroup::new(["e", "f", "g"]).set("lr", 0.02).set("weight_decay", 0.0);
    let update = Update { groups: vec![group], ..Update::new(Optimizer::AdamW(optimizer())) };
    let batches = BatchPlan::new(1, BatchSize::Full, false).expect("batches");
    TrainPlan::builder(&data, &update)
        .model(&model, &|y, _| y.clone())
        .batches(batches)
        .target(target)
        .build()
        .expect("a plan")
}

/// What a number of a tensor has: its place in the arena, and in what is kept.
struct Home {
    tensor: usize,
    at: usize,
    kept: Kept,
}

#[derive(Clone, Copy)]
enum Kept {
    /// The byte of its code, and its block among those in 8 bits.
    Code(usize, usize),
    /// The word.
    Wide(usize),
}

/// Blocks follow each other in the order of the arena, whatever they are kept as.
fn homes(plan: &Plan) -> Vec<Home> {
    let mut order: Vec<usize> = (0..TENSORS.len()).collect();
    order.sort_by_key(|&t| plan.arena.offsets[t]);
    let narrow: Vec<bool> = (0..plan.arena.trained.div_ceil(1024) as usize)
        .map(|b| {
            let within = |&&t: &&usize| plan.arena.offsets[t] / 1024 <= b as u64;
            TENSORS[*order.iter().rev().find(within).expect("a tensor")].1 >= 4096
        })
        .collect();
    let mut homes = Vec::new();
    for &tensor in &order {
        for i in 0..TENSORS[tensor].1 {
            let at = plan.arena.offsets[tensor] as usize / 4 + i;
            let (block, within) = (at / BLOCK, at % BLOCK);
            assert_eq!(
                narrow[block],
                TENSORS[tensor].1 >= 4096,
                "a block is of large tensors or of small ones"
            );
            let codes = narrow[..block].iter().filter(|narrow| **narrow).count();
            let word = 64 * codes + 256 * (block - codes);
            let kept =
                if narrow[block] { Kept::Code(4 * word + within, codes) } else { Kept::Wide(word + within) };
            homes.push(Home { tensor, at, kept });
        }
    }
    homes
}

/// Everything on the device.
#[derive(Debug, PartialEq)]
struct State {
    weights: Vec<f32>,
    moments: [Vec<u8>; 2],
    absmax: Vec<[f32; 2]>,
}

impl State {
    fn read(gpu: &Gpu, memory: &Memory) -> State {
        let read = |name| {
            let buffer = memory.get(name);
            pollster::block_on(gpu.read(buffer, 0, buffer.bytes())).expect("bytes")
        };
        State {
            weights: bytemuck::pod_collect_to_vec(&read("parameters")),
            moments: [read("exp_avg"), read("exp_avg_sq")],
            absmax: bytemuck::pod_collect_to_vec(&read("absmax")),
        }
    }

    fn word(&self, slot: usize, word: usize) -> f64 {
        f64::from(bytemuck::pod_read_unaligned::<f32>(&self.moments[slot][4 * word..][..4]))
    }

    /// Both moments as they come back.
    fn moments(&self, kept: Kept) -> [f64; 2] {
        match kept {
            Kept::Wide(word) => [0, 1].map(|slot| self.word(slot, word)),
            Kept::Code(byte, block) => {
                let [m, v] = self.absmax[block].map(f64::from);
                let c = f64::from(self.moments[0][byte] as i8) / 127.0;
                let d = f64::from(self.moments[1][byte]) / 255.0;
                [m * c * c.abs(), v * d.powi(4)]
            }
        }
    }
}

#[track_caller]
fn close(what: &str, have: f64, want: f64, bound: f64) -> Result<(), String> {
    let off = (have - want).abs();
    if off <= bound {
        Ok(())
    } else {
        Err(format!("{what} is {have}, not {want}: off by {off:e} > {bound:e}"))
    }
}

/// A code of `value`, known to within `off`, in the given count of parts of `most`.
fn code(what: &str, have: i32, value: f64, off: f64, most: f64, steps: f64, root: f64) -> Result<(), String> {
    let of = |x: f64| if most == 0.0 { 0.0 } else { steps * (x.max(0.0) / most).powf(root) };
    let slack = 0.5 + 30.0 * U * 255.0;
    let (low, high) = (of(value - off) - slack, of(value + off) + slack);
    let have_f = f64::from(have);
    if low <= have_f && have_f <= high {
        return Ok(());
    }
    Err(format!("the code of {what} is {have}, and {low} to {high} are right for {value} of {most}"))
}

/// Takes `STEPS` steps and compares each with its oracle; `mutate` changes the kernel's text.
fn follow(target: Target, mutate: impl Fn(String) -> String) -> Result<State, String> {
    let gpu = open(target.family);
    let train_plan = train_plan(target);
    let mut plan = train_plan.train[0].plan.clone();
    let update = plan.steps.iter().position(|s| s.kernel.entry == "adam_8bit_update").expect("the update");
    plan.steps = vec![plan.steps.swap_remove(update)];
    plan.steps[0].kernel.wgsl = mutate(plan.steps[0].kernel.wgsl.clone());
    let memory = Memory::allocate(&gpu, &train_plan.memory).expect("memory");
    let program = Program::new(&gpu, &plan, &memory).map_err(|err| err.to_string())?;
    let homes = homes(&plan);
    let mut weights = vec![0.0f32; plan.arena.bytes as usize / 4];
    homes.iter().for_each(|home| weights[home.at] = noise(99, home.at) as f32);
    gpu.write(memory.get("parameters"), 0, bytemuck::cast_slice(&weights));
    for t in 1..=STEPS {
        // Sizes over six decades within a block, either sign; some numbers and one step have none.
        let gradient = |i: usize| match (i % 23, t) {
            (3, _) | (_, 7) | (5, 1..4) => 0.0,
            _ => (10f64.powf(3.0 * noise(7, i)) * noise(t, i)) as f32,
        };
        let mut grads = vec![0.0f32; plan.arena.trained as usize / 4];
        homes.iter().for_each(|home| grads[home.at] = gradient(home.at));
        gpu.write(memory.get("gradients"), 0, bytemuck::cast_slice(&grads));
        let groups = &train_plan.groups.groups;
        let rows: Vec<[f32; ROW]> =
            groups.iter().map(|g| table_row(&g.optimizer.scalars(t, g.optimizer.lr()), 0.0, 0.0)).collect();
        gpu.write(memory.get("optimizer table"), 0, bytemuck::cast_slice(&rows));
        gpu.write(memory.get("state"), 0, bytemuck::cast_slice(&[0u32, 1]));
        let before = State::read(&gpu, &memory);
        let mut recorder = gpu.recorder();
        recorder.pass(&program.dispatches, 1);
        recorder.submit().expect("a step");
        let after = State::read(&gpu, &memory);
        let state = pollster::block_on(gpu.read(memory.get("state"), 0, 4)).expect("a word");
        close("the step's count", f64::from(state[0]), 1.0, 0.0)?;
        compare(&homes, &train_plan, t, &grads, &before, &after)
            .map_err(|text| format!("step {t}: {text}"))?;
    }
    Ok(State::read(&gpu, &memory))
}

fn compare(
    homes: &[Home],
    train_plan: &TrainPlan,
    t: u64,
    grads: &[f32],
    before: &State,
    after: &State,
) -> Result<(), String> {
    let mut most = vec![[0.0f64; 2]; after.absmax.len()];
    let mut off = vec![[0.0f64; 2]; after.absmax.len()];
    for home in homes {
        let Some(Optimizer::AdamW(adamw)) =
            train_plan.groups.of[home.tensor].map(|g| &train_plan.groups.groups[g].optimizer)
        else {
            panic!("every tensor is trained by AdamW");
        };
        let [beta1, beta2] = adamw.betas;
        let corrected = adamw.betas.map(|beta| 1.0 - beta.powi(t as i32));
        let (w, g) = (f64::from(before.weights[home.at]), f64::from(grads[home.at]));
        let [m, v] = before.moments(home.kept);
        let off_m = 20.0 * U * (m.abs() + g.abs());
        let (m, v) = (beta1 * m + (1.0 - beta1) * g, beta2 * v + (1.0 - beta2) * g * g);
        let off_v = 36.0 * U * v;
        let rate = adamw.lr / corrected[0] / ((v / corrected[1]).sqrt() + adamw.eps);
        let want = w - adamw.lr * adamw.weight_decay * w - rate * m;
        let what = format!("number {} ({})", home.at, TENSORS[home.tensor].0);
        let bound = U * (4.0 * w.abs() + 64.0 * (rate * m).abs()) + rate * off_m;
        close(&format!("{what}: the weight"), f64::from(after.weights[home.at]), want, bound)?;
        match home.kept {
            Kept::Wide(word) => {
                close(&format!("{what}: m"), after.word(0, word), m, off_m)?;
                close(&format!("{what}: v"), after.word(1, word), v, off_v)?;
            }
            Kept::Code(byte, block) => {
                let [most_m, most_v] = after.absmax[block].map(f64::from);
                let (c, d) = (after.moments[0][byte] as i8, after.moments[1][byte]);
                let sign = if m < 0.0 { -1 } else { 1 };
                if m.abs() > off_m && i32::from(c) * sign < 0 {
                    return Err(format!("{what}: the code of m is {c}, and m {m}"));
                }
                code(&format!("{what}: m"), i32::from(c).abs(), m.abs(), off_m, most_m, 127.0, 0.5)?;
                if d != 1 {
                    code(&format!("{what}: v"), d.into(), v, off_v, most_v, 255.0, 0.25)?;
                }
                if (d > 0) != (v > 0.0) || (d == 1 && v > most_v * (1.6f64 / 255.0).powi(4)) {
                    return Err(format!("{what}: the code of v is {d}, and v {v} of {most_v}"));
                }
                for (slot, (x, o)) in [(m.abs(), off_m), (v, off_v)].into_iter().enumerate() {
                    most[block][slot] = most[block][slot].max(x);
                    off[block][slot] = off[block][slot].max(o);
                }
            }
        }
    }
    for (block, have) in after.absmax.iter().enumerate() {
        for slot in [0, 1] {
            let what = format!("block {block}: the largest of {}", ["m", "v"][slot]);
            close(&what, have[slot].into(), most[block][slot], off[block][slot])?;
        }
    }
    Ok(())
}

#[test]
fn each_step_is_the_one_in_f64_with_equal_bits_in_every_kernel() {
    let follow = |target| follow(target, |text| text).unwrap_or_else(|err| panic!("{target:?}: {err}"));
    let ends: Vec<State> = targets().into_iter().map(follow).collect();
    assert!(ends.iter().all(|end| *end == ends[0]), "a maximum has no rounding");
}

/// Each family, and that of GPUs with subgroups where the adapter has them.
fn targets() -> Vec<Target> {
    let mut all: Vec<Target> = families().iter().map(|&family| Target::new(family)).collect();
    if open(Family::Tiled).adapter().subgroup_min > 0 {
        all.push(Target::new(Family::Tiled).with_subgroups(true));
    }
    all
}

#[test]
fn mutants_of_the_kernel_are_noticed() {
    let tiled = [
        ("max(parts[lane], parts[lane + half])", "parts[lane]"),
        ("half >>= 1u", "half >>= 2u"),
        ("127.0 * sign(next.m) *", "127.0 *"),
        ("exp_avg[at] = pack4xI8(c);", ""),
        ("exp_avg_sq[at] = pack4xU8(max(d, vec4<u32>(next.v > vec4<f32>(0.0))));", ""),
        ("max(d, vec4<u32>(next.v > vec4<f32>(0.0)))", "d"),
        ("absmax[block - before] = most;", ""),
        ("192u * before", "128u * before"),
        ("absmax[block - before]", "absmax[block]"),
        ("c * abs(c)", "c"),
        ("square * square", "square"),
        ("largest_of(abs(next[k].m))", "largest_of(next[k].m)"),
        ("wide_keep(first + 4u * j, next[k]);", ""),
        ("close(block, lane);", ""),
    ];
    let lanes = [("subgroupMax(own.x)", "own.x"), ("subgroupMax(own.y)", "own.y"), ("k * LANES", "k")];
    let subgroups = [
        ("subgroupMax(own.x)", "own.x"),
        ("subgroupMax(own.y)", "own.y"),
        ("k < subgroup.y", "k + 1u < subgroup.y"),
        ("parts[subgroup.x] = part", "parts[0] = part"),
    ];
    for target in targets() {
        let mutants: &[(&str, &str)] = match target.family {
            Family::Tiled if target.subgroups => &subgroups,
            Family::Tiled => &tiled,
            Family::Subgroup => &lanes,
        };
        for (from, to) in mutants {
            let mutate = |text: String| {
                assert!(text.contains(from), "no `{from}` left to mutate");
                text.replace(from, to)
            };
            let noticed = follow(target, mutate);
            println!("{from} -> {to}: {:?}", noticed.as_ref().err());
            assert!(noticed.is_err(), "{target:?}: nobody notices {from} -> {to}");
        }
    }
}
