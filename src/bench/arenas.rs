//! The arrays of an update in several sets, their contents, and the expected contents after one update.

use super::call::{Place, fill};
use super::list::{COL_VAR, ROW_VAR};
use super::update::{Array, Update, VARIANCE};
use super::way::Way;
use crate::check::{Before, Near, Settings, Whole, noise, within};
use crate::error::{Error, Result};
use crate::gpu::{Buffer, Gpu};
use crate::kernel::update::{GRADIENTS, PARAMETERS};

/// Numbers after which an array's contents repeat: whole rows of a matrix.
const PERIOD: usize = 1 << 18;
/// Elements of a part that is checked, and how many parts at most.
const PART: usize = 1024;
const PARTS: usize = 8;
/// The alignment of a tensor that is bound by itself, in numbers.
const ALIGNED: usize = 64;

/// An array, in all sets.
#[derive(Debug)]
struct Role {
    array: Array,
    buffer: Buffer,
    numbers: Vec<f32>,
}

impl Role {
    /// Numbers from one tensor to the next, where tensors are bound one by one.
    fn stride(&self) -> usize {
        self.array.each.next_multiple_of(ALIGNED)
    }

    /// The first contents of a tensor, from `first` on.
    fn numbers(&self, tensor: usize, first: usize, count: usize) -> Vec<f32> {
        let at = tensor * self.array.each + first;
        (at..at + count).map(|i| self.numbers[i % PERIOD]).collect()
    }
}

/// Parameters, gradients and slots: a buffer each, with all sets one after the other.
#[derive(Debug)]
pub(super) struct Arenas {
    roles: Vec<Role>,
    /// Rows and columns of each tensor.
    pub shape: [usize; 2],
    /// Tensors of a set.
    pub tensors: usize,
    pub sets: usize,
    by_tensor: bool,
}

/// Expected numbers of a tensor after an update.
#[derive(Debug)]
struct Claim {
    name: &'static str,
    tensor: usize,
    first: usize,
    want: Vec<Near>,
}

/// The expected numbers of a set after an update, as far as they are checked.
#[derive(Debug)]
pub(super) struct Expected {
    set: usize,
    claims: Vec<Claim>,
}

impl Arenas {
    /// Filled with random numbers, squares with positive ones.
    pub fn new(gpu: &Gpu, update: &Update, shape: [usize; 2], tensors: usize, sets: usize) -> Result<Arenas> {
        let mut roles = Vec::new();
        for (seed, array) in (11..).zip(update.arrays(shape)) {
            let signed = [PARAMETERS, GRADIENTS, "exp_avg", "momentum_buffer", "grad_avg", "z"];
            let low = if signed.contains(&array.name) { -1.0 } else { 0.1 };
            let numbers = noise(seed, PERIOD, low, 1.0);
            let bytes = 4 * (array.each.next_multiple_of(ALIGNED) * tensors * sets) as u64;
            let buffer = gpu.storage(&format!("bench {}", array.name), bytes)?;
            fill(gpu, &Place::whole(&buffer), &numbers, 0)?;
            roles.push(Role { array, buffer, numbers });
        }
        Ok(Arenas { roles, shape, tensors, sets, by_tensor: update.kernel.passes.by_tensor() })
    }

    /// Bytes of a set whose tensors have these arrays.
    pub fn set_bytes(arrays: &[Array], tensors: usize) -> u64 {
        arrays.iter().map(|array| 4 * (array.each.next_multiple_of(ALIGNED) * tensors) as u64).sum()
    }

    /// Numbers of a set's parameters.
    pub fn elements(&self) -> usize {
        self.shape[0] * self.shape[1] * self.tensors
    }

    fn role(&self, name: &str) -> &Role {
        let role = self.roles.iter().find(|r| r.array.name == name);
        role.unwrap_or_else(|| panic!("the update has no array {name}"))
    }

    /// The place of an array of a whole set.
    pub fn set(&self, name: &str, set: usize) -> Place {
        let role = self.role(name);
        let first = 4 * (set * self.tensors * role.stride()) as u64;
        Place::whole(&role.buffer).part(first, 4 * (self.tensors * role.array.each) as u64)
    }

    /// The place of an array of one tensor, where tensors are bound one by one.
    pub fn tensor(&self, name: &str, set: usize, tensor: usize) -> Place {
        let role = self.role(name);
        let first = 4 * ((set * self.tensors + tensor) * role.stride()) as u64;
        Place::whole(&role.buffer).part(first, 4 * role.array.each as u64)
    }

    /// The place of an array of a tensor, for a way.
    fn place(&self, way: Way, name: &str, set: usize, tensor: usize) -> Place {
        // The engine has these in one array.
        let inside = match (way, name) {
            (Way::Unfused, _) => None,
            (_, ROW_VAR) => Some(0),
            (_, COL_VAR) => Some(self.shape[0]),
            _ => None,
        };
        let home = if inside.is_some() { VARIANCE } else { name };
        let place = if way == Way::Fused {
            let each = 4 * self.role(home).array.each as u64;
            self.set(home, set).part(tensor as u64 * each, each)
        } else {
            self.tensor(home, set, tensor)
        };
        place.part(4 * inside.unwrap_or(0) as u64, 4 * self.role(name).array.each as u64)
    }

    /// The parts of a set that are checked, each of one tensor, as [tensor, first element, elements]: all of a small one;
    /// else both ends and places between them.
    fn checked(&self) -> Vec<[usize; 3]> {
        let elements = self.elements();
        let spans: Vec<[usize; 2]> = if elements <= PART * PARTS {
            vec![[0, elements]]
        } else {
            let last = (elements - PART) / 64;
            (0..PARTS).map(|i| last * i / (PARTS - 1) * 64).map(|first| [first, first + PART]).collect()
        };
        let each = elements / self.tensors;
        let mut parts = Vec::new();
        for [mut first, end] in spans {
            while first < end {
                let now = (each - first % each).min(end - first);
                parts.push([first / each, first % each, now]);
                first += now;
            }
        }
        parts
    }

    /// A tensor before the update.
    fn before<'b>(&'b self, names: &'b [&'static str], set: usize, tensor: usize) -> Before<'b> {
        let tensor = set * self.tensors + tensor;
        let count = self.shape[0] * self.shape[1];
        let whole = |name: &str| self.roles.iter().find(|r| r.array.name == name);
        let line = |name: &str| whole(name).map_or(vec![], |r| r.numbers(tensor, 0, r.array.each));
        let elementwise = self.roles.iter().filter(|r| !is_part(r.array.name));
        Before {
            shape: self.shape,
            names,
            arrays: elementwise.map(|r| &r.numbers[..]).collect(),
            first: tensor * count % PERIOD,
            rows: line(ROW_VAR),
            columns: line(COL_VAR),
        }
    }

    /// The numbers of a set after one update, step `t`, where they are checked.
    ///
    /// # Errors
    /// An optimizer without a rule.
    pub fn expected(&self, set: usize, settings: &Settings, t: u64) -> Result<Expected> {
        let names: Vec<&'static str> =
            self.roles[2..].iter().map(|r| r.array.name).filter(|name| !is_part(name)).collect();
        let mut claims: Vec<Claim> = Vec::new();
        let mut known: Option<(usize, Before<'_>, Whole)> = None;
        for [tensor, first, count] in self.checked() {
            let (before, whole) = match &known {
                Some((at, before, whole)) if *at == tensor => (before, whole),
                _ => {
                    let before = self.before(&names, set, tensor);
                    let whole = Whole::new(settings, t, &before)?;
                    if let Whole::Factored { rows, columns, .. } = &whole {
                        for (name, want) in [(ROW_VAR, rows), (COL_VAR, columns)] {
                            claims.push(Claim { name, tensor, first: 0, want: want.clone() });
                        }
                    }
                    let (_, before, whole) = known.insert((tensor, before, whole));
                    (&*before, &*whole)
                }
            };
            let mut wants = vec![Vec::with_capacity(count); 2 + names.len()];
            for i in first..first + count {
                let mut e = before.element(i);
                let grad = e.grad;
                e.step(settings, t, whole.terms(settings, self.shape[1], i))?;
                let all = [e.param, grad].into_iter().chain(e.slots);
                wants.iter_mut().zip(all).for_each(|(want, near)| want.push(near));
            }
            let named = [PARAMETERS, GRADIENTS].into_iter().chain(names.iter().copied());
            claims.extend(named.zip(wants).map(|(name, want)| Claim { name, tensor, first, want }));
        }
        Ok(Expected { set, claims })
    }

    /// Writes the first contents back, where they are checked; all of a tensor, where its elements depend on each other.
    pub fn reset(&self, gpu: &Gpu, way: Way, expected: &Expected) -> Result<()> {
        let mut done = Vec::new();
        for Claim { name, tensor, first, want } in &expected.claims {
            let (role, tensor) = (self.role(name), *tensor);
            let (first, count) = if self.by_tensor { (0, role.array.each) } else { (*first, want.len()) };
            if done.contains(&(*name, tensor, first)) {
                continue;
            }
            done.push((*name, tensor, first));
            let place = self.place(way, name, expected.set, tensor).part(4 * first as u64, 4 * count as u64);
            let from = (expected.set * self.tensors + tensor) * role.array.each + first;
            fill(gpu, &place, &role.numbers, from)?;
        }
        Ok(())
    }

    /// Compares the numbers with the expected ones. Returns the largest difference as a share of its bound.
    ///
    /// # Errors
    /// [`Error::Gpu`] where a number lies outside its bound.
    pub fn check(&self, gpu: &Gpu, optimizer: &str, way: Way, expected: &Expected) -> Result<f64> {
        let mut worst = 0.0_f64;
        for Claim { name, tensor, first, want } in &expected.claims {
            let place = self.place(way, name, expected.set, *tensor);
            let offset = place.offset + 4 * *first as u64;
            let bytes = pollster::block_on(gpu.read(&place.buffer, offset, 4 * want.len() as u64))?;
            let got = bytemuck::pod_collect_to_vec::<u8, f32>(&bytes);
            for (i, (&got, near)) in (*first..).zip(got.iter().zip(want)) {
                let error = (f64::from(got) - near.value).abs();
                // Another order of the same operations may err by as much to the other side.
                let bound = 2.0 * near.bound;
                if !within(got, near.value, bound) {
                    return Err(Error::Gpu(format!(
                        "{optimizer} {}: element {i} of {name} of tensor {tensor} is {got} where the reference in f64 says \
                         {}, and at most {bound:.1e} between them is rounding; nothing was timed",
                        way.name(),
                        near.value
                    )));
                }
                worst = worst.max(if bound > 0.0 { error / bound } else { 0.0 });
            }
        }
        Ok(worst)
    }
}

/// The array has no number for each parameter.
fn is_part(name: &str) -> bool {
    [VARIANCE, ROW_VAR, COL_VAR].contains(&name)
}
