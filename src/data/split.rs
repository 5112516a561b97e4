//! Samples held out to evaluate on.

use std::collections::{BTreeMap, BTreeSet};

use super::part::Part;
use super::sampler::shuffled;
use crate::error::{Error, Result};
use crate::units::plural;

/// Checks the share to evaluate on.
pub(super) fn check_fraction(eval_fraction: f64) -> Result<()> {
    if (0.0..1.0).contains(&eval_fraction) {
        return Ok(());
    }
    Err(Error::Config(format!(
        "data.eval_fraction = {eval_fraction}: from 0 (nothing to evaluate on) to below 1 is allowed"
    )))
}

/// The share of the samples to hold out, and how they are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Holdout {
    /// The share to evaluate on; 0 for none.
    pub fraction: f64,
    /// The seed that alone decides which samples these are.
    pub seed: u64,
    /// The share is that of each class.
    pub stratify: bool,
}

impl Default for Holdout {
    fn default() -> Self {
        Holdout::new(0)
    }
}

impl Holdout {
    /// A fifth, drawn with the seed.
    pub fn new(seed: u64) -> Holdout {
        Holdout { fraction: 0.2, seed, stratify: false }
    }

    /// The samples of `0..len` to train on and those to evaluate on, both in ascending order. `labels` has the class of
    /// each where the split is by class.
    ///
    /// The fraction of the samples, rounded, is held out; at least one where it is above 0. By class, each
    /// gives its share of them, rounded down, and what is left goes to the largest remainders; a class keeps one sample to
    /// train on at least.
    ///
    /// # Errors
    /// [`Error::Config`] for a fraction that is none; [`Error::Data`] where none would be left to train on, or no class has
    /// a second sample.
    pub fn rows(&self, name: &str, len: usize, labels: Option<&[u32]>) -> Result<(Vec<u32>, Vec<u32>)> {
        check_fraction(self.fraction)?;
        let held = match labels {
            None => held_out(name, len, self.fraction, self.seed)?,
            Some(labels) => {
                let classes = labels.iter().max().map_or(0, |&most| most as usize + 1);
                stratified(name, labels, classes, self.fraction, self.seed)?
            }
        };
        let of = |wanted: bool| (0..len as u32).filter(|&row| held[row as usize] == wanted).collect();
        Ok((of(false), of(true)))
    }

    /// Splits a part in two that share its memory; without the second where nothing is held out.
    ///
    /// # Errors
    /// As [`Holdout::rows`]; [`Error::Config`] where it should be by class and the targets are no labels.
    pub fn split(&self, name: &str, part: Part) -> Result<(Part, Option<Part>)> {
        if self.fraction == 0.0 {
            return Ok((part, None));
        }
        let labels = if self.stratify { Some(labels(name, &part)?) } else { None };
        let (train, eval) = self.rows(name, part.len(), labels.as_deref())?;
        let eval = if eval.is_empty() { None } else { Some(part.select(&eval)?) };
        Ok((part.select(&train)?, eval))
    }
}

/// The label of each sample of the part.
fn labels(name: &str, part: &Part) -> Result<Vec<u32>> {
    let targets = part.targets();
    if targets.is_float() || targets.shape().elements() != 1 {
        return Err(Error::Config(format!(
            "data.stratify: the targets of {name} are {} {} a sample, and a split by class needs a label",
            targets.type_name(),
            targets.shape()
        )));
    }
    let label = |i| Ok(targets.sample(part.source_index(i) as usize)?[0] as i64);
    let labels: Vec<i64> = (0..part.len() as u32).map(label).collect::<Result<_>>()?;
    // Classes are counted from 0, whatever their labels.
    let classes: BTreeSet<i64> = labels.iter().copied().collect();
    let number: BTreeMap<i64, u32> = classes.into_iter().zip(0..).collect();
    Ok(labels.iter().map(|label| number[label]).collect())
}

/// Marks the rows to evaluate on: `share` of them, rounded, and at least one where it is above 0.
///
/// # Errors
/// [`Error::Data`] where none is left to train on.
pub(super) fn held_out(name: &str, rows: usize, share: f64, seed: u64) -> Result<Vec<bool>> {
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
            "{name} has {}, and data.eval_fraction = {share} leaves none to train on; use a smaller share, or 0",
            plural(rows, "row")
        )));
    }
    Ok(held)
}

fn order(rows: usize, seed: u64) -> Vec<u32> {
    shuffled(rows, seed, 0, b"downhill:holdout")
}

#[cfg(test)]
mod tests {
    use super::super::Field;
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
            let plain = held_out("t", labels.len(), share, seed).unwrap();
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

    #[test]
    fn parts_of_a_split_share_their_fields() {
        let part = |labels: Vec<i32>| {
            let x = Field::new([2], (0..2 * labels.len()).map(|i| i as f32).collect::<Vec<_>>()).unwrap();
            Part::new(x, Field::new([], labels).unwrap()).unwrap()
        };
        let whole = part(vec![0, 0, 0, 0, 1, 1, 1, 1]);
        let hold = Holdout { fraction: 0.25, seed: 3, stratify: true };
        let (train, eval) = hold.split("x", whole.clone()).unwrap();
        let eval = eval.unwrap();
        assert_eq!((train.len(), eval.len()), (6, 2));
        let label = |part: &Part, i| part.targets().sample(part.source_index(i) as usize).unwrap()[0];
        assert_eq!([label(&eval, 0), label(&eval, 1)], [0.0, 1.0]);
        assert!(std::sync::Arc::ptr_eq(train.inputs().shared(), eval.inputs().shared()));
        assert_eq!(hold.split("x", whole.clone()).unwrap().0, train, "the seed alone decides");
        let none = Holdout { fraction: 0.0, ..hold };
        assert_eq!(none.split("x", whole).unwrap().1, None);
        let floats = Part::new(Field::new([], vec![0.0; 4]).unwrap(), Field::new([], vec![0.0; 4]).unwrap());
        let err = hold.split("x", floats.unwrap()).unwrap_err().to_string();
        assert!(err.contains("data.stratify") && err.contains("f32"), "{err}");
        let all = Holdout { fraction: 0.9, ..hold };
        let err = Holdout { stratify: false, ..all }.split("x", part(vec![0])).unwrap_err().to_string();
        assert!(err.contains("leaves none"), "{err}");
    }
}
