//! Data sets in memory: inputs with targets, one file a source, and the order in which they are drawn.
//!
//! Everything is checked where it is made, so that what follows can rely on it: no part is empty, inputs and
//! targets agree in number, the evaluation part has the shapes of the training part, labels are in range.

mod digits;
pub mod idx;
mod sampler;

pub use digits::digits;
pub use sampler::{BatchPlan, BatchSize, epoch_order};

use crate::error::{Error, Result};
use crate::shape::Shape;

/// Numbers of one of the two types a model is fed with.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Floats; NaN and infinities are the caller's business.
    F32(Vec<f32>),
    /// Integers: labels or indices.
    I32(Vec<i32>),
}

impl Values {
    /// How many numbers.
    pub fn len(&self) -> usize {
        match self {
            Values::F32(v) => v.len(),
            Values::I32(v) => v.len(),
        }
    }

    /// True where there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `f32` or `i32`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Values::F32(_) => "f32",
            Values::I32(_) => "i32",
        }
    }
}

impl From<Vec<f32>> for Values {
    fn from(values: Vec<f32>) -> Self {
        Values::F32(values)
    }
}

impl From<Vec<i32>> for Values {
    fn from(values: Vec<i32>) -> Self {
        Values::I32(values)
    }
}

/// Samples of one shape, one after the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    shape: Shape,
    values: Values,
}

impl Field {
    /// `values` as samples of `shape` each, a scalar being of rank 0.
    ///
    /// # Errors
    /// [`Error::Data`] where a sample has no element, or the values are no whole number of samples.
    pub fn new(shape: impl Into<Shape>, values: impl Into<Values>) -> Result<Field> {
        let (shape, values) = (shape.into(), values.into());
        let (each, all) = (shape.elements(), values.len());
        if each == 0 || !all.is_multiple_of(each) {
            return Err(Error::Data(format!(
                "{all} values are no whole number of samples of shape {shape}, {each} values each; \
                 the shape is that of one sample, without the batch axis"
            )));
        }
        if all / each > u32::MAX as usize {
            return Err(Error::Data(format!(
                "{} samples are too many; {} can be counted",
                all / each,
                u32::MAX
            )));
        }
        Ok(Field { shape, values })
    }

    /// The shape of one sample.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The values of all samples, row-major.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// How many samples.
    pub fn len(&self) -> usize {
        self.values.len() / self.shape.elements()
    }

    /// True where there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }
}

/// Inputs and their targets: at least one sample, as many of the one as of the other.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    inputs: Field,
    targets: Field,
}

impl Part {
    /// `inputs` with `targets`, sample by sample.
    ///
    /// # Errors
    /// [`Error::Data`] where there is no sample, or their numbers differ.
    pub fn new(inputs: Field, targets: Field) -> Result<Part> {
        if inputs.len() != targets.len() {
            let (n, m) = (inputs.len(), targets.len());
            return Err(Error::Data(format!("{n} inputs and {m} targets: every sample needs one of each")));
        }
        if inputs.is_empty() {
            return Err(Error::Data("there is no sample: a data set needs at least one".into()));
        }
        Ok(Part { inputs, targets })
    }

    /// What the model is given.
    pub fn inputs(&self) -> &Field {
        &self.inputs
    }

    /// What it should say.
    pub fn targets(&self) -> &Field {
        &self.targets
    }

    /// How many samples, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "a part is never empty")]
    pub fn len(&self) -> usize {
        self.inputs.len()
    }

    /// Every target is a label in `0..classes`.
    ///
    /// # Errors
    /// [`Error::Data`] with the first sample whose label is not, or where the targets are no labels.
    pub fn check_labels(&self, classes: usize) -> Result<()> {
        let Values::I32(labels) = &self.targets.values else {
            return Err(Error::Data("the targets are f32, and class labels are i32".into()));
        };
        let out_of_range = |label: &i32| usize::try_from(*label).map_or(true, |label| label >= classes);
        let Some(at) = labels.iter().position(out_of_range) else { return Ok(()) };
        let (label, sample) = (labels[at], at / self.targets.shape.elements());
        let remedy = match usize::try_from(label) {
            Ok(label) => format!("the data needs at least {} classes, or its labels are off", label + 1),
            Err(_) => "labels count from 0".into(),
        };
        let allowed = format!("label {label} is not in 0..{classes}");
        Err(Error::Data(format!("sample {sample} (counted from 0): {allowed}; {remedy}")))
    }
}

/// A named data set: a part to train on and, if there is one, a part to evaluate on.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    name: String,
    train: Part,
    eval: Option<Part>,
    classes: Option<usize>,
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
        let data = Dataset { name: name.into(), train, eval, classes };
        data.check().map_err(|err| Error::Data(format!("data set \"{}\": {err}", data.name)))?;
        Ok(data)
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
        let inputs = Field::new(self.train.inputs.shape(), inputs)?;
        let targets = Field::new(self.train.targets.shape(), targets)?;
        Dataset::new(self.name, self.train, Some(Part::new(inputs, targets)?), self.classes)
    }

    /// With targets that are labels in `0..classes`.
    ///
    /// # Errors
    /// As [`Part::check_labels`].
    pub fn with_classes(self, classes: usize) -> Result<Dataset> {
        Dataset::new(self.name, self.train, self.eval, Some(classes))
    }

    fn check(&self) -> Result<()> {
        if let Some(eval) = &self.eval {
            for (what, ours, theirs) in [
                ("inputs", &self.train.inputs, &eval.inputs),
                ("targets", &self.train.targets, &eval.targets),
            ] {
                let (ty, other) = (ours.values.type_name(), theirs.values.type_name());
                if ty != other || ours.shape != theirs.shape {
                    return Err(Error::Data(format!(
                        "the {what} to train on are {ty} {} a sample, and those to evaluate on {other} {}: \
                         both need the same",
                        ours.shape, theirs.shape
                    )));
                }
            }
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

    /// What is trained on.
    pub fn train(&self) -> &Part {
        &self.train
    }

    /// What is evaluated on.
    pub fn eval(&self) -> Option<&Part> {
        self.eval.as_ref()
    }

    /// How many classes the labels have, where the targets are labels.
    pub fn classes(&self) -> Option<usize> {
        self.classes
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
    fn fields_are_whole_samples() {
        let field = Field::new([2, 3], vec![0.0; 24]).unwrap();
        assert_eq!((field.len(), field.shape().elements()), (4, 6));
        assert_eq!(Field::new([], vec![1, 2, 3]).unwrap().len(), 3);
        assert_refused(Field::new([5], vec![0.0; 12]), &["12 values", "[5]", "without the batch axis"]);
        assert_refused(Field::new([3, 0], Vec::<f32>::new()), &["[3, 0]"]);
        assert_refused(Field::new([usize::MAX, 2], vec![0.0; 12]), &["12 values"]);
    }

    #[test]
    fn parts_pair_every_sample() {
        assert_eq!(part(3, vec![0, 1, 2]).unwrap().len(), 3);
        assert_refused(part(3, vec![0, 1]), &["3 inputs and 2 targets"]);
        assert_refused(part(0, vec![]), &["no sample"]);
        let missing = Field::new([1], vec![f32::NAN]).unwrap();
        Part::new(missing.clone(), missing).expect("missing values are the caller's business");
    }

    #[test]
    fn labels_are_checked_with_the_sample_named() {
        let three = part(4, vec![0, 2, 1, 2]).unwrap();
        three.check_labels(3).unwrap();
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
    }

    #[test]
    fn both_parts_agree() {
        let xor = || Dataset::from_arrays("xor", [2], vec![0.0; 8], [], vec![0, 1, 1, 0]).unwrap();
        let whole = xor().with_eval(vec![1.0; 2], vec![1]).unwrap().with_classes(2).unwrap();
        assert_eq!((whole.name(), whole.train().len(), whole.classes()), ("xor", 4, Some(2)));
        assert_eq!(whole.eval().unwrap().inputs().shape(), &Shape::from([2]));
        assert_refused(xor().with_eval(vec![1.0; 2], vec![1.0]), &["\"xor\"", "targets", "i32 []", "f32 []"]);
        assert_refused(xor().with_eval(vec![1.0; 3], vec![1]), &["3 values"]);
        assert_refused(whole.with_classes(1), &["\"xor\"", "training part", "sample 1"]);
        let late = xor().with_eval(vec![1.0; 2], vec![5]).unwrap();
        assert_refused(late.with_classes(2), &["evaluation part", "label 5"]);
        let other = part(1, vec![0]).unwrap();
        let tall = Part::new(Field::new([3], vec![0.0; 3]).unwrap(), other.targets().clone()).unwrap();
        assert_refused(Dataset::new("x", other, Some(tall), None), &["inputs", "f32 [2]", "f32 [3]"]);
    }
}
