//! The ops of an unfused update on the device: a kernel an op, bound to arrays.

use super::call::{Images, Place, Planned, Shader, call};
use super::list::{Array, Call, List, Made, Number, OUTPUT, Task};
use super::update::GRAIN;
use crate::error::Result;
use crate::gpu::{Access, Dispatch, Gpu};
use crate::kernel::grid;
use crate::kernel::update::{GRADIENTS, PARAMETERS};
use crate::plan::input_buffer;

const ELEMENTWISE: Shader = Shader { file: "bench/elementwise", entry: "elementwise_op" };
/// Bytes from one number to the next: bindings begin at multiples of 256.
const NUMBER: u64 = 256;

/// A list of ops with its numbers and temporaries on the device.
#[derive(Debug)]
pub(super) struct Ops<'l> {
    list: &'l List,
    numbers: Place,
    images: Images,
    /// Indexed by number; `None` where no op writes it.
    temporaries: Vec<Option<Place>>,
    /// The plan of each task that has one.
    planned: Vec<Option<Planned>>,
}

impl<'l> Ops<'l> {
    /// The ops of `list`.
    pub fn new(gpu: &Gpu, list: &'l List) -> Result<Ops<'l>> {
        let numbers = Place::whole(&gpu.storage("bench numbers", NUMBER * list.tasks.len() as u64)?);
        let mut temporaries = Vec::new();
        let mut planned = Vec::with_capacity(list.tasks.len());
        for (i, task) in (0..).zip(&list.tasks) {
            let written = match task {
                Task::Call(Call { x, s, .. }) => {
                    if let Number::Plain(s) = s {
                        gpu.write(&numbers.buffer, NUMBER * i, &s.to_le_bytes());
                    }
                    planned.push(None);
                    *x
                }
                Task::Made(made) => {
                    let Made { plan, output, .. } = &**made;
                    let input = input_buffer("");
                    let outside = |name: &str| name == OUTPUT || name.starts_with(&input);
                    planned.push(Some(Planned::new(gpu, plan.clone(), outside)?));
                    *output
                }
            };
            let Array::Temporary(at) = written else { continue };
            if temporaries.len() <= at {
                temporaries.resize(at + 1, None);
            }
            if temporaries[at].is_none() {
                let bytes = (4 * list.length(written) as u64).next_multiple_of(NUMBER);
                temporaries[at] = Some(Place::whole(&gpu.storage(&format!("bench temporary {at}"), bytes)?));
            }
        }
        Ok(Ops { list, numbers, images: Images::default(), temporaries, planned })
    }

    /// The dispatches of all ops on parameters, gradients and slots that lie at `place(name)`.
    pub fn dispatches(&self, gpu: &Gpu, place: impl Fn(&str) -> Place) -> Result<Vec<Dispatch>> {
        let at = |array: Array| {
            let place = match array {
                Array::Param => place(PARAMETERS),
                Array::Grad => place(GRADIENTS),
                Array::Slot(name) => place(name),
                Array::Temporary(i) => match &self.temporaries[i] {
                    Some(place) => place.clone(),
                    None => unreachable!("no op writes temporary {i}"),
                },
            };
            // Whole vec4s.
            place.part(0, 4 * self.list.length(array).next_multiple_of(4) as u64)
        };
        let mut dispatches = Vec::new();
        for (i, (task, planned)) in (0..).zip(self.list.tasks.iter().zip(&self.planned)) {
            match (task, planned) {
                (Task::Call(call), _) => dispatches.push(self.elementwise(gpu, i, call, at)?),
                (Task::Made(made), Some(planned)) => {
                    dispatches.extend(planned.dispatches(gpu, |name| {
                        let input =
                            (0..).zip(&made.inputs).find(|(i, _)| name == input_buffer(&i.to_string()));
                        at(input.map_or(made.output, |(_, array): (usize, _)| *array))
                    })?);
                }
                (Task::Made(_), None) => unreachable!("a plan without memory"),
            }
        }
        Ok(dispatches)
    }

    fn elementwise(&self, gpu: &Gpu, i: u64, of: &Call, at: impl Fn(Array) -> Place) -> Result<Dispatch> {
        let Call { op, x, a, b, s } = *of;
        // As long as a vec4, since it stands in for an array that is not read.
        let number = match s {
            Number::Plain(_) => self.numbers.part(NUMBER * i, 16),
            Number::Of(array) => at(array),
        };
        let [_, reads_a, reads_b] = op.reads();
        let read = |array, really: bool| if really { at(array) } else { number.clone() };
        let places = [at(x), read(a, reads_a), read(b, reads_b), number.clone()];
        let accesses = [Access::Write, Access::Read, Access::Read, Access::Read];
        let bound: Vec<(Access, &Place)> = accesses.into_iter().zip(&places).collect();
        let groups = self.list.length(x).div_ceil(GRAIN);
        call(gpu, &self.images, ELEMENTWISE, &[("OP", op as u32)], &bound, grid(groups))
    }
}
