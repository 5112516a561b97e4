//! Comparing results with the oracle, and running many comparisons.

use super::{
    Array, ROUNDOFF,
    difference::numeric_partial,
    draw::{Rng, env, jittered},
};
use rand::{SeedableRng, seq::SliceRandom};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs labelled cases to the end and fails with all that failed, so that one run shows the whole damage.
#[derive(Default)]
pub struct Cases {
    ran: usize,
    failures: Vec<String>,
}

impl Cases {
    pub fn run(&mut self, label: &str, case: impl FnOnce() -> Result<(), String>) {
        if env::<String>("DOWNHILL_ONLY").is_some_and(|only| !label.contains(&only)) {
            return;
        }
        self.ran += 1;
        let result = catch_unwind(AssertUnwindSafe(case)).unwrap_or(Err("panicked, see above".to_owned()));
        self.failures.extend(result.err().map(|why| format!("{label}: {why}")));
    }

    #[track_caller]
    pub fn finish(self) {
        let Cases { ran, failures } = self;
        assert!(ran > 0 || env::<String>("DOWNHILL_ONLY").is_some(), "no case ran");
        let seed: u64 = env("DOWNHILL_SEED").unwrap_or(0);
        assert!(
            failures.is_empty(),
            "{} of {ran} cases failed with DOWNHILL_SEED={seed}; DOWNHILL_ONLY=\"LABEL\" repeats one:\n\n{}",
            failures.len(),
            failures.join("\n\n")
        );
    }
}

/// Element by element; `tolerance` is asked per element, and refused where it would let anything by.
pub fn compare(
    what: &str,
    got: &[f32],
    want: &Array,
    tolerance: impl Fn(usize) -> f64,
) -> Result<(), String> {
    if got.len() != want.len() {
        return Err(format!("{what}: {} elements, expected shape {:?}", got.len(), want.shape));
    }
    let loose = |&i: &usize| tolerance(i) > 1e-2 * (1.0 + want.max_abs());
    if let Some(i) = (0..got.len()).find(loose) {
        return Err(format!("{what}: a tolerance of {:e} at {i} would prove nothing", tolerance(i)));
    }
    let off = |i: &usize| {
        let within = (f64::from(got[*i]) - want.data[*i]).abs() <= tolerance(*i);
        !within // and so for NaN
    };
    let wrong: Vec<usize> = (0..got.len()).filter(off).collect();
    let Some(&i) = wrong.first() else { return Ok(()) };
    Err(format!(
        "{what} is wrong at {} of {} elements, first at {i} of shape {:?}: got {:e}, want {:e}, tolerance {:.1e}",
        wrong.len(),
        got.len(),
        want.shape,
        got[i],
        want.data[i],
        tolerance(i)
    ))
}

/// For a tensor with this largest element, which rounding changes by `noise`: `tests/gradients.rs` tells why.
pub fn tolerance(largest: f64, noise: f64) -> f64 {
    32.0 * (noise + ROUNDOFF * (1.0 + largest))
}

/// Weights times values, summed. With jitter, the weights are off by a rounding too.
pub fn weighted_sum(values: &[&Array], weights: &[Array], jitter: Option<u64>) -> f64 {
    let mut noise = jitter.map(|seed| Rng::seed_from_u64(!seed));
    let mut total = 0.0;
    for (value, weight) in values.iter().zip(weights) {
        let weight = noise.as_mut().map_or(weight.clone(), |rng| jittered(rng, weight));
        total += value.data.iter().zip(&weight.data).map(|(x, u)| x * u).sum::<f64>();
    }
    total
}

/// Compares with central differences at 48 elements, all where there are no more.
pub fn check_gradient(
    f: &dyn Fn(&[Array], Option<u64>) -> f64,
    inputs: &[Array],
    which: usize,
    got: &[f32],
    rng: &mut Rng,
) -> Result<(), String> {
    let mut elements: Vec<usize> = (0..inputs[which].len()).collect();
    elements.shuffle(rng);
    elements.truncate(48);
    let partial = |element: usize, jitter: Option<u64>| {
        numeric_partial(&|inputs| f(inputs, jitter), inputs, which, element)
    };
    let want: Vec<f64> = elements.iter().map(|&e| partial(e, None)).collect();
    let mut noise = 0.0_f64;
    for (&e, want) in elements.iter().zip(&want).take(12) {
        noise = (0..2).map(|seed| (partial(e, Some(seed)) - want).abs()).fold(noise, f64::max);
    }
    let want = Array::new(&[want.len()], want);
    if got.len() != inputs[which].len() {
        return Err(format!("gradient of input {which}: {} elements", got.len()));
    }
    let picked: Vec<f32> = elements.iter().map(|&e| got[e]).collect();
    let tolerance = tolerance(want.max_abs(), noise);
    compare(&format!("gradient of input {which}"), &picked, &want, |_| tolerance)
        .map_err(|why| format!("{why}\n  (elements in the order {elements:?})"))
}
