//! Fields that belong together, sample by sample.

use std::sync::Arc;

use super::field::{Field, Scale};
use crate::error::{Error, Result};
use crate::units::plural;

/// Named fields with the same number of samples, at least one: a model's inputs and targets.
///
/// The first input and the first target are `x` and `t` of the plain model and loss functions; the others go by
/// their names.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// Inputs, then targets.
    fields: Vec<(String, Field)>,
    inputs: usize,
    /// The samples of the fields that are in the part. `None`: all.
    rows: Option<Arc<[u32]>>,
}

/// Gathers the fields of a [`Part`].
#[derive(Debug, Clone, Default)]
pub struct PartBuilder {
    inputs: Vec<(String, Field)>,
    targets: Vec<(String, Field)>,
}

impl PartBuilder {
    /// With one more input.
    pub fn input(mut self, name: impl Into<String>, field: Field) -> Self {
        self.inputs.push((name.into(), field));
        self
    }

    /// With one more target.
    pub fn target(mut self, name: impl Into<String>, field: Field) -> Self {
        self.targets.push((name.into(), field));
        self
    }

    /// The part.
    ///
    /// # Errors
    /// [`Error::Data`] without an input or a sample, where numbers of samples differ, or names are empty or not
    /// unique.
    pub fn build(self) -> Result<Part> {
        let inputs = self.inputs.len();
        let fields = [self.inputs, self.targets].concat();
        let wrong = |text: String| Err(Error::Data(text));
        let [(first, leader), others @ ..] = &fields[..] else {
            return wrong("there is no field: a data set needs at least one input".into());
        };
        if inputs == 0 {
            return wrong(format!("\"{first}\" is a target, and there is no input: at least one is needed"));
        }
        for (at, (name, _)) in fields.iter().enumerate() {
            if name.is_empty() || fields[..at].iter().any(|(other, _)| other == name) {
                return wrong(format!("field {at} (counted from 0) is named \"{name}\": names are unique"));
            }
        }
        if let Some((name, field)) = others.iter().find(|(_, field)| field.len() != leader.len()) {
            let (n, m) = (leader.len(), field.len());
            return wrong(format!(
                "\"{first}\" has {} and \"{name}\" {m}: every sample needs one of each",
                plural(n, "sample")
            ));
        }
        if leader.is_empty() {
            return wrong("there is no sample: a data set needs at least one".into());
        }
        Ok(Part { fields, inputs, rows: None })
    }
}

impl Part {
    /// `inputs`, named `x`, with `targets`, named `t`, sample by sample.
    ///
    /// # Errors
    /// [`Error::Data`] where there is no sample, or their numbers differ.
    pub fn new(inputs: Field, targets: Field) -> Result<Part> {
        Part::builder().input("x", inputs).target("t", targets).build()
    }

    /// A part of any fields.
    ///
    /// ```
    /// use downhill::data::{Dataset, Field, Part};
    /// let part = Part::builder()
    ///     .input("image", Field::new([1, 2, 2], vec![0.0; 12])?)
    ///     .input("age", Field::new([], vec![31.0, 25.0, 52.0])?)
    ///     .target("label", Field::new([], vec![0, 2, 1])?)
    ///     .target("weight", Field::new([], vec![1.0, 1.0, 0.5])?)
    ///     .build()?;
    /// let data = Dataset::new("visits", part, None, Some(3))?; // `label`, the first target, has 3 classes
    /// # assert_eq!(data.train().fields().count(), 4);
    /// # Ok::<(), downhill::error::Error>(())
    /// ```
    pub fn builder() -> PartBuilder {
        PartBuilder::default()
    }

    pub(super) fn without_targets(mut self) -> Part {
        self.fields.truncate(self.inputs);
        self
    }

    /// The part with a first input that the device scales.
    pub(super) fn scale_inputs(mut self, scale: &Scale) -> Result<Part> {
        self.fields[0].1 = self.fields[0].1.clone().scaled(scale.clone())?;
        Ok(self)
    }

    /// The part with another first input of as many samples.
    pub(super) fn with_inputs(mut self, field: Field) -> Part {
        debug_assert_eq!(self.fields[0].1.len(), field.len());
        self.fields[0].1 = field;
        self
    }

    /// The first input.
    pub fn inputs(&self) -> &Field {
        &self.fields[0].1
    }

    /// The first target, or the first input where there is no target.
    pub fn targets(&self) -> &Field {
        &self.fields[self.target_index()].1
    }

    /// The index among the fields of the first target, or of the input that replaces it.
    pub(crate) fn target_index(&self) -> usize {
        if self.inputs < self.fields.len() { self.inputs } else { 0 }
    }

    /// Every field with its name, inputs before targets.
    pub fn fields(&self) -> impl Iterator<Item = (&str, &Field)> {
        self.fields.iter().map(|(name, field)| (name.as_str(), field))
    }

    /// The field of a name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields().find(|(other, _)| *other == name).map(|(_, field)| field)
    }

    /// The count of samples, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a part is never empty")]
    pub fn len(&self) -> usize {
        self.rows.as_ref().map_or(self.inputs().len(), |rows| rows.len())
    }

    /// The part of these samples, in this order. The fields stay where they are, so that parts of one source share its
    /// memory.
    ///
    /// # Errors
    /// [`Error::Data`] where there is no sample, or one of them is none of the part's.
    pub fn select(&self, rows: &[u32]) -> Result<Part> {
        let len = self.len();
        if rows.is_empty() {
            return Err(Error::Data("there is no sample: a data set needs at least one".into()));
        }
        if let Some(row) = rows.iter().find(|&&row| row as usize >= len) {
            return Err(Error::Data(format!("sample {row} is selected, and there are {len}")));
        }
        let rows = rows.iter().map(|&row| self.source_index(row)).collect();
        Ok(Part { rows: Some(rows), ..self.clone() })
    }

    /// The index among the fields' samples of a sample of the part.
    pub fn source_index(&self, sample: u32) -> u32 {
        self.rows.as_ref().map_or(sample, |rows| rows[sample as usize])
    }

    /// True where the part is all samples of its fields, in their order.
    pub(super) fn is_whole(&self) -> bool {
        self.rows.is_none()
    }

    /// Every field with whether it is an input.
    pub(super) fn roles(&self) -> impl Iterator<Item = (bool, &str, &Field)> {
        self.fields.iter().enumerate().map(|(i, (name, field))| (i < self.inputs, name.as_str(), field))
    }

    /// Checks that `other` has the same names, types and shapes.
    pub(super) fn check_like(&self, other: &Part) -> Result<()> {
        let names = |part: &Part| part.fields().map(|(name, _)| name.to_owned()).collect::<Vec<_>>();
        let (ours, theirs) = (names(self), names(other));
        if ours != theirs || self.inputs != other.inputs {
            return Err(Error::Data(format!(
                "the fields to train on are {} ({} of them inputs), and those to evaluate on {} ({}): both need \
                 the same",
                ours.join(", "),
                self.inputs,
                theirs.join(", "),
                other.inputs
            )));
        }
        for ((name, ours), (_, theirs)) in self.fields().zip(other.fields()) {
            let (ty, other) = (ours.type_name(), theirs.type_name());
            if ty != other || ours.shape() != theirs.shape() {
                return Err(Error::Data(format!(
                    "\"{name}\" is {ty} {} a sample to train on, and {other} {} to evaluate on: both need the \
                     same",
                    ours.shape(),
                    theirs.shape()
                )));
            }
        }
        Ok(())
    }

    /// The first of the selected samples that has a label for which `wrong` holds, by its number in the
    /// source.
    fn find_selected(&self, rows: &[u32], wrong: impl Fn(i32) -> bool) -> Result<Option<(usize, i32)>> {
        for &row in rows {
            let labels = self.targets().sample(row as usize)?;
            if let Some(label) = labels.iter().map(|&label| label as i32).find(|&label| wrong(label)) {
                return Ok(Some((row as usize, label)));
            }
        }
        Ok(None)
    }

    /// Checks that every (first) target is a label in `0..classes`.
    ///
    /// # Errors
    /// [`Error::Data`] with the first sample whose label is not, or where the targets are no labels.
    pub fn check_labels(&self, classes: usize) -> Result<()> {
        if self.targets().is_float() {
            return Err(Error::Data("the targets are f32, and class labels are i32".into()));
        }
        let out_of_range = |label: i32| usize::try_from(label).map_or(true, |label| label >= classes);
        // Checks all labels of the field once; checks those of a selection only where one of all is out of range.
        let range = self.targets().range_i32()?;
        if range.is_none_or(|(low, high)| !out_of_range(low) && !out_of_range(high)) {
            return Ok(());
        }
        let found = match &self.rows {
            None => self.targets().find_i32(out_of_range)?,
            Some(rows) => self.find_selected(rows, out_of_range)?,
        };
        let Some((sample, label)) = found else { return Ok(()) };
        let remedy = match usize::try_from(label) {
            Ok(label) => {
                format!("the data needs at least {}, or its labels are off", plural(label + 1, "class"))
            }
            Err(_) => "labels count from 0".into(),
        };
        let allowed = format!("label {label} is not in 0..{classes}");
        Err(Error::Data(format!("sample {sample} (counted from 0): {allowed}; {remedy}")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Values, Windows};
    use super::*;

    fn part(inputs: usize, labels: Vec<i32>) -> Result<Part> {
        Part::new(Field::new([2], vec![0.5; 2 * inputs])?, Field::new([], labels)?)
    }

    #[track_caller]
    fn assert_refused<T: std::fmt::Debug>(result: Result<T>, words: &[&str]) {
        let err = result.unwrap_err();
        assert!(matches!(err, Error::Data(_)), "{err:?}");
        for word in words {
            assert!(err.to_string().contains(word), "{err}");
        }
    }

    #[test]
    fn parts_pair_every_sample() {
        assert_eq!(part(3, vec![0, 1, 2]).unwrap().len(), 3);
        assert_refused(part(3, vec![0, 1]), &["\"x\" has 3 samples and \"t\" 2"]);
        assert_refused(part(0, vec![]), &["no sample"]);
        let missing = Field::new([1], vec![f32::NAN]).unwrap();
        Part::new(missing.clone(), missing).expect("missing values are the caller's business");
    }

    #[test]
    fn fields_go_by_name() {
        let field = |n: i32| Field::new([], (0..n).collect::<Vec<_>>()).unwrap();
        let floats = Field::new([2], vec![0.0; 6]).unwrap();
        let whole = Part::builder()
            .input("a", floats.clone())
            .target("b", field(3))
            .input("c", field(3))
            .target("d", floats.clone())
            .build()
            .unwrap();
        let names: Vec<&str> = whole.fields().map(|(name, _)| name).collect();
        assert_eq!(names, ["a", "c", "b", "d"], "inputs, then targets");
        assert_eq!((whole.inputs(), whole.targets()), (&floats, &field(3)));
        assert_eq!(whole.field("d"), Some(&floats));
        assert_eq!(whole.field("e"), None);
        // Without a target the input is one: what an autoencoder should say.
        let alone = Part::builder().input("a", floats.clone()).build().unwrap();
        assert_eq!(alone.targets(), &floats);
        let inputs = whole.without_targets();
        assert_eq!(inputs.fields().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "c"]);
        assert_eq!(inputs.targets(), &floats);

        assert_refused(Part::builder().build(), &["no field"]);
        assert_refused(Part::builder().target("t", field(1)).build(), &["\"t\" is a target", "no input"]);
        assert_refused(Part::builder().input("", field(1)).build(), &["field 0", "\"\"", "unique"]);
        let twice = Part::builder().input("a", field(1)).target("a", field(1)).build();
        assert_refused(twice, &["field 1", "\"a\"", "unique"]);
        let uneven = Part::builder().input("a", field(3)).input("b", field(3)).target("c", field(4));
        assert_refused(uneven.build(), &["\"a\" has 3 samples and \"c\" 4"]);
    }

    #[test]
    fn labels_are_checked_with_the_sample_named() {
        let three = part(4, vec![0, 2, 1, 2]).unwrap();
        three.check_labels(3).unwrap();
        // Only the selected samples count.
        three.select(&[0, 2]).unwrap().check_labels(2).unwrap();
        assert_refused(three.select(&[0, 3]).unwrap().check_labels(2), &["sample 3", "label 2"]);
        assert_refused(three.check_labels(2), &["sample 1", "label 2 is not in 0..2", "at least 3 classes"]);
        assert_refused(part(2, vec![0, -100]).unwrap().check_labels(3), &["sample 1", "-100", "from 0"]);
        assert_refused(part(1, vec![0]).unwrap().check_labels(0), &["0..0"]);
        part(1, vec![i32::MAX]).unwrap().check_labels(usize::MAX).unwrap();
        let floats =
            Part::new(Field::new([], vec![1.0]).unwrap(), Field::new([], vec![1.0]).unwrap()).unwrap();
        assert_refused(floats.check_labels(2), &["f32"]);
        // With several labels a sample, the sample is named and not the value.
        let grid = Part::new(
            Field::new([], vec![0.0; 2]).unwrap(),
            Field::new([3], vec![0, 0, 0, 0, 0, 7]).unwrap(),
        );
        assert_refused(grid.unwrap().check_labels(7), &["sample 1", "label 7"]);
        // Only the numbers that a window reaches count.
        let tokens = Arc::new(Values::I32(vec![9, 0, 1, 2, 9]));
        let windows = |first, samples| {
            let field = Field::windows([2], &tokens, Windows { first, hop: 1, samples }).unwrap();
            Part::new(field.clone(), field).unwrap()
        };
        windows(1, 2).check_labels(3).unwrap();
        assert_refused(windows(1, 3).check_labels(3), &["sample 2", "label 9"]);
        assert_refused(windows(0, 1).check_labels(3), &["sample 0", "label 9"]);
    }
}
