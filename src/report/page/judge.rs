//! What a trained run answers to the samples held out: right and wrong classes with the worst mistakes, or numbers beside
//! their targets.

use std::path::Path;

use super::record::MOST_CLASSES;
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
/// Bars of a histogram of errors.
const BARS: usize = 40;
/// Samples of a forward pass.
const BATCH: usize = 256;
/// Pixels of a sample that is made a picture, at most.
const MOST_PIXELS: usize = 128 * 128;
/// Pixels of a side of a picture; a larger sample is shrunk.
const SIDE: usize = 32;

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
    /// Samples whose answers are not finite; neither the counts nor the mistakes have them.
    pub nonfinite: u64,
}

/// The answers to numbers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Numbers {
    /// Target and answer of samples at equal distances.
    pub pairs: Vec<(f64, f64)>,
    /// How many errors of all samples lie in each of equally wide bars, from `-farthest` to `farthest`.
    pub bars: Vec<u64>,
    /// The greatest error, whatever its sign.
    pub farthest: f64,
    /// The name of the target.
    pub name: String,
    /// Mean absolute error, root of the mean squared error, and the share of the variance that is explained.
    pub mae: f64,
    pub rmse: f64,
    pub r2: Option<f64>,
    /// Samples whose answers are not finite; no other number has them.
    pub nonfinite: u64,
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

/// The answers to classes, sample by sample.
struct ClassSums {
    confusion: Vec<Vec<u64>>,
    mistakes: Vec<Mistake>,
    nonfinite: u64,
}

impl ClassSums {
    fn new(classes: usize) -> ClassSums {
        ClassSums { confusion: vec![vec![0; classes]; classes], mistakes: Vec::new(), nonfinite: 0 }
    }

    fn take(&mut self, sample: usize, target: f64, answer: &[f32]) {
        // A class out of range is no class: a padding, say.
        if !(0.0..self.confusion.len() as f64).contains(&target) {
            return;
        }
        if answer.iter().any(|chance| !chance.is_finite()) {
            self.nonfinite += 1;
            return;
        }
        let target = target as usize;
        // One number is the probability of class 1.
        let pair = [1.0 - answer[0], answer[0]];
        let chances = if answer.len() == 1 { &pair[..] } else { answer };
        let best = (1..chances.len()).fold(0, |best, i| if chances[i] > chances[best] { i } else { best });
        self.confusion[target][best] += 1;
        let certain = chances[best];
        let mistakes = &mut self.mistakes;
        let is_kept = mistakes.len() < MISTAKES || mistakes.last().is_some_and(|last| certain > last.certain);
        if best != target && is_kept {
            let at = mistakes.partition_point(|other| other.certain >= certain);
            let (of_target, picture) = (chances[target], None);
            mistakes.insert(at, Mistake { sample, target, answer: best, certain, of_target, picture });
            mistakes.truncate(MISTAKES);
        }
    }
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
    let mut judged = ClassSums::new(classes);
    each(part, predictor, |sample, target, answer| {
        judged.take(sample, target, answer);
        Ok(())
    })?;
    let ClassSums { confusion, mut mistakes, nonfinite } = judged;
    for mistake in &mut mistakes {
        let index = part.source_index(mistake.sample as u32) as usize;
        mistake.picture = picture(part.inputs(), index)?;
    }
    Ok(Classes { confusion, mistakes, names, nonfinite })
}

/// The answers to numbers, sample by sample.
struct NumberSums {
    /// Every so many samples a pair is kept.
    stride: usize,
    pairs: Vec<(f64, f64)>,
    errors: Vec<f64>,
    /// The mean of the targets so far, and the sum of their squared distances from it (Welford 1962).
    mean: f64,
    spread: f64,
    nonfinite: u64,
}

impl NumberSums {
    fn new(samples: usize) -> NumberSums {
        NumberSums {
            stride: samples.div_ceil(PAIRS).max(1),
            pairs: Vec::new(),
            errors: Vec::new(),
            mean: 0.0,
            spread: 0.0,
            nonfinite: 0,
        }
    }

    fn take(&mut self, target: f64, answer: f64) {
        let error = answer - target;
        if !error.is_finite() {
            self.nonfinite += 1;
            return;
        }
        if self.errors.len().is_multiple_of(self.stride) {
            self.pairs.push((target, answer));
        }
        self.errors.push(error);
        let from_mean = target - self.mean;
        self.mean += from_mean / self.errors.len() as f64;
        self.spread += from_mean * (target - self.mean);
    }

    fn numbers(self, name: String) -> Numbers {
        let NumberSums { pairs, errors, spread, nonfinite, .. } = self;
        let n = errors.len() as f64;
        let squared: f64 = errors.iter().map(|error| error * error).sum();
        let farthest = errors.iter().fold(f64::MIN_POSITIVE, |most, error| most.max(error.abs()));
        let width = 2.0 * farthest / BARS as f64;
        let mut bars = vec![0_u64; BARS];
        for error in &errors {
            bars[(((error + farthest) / width) as usize).min(BARS - 1)] += 1;
        }
        Numbers {
            pairs,
            farthest,
            bars,
            name,
            mae: errors.iter().map(|error| error.abs()).sum::<f64>() / n,
            rmse: (squared / n).sqrt(),
            r2: (spread > 0.0).then(|| 1.0 - squared / spread),
            nonfinite,
        }
    }
}

fn judge_numbers(part: &Part, predictor: &mut Predictor, table: Option<&TableEncoding>) -> Result<Numbers> {
    let width = predictor.output().elements();
    if width != 1 {
        return Err(Error::Config(format!(
            "it answers with {width} numbers a sample, and the target is one"
        )));
    }
    let own = |value: f64| table.and_then(|table| table.value(value as f32)).unwrap_or(value);
    let mut sums = NumberSums::new(part.len());
    each(part, predictor, |_, target, answer| {
        sums.take(own(target), own(answer[0].into()));
        Ok(())
    })?;
    Ok(sums.numbers(table.map_or_else(|| "target".into(), |table| table.target.name.clone())))
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
    Ok(Some(shrunk(Picture { width, height, channels, bytes })))
}

/// The picture with sides of at most [`SIDE`]: each pixel is the mean of those that it covers.
fn shrunk(picture: Picture) -> Picture {
    let Picture { width, height, channels, bytes } = picture;
    let longer = width.max(height);
    if longer <= SIDE {
        return Picture { width, height, channels, bytes };
    }
    let side = |own: usize| (own * SIDE / longer).max(1);
    let (columns, rows) = (side(width), side(height));
    let mut out = Vec::with_capacity(columns * rows * channels);
    for row in 0..rows {
        let ys = row * height / rows..(row + 1) * height / rows;
        for column in 0..columns {
            let xs = column * width / columns..(column + 1) * width / columns;
            let covered = ys.len() * xs.len();
            for channel in 0..channels {
                let all =
                    ys.clone().flat_map(|y| xs.clone().map(move |x| (y * width + x) * channels + channel));
                let sum: usize = all.map(|at| usize::from(bytes[at])).sum();
                out.push(((sum + covered / 2) / covered) as u8);
            }
        }
    }
    Picture { width: columns, height: rows, channels, bytes: out }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_that_are_not_finite_are_neither_right_nor_wrong() {
        let mut sums = ClassSums::new(2);
        sums.take(0, 0.0, &[f32::NAN, f32::NAN]);
        sums.take(1, 1.0, &[f32::INFINITY]);
        sums.take(2, 0.0, &[0.9, 0.1]);
        sums.take(3, 0.0, &[0.75]);
        // No class.
        sums.take(4, -1.0, &[0.9, 0.1]);
        sums.take(5, f64::NAN, &[0.9, 0.1]);
        assert_eq!((sums.confusion, sums.nonfinite), (vec![vec![1, 1], vec![0, 0]], 2));
        assert_eq!(sums.mistakes.iter().map(|own| own.sample).collect::<Vec<_>>(), [3]);

        let mut sums = NumberSums::new(3);
        sums.take(1.0, f64::NAN);
        sums.take(1.0, 3.0);
        sums.take(2.0, 1.0);
        let own = sums.numbers("y".into());
        assert_eq!((own.nonfinite, own.mae, own.pairs), (1, 1.5, vec![(1.0, 3.0), (2.0, 1.0)]));
    }

    #[test]
    fn the_variance_explained_keeps_its_digits_far_from_0() {
        let of = |offset: f64, samples: usize| {
            let mut sums = NumberSums::new(samples);
            for i in 0..samples {
                // Distances from the mean of -1, 0 and 1, and errors of half of them.
                let away = (i % 3) as f64 - 1.0;
                sums.take(offset + away, offset + away / 2.0);
            }
            sums.numbers("y".into())
        };
        for offset in [0.0, 1e9, -1e9] {
            let own = of(offset, 30_000);
            assert!((own.r2.unwrap() - 0.75).abs() < 1e-6, "{offset}: {:?}", own.r2);
            // Every sample is in a bar, whatever the number of pairs.
            assert!(own.pairs.len() <= PAIRS && own.bars.iter().sum::<u64>() == 30_000, "{offset}");
        }
        // Targets that are all equal have no variance.
        let mut sums = NumberSums::new(100);
        (0..100).for_each(|_| sums.take(1e9 + 0.1, 1e9));
        assert_eq!(sums.numbers("y".into()).r2, None);
    }

    #[test]
    fn a_large_picture_is_shrunk() {
        let of = |width: usize, height: usize, channels: usize, bytes: Vec<u8>| {
            shrunk(Picture { width, height, channels, bytes })
        };
        let bytes: Vec<u8> = (0..64 * 64).map(|i| if i % 2 == 0 { 10 } else { 20 }).collect();
        let own = of(64, 64, 1, bytes);
        assert_eq!((own.width, own.height, own.bytes), (32, 32, vec![15; 1024]));
        // A side stays at least a pixel, and channels stay apart.
        let own = of(100, 2, 3, [1_u8, 2, 3].repeat(200));
        assert_eq!((own.width, own.height, own.bytes), (32, 1, [1_u8, 2, 3].repeat(32)));
        let small = Picture { width: 32, height: 8, channels: 1, bytes: vec![7; 256] };
        assert_eq!(shrunk(small.clone()), small);
    }

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
