//! Updates of the optimizers that look at whole tensors: norms, running means of rows and columns, matrices made
//! orthogonal.

use super::super::case::{Case, Claim, Want, bytes};
use super::optim::{in_any_order, opened, optimizer, range};
use crate::check::{Before, Near, Settings, Whole, depth, noise};
use crate::compile::of_equal_tensors;
use crate::error::Result;
use crate::kernel::Family;
use crate::kernel::update::{BLOCK_BYTES, GRADIENTS, NORMS, PARAMETERS};
use crate::optim::{Optimizer, Passes};
use crate::shape::Shape;

/// Settings, and the matrices they are tested with: rows and columns summed by a lane and by a workgroup, wide and tall.
pub(super) const VARIANTS: &[(&str, [usize; 2])] = &[
    ("name = 'lamb'; weight_decay = 0.1", [20, 23]),
    ("name = 'lars'; weight_decay = 0.1; momentum = 0.9; dampening = 0.3", [20, 23]),
    ("name = 'lars'; weight_decay = 0.1; momentum = 0.9; nesterov = true", [20, 23]),
    ("name = 'adafactor'; weight_decay = 0.1", [20, 23]),
    ("name = 'adafactor'; weight_decay = 0.1", [36, 24]),
    ("name = 'adafactor'; weight_decay = 0.1", [1030, 35]),
    ("name = 'muon'; nesterov = false; adjust_lr_fn = 'match_rms_adamw'", [16, 40]),
    ("name = 'muon'", [41, 15]),
];

/// Tensors of an update.
const TENSORS: usize = 2;
const STEP: u64 = 10;
/// The slot of Adafactor.
const VARIANCE: &str = "variance";

pub(super) fn cases(family: Family) -> Result<Vec<Case>> {
    let mut all = Vec::new();
    for (keys, shape) in VARIANTS {
        let (case, norms) = case(&optimizer(keys)?, keys, *shape, family)?;
        all.push(case);
        all.extend(norms);
    }
    Ok(all)
}

/// An array of numbers for each tensor.
struct Array {
    name: &'static str,
    tensors: Vec<Vec<f32>>,
}

impl Array {
    fn new(name: &'static str, seed: u64, each: usize) -> Array {
        let [low, high] = range(name);
        Array { name, tensors: (0..TENSORS as u64).map(|i| noise(seed + 100 * i, each, low, high)).collect() }
    }

    /// The bytes of the tensors, each padded to `stride` bytes.
    fn bytes(&self, stride: usize) -> Vec<u8> {
        let padded = |tensor: &Vec<f32>| {
            let mut all = bytes(tensor);
            all.resize(stride, 0);
            all
        };
        self.tensors.iter().flat_map(padded).collect()
    }
}

/// A test of the update, and a test of the norms of tensors where the update computes them.
fn case(
    optimizer: &Optimizer,
    keys: &str,
    shape: [usize; 2],
    family: Family,
) -> Result<(Case, Option<Case>)> {
    let (update, settings) = (optimizer.kernel(), Settings::from_optimizer(optimizer)?);
    let [rows, columns] = shape;
    let count = rows * columns;
    let stride = (4 * count).next_multiple_of(BLOCK_BYTES as usize);
    let names: Vec<&'static str> = match update.passes {
        Passes::Orthogonal(_) => vec!["momentum_buffer"],
        Passes::Factored => vec![],
        _ => update.slots.clone(),
    };
    let named = [PARAMETERS, GRADIENTS].into_iter().chain(names.iter().copied());
    let arrays: Vec<Array> = named.zip(101..).map(|(name, seed)| Array::new(name, seed, count)).collect();
    let lines = Array::new(VARIANCE, 111, rows + columns + 1);
    let claim = |buffer: &str, offset: usize, want: Vec<Near>| {
        let want = Want::Numbers(want.into_iter().map(in_any_order).collect());
        Claim { buffer: buffer.into(), offset: offset as u64, want }
    };
    let (mut claims, mut norms) = (Vec::new(), Vec::new());
    for tensor in 0..TENSORS {
        let factored = |range: std::ops::Range<usize>| lines.tensors[tensor][range].to_vec();
        let before = Before {
            shape,
            names: &names,
            arrays: arrays.iter().map(|array| array.tensors[tensor].as_slice()).collect(),
            first: 0,
            rows: factored(0..rows),
            columns: factored(rows..rows + columns),
        };
        let whole = Whole::new(&settings, STEP, &before)?;
        let mut wants: Vec<Vec<Near>> = vec![Vec::with_capacity(count); arrays.len()];
        for i in 0..count {
            let mut e = before.element(i);
            let grad = e.grad;
            e.step(&settings, STEP, whole.terms(&settings, columns, i))?;
            let all = [e.param, grad].into_iter().chain(e.slots);
            wants.iter_mut().zip(all).for_each(|(want, near)| want.push(near));
        }
        for (array, want) in arrays.iter().zip(wants) {
            claims.push(claim(array.name, tensor * stride, want));
        }
        if let Whole::Factored { rows, columns, mean, .. } = whole {
            let all = [rows, columns, vec![mean]].concat();
            claims.push(claim(VARIANCE, tensor * 4 * all.len(), all));
        }
        if settings.name() == "lars" {
            let norm = |number: &dyn Fn(usize) -> Near| {
                Near::sum((0..count).map(|i| (number(i) * number(i), 1)), depth(count)).sqrt()
            };
            let of_tensor =
                [norm(&|i| before.element(i).param), norm(&|i| before.element(i).decayed(&settings))];
            let blocks = stride / BLOCK_BYTES as usize;
            norms.push(claim(NORMS, tensor * blocks * 8, of_tensor.repeat(blocks)));
        }
    }
    let mut given: Vec<(String, Vec<u8>)> =
        arrays.iter().map(|array| (array.name.to_owned(), array.bytes(stride))).collect();
    if update.passes == Passes::Factored {
        given.push((VARIANCE.to_owned(), lines.bytes(4 * (rows + columns + 1))));
    }
    given.extend(opened(optimizer, STEP).map(|(name, bytes)| (name.to_owned(), bytes)));
    let plan = of_equal_tensors(&update, &Shape::from(shape), TENSORS, family)?;
    let what = format!("{rows} x {columns} by {keys}");
    let case = Case { kernel: update.shader.into(), what, plan, given, claims };
    let of_norms = Case { kernel: "tensor_norms".into(), claims: norms, ..case.clone() };
    Ok((case, (!of_norms.claims.is_empty()).then_some(of_norms)))
}
