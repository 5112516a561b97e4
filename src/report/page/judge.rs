//! What a trained run answers to the samples held out: right and wrong classes with the worst mistakes, or numbers beside
//! their targets.

use std::path::Path;

use crate::config::Config;
use crate::data::{Dataset, Encoding, Field, Part, TableEncoding};
use crate::error::{Error, Result};
use crate::gpu::{Gpu, GpuOptions};
use crate::graph::DType;
use crate::infer::{Head, Predictor};
use crate::plan::Value;
use crate::run::{RunDir, load};

/// Mistakes that are kept.
const MISTAKES: usize = 24;
/// Pairs of target and answer that are drawn.
const PAIRS: usize = 1_500;
/// Samples of a forward pass.
const BATCH: usize = 256;
/// Classes of a confusion matrix.
const MOST_CLASSES: usize = 1_000;
/// Pixels of a picture, at most.
const MOST_PIXELS: usize = 128 * 128;

/// A sample of another class than the run says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Mistake {
    /// Its number in the part held out, from 0.
    pub sample: usize,
    pub target: usize,
    pub answer: usize,
    /// The probability of the answer, and of the target.
    pub certain: f32,
    pub of_target: f32,
    pub picture: Option<Picture>,
}

/// An image as bytes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Picture {
    pub width: usize,
    pub height: usize,
    /// 1 or 3.
    pub channels: usize,
    /// Row by row, the channels of a pixel side by side.
    pub bytes: Vec<u8>,
}

/// The answers to classes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Classes {
    /// Counts of each true class, a row, predicted as each class, a column.
    pub confusion: Vec<Vec<u64>>,
    /// The most certain first.
    pub mistakes: Vec<Mistake>,
    pub names: Option<Vec<String>>,
}

/// The answers to numbers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Numbers {
    /// Target and answer of samples at equal distances.
    pub pairs: Vec<(f64, f64)>,
    /// The name of the target.
    pub name: String,
    /// Mean absolute error, root of the mean squared error, and the share of the variance that is explained.
    pub mae: f64,
    pub rmse: f64,
    pub r2: Option<f64>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Answers {
    Classes(Classes),
    Numbers(Numbers),
}

/// The answers of a run to the samples held out.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    pub(crate) samples: usize,
    pub(crate) answers: Answers,
}

impl Verdict {
    /// Evaluates the weights of a run on its own part held out. `data_root` is the folder of the data's files, where they
    /// were moved.
    ///
    /// # Errors
    /// The reason that it cannot: no weights, no such part, data that are not there, no adapter, a model of several inputs.
    pub fn of(run: &Path, data_root: Option<&Path>, options: &GpuOptions) -> Result<Verdict> {
        if !RunDir::is_finished(run) {
            return Err(Error::Weights(
                "it has no weights yet: a run writes model.safetensors at its end".into(),
            ));
        }
        let config = Config::load_from(&run.join("config.toml"), &[], data_root)?;
        let weights = load(&run.join("model.safetensors"))?;
        let data = config.dataset()?;
        let Some(part) = data.eval() else {
            return Err(Error::Config("no samples are held out".into()));
        };
        let own = data.encoding().cloned();
        let encoding = RunDir::encoding(run)?.or(own);
        let asked = Question::of(&config, &data, encoding.as_ref())?;
        let gpu = Gpu::open(&config.gpu_options(options))?;
        let inputs = part.inputs();
        let dtype = if inputs.is_float() { DType::F32 } else { DType::I32 };
        let mut predictor = config.predictor(&gpu, inputs.shape(), dtype, BATCH.min(part.len()), &weights)?;
        let answers = match asked {
            Question::Classes(classes) => Answers::Classes(judge_classes(
                part,
                &mut predictor,
                classes,
                config.class_names(encoding.as_ref()),
            )?),
            Question::Numbers(table) => {
                Answers::Numbers(judge_numbers(part, &mut predictor, table.as_ref())?)
            }
        };
        Ok(Verdict { samples: part.len(), answers })
    }
}

/// What there is to judge.
enum Question {
    Classes(usize),
    Numbers(Option<TableEncoding>),
}

impl Question {
    fn of(config: &Config, data: &Dataset, encoding: Option<&Encoding>) -> Result<Question> {
        let none = |why: &str| Err(Error::Config(why.into()));
        let targets = data.train().targets();
        let is_one = targets.shape().elements() == 1;
        match (config.head(), data.classes()) {
            (Head::Softmax | Head::Exp, Some(classes)) if is_one && classes <= MOST_CLASSES => {
                Ok(Question::Classes(classes))
            }
            (Head::Softmax | Head::Exp, _) => none("its targets are not one class a sample"),
            (Head::Sigmoid, _) if is_one => Ok(Question::Classes(2)),
            (Head::Sigmoid, _) => none("its targets are several labels a sample"),
            (Head::Numbers, _) if is_one => Ok(Question::Numbers(match encoding {
                Some(Encoding::Table(table)) => Some(table.clone()),
                _ => None,
            })),
            (Head::Numbers, _) => none("its targets are several numbers a sample"),
        }
    }
}

/// Calls `take` with the number of each sample, its target, and its answer.
fn each(
    part: &Part,
    predictor: &mut Predictor,
    mut take: impl FnMut(usize, f64, &[f32]) -> Result<()>,
) -> Result<()> {
    let (inputs, targets) = (part.inputs(), part.targets());
    let width = predictor.output().elements();
    let mut at = 0;
    while at < part.len() {
        let count = predictor.batch().min(part.len() - at);
        let mut numbers = Vec::with_capacity(count * inputs.shape().elements());
        for sample in at..at + count {
            numbers.extend(inputs.sample(part.source_index(sample as u32) as usize)?);
        }
        let answers = if inputs.is_float() {
            predictor.predict(Value::F32(&numbers.iter().map(|v| *v as f32).collect::<Vec<_>>()))?
        } else {
            predictor.predict(Value::I32(&numbers.iter().map(|v| *v as i32).collect::<Vec<_>>()))?
        };
        for (i, answer) in answers.chunks_exact(width).enumerate() {
            let target = targets.sample(part.source_index((at + i) as u32) as usize)?;
            take(at + i, target.first().copied().unwrap_or(f64::NAN), answer)?;
        }
        at += count;
    }
    Ok(())
}

fn judge_classes(
    part: &Part,
    predictor: &mut Predictor,
    classes: usize,
    names: Option<Vec<String>>,
) -> Result<Classes> {
    let width = predictor.output().elements();
    if width != classes && (width, classes) != (1, 2) {
        return Err(Error::Config(format!(
            "it answers with {width} numbers a sample, and there are {classes} classes"
        )));
    }
    let mut confusion = vec![vec![0; classes]; classes];
    let mut mistakes: Vec<Mistake> = Vec::new();
    each(part, predictor, |sample, target, answer| {
        // One number is the probability of class 1.
        let pair = [1.0 - answer[0], answer[0]];
        let chances = if answer.len() == 1 { &pair[..] } else { answer };
        let best = (1..chances.len()).fold(0, |best, i| if chances[i] > chances[best] { i } else { best });
        let Some(row) = confusion.get_mut(target as usize) else { return Ok(()) };
        row[best] += 1;
        let certain = chances[best];
        let is_kept = mistakes.len() < MISTAKES || mistakes.last().is_some_and(|last| certain > last.certain);
        if best != target as usize && is_kept {
            let at = mistakes.partition_point(|other| other.certain >= certain);
            let (target, of_target) = (target as usize, chances[target as usize]);
            let picture = None;
            mistakes.insert(at, Mistake { sample, target, answer: best, certain, of_target, picture });
            mistakes.truncate(MISTAKES);
        }
        Ok(())
    })?;
    for mistake in &mut mistakes {
        let index = part.source_index(mistake.sample as u32) as usize;
        mistake.picture = picture(part.inputs(), index)?;
    }
    Ok(Classes { confusion, mistakes, names })
}

fn judge_numbers(part: &Part, predictor: &mut Predictor, table: Option<&TableEncoding>) -> Result<Numbers> {
    let width = predictor.output().elements();
    if width != 1 {
        return Err(Error::Config(format!(
            "it answers with {width} numbers a sample, and the target is one"
        )));
    }
    let own = |value: f64| table.and_then(|table| table.value(value as f32)).unwrap_or(value);
    let stride = part.len().div_ceil(PAIRS);
    let (mut pairs, mut absolute, mut squared) = (Vec::new(), 0.0, 0.0);
    let (mut sum, mut squares) = (0.0, 0.0);
    each(part, predictor, |sample, target, answer| {
        let (target, answer) = (own(target), own(answer[0].into()));
        absolute += (answer - target).abs();
        squared += (answer - target).powi(2);
        sum += target;
        squares += target * target;
        if sample.is_multiple_of(stride) {
            pairs.push((target, answer));
        }
        Ok(())
    })?;
    let n = part.len() as f64;
    let spread = squares - sum * sum / n;
    Ok(Numbers {
        pairs,
        name: table.map_or_else(|| "target".into(), |table| table.target.name.clone()),
        mae: absolute / n,
        rmse: (squared / n).sqrt(),
        r2: (spread > 0.0).then(|| 1.0 - squared / spread),
    })
}

/// A sample as an image: [channels, height, width] of 1 or 3 channels, or [height, width]. `None` for other shapes, and for
/// those of a side of 1, which are no images.
fn picture(field: &Field, sample: usize) -> Result<Option<Picture>> {
    let (channels, height, width) = match field.shape()[..] {
        [channels @ (1 | 3), height, width] => (channels, height, width),
        [height, width] => (1, height, width),
        _ => return Ok(None),
    };
    if !field.is_float() && field.scale().is_none() || height < 2 || width < 2 || height * width > MOST_PIXELS
    {
        return Ok(None);
    }
    let mut numbers = field.sample(sample)?;
    if let Some(scale) = field.scale() {
        // Back to the numbers of the file.
        let each = numbers.len() / scale.factor.len();
        for (i, number) in numbers.iter_mut().enumerate() {
            *number = (*number - f64::from(scale.offset[i / each])) / f64::from(scale.factor[i / each]);
        }
    }
    let finite = || numbers.iter().copied().filter(|v| v.is_finite());
    let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    // Bytes, or fractions of 1, as they are; other numbers from their least to their greatest.
    let (low, high) = match field.scale() {
        Some(_) if low >= -0.5 && high <= 255.5 && high > 1.5 => (0.0, 255.0),
        _ if low >= 0.0 && high <= 1.0 => (0.0, 1.0),
        _ if high > low => (low, high),
        _ => (low - 1.0, low + 1.0),
    };
    let byte = |v: f64| (255.0 * (v - low) / (high - low)).round().clamp(0.0, 255.0) as u8;
    let plane = height * width;
    let pixels = (0..plane).flat_map(|at| (0..channels).map(move |c| c * plane + at));
    let bytes = pixels.map(|at| byte(numbers[at])).collect();
    Ok(Some(Picture { width, height, channels, bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_are_made_of_images_alone() {
        let of = |shape: &[usize], values: Vec<f32>| {
            picture(&Field::new(shape.to_vec(), values).unwrap(), 0).unwrap()
        };
        let grey = of(&[1, 2, 2], vec![0.0, 0.25, 0.5, 1.0]).unwrap();
        assert_eq!((grey.channels, &grey.bytes[..]), (1, &[0, 64, 128, 255][..]));
        let wide = of(&[2, 2], vec![-1.0, 0.0, 0.0, 3.0]).unwrap();
        assert_eq!(wide.bytes, [0, 64, 64, 255]);
        // Channels of a pixel stand side by side.
        let colour = of(&[3, 2, 2], (0..12).map(|v| v as f32 / 11.0).collect()).unwrap();
        assert_eq!((colour.channels, &colour.bytes[..3]), (3, &[0, 93, 185][..]));
        assert_eq!(of(&[4], vec![0.0; 4]), None);
        assert_eq!(of(&[1, 1, 4], vec![0.0; 4]), None);
        assert_eq!(of(&[2, 2, 2], vec![0.0; 8]), None);
        // Bytes come back from the scale that the device applies.
        let bytes = Field::new([1, 2, 2], vec![0_u8, 10, 200, 255])
            .unwrap()
            .scaled(crate::data::Scale::unit())
            .unwrap();
        assert_eq!(picture(&bytes, 0).unwrap().unwrap().bytes, [0, 10, 200, 255]);
    }
}
