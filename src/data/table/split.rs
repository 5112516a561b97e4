//! Which rows are evaluated on.

use crate::data::sampler::shuffled;
use crate::error::{Error, Result};

/// For each row whether it is evaluated on: `share` of them, rounded, and one at least where it is above 0.
///
/// # Errors
/// [`Error::Data`] where none is left to train on.
pub(super) fn split(name: &str, rows: usize, share: f64, seed: u64) -> Result<Vec<bool>> {
    let count = held_count(name, rows, share)?;
    let mut held = vec![false; rows];
    for row in &order(rows, seed)[..count] {
        held[*row as usize] = true;
    }
    Ok(held)
}

/// The same with each class by its own share: of as many rows as `split` holds out, each class gives
/// rows·(its size)/(all), rounded down, and what is left goes to the largest remainders, the first class first. A
/// class keeps one row to train on at least.
///
/// # Errors
/// [`Error::Data`] where none is left to train on, or no class has a second row.
pub(super) fn stratified(
    name: &str,
    labels: &[u32],
    classes: usize,
    share: f64,
    seed: u64,
) -> Result<Vec<bool>> {
    let count = held_count(name, labels.len(), share)?;
    let mut held = vec![false; labels.len()];
    let mut sizes = vec![0usize; classes];
    for label in labels {
        sizes[*label as usize] += 1;
    }
    let mut left = quotas(&sizes, labels.len(), count);
    if count > 0 && left.iter().all(|quota| *quota == 0) {
        return Err(Error::Data(format!(
            "{name}: data.stratify needs a class with two rows at least, one to train and one to evaluate on; leave it \
             out"
        )));
    }
    for row in order(labels.len(), seed) {
        let quota = &mut left[labels[row as usize] as usize];
        if *quota > 0 {
            *quota -= 1;
            held[row as usize] = true;
        }
    }
    Ok(held)
}

/// Rows of each class, `count` of all.
fn quotas(sizes: &[usize], all: usize, count: usize) -> Vec<usize> {
    // As whole numbers: size·count is below 2⁶⁰.
    let exact = |size: usize| (size * count / all, size * count % all);
    let mut quotas: Vec<usize> = sizes.iter().map(|size| exact(*size).0).collect();
    let mut by_remainder: Vec<usize> = (0..sizes.len()).collect();
    by_remainder.sort_by_key(|class| std::cmp::Reverse(exact(sizes[*class]).1));
    let mut left = count - quotas.iter().sum::<usize>();
    for class in by_remainder {
        if left > 0 && exact(sizes[class]).1 > 0 && quotas[class] + 1 < sizes[class] {
            quotas[class] += 1;
            left -= 1;
        }
    }
    quotas
}

fn held_count(name: &str, rows: usize, share: f64) -> Result<usize> {
    let held = if share > 0.0 { ((rows as f64 * share).round() as usize).max(1) } else { 0 };
    if held >= rows {
        return Err(Error::Data(format!(
            "{name} has {rows} rows, and data.eval_fraction = {share} leaves none to train on; use a smaller share, \
             or 0"
        )));
    }
    Ok(held)
}

fn order(rows: usize, seed: u64) -> Vec<u32> {
    shuffled(rows, seed, 0, b"downhill:holdout")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_class_gives_its_share() {
        assert_eq!(quotas(&[50, 30, 20], 100, 20), [10, 6, 4]);
        // 2.5, 1.5, 1: the first half goes up, then there is none left.
        assert_eq!(quotas(&[5, 3, 2], 10, 5), [3, 1, 1]);
        // A class of one row stays, and so does the last row of any.
        assert_eq!(quotas(&[1, 9], 10, 2), [0, 2]);
        let err = stratified("t.csv", &[0, 1, 2], 3, 0.3, 0).unwrap_err().to_string();
        assert!(err.contains("data.stratify") && err.contains("two rows"), "{err}");
    }

    proptest! {
        #[test]
        fn quotas_are_within_one_of_the_share(labels in prop::collection::vec(0u32..4, 2..200), share in 0.0f64..0.9, seed: u64) {
            prop_assume!(((labels.len() as f64 * share).round() as usize).max(1) < labels.len());
            let plain = split("t", labels.len(), share, seed).unwrap();
            let count = plain.iter().filter(|held| **held).count();
            let Ok(held) = stratified("t", &labels, 4, share, seed) else { return Ok(()) };
            prop_assert!(held.iter().filter(|held| **held).count() <= count);
            for class in 0..4 {
                let of = |wanted: bool| labels.iter().zip(&held).filter(|(l, h)| **l == class && **h == wanted).count();
                let (train, eval) = (of(false), of(true));
                prop_assert!(train > 0 || eval == 0);
                let exact = (train + eval) as f64 * count as f64 / labels.len() as f64;
                prop_assert!((eval as f64 - exact).abs() < 1.0, "{} of {}", eval, exact);
            }
        }
    }
}
