//! Scaling of inputs on the device, and of later inputs for the same model.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::field::{Field, MOST_CHANNELS, Scale};
use super::keys;
use super::moments::Moments;
use super::part::Part;
use super::values::Kind;
use crate::error::{Error, Result};
use crate::shape::Shape;
use crate::units::plural;

/// The scaling of inputs. Bytes are taken for numbers from 0 to 1 wherever they are scaled: means and deviations of
/// images are those of torchvision's `Normalize`.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Normalise {
    /// [`Normalise::Unit`] for bytes, and [`Normalise::None`] for all else.
    #[default]
    Auto,
    /// Bytes become numbers from 0 to 1.
    Unit,
    /// Floats stay as they are, and integers integers.
    None,
    /// (number − mean) / std of the training part, for each channel; see [`ArrayEncoding::mean`]. Of more than 50,000
    /// samples, this many are read, evenly spaced.
    Standard,
    /// (number − mean) / std for each channel.
    Fixed {
        /// One for all numbers, or one for each index of a sample's first axis.
        mean: Vec<f64>,
        /// As many, above 0.
        std: Vec<f64>,
    },
}

/// [`Normalise::Fixed`] in a config.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Fixed {
    #[serde(deserialize_with = "keys::channels")]
    mean: Vec<f64>,
    #[serde(deserialize_with = "keys::channels")]
    std: Vec<f64>,
}

impl<'de> Deserialize<'de> for Normalise {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Normalise, D::Error> {
        let word = |word: &str| match word {
            "auto" => Some(Normalise::Auto),
            "unit" => Some(Normalise::Unit),
            "none" => Some(Normalise::None),
            "standard" => Some(Normalise::Standard),
            _ => None,
        };
        let fixed = |Fixed { mean, std }| Normalise::Fixed { mean, std };
        keys::word_or_table(deserializer, word, fixed, |_| {
            "\"auto\", \"unit\", \"none\", \"standard\" or { mean = [..], std = [..] }".to_owned()
        })
    }
}

impl Serialize for Normalise {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Normalise::Auto => "auto".serialize(serializer),
            Normalise::Unit => "unit".serialize(serializer),
            Normalise::None => "none".serialize(serializer),
            Normalise::Standard => "standard".serialize(serializer),
            Normalise::Fixed { mean, std } => {
                Fixed { mean: mean.clone(), std: std.clone() }.serialize(serializer)
            }
        }
    }
}

/// Converts the numbers of an array to a model's inputs: (number / divisor − mean) / std.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ArrayEncoding {
    /// The shape of a sample.
    pub shape: Vec<usize>,
    /// 255 for bytes, or else 1.
    pub divisor: f64,
    /// One for all numbers, or one for each index of the sample's first axis: the channels of an image, or the features
    /// of a row.
    pub mean: Vec<f64>,
    /// As many; 1 where all numbers are one.
    pub std: Vec<f64>,
}

impl ArrayEncoding {
    /// The scale on the device.
    ///
    /// ```
    /// use downhill::data::{ArrayEncoding, Scale};
    /// let unit = ArrayEncoding { shape: vec![1, 28, 28], divisor: 255.0, mean: vec![0.0], std: vec![1.0] };
    /// assert_eq!(unit.scale(), Scale::unit());
    /// ```
    pub fn scale(&self) -> Scale {
        let all = self.mean.iter().zip(&self.std);
        let (factor, offset) =
            all.map(|(mean, std)| ((1.0 / (std * self.divisor)) as f32, ((0.0 - mean) / std) as f32)).unzip();
        Scale { factor, offset }
    }
}

impl ArrayEncoding {
    /// Scales other numbers of the same kind for the device. Extents of 1 may be missing or added.
    ///
    /// # Errors
    /// [`Error::Data`] where the samples have another shape, or are no bytes where the run's were.
    pub(super) fn apply(&self, name: &str, field: Field) -> Result<Field> {
        let long = |shape: &[usize]| shape.iter().copied().filter(|&extent| extent != 1).collect::<Vec<_>>();
        let (shape, wanted) = (field.shape(), Shape::from(self.shape.clone()));
        if long(shape) != long(&wanted) {
            return Err(Error::Data(format!(
                "{name} has samples of shape {shape}, and the model was trained on {wanted}; samples lie along an \
                 array's first axis"
            )));
        }
        let kind = field.values().kind();
        if self.divisor != 1.0 && kind != Kind::U8 {
            return Err(Error::Data(format!(
                "{name} holds {}, and the model was trained on bytes, which are divided by {}; save it as uint8",
                kind.name(),
                self.divisor
            )));
        }
        field.reshaped(&self.shape).scaled(self.scale())
    }

    /// The part with its first input scaled so.
    pub(crate) fn apply_to(&self, name: &str, part: Part) -> Result<Part> {
        let inputs = self.apply(name, part.inputs().clone())?;
        Ok(part.with_inputs(inputs))
    }
}

/// Samples that [`Normalise::Standard`] looks at, at most.
const MOST_SAMPLES: usize = 50_000;

/// The count of means for a sample of this shape: one for each channel of an image, one for each feature of a row, as far as
/// the device can tell them apart; else, and for an image with its channels last, one for all.
fn channels(shape: &[usize]) -> usize {
    match *shape {
        [first] if first <= MOST_CHANNELS => first,
        [first, _, last] if first <= MOST_CHANNELS && (first <= 4 || last > 4) => first,
        _ => 1,
    }
}

/// The encoding of the training part's inputs; `None` where they are not scaled.
pub(super) fn fit(name: &str, train: &Part, normalise: &Normalise) -> Result<Option<ArrayEncoding>> {
    let field = train.inputs();
    let kind = field.values().kind();
    let shape = field.shape().to_vec();
    let divisor = if kind == Kind::U8 { 255.0 } else { 1.0 };
    let encoding = |mean, std| Ok(Some(ArrayEncoding { shape: shape.clone(), divisor, mean, std }));
    match normalise {
        Normalise::None => Ok(None),
        Normalise::Auto if kind != Kind::U8 => Ok(None),
        Normalise::Unit if kind != Kind::U8 => Err(Error::Config(format!(
            "data.normalise = \"unit\" is for bytes, and the inputs of {name} are {}; \"standard\" or {{ mean = [..], \
             std = [..] }} fits any numbers",
            kind.name()
        ))),
        Normalise::Auto | Normalise::Unit => encoding(vec![0.0], vec![1.0]),
        Normalise::Fixed { mean, std } => {
            let (n, m, first) = (mean.len(), std.len(), shape.first().copied().unwrap_or(1));
            if n != m || (n != 1 && n != first) || n > MOST_CHANNELS {
                return Err(Error::Config(format!(
                    "data.normalise: {} and {} for samples of shape {}; one of each is needed, or {first} \
                     for its first axis, and {MOST_CHANNELS} at most",
                    plural(n, "mean"),
                    plural(m, "std"),
                    field.shape()
                )));
            }
            let finite = mean.iter().chain(std).all(|number| number.is_finite());
            match std.iter().find(|std| **std <= 0.0) {
                Some(std) => Err(Error::Config(format!("data.normalise: a std of {std}; above 0 is needed"))),
                None if !finite => {
                    Err(Error::Config("data.normalise: every mean and std has to be finite".into()))
                }
                None => encoding(mean.clone(), std.clone()),
            }
        }
        Normalise::Standard => {
            let (mean, std): (Vec<f64>, Vec<f64>) =
                moments(name, train)?.iter().map(|one| (one.mean() / divisor, one.std() / divisor)).unzip();
            let alike = |std: f64| if std > 0.0 { std } else { 1.0 };
            encoding(mean, std.into_iter().map(alike).collect())
        }
    }
}

/// The moments of each channel over the part's samples, or as many as are looked at.
fn moments(name: &str, part: &Part) -> Result<Vec<Moments>> {
    let field = part.inputs();
    let stride = part.len().div_ceil(MOST_SAMPLES);
    let all = Moments::from_part(part, field, channels(field.shape()), stride)?;
    let wild: u64 = all.iter().map(|one| one.not_finite).sum();
    if wild > 0 {
        return Err(Error::Data(format!(
            "{} of {name} {} not finite, so there is no mean for data.normalise = \"standard\"",
            plural(wild, "number"),
            if wild == 1 { "is" } else { "are" }
        )));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{Encoding, Field, Values};

    fn part(shape: &[usize], values: impl Into<Values>) -> Part {
        Part::builder().input("x", Field::new(shape, values).unwrap()).build().unwrap()
    }

    fn standard(part: &Part) -> ArrayEncoding {
        fit("d", part, &Normalise::Standard).unwrap().unwrap()
    }

    #[test]
    fn every_channel_has_its_moments() {
        // Channel 0 of both samples: 0, 10, 20, 30; channel 1: all 7.
        let images = part(&[2, 1, 2], vec![0u8, 10, 7, 7, 20, 30, 7, 7]);
        let found = standard(&images);
        assert_eq!((found.divisor, &found.mean), (255.0, &vec![15.0 / 255.0, 7.0 / 255.0]));
        assert_eq!(found.std, [125f64.sqrt() / 255.0, 1.0]);
        // The samples held out do not count, and their order does not matter.
        let rows = part(&[1], vec![5.0, 100.0, 9.0]).select(&[2, 0]).unwrap();
        assert_eq!((standard(&rows).mean, standard(&rows).std), (vec![7.0], vec![2.0]));
        let scaled = rows.clone().scale_inputs(&standard(&rows).scale()).unwrap();
        assert_eq!(scaled.inputs().sample(2).unwrap(), [1.0]);
        assert_eq!(scaled.len(), 2);
    }

    #[test]
    fn channels_are_the_first_axis_of_images_and_rows() {
        for (shape, n) in [
            (&[3, 32, 32][..], 3),
            (&[32, 32, 3], 1),
            (&[1, 28, 28], 1),
            (&[13, 64, 64], 13),
            (&[28, 28], 1),
            (&[30], 30),
            (&[784], 1),
            (&[], 1),
        ] {
            assert_eq!(channels(shape), n, "{shape:?}");
        }
    }

    #[test]
    fn a_large_part_is_looked_at_evenly() {
        // 0 where it is looked at, 1 where it is not.
        let n = 2 * MOST_SAMPLES;
        let found = standard(&part(&[1], (0..n).map(|i| (i % 2) as f32).collect::<Vec<_>>()));
        assert_eq!(found.mean, [0.0]);
        let ends = standard(&part(&[1], (0..n).map(|i| i as f32).collect::<Vec<_>>()));
        let want = (n - 2) as f64 / 2.0;
        assert!((ends.mean[0] - want).abs() < 1e-9 * want, "{}", ends.mean[0]);
    }

    #[test]
    fn what_does_not_fit_is_told() {
        let refused = |part: &Part, normalise: Normalise, words: &str| {
            let err = fit("d", part, &normalise).unwrap_err().to_string();
            assert!(err.contains(words), "{err}");
        };
        let fixed = |mean: &[f64], std: &[f64]| Normalise::Fixed { mean: mean.into(), std: std.into() };
        let images = part(&[3, 1, 1], vec![0u8; 6]);
        refused(&images, fixed(&[0.5; 2], &[0.5; 2]), "2 means and 2 stds for samples of shape [3, 1, 1]");
        refused(&images, fixed(&[0.5], &[0.5; 3]), "1 mean and 3 stds");
        refused(&images, fixed(&[0.5], &[0.0]), "a std of 0");
        refused(&images, fixed(&[f64::NAN], &[1.0]), "finite");
        let floats = part(&[1], vec![0.0, f32::NAN]);
        refused(&floats, Normalise::Unit, "are f32");
        refused(&floats, Normalise::Standard, "1 number of d is not finite");
        let three = fit("d", &images, &fixed(&[0.5; 3], &[0.25; 3])).unwrap().unwrap();
        assert_eq!(three.scale().offset, [-2.0; 3]);
        for none in [Normalise::Auto, Normalise::None] {
            assert_eq!(fit("d", &floats, &none).unwrap(), None);
        }
        assert_eq!(
            fit("d", &images, &Normalise::Auto).unwrap(),
            fit("d", &images, &Normalise::Unit).unwrap()
        );
    }

    #[test]
    fn an_encoding_survives_json_to_the_bit() {
        let encoding = standard(&part(&[2, 1, 1], vec![1u8, 2, 3, 5, 9, 200]));
        let text = serde_json::to_string(&Encoding::Array(encoding.clone())).unwrap();
        assert!(text.contains("\"kind\":\"array\""), "{text}");
        assert_eq!(serde_json::from_str::<Encoding>(&text).unwrap(), Encoding::Array(encoding));
    }
}
