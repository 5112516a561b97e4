//! Samples held out to evaluate on.

use std::collections::BTreeMap;

use super::part::Part;
use super::sampler::shuffled;
use crate::error::{Error, Result};

/// Which share of the samples is held out, and how they are drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Holdout {
    /// The share to evaluate on; 0 for none.
    pub fraction: f64,
    /// Decides which samples these are, and nothing else does.
    pub seed: u64,
    /// The share is that of each class.
    pub stratify: bool,
}

impl Holdout {
    /// A fifth, drawn with the seed.
    pub fn new(seed: u64) -> Holdout {
        Holdout { fraction: 0.2, seed, stratify: false }
    }

    /// The samples of `0..len` to train on and those to evaluate on, both in ascending order. `labels` has the class of
    /// each where the split is by class.
    ///
    /// So many are held out as the fraction of the samples rounds to, of each class where the split is by class, but one
    /// at least where the fraction is above 0.
    ///
    /// # Errors
    /// [`Error::Config`] for a fraction that is none; [`Error::Data`] where none would be left to train on.
    pub fn rows(&self, name: &str, len: usize, labels: Option<&[i32]>) -> Result<(Vec<u32>, Vec<u32>)> {
        super::check_fraction(self.fraction)?;
        let order = shuffled(len, self.seed, 0, b"downhill:holdout");
        let share = |n: usize| (n as f64 * self.fraction).round() as usize;
        let least = usize::from(self.fraction > 0.0);
        let (mut train, mut eval) = (Vec::new(), Vec::new());
        match labels {
            None => {
                let held = share(len).max(least).min(len);
                eval.extend_from_slice(&order[..held]);
                train.extend_from_slice(&order[held..]);
            }
            Some(labels) => {
                let mut classes: BTreeMap<i32, Vec<u32>> = BTreeMap::new();
                for row in order {
                    classes.entry(labels[row as usize]).or_default().push(row);
                }
                for rows in classes.values() {
                    // A class of one sample is trained on.
                    let held = share(rows.len()).max(least).min(rows.len() - 1);
                    eval.extend_from_slice(&rows[..held]);
                    train.extend_from_slice(&rows[held..]);
                }
            }
        }
        if train.is_empty() {
            let share = self.fraction;
            return Err(Error::Data(format!(
                "{name} has {len} samples, and data.eval_fraction = {share} leaves none to train on; use a smaller share, \
                 or 0"
            )));
        }
        train.sort_unstable();
        eval.sort_unstable();
        Ok((train, eval))
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
fn labels(name: &str, part: &Part) -> Result<Vec<i32>> {
    let targets = part.targets();
    if targets.is_float() || targets.shape().elements() != 1 {
        return Err(Error::Config(format!(
            "data.stratify: the targets of {name} are {} {} a sample, and a split by class needs a label",
            targets.type_name(),
            targets.shape()
        )));
    }
    (0..part.len() as u32).map(|i| Ok(targets.sample(part.place(i) as usize)?[0] as i32)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Field;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_sample_is_on_one_side(len in 2usize..200, fraction in 0.0f64..0.9, seed: u64, classes in 1i32..6) {
            let labels: Vec<i32> = (0..len as i32).map(|i| i * i % classes).collect();
            for by_class in [None, Some(&labels[..])] {
                let hold = Holdout { fraction, seed, stratify: by_class.is_some() };
                let Ok((train, eval)) = hold.rows("x", len, by_class) else { continue };
                let mut all = [&train[..], &eval].concat();
                all.sort_unstable();
                prop_assert!(all.into_iter().eq(0..len as u32));
                prop_assert!(train.is_sorted() && eval.is_sorted());
                prop_assert_eq!(eval.is_empty() && by_class.is_none(), fraction == 0.0);
                for class in 0..classes {
                    let count = |rows: &[u32]| rows.iter().filter(|&&r| labels[r as usize] == class).count();
                    let (held, n) = (count(&eval) as f64, (count(&train) + count(&eval)) as f64);
                    if by_class.is_some() {
                        prop_assert!((held - n * fraction).abs() <= 1.0 && (n == 0.0 || held < n), "{} of {}", held, n);
                    }
                }
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
        let label = |part: &Part, i| part.targets().sample(part.place(i) as usize).unwrap()[0];
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
