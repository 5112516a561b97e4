//! What the host writes before a window of steps: samples, orders, weights, states, rows of the optimizer's table.

use downhill::Gpu;
use downhill::compile::{Orders, TrainPlan};
use downhill::graph::Clock;
use downhill::kernel::feed::{BUFFERS, ORDER, STATE};
use downhill::kernel::gradients::SHARES;
use downhill::kernel::scaling::FIRST_SCALE;
use downhill::kernel::update::{AVERAGE, PARAMETERS, TABLE};
use downhill::optim::table_row;
use downhill::plan::{Memory, Plan};

use crate::nets::{SAMPLES, inputs, labels};

/// Numbers by a linear congruential generator.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }

    /// Uniform in [-bound, bound).
    fn number(&mut self, bound: f32) -> f32 {
        (self.next() as f32 / (1u32 << 30) as f32 - 1.0) * bound
    }
}

fn bytes<T: bytemuck::NoUninit>(values: &[T]) -> Vec<u8> {
    bytemuck::cast_slice(values).to_vec()
}

/// The contents of a buffer of a net alone that the host writes, of replica `r`; `None` where it writes none.
pub fn content(plan: &TrainPlan, name: &str, size: usize, r: u64, orders: Orders) -> Option<Vec<u8>> {
    let mut draw = Draw(1000 * r + 7);
    let constants = plan.train.iter().map(|build| &build.plan).chain(&plan.update);
    let constants = constants.flat_map(|plan: &Plan| &plan.constants);
    if let Some((_, words)) = constants.into_iter().find(|(known, _)| *known == name) {
        return Some(bytes(words));
    }
    let words = size / 4;
    Some(match name {
        "train x" => bytes(&inputs(SAMPLES)),
        "train t" => bytes(&labels(SAMPLES)),
        "eval x" => bytes(&inputs(11)),
        "eval t" => bytes(&labels(11)),
        ORDER => {
            let mut draw = if orders == Orders::Own { draw } else { Draw(3) };
            bytes(&(0..words).map(|_| draw.next() % SAMPLES as u32).collect::<Vec<u32>>())
        }
        STATE => {
            let mut state = [0u32; Clock::WORDS];
            state[Clock::Before as usize] = 10 + r as u32;
            state[Clock::SeedLow as usize] = draw.next();
            state[Clock::SeedHigh as usize] = draw.next();
            state[Clock::Tracked as usize] = 3 * r as u32;
            state[Clock::Scale as usize] = FIRST_SCALE >> r.min(3);
            bytes(&state)
        }
        TABLE => {
            let mut table = Vec::with_capacity(words);
            for update in 1..=64 {
                for group in &plan.groups.groups {
                    let lr = group.optimizer.lr() * (1.0 + r as f64 / 3.0);
                    let scalars = group.optimizer.scalars(update + r, lr);
                    table.extend(table_row(&scalars, 0.5, 0.9 - r as f64 / 50.0));
                }
            }
            table.truncate(words);
            bytes(&table)
        }
        // A batch of 8 in parts of 3, 3 and 2: its share, and a flag for the first.
        SHARES => {
            let shares = [[0.375f32, 1.0], [0.375, 0.0], [0.25, 0.0]];
            bytes(&shares.iter().cycle().take(words / 2).copied().collect::<Vec<_>>().concat())
        }
        PARAMETERS | AVERAGE | "z" => bytes(&(0..words).map(|_| draw.number(0.3)).collect::<Vec<f32>>()),
        BUFFERS => bytes(&(0..words).map(|_| 1.0 + draw.number(0.5)).collect::<Vec<f32>>()),
        _ => return None,
    })
}

/// Writes every buffer of a net alone.
pub fn alone(gpu: &Gpu, plan: &TrainPlan, memory: &Memory, r: u64, orders: Orders) {
    for buffer in plan.memory.iter().filter(|buffer| memory.find(&buffer.name).is_some()) {
        if let Some(content) = content(plan, &buffer.name, buffer.bytes as usize, r, orders) {
            gpu.write(memory.get(&buffer.name), 0, &content);
        }
    }
}

/// Writes every buffer of several nets, as [`alone`] those of each.
pub fn together(gpu: &Gpu, alone: &TrainPlan, all: &TrainPlan, memory: &Memory, orders: Orders) {
    let replicas = all.replicas.as_ref().expect("replicas");
    for buffer in alone.memory.iter().filter(|buffer| memory.find(&buffer.name).is_some()) {
        let stride = replicas.stride(&buffer.name);
        let count = if stride == 0 { 1 } else { replicas.count() as u64 };
        for r in 0..count {
            if let Some(content) = content(alone, &buffer.name, buffer.bytes as usize, r, orders) {
                gpu.write(memory.get(&buffer.name), r * stride, &content);
            }
        }
    }
}
