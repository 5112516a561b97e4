//! One number that says whether two data sets are the same.

use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use super::{Dataset, Field, Part, Values};
use crate::error::Result;

/// Bytes that are read at once.
const BLOCK: usize = 1 << 20;

impl Dataset {
    /// XXH3 over everything that training and evaluation see: the samples' numbers, how fields are cut of them, how the
    /// device scales them, and which samples each part has. Equal data sets have equal ones on every machine; reads every
    /// number once, those of a file from the file.
    ///
    /// ```
    /// use downhill::data::Dataset;
    /// let xor = |last| Dataset::from_arrays("xor", [2], vec![0.0; 8], [], vec![0, 1, 1, last]);
    /// assert_eq!(xor(0)?.fingerprint()?, xor(0)?.fingerprint()?);
    /// assert_ne!(xor(0)?.fingerprint()?, xor(1)?.fingerprint()?);
    /// # Ok::<(), downhill::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Source::read`](super::Source::read).
    pub fn fingerprint(&self) -> Result<u64> {
        let mut all = Xxh3::new();
        let mut seen: Vec<(&Arc<Values>, u64)> = Vec::new();
        for part in std::iter::once(self.train()).chain(self.eval()) {
            for (is_input, name, field) in part.roles() {
                let known = seen.iter().find(|(values, _)| Arc::ptr_eq(values, field.shared()));
                let numbers = match known {
                    Some((_, numbers)) => *numbers,
                    None => {
                        let numbers = of_values(field.values())?;
                        seen.push((field.shared(), numbers));
                        numbers
                    }
                };
                all.update(format!("{is_input} {name:?}").as_bytes());
                field_into(&mut all, field, numbers);
            }
            rows_into(&mut all, part);
        }
        all.update(&(self.classes().unwrap_or(0) as u64).to_le_bytes());
        Ok(all.digest())
    }
}

fn field_into(all: &mut Xxh3, field: &Field, numbers: u64) {
    let at = field.at();
    let counts = field.shape().iter().copied().chain([at.first, at.hop, at.samples]);
    counts.for_each(|count| all.update(&(count as u64).to_le_bytes()));
    all.update(&numbers.to_le_bytes());
    let scale = field.scale().into_iter().flat_map(|scale| scale.factor.iter().chain(&scale.offset));
    scale.for_each(|number| all.update(&number.to_le_bytes()));
}

/// Hashes which samples of its fields a part has.
fn rows_into(all: &mut Xxh3, part: &Part) {
    all.update(&(part.len() as u64).to_le_bytes());
    if !part.is_whole() {
        (0..part.len() as u32).for_each(|sample| all.update(&part.source_index(sample).to_le_bytes()));
    }
}

fn of_values(values: &Values) -> Result<u64> {
    let mut hash = Xxh3::new();
    hash.update(values.kind().name().as_bytes());
    hash.update(&(values.len() as u64).to_le_bytes());
    if let Values::Elsewhere(source) = values
        && let Some(contents) = source.contents()
    {
        hash.update(&contents?.to_le_bytes());
        return Ok(hash.digest());
    }
    let size = values.kind().bytes();
    let most = BLOCK / size;
    let mut block = vec![0; most.min(values.len()) * size];
    for at in (0..values.len()).step_by(most) {
        let bytes = &mut block[..(values.len() - at).min(most) * size];
        values.read(at, bytes)?;
        hash.update(bytes);
    }
    Ok(hash.digest())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Holdout, Scale, Windows};

    fn print(data: Dataset) -> u64 {
        data.fingerprint().unwrap()
    }

    #[test]
    fn whatever_a_run_sees_is_in_it() {
        let values = || Arc::new(Values::F32((0..40).map(|i| i as f32).collect()));
        let at = Windows { first: 0, hop: 2, samples: 10 };
        let field = |at| Field::windows([2], &values(), at).unwrap();
        let set = |field: Field| {
            Dataset::new("x", Part::builder().input("x", field).build().unwrap(), None, None).unwrap()
        };
        let all = [
            print(set(field(at))),
            print(set(field(Windows { first: 1, ..at }))),
            print(set(field(Windows { hop: 3, ..at }))),
            print(set(field(Windows { samples: 9, ..at }))),
            print(set(field(at).scaled(Scale::unit()).unwrap())),
        ];
        assert_eq!(all[0], print(set(field(at))));
        for (i, a) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|b| a != b), "{i}");
        }
        let split = |seed| {
            let part = Part::builder().input("x", field(at)).build().unwrap();
            print(Dataset::split("x", part, Holdout { fraction: 0.3, seed, stratify: false }, None).unwrap())
        };
        assert_eq!(split(1), split(1));
        assert_ne!(split(1), split(2));
    }
}
