//! The ops of an unfused update on the device: a kernel an op, bound to arrays.

use super::call::{Place, Shader, call};
use super::unfused::{Array, Call, TEMPORARIES};
use super::update::GRAIN;
use crate::error::Result;
use crate::gpu::{Access, Dispatch, Gpu};
use crate::kernel::grid;
use crate::kernel::update::{GRADIENTS, PARAMETERS};

const ELEMENTWISE: Shader = Shader { file: "bench/elementwise", entry: "elementwise_op" };
/// Bytes from one number to the next: bindings begin at multiples of 256.
const NUMBER: u64 = 256;

/// A list of ops with its numbers and temporaries on the device.
#[derive(Debug)]
pub(super) struct Ops<'l> {
    list: &'l [Call],
    numbers: Place,
    temporaries: Vec<Place>,
    elements: usize,
}

impl<'l> Ops<'l> {
    /// For tensors of `elements`.
    pub fn new(gpu: &Gpu, elements: usize, list: &'l [Call]) -> Result<Ops<'l>> {
        let numbers = Place::whole(&gpu.storage("bench numbers", NUMBER * list.len() as u64)?);
        for (i, call) in (0..).zip(list) {
            gpu.write(&numbers.buffer, NUMBER * i, &call.s.to_le_bytes());
        }
        let used = |i: &usize| list.iter().any(|c| c.x == Array::Temporary(*i));
        let temporary =
            |i: usize| Ok(Place::whole(&gpu.storage(&format!("bench temporary {i}"), 4 * elements as u64)?));
        let most = (0..TEMPORARIES).filter(used).max().map_or(0, |i| i + 1);
        let temporaries = (0..most).map(temporary).collect::<Result<_>>()?;
        Ok(Ops { list, numbers, temporaries, elements })
    }

    /// The op's dispatch on parameters, gradients and slots that lie at `place(name)`.
    pub fn dispatch(&self, gpu: &Gpu, i: usize, place: impl Fn(&str) -> Place) -> Result<Dispatch> {
        let Call { op, x, a, b, .. } = self.list[i];
        // As long as a vec4, for it stands in for an array that is not read.
        let number = self.numbers.part(NUMBER * i as u64, 16);
        let at = |array| match array {
            Array::Param => place(PARAMETERS),
            Array::Grad => place(GRADIENTS),
            Array::Slot(name) => place(name),
            Array::Temporary(i) => self.temporaries[i].clone(),
        };
        let [_, reads_a, reads_b] = op.reads();
        let read = |array, really: bool| if really { at(array) } else { number.clone() };
        let places = [at(x), read(a, reads_a), read(b, reads_b), number.clone()];
        let accesses = [Access::Write, Access::Read, Access::Read, Access::Read];
        let bound: Vec<(Access, &Place)> = accesses.into_iter().zip(&places).collect();
        call(gpu, ELEMENTWISE, &[("OP", op as u32)], &bound, grid(self.elements.div_ceil(GRAIN)))
    }
}
