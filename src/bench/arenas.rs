//! The arrays of an update, in as many sets as turns go through, and what is in them.

use super::call::{Place, fill, noise};
use super::reference::{Element, Near, Settings, within};
use crate::error::{Error, Result};
use crate::gpu::{Buffer, Gpu};
use crate::kernel::update::{GRADIENTS, PARAMETERS};

/// Numbers after which an array's contents begin again.
const PERIOD: usize = 1 << 18;
/// Elements of a part that is checked, and how many parts at most.
const PART: usize = 1024;
const PARTS: usize = 8;

/// Arrays of one name.
#[derive(Debug)]
struct Role {
    name: &'static str,
    buffer: Buffer,
    numbers: Vec<f32>,
}

/// What of a set is meant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub set: usize,
    /// First element within the set.
    pub first: usize,
    pub elements: usize,
}

/// Parameters, gradients and slots: a buffer each, with all sets one after the other.
#[derive(Debug)]
pub(super) struct Arenas {
    roles: Vec<Role>,
    /// Elements of a set.
    pub elements: usize,
    pub sets: usize,
}

impl Arenas {
    /// Filled with random numbers, squares with positive ones.
    pub fn new(gpu: &Gpu, names: &[&'static str], elements: usize, sets: usize) -> Result<Arenas> {
        let mut roles = Vec::with_capacity(names.len());
        for (seed, &name) in (11..).zip(names) {
            let signed = [PARAMETERS, GRADIENTS, "exp_avg", "momentum_buffer", "grad_avg"].contains(&name);
            let low = if signed { -1.0 } else { 0.1 };
            let buffer = gpu.storage(&format!("bench {name}"), (elements * sets * 4) as u64)?;
            let numbers = noise(seed, PERIOD, low, 1.0);
            fill(gpu, &Place::whole(&buffer), &numbers)?;
            roles.push(Role { name, buffer, numbers });
        }
        Ok(Arenas { roles, elements, sets })
    }

    /// Where a part of an array lies.
    pub fn place(&self, name: &str, span: Span) -> Place {
        let role = self.roles.iter().find(|r| r.name == name);
        let role = role.unwrap_or_else(|| panic!("the update has no array {name}"));
        let offset = 4 * (span.set * self.elements + span.first) as u64;
        Place::whole(&role.buffer).part(offset, 4 * span.elements as u64)
    }

    /// The parts of a set that are checked: all of a small one; else both ends and places between them.
    fn checked(&self, set: usize) -> Vec<Span> {
        if self.elements <= PART * PARTS {
            return vec![Span { set, first: 0, elements: self.elements }];
        }
        let last = (self.elements - PART) / 64;
        (0..PARTS).map(|i| Span { set, first: last * i / (PARTS - 1) * 64, elements: PART }).collect()
    }

    /// Writes what was there at first into the parts that are checked.
    pub fn reset(&self, gpu: &Gpu, set: usize) {
        for span in self.checked(set) {
            for role in &self.roles {
                let place = self.place(role.name, span);
                gpu.write(&place.buffer, place.offset, bytemuck::cast_slice(&self.first(role, span)));
            }
        }
    }

    /// What was in a part at first.
    fn first(&self, role: &Role, span: Span) -> Vec<f32> {
        let at = span.set * self.elements + span.first;
        (at..at + span.elements).map(|i| role.numbers[i % PERIOD]).collect()
    }

    /// Compares the parts that are checked with the reference after one update, step `t`, and gives the largest share of
    /// the bound that a difference takes.
    ///
    /// # Errors
    /// [`Error::Gpu`] where a number lies outside its bound.
    pub fn check(&self, gpu: &Gpu, set: usize, settings: &Settings, t: u64, way: &str) -> Result<f64> {
        let slots: Vec<&'static str> = self.roles[2..].iter().map(|r| r.name).collect();
        let mut worst = 0.0_f64;
        for span in self.checked(set) {
            let mut got = Vec::with_capacity(self.roles.len());
            for role in &self.roles {
                let place = self.place(role.name, span);
                let bytes = pollster::block_on(gpu.read(&place.buffer, place.offset, place.bytes))?;
                got.push(bytemuck::pod_collect_to_vec::<u8, f32>(&bytes));
            }
            let first: Vec<Vec<f32>> = self.roles.iter().map(|role| self.first(role, span)).collect();
            for i in 0..span.elements {
                let at = |role: usize| Near::exact(first[role][i]);
                let slots_then = (2..self.roles.len()).map(at).collect();
                let mut e = Element { param: at(0), grad: at(1), names: &slots, slots: slots_then };
                e.step(settings, t)?;
                let want = [e.param, at(1)].into_iter().chain(e.slots);
                for ((role, near), got) in self.roles.iter().zip(want).zip(&got) {
                    let off = (f64::from(got[i]) - near.value).abs();
                    // Another order of the same operations may be off by as much on the other side.
                    let bound = 2.0 * near.off;
                    if !within(got[i], near.value, bound) {
                        return Err(Error::Gpu(format!(
                            "{} {way}: element {} of {} is {} where the reference in f64 says {}, and at most {bound:.1e} \
                             between them is rounding; nothing was timed",
                            settings.name(),
                            span.first + i,
                            role.name,
                            got[i],
                            near.value
                        )));
                    }
                    worst = worst.max(if bound > 0.0 { off / bound } else { 0.0 });
                }
            }
        }
        Ok(worst)
    }
}
