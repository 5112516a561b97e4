//! A data set: a part to train on and, if there is one, a part to evaluate on.

use super::{ColumnReport, Encoding, Field, Holdout, Part, Values, Vocabulary};
use crate::error::{Error, Result};
use crate::shape::Shape;

/// A named data set: a part to train on and, if there is one, a part to evaluate on.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    name: String,
    train: Part,
    eval: Option<Part>,
    classes: Option<usize>,
    encoding: Option<Encoding>,
    columns: Vec<ColumnReport>,
}

impl Dataset {
    /// A data set of checked parts; `classes` where the targets are labels.
    ///
    /// # Errors
    /// [`Error::Data`] where the parts' shapes or types differ, or a label is out of range.
    pub fn new(
        name: impl Into<String>,
        train: Part,
        eval: Option<Part>,
        classes: Option<usize>,
    ) -> Result<Dataset> {
        let data = Dataset { name: name.into(), train, eval, classes, encoding: None, columns: Vec::new() };
        data.checked()
    }

    /// A data set to train on, from plain vectors. The shapes are those of one sample.
    ///
    /// ```
    /// use downhill::data::Dataset;
    /// let corners = vec![0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0];
    /// let xor = Dataset::from_arrays("xor", [2], corners, [], vec![0, 1, 1, 0])?.with_classes(2)?;
    /// assert_eq!(xor.train().len(), 4);
    /// # Ok::<(), downhill::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Field::new`] and [`Part::new`].
    pub fn from_arrays(
        name: impl Into<String>,
        input_shape: impl Into<Shape>,
        inputs: impl Into<Values>,
        target_shape: impl Into<Shape>,
        targets: impl Into<Values>,
    ) -> Result<Dataset> {
        let train = Part::new(Field::new(input_shape, inputs)?, Field::new(target_shape, targets)?)?;
        Dataset::new(name, train, None, None)
    }

    /// With a part to evaluate on, whose samples have the shapes of the training part's.
    ///
    /// # Errors
    /// As [`Field::new`], [`Part::new`] and [`Dataset::new`].
    pub fn with_eval(self, inputs: impl Into<Values>, targets: impl Into<Values>) -> Result<Dataset> {
        let inputs = Field::new(self.train.inputs().shape(), inputs)?;
        let targets = Field::new(self.train.targets().shape(), targets)?;
        Dataset { eval: Some(Part::new(inputs, targets)?), ..self }.checked()
    }

    /// With targets that are labels in `0..classes`.
    ///
    /// # Errors
    /// As [`Part::check_labels`].
    pub fn with_classes(self, classes: usize) -> Result<Dataset> {
        Dataset { classes: Some(classes), ..self }.checked()
    }

    /// With the encoding of the raw data as numbers.
    pub fn with_encoding(self, encoding: Encoding) -> Dataset {
        Dataset { encoding: Some(encoding), ..self }
    }

    /// With a line about each column of its table.
    pub(super) fn with_columns(self, columns: Vec<ColumnReport>) -> Dataset {
        Dataset { columns, ..self }
    }

    /// The data set without targets: the first input takes their place, as an autoencoder needs it.
    pub fn without_targets(self) -> Dataset {
        let eval = self.eval.map(Part::without_targets);
        Dataset { train: self.train.without_targets(), eval, classes: None, ..self }
    }

    /// One part, some of whose samples are held out to evaluate on.
    ///
    /// # Errors
    /// As [`Holdout::split`] and [`Dataset::new`].
    pub fn split(
        name: impl Into<String>,
        part: Part,
        hold: Holdout,
        classes: Option<usize>,
    ) -> Result<Dataset> {
        let name = name.into();
        let (train, eval) = hold.split(&name, part)?;
        Dataset::new(name, train, eval, classes)
    }

    fn checked(self) -> Result<Dataset> {
        match self.check() {
            Ok(()) => Ok(self),
            Err(err) => Err(Error::Data(format!("data set \"{}\": {err}", self.name))),
        }
    }

    fn check(&self) -> Result<()> {
        if let Some(eval) = &self.eval {
            self.train.check_like(eval)?;
        }
        let Some(classes) = self.classes else { return Ok(()) };
        for (part, name) in [(Some(&self.train), "training"), (self.eval.as_ref(), "evaluation")] {
            let checked = part.map_or(Ok(()), |part| part.check_labels(classes));
            checked.map_err(|err| Error::Data(format!("{name} part: {err}")))?;
        }
        Ok(())
    }

    /// Its name, for reports.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The part to train on.
    pub fn train(&self) -> &Part {
        &self.train
    }

    /// The part to evaluate on.
    pub fn eval(&self) -> Option<&Part> {
        self.eval.as_ref()
    }

    /// The count of classes, where the targets are labels.
    pub fn classes(&self) -> Option<usize> {
        self.classes
    }

    /// The encoding of raw data that were not numbers.
    pub fn encoding(&self) -> Option<&Encoding> {
        self.encoding.as_ref()
    }

    /// A line about each column, where the data were read from a table.
    pub fn columns(&self) -> &[ColumnReport] {
        &self.columns
    }

    /// The deviation that targets were divided by, where they are standardised: an error times it is in the target's own
    /// unit.
    pub fn target_unit(&self) -> Option<f64> {
        match self.encoding() {
            // An input may have taken the target's place.
            Some(Encoding::Table(table)) if self.train.target_index() > 0 => {
                table.target.standardised().map(|(_, std)| std)
            }
            _ => None,
        }
    }

    /// The characters by their numbers, where the data are text.
    pub fn vocabulary(&self) -> Option<&Vocabulary> {
        match self.encoding() {
            Some(Encoding::Text { vocabulary }) => Some(vocabulary),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
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
    fn both_parts_agree() {
        let xor = || Dataset::from_arrays("xor", [2], vec![0.0; 8], [], vec![0, 1, 1, 0]).unwrap();
        let whole = xor().with_eval(vec![1.0; 2], vec![1]).unwrap().with_classes(2).unwrap();
        assert_eq!((whole.name(), whole.train().len(), whole.classes()), ("xor", 4, Some(2)));
        assert_eq!(whole.eval().unwrap().inputs().shape(), &Shape::from([2]));
        assert_refused(xor().with_eval(vec![1.0; 2], vec![1.0]), &["\"xor\"", "\"t\"", "i32 []", "f32 []"]);
        assert_refused(xor().with_eval(vec![1.0; 3], vec![1]), &["3 values"]);
        assert_refused(whole.with_classes(1), &["\"xor\"", "training part", "sample 1"]);
        let late = xor().with_eval(vec![1.0; 2], vec![5]).unwrap();
        assert_refused(late.with_classes(2), &["evaluation part", "label 5"]);
        let other = part(1, vec![0]).unwrap();
        let tall = Part::new(Field::new([3], vec![0.0; 3]).unwrap(), other.targets().clone()).unwrap();
        assert_refused(Dataset::new("x", other, Some(tall), None), &["\"x\"", "f32 [2]", "f32 [3]"]);
    }
}
