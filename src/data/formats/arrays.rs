//! From arrays to a data set: samples, labels, held-out samples, scaling.

use super::super::normalise::{Normalise, fit};
use super::super::{Dataset, Encoding, Field, Holdout, Part, Values};
use crate::error::{Error, Result};
use crate::shape::Shape;
use crate::units::plural;

/// Options of arrays.
#[derive(Debug, Clone, PartialEq)]
pub struct ArrayOptions {
    /// Scales the inputs on the device.
    pub normalise: Normalise,
    /// The share of the training arrays that is held out to evaluate on, 0 for none. `None`: the source's own part to
    /// evaluate on, or a fifth where it has none.
    pub eval_fraction: Option<f64>,
    /// Decides which samples are held out.
    pub split_seed: u64,
    /// The share is that of each class.
    pub stratify: bool,
}

impl Default for ArrayOptions {
    fn default() -> Self {
        ArrayOptions { normalise: Normalise::Auto, eval_fraction: None, split_seed: 0, stratify: false }
    }
}

impl ArrayOptions {
    /// True where the source's own part to evaluate on is used.
    pub(super) fn own_part(&self) -> bool {
        self.eval_fraction.is_none()
    }
}

/// Numbers with their shape, samples first. Clones of numbers in a [`Source`](crate::data::Source) share them.
#[derive(Debug, Clone)]
pub struct Array {
    /// Its name, for errors: that in the file, or the file's own.
    pub name: String,
    /// The count of samples, then the shape of a sample.
    pub shape: Vec<usize>,
    /// The numbers, row-major.
    pub values: Values,
}

/// Arrays of a program: inputs and targets to train on, and those to evaluate on where there are some.
#[derive(Debug, Clone)]
pub struct Arrays {
    /// The name of the data set.
    pub name: String,
    /// Inputs and targets. Without targets the inputs are their own, as `data.target = "inputs"` has it.
    pub train: (Array, Option<Array>),
    /// The same to evaluate on.
    pub eval: Option<(Array, Option<Array>)>,
}

impl Arrays {
    /// True where there are arrays to evaluate on.
    pub fn has_eval(&self) -> bool {
        self.eval.is_some()
    }
}

/// Arrays of a program as a data set: samples along their first axis, integer targets `[n]` or `[n, 1]` as labels.
///
/// ```
/// use downhill::data::{self, Array, ArrayOptions, Arrays, Values};
/// let x = Array { name: "x".into(), shape: vec![4, 2], values: vec![0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0].into() };
/// let t = Array { name: "t".into(), shape: vec![4], values: vec![0, 1, 1, 0].into() };
/// let xor = Arrays { name: "xor".into(), train: (x, Some(t)), eval: None };
/// let options = ArrayOptions { eval_fraction: Some(0.0), ..ArrayOptions::default() };
/// assert_eq!(data::arrays(&xor, &options)?.classes(), Some(2));
/// # Ok::<(), downhill::error::Error>(())
/// ```
///
/// # Errors
/// [`Error::Data`] where arrays do not fit each other, or a label is below 0; [`Error::Config`] where the options do not fit.
pub fn arrays(arrays: &Arrays, options: &ArrayOptions) -> Result<Dataset> {
    let part = |(x, t): &(Array, Option<Array>)| match t {
        Some(t) => Part::new(inputs(x)?, targets(t, x)?),
        None => Part::builder().input("x", inputs(x)?).build(),
    };
    let eval = arrays.eval.as_ref().map(part).transpose()?;
    dataset(arrays.name.clone(), part(&arrays.train)?, eval, None, options)
}

impl Array {
    /// The shape of one sample.
    fn sample(&self) -> Result<&[usize]> {
        self.shape.split_first().map(|(_, rest)| rest).ok_or_else(|| {
            let name = &self.name;
            Error::Data(format!("{name} is a single number, and an array has samples along its first axis"))
        })
    }

    fn is_float(&self) -> bool {
        self.values.kind().is_float()
    }

    /// The array as samples of this shape.
    fn field(&self, sample: &[usize]) -> Result<Field> {
        if self.shape.contains(&0) {
            let (name, shape) = (&self.name, Shape::from(self.shape.clone()));
            return Err(Error::Data(format!("{name} has shape {shape}: there is no number in it")));
        }
        Field::new(sample, self.values.clone())
    }
}

/// An array as inputs. Its first axis counts the samples; the other axes are a sample's shape, one number where there
/// are none.
pub(super) fn inputs(array: &Array) -> Result<Field> {
    match array.sample()? {
        [] if array.is_float() => array.field(&[1]),
        sample => array.field(sample),
    }
}

/// An array as targets: integers `[n]` or `[n, 1]` are labels, floats `[n]` one number a sample. It has as many
/// samples as the inputs, which are `of`.
pub(super) fn targets(array: &Array, of: &Array) -> Result<Field> {
    let field = match array.sample()? {
        [] if array.is_float() => array.field(&[1]),
        [1] if !array.is_float() => array.field(&[]),
        sample => array.field(sample),
    }?;
    if of.shape.first() != Some(&field.len()) {
        let [m, n] = [&array.shape, &of.shape].map(|shape| shape.first().copied().unwrap_or(0));
        let (inputs, targets) = (&of.name, &array.name);
        return Err(Error::Data(format!(
            "{inputs} has {} and {targets} {m}: every sample needs one of each",
            plural(n, "sample")
        )));
    }
    Ok(field)
}

/// The parts as a data set. Labels have `classes` classes, or as many as are found.
pub(super) fn dataset(
    name: String,
    train: Part,
    eval: Option<Part>,
    classes: Option<usize>,
    options: &ArrayOptions,
) -> Result<Dataset> {
    let (mut train, mut eval) = match eval {
        None => {
            let fraction = options.eval_fraction.unwrap_or(Holdout::new(0).fraction);
            let (seed, stratify) = (options.split_seed, options.stratify);
            Holdout { fraction, seed, stratify }.split(&name, train)?
        }
        Some(_) if options.stratify => {
            return Err(Error::Config(format!(
                "data.stratify: {name} has samples to evaluate on, and none are held out; with data.eval_fraction \
                 = 0.2 a share of those to train on is held out in their place"
            )));
        }
        eval => (train, eval),
    };
    let classes = match classes {
        None => found(&train, eval.as_ref())?,
        classes => classes,
    };
    let encoding = fit(&name, &train, &options.normalise)?;
    if let Some(encoding) = &encoding {
        train = train.scale_inputs(&encoding.scale())?;
        eval = eval.map(|eval| eval.scale_inputs(&encoding.scale())).transpose()?;
    }
    let data = Dataset::new(name, train, eval, classes)?;
    Ok(match encoding {
        Some(encoding) => data.with_encoding(Encoding::Array(encoding)),
        None => data,
    })
}

/// One more than the largest label, where the targets are labels.
pub(super) fn found(train: &Part, eval: Option<&Part>) -> Result<Option<usize>> {
    if train.fields().count() == 1 || !train.targets().shape().is_empty() {
        return Ok(None);
    }
    let mut most = None;
    for part in [Some(train), eval].into_iter().flatten() {
        most = most.max(part.targets().range_i32()?.map(|(_, high)| high));
    }
    // Without a label from 0 on there is one class, and none of the labels is in it, which is an error.
    Ok(most.map(|high| usize::try_from(high).map_or(1, |high| high + 1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn array(name: &str, shape: &[usize], values: impl Into<Values>) -> Array {
        Array { name: name.into(), shape: shape.into(), values: values.into() }
    }

    fn data(x: &Array, y: &Array, options: &ArrayOptions) -> Result<Dataset> {
        dataset("d".into(), Part::new(inputs(x)?, targets(y, x)?)?, None, None, options)
    }

    #[test]
    fn shapes_and_types_say_what_is_a_label() {
        let all = ArrayOptions { eval_fraction: Some(0.0), ..ArrayOptions::default() };
        let x = array("x", &[4, 2], vec![0.0; 8]);
        let shape = |y: Array| {
            let data = data(&x, &y, &all).unwrap();
            (data.train().targets().shape().to_vec(), data.train().targets().is_float(), data.classes())
        };
        assert_eq!(shape(array("y", &[4], vec![0, 1, 5, 1])), (vec![], false, Some(6)));
        assert_eq!(shape(array("y", &[4, 1], vec![0u8, 1, 2, 1])), (vec![], false, Some(3)));
        assert_eq!(shape(array("y", &[4, 2], vec![0; 8])), (vec![2], false, None));
        assert_eq!(shape(array("y", &[4], vec![0.5; 4])), (vec![1], true, None));
        assert_eq!(shape(array("y", &[4, 1], vec![0.5; 4])), (vec![1], true, None));
        let scalar = array("s", &[4], vec![0.5; 4]);
        assert_eq!(*data(&scalar, &scalar, &all).unwrap().train().inputs().shape(), Shape::from([1]));
    }

    #[test]
    fn faults_name_the_arrays() {
        let options = ArrayOptions::default();
        let x = array("x_train", &[4, 2], vec![0.0; 8]);
        let told = |y: Array, words: &str| {
            let err = data(&x, &y, &options).unwrap_err().to_string();
            assert!(err.contains(words), "{err}");
        };
        told(array("y_train", &[3], vec![0; 3]), "x_train has 4 samples and y_train 3");
        told(array("y_train", &[], vec![0]), "y_train is a single number");
        told(array("y_train", &[4, 0], Vec::<i32>::new()), "y_train has shape [4, 0]");
        told(array("y_train", &[4], vec![0, -1, 1, 1]), "label -1 is not in 0..2; labels count from 0");
        told(array("y_train", &[4], vec![-3; 4]), "label -3 is not in 0..1");
        let part = || Part::new(inputs(&x).unwrap(), inputs(&x).unwrap()).unwrap();
        let stratify = ArrayOptions { stratify: true, ..options.clone() };
        let err = dataset("d".into(), part(), Some(part()), None, &stratify).unwrap_err().to_string();
        assert!(err.contains("data.stratify") && err.contains("data.eval_fraction = 0.2"), "{err}");
    }
}
