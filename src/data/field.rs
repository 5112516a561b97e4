//! Samples of one shape: one after the other, or windows over a sequence that lies in memory once.

use std::ops::ControlFlow;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

use super::values::Values;
use crate::error::{Error, Result};
use crate::shape::Shape;
use crate::units::plural;

/// The beginnings of samples: sample i at element `first + i·hop`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Windows {
    /// The first sample's first element.
    pub first: usize,
    /// Elements from one sample's beginning to the next one's; shorter than a sample, and they overlap.
    pub hop: usize,
    /// The count of samples.
    pub samples: usize,
}

impl Windows {
    /// As many windows of `length` as fit into elements `first..end`.
    pub fn fitting(first: usize, end: usize, length: usize, hop: usize) -> Windows {
        let room = end.checked_sub(first).and_then(|room| room.checked_sub(length));
        Windows { first, hop, samples: room.map_or(0, |room| room / hop.max(1) + 1) }
    }
}

/// Scales a field's numbers on the device before the model reads them: number · factor + offset, in f32.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scale {
    /// One for all numbers, or one for each index of the sample's first axis, the channels of an image.
    pub factor: Vec<f32>,
    /// As many.
    pub offset: Vec<f32>,
}

/// Channels that a [`Scale`] scales separately, at most: they are text in a kernel.
pub const MOST_CHANNELS: usize = 64;

impl Scale {
    /// The same for all numbers.
    pub fn all(factor: f32, offset: f32) -> Scale {
        Scale { factor: vec![factor], offset: vec![offset] }
    }

    /// Bytes to numbers from 0 to 1, as torchvision's `ToTensor`.
    pub fn unit() -> Scale {
        Scale::all(1.0 / 255.0, 0.0)
    }

    /// (number − mean) / std for each channel, as torchvision's `Normalize`.
    pub fn standard(mean: &[f64], std: &[f64]) -> Scale {
        let factor = std.iter().map(|std| (1.0 / std) as f32).collect();
        Scale { factor, offset: mean.iter().zip(std).map(|(mean, std)| (-mean / std) as f32).collect() }
    }
}

/// Samples of one shape. Clones share the values.
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    shape: Shape,
    values: Arc<Values>,
    windows: Windows,
    scale: Option<Scale>,
    range: Range,
}

/// The smallest and the largest of a field's integers, once they have been looked for. Clones share it.
#[derive(Debug, Clone, Default)]
struct Range(Arc<OnceLock<Option<(i32, i32)>>>);

/// It follows from the rest.
impl PartialEq for Range {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Field {
    /// `values` as samples of `shape` each, one after the other, a scalar being of rank 0.
    ///
    /// # Errors
    /// [`Error::Data`] where a sample has no element, or the values are no whole number of samples.
    pub fn new(shape: impl Into<Shape>, values: impl Into<Values>) -> Result<Field> {
        let (shape, values) = (shape.into(), values.into());
        let (each, all) = (shape.elements(), values.len());
        if each == 0 || !all.is_multiple_of(each) {
            return Err(Error::Data(format!(
                "{}: no whole number of samples of shape {shape}, {} each; the shape is that of one sample, without \
                 the batch axis",
                plural(all, "value"),
                plural(each, "value")
            )));
        }
        let windows = Windows { first: 0, hop: each, samples: all / each };
        Self::countable(shape, Arc::new(values), windows)
    }

    /// Windows over a sequence: sample i is elements `first + i·hop ..` of it, as many as `shape` has.
    ///
    /// Fields over the same [`Arc`] lie on the device once:
    ///
    /// ```
    /// use std::sync::{Arc, OnceLock};
    /// use downhill::data::{Field, Part, Values, Windows};
    /// let tokens = Arc::new(Values::I32((0..1000).collect()));
    /// let at = Windows::fitting(0, 999, 64, 64); // 64 tokens a sample, and one more for the last target
    /// let inputs = Field::windows([64], &tokens, at)?;
    /// let targets = Field::windows([64], &tokens, Windows { first: 1, ..at })?;
    /// assert_eq!(Part::new(inputs, targets)?.len(), 15);
    /// # Ok::<(), downhill::error::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Data`] where a sample has no element, `hop` is 0, or the last sample passes the sequence's end.
    pub fn windows(shape: impl Into<Shape>, sequence: &Arc<Values>, at: Windows) -> Result<Field> {
        let (shape, all) = (shape.into(), sequence.len());
        let each = shape.elements();
        if each == 0 || at.hop == 0 {
            return Err(Error::Data(format!(
                "windows of shape {shape} at a hop of {}: both need at least 1 element",
                at.hop
            )));
        }
        let fit = Windows::fitting(at.first, all, each, at.hop).samples;
        if at.samples > fit {
            return Err(Error::Data(format!(
                "{} windows of {each} elements, each {} after the last, the first at element {}: a sequence of \
                 {all} has room for {fit}",
                at.samples, at.hop, at.first
            )));
        }
        Self::countable(shape, Arc::clone(sequence), at)
    }

    fn countable(shape: Shape, values: Arc<Values>, windows: Windows) -> Result<Field> {
        let most = u32::MAX as usize;
        if windows.samples > most {
            let n = windows.samples;
            return Err(Error::Data(format!("{n} samples are too many; {most} can be counted")));
        }
        Ok(Field { shape, values, windows, scale: None, range: Range::default() })
    }

    /// A field whose numbers the device scales; the model receives f32 for every kind.
    ///
    /// # Errors
    /// [`Error::Data`] where there are neither one factor and offset nor one for each index of the first axis, or more
    /// than [`MOST_CHANNELS`].
    pub fn scaled(self, scale: Scale) -> Result<Field> {
        let (n, m) = (scale.factor.len(), scale.offset.len());
        let channels = self.shape.first().copied().unwrap_or(1);
        if n != m || n > MOST_CHANNELS || (n != 1 && n != channels) {
            return Err(Error::Data(format!(
                "{} and {} for samples of shape {}: one of each is needed, or one for each of the \
                 {channels} indices of the first axis, which are {MOST_CHANNELS} at most",
                plural(n, "factor"),
                plural(m, "offset"),
                self.shape
            )));
        }
        Ok(Field { scale: Some(scale), range: Range::default(), ..self })
    }

    /// The scale of the numbers, if they have one.
    pub fn scale(&self) -> Option<&Scale> {
        self.scale.as_ref()
    }

    /// True where the model gets f32, and false where it gets i32.
    pub fn is_float(&self) -> bool {
        self.scale.is_some() || self.values.kind().is_float()
    }

    /// The type the model receives: `f32` or `i32`.
    pub fn type_name(&self) -> &'static str {
        if self.is_float() { "f32" } else { "i32" }
    }

    /// Bytes of a sample as it travels.
    pub fn sample_bytes(&self) -> usize {
        self.shape.elements() * self.values.kind().bytes()
    }

    /// Fills `into` with samples from `sample` on, as little-endian bytes of the values' kind, one after the other.
    ///
    /// # Errors
    /// An error of the source of the values.
    ///
    /// # Panics
    /// If there are fewer samples.
    pub fn read(&self, sample: usize, into: &mut [u8]) -> Result<()> {
        let (each, Windows { first, hop, samples }) = (self.shape.elements(), self.windows);
        let bytes = self.sample_bytes();
        assert!(sample + into.len() / bytes <= samples, "there are {samples} samples");
        if hop == each {
            return self.values.read(first + sample * hop, into);
        }
        let all = into.chunks_exact_mut(bytes).zip(sample..);
        all.into_iter().try_for_each(|(into, sample)| self.values.read(first + sample * hop, into))
    }

    /// Fills `into` with these samples, one after the other; neighbours are read together. The error has the place of
    /// a sample that cannot be read, and why.
    ///
    /// # Panics
    /// As [`Field::read`].
    pub(crate) fn gather(&self, samples: &[u32], into: &mut [u8]) -> Result<(), (usize, Error)> {
        let each = self.sample_bytes();
        let mut place = 0;
        for run in samples.chunk_by(|a, b| a.checked_add(1) == Some(*b)) {
            let into = &mut into[place * each..(place + run.len()) * each];
            if self.read(run[0] as usize, into).is_err() {
                // One of them: the first that cannot be read alone.
                for ((&sample, into), i) in run.iter().zip(into.chunks_exact_mut(each)).zip(place..) {
                    self.read(sample as usize, into).map_err(|err| (i, err))?;
                }
            }
            place += run.len();
        }
        Ok(())
    }

    /// The numbers of a sample as the model gets them.
    ///
    /// # Errors
    /// As [`Field::read`].
    ///
    /// # Panics
    /// As [`Field::read`].
    pub fn sample(&self, sample: usize) -> Result<Vec<f64>> {
        self.samples(sample, 1)
    }

    /// The numbers of `count` samples from `first` on, one after the other, as the model gets them.
    ///
    /// # Errors
    /// As [`Field::read`].
    ///
    /// # Panics
    /// As [`Field::read`].
    pub fn samples(&self, first: usize, count: usize) -> Result<Vec<f64>> {
        let kind = self.values.kind();
        let mut bytes = vec![0; count * self.sample_bytes()];
        self.read(first, &mut bytes)?;
        let mut numbers: Vec<f64> = bytes.chunks_exact(kind.bytes()).map(|b| kind.number(b)).collect();
        if let Some(Scale { factor, offset }) = &self.scale {
            let all = self.shape.elements();
            let each = all / factor.len();
            for (i, number) in numbers.iter_mut().enumerate() {
                let (factor, offset) = (factor[i % all / each], offset[i % all / each]);
                *number = (*number as f32 * factor + offset).into();
            }
        }
        Ok(numbers)
    }

    /// The same numbers in another shape with as many elements.
    pub(super) fn reshaped(self, shape: &[usize]) -> Field {
        debug_assert_eq!(self.shape.elements(), shape.iter().product::<usize>());
        Field { shape: shape.into(), ..self }
    }

    /// The shape of one sample.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// All values, row-major: the samples one after the other, or the sequence that the windows are over.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// The values as they are shared.
    pub fn shared(&self) -> &Arc<Values> {
        &self.values
    }

    /// The beginnings of the samples among the values.
    pub fn at(&self) -> Windows {
        self.windows
    }

    /// The count of samples.
    pub fn len(&self) -> usize {
        self.windows.samples
    }

    /// True where there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The smallest and the largest of its integers. `None` where there is none, or the model gets floats.
    ///
    /// # Errors
    /// As [`Field::read`].
    pub fn range_i32(&self) -> Result<Option<(i32, i32)>> {
        if let Some(range) = self.range.0.get() {
            return Ok(*range);
        }
        let mut range: Option<(i32, i32)> = None;
        self.each_i32(|_, v| {
            let (low, high) = range.unwrap_or((v, v));
            range = Some((v.min(low), v.max(high)));
            ControlFlow::Continue(())
        })?;
        Ok(*self.range.0.get_or_init(|| range))
    }

    /// The first of its integers for which `wrong` holds, with its sample; each is looked at once. `None` where
    /// there is none, or the model gets floats.
    pub(super) fn find_i32(&self, wrong: impl Fn(i32) -> bool) -> Result<Option<(usize, i32)>> {
        let mut found = None;
        self.each_i32(|sample, v| {
            if wrong(v) {
                found = Some((sample, v));
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        })?;
        Ok(found)
    }

    /// Gives `look` every integer of every sample, those of windows that overlap with the first.
    fn each_i32(&self, mut look: impl FnMut(usize, i32) -> ControlFlow<()>) -> Result<()> {
        if self.is_float() {
            return Ok(());
        }
        let (kind, all) = (self.values.kind(), self.values.len());
        let Windows { first, hop, samples } = self.windows;
        let each = self.shape.elements();
        let (mut block, mut from, mut seen) = (Vec::new(), 0, 0);
        for sample in 0..samples {
            let start = first + sample * hop;
            for at in start.max(seen)..start + each {
                if !(from..from + block.len() / kind.bytes()).contains(&at) {
                    from = at;
                    block.resize((all - at).min(BLOCK) * kind.bytes(), 0);
                    self.values.read(at, &mut block)?;
                }
                let number = kind.number(&block[(at - from) * kind.bytes()..]) as i32;
                if look(sample, number).is_break() {
                    return Ok(());
                }
            }
            seen = start + each;
        }
        Ok(())
    }
}

/// Numbers that are looked through at once.
const BLOCK: usize = 1 << 15;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn assert_refused(result: Result<Field>, words: &[&str]) {
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
        assert_eq!(field.at(), Windows { first: 0, hop: 6, samples: 4 });
        assert_eq!(Field::new([], vec![1, 2, 3]).unwrap().len(), 3);
        assert_refused(Field::new([5], vec![0.0; 12]), &["12 values", "[5]", "without the batch axis"]);
        assert_refused(Field::new([3, 0], Vec::<f32>::new()), &["[3, 0]"]);
        assert_refused(Field::new([usize::MAX, 2], vec![0.0; 12]), &["12 values"]);
    }

    #[test]
    fn windows_stay_inside_their_sequence() {
        let sequence = Arc::new(Values::I32((0..10).collect()));
        let at = |first, hop, samples| Field::windows([4], &sequence, Windows { first, hop, samples });
        assert_eq!(at(0, 3, 3).unwrap().len(), 3);
        assert_eq!(at(1, 3, 2).unwrap().at(), Windows { first: 1, hop: 3, samples: 2 });
        assert!(at(10, 1, 0).unwrap().is_empty());
        assert!(Arc::ptr_eq(at(0, 1, 1).unwrap().shared(), at(1, 1, 1).unwrap().shared()));
        assert_refused(at(1, 3, 3), &["3 windows of 4", "3 after", "element 1", "sequence of 10", "for 2"]);
        assert_refused(at(7, 1, 1), &["room for 0"]);
        assert_refused(at(usize::MAX, 1, 1), &["room for 0"]);
        assert_refused(at(0, usize::MAX, 2), &["room for 1"]);
        assert_refused(at(0, 0, 1), &["hop of 0"]);
        let none = Windows { first: 0, hop: 1, samples: 1 };
        assert_refused(Field::windows([0], &sequence, none), &["[0]"]);
    }

    proptest! {
        #[test]
        fn as_many_windows_as_fit(first in 0usize..50, len in 0usize..50, each in 1usize..9, hop in 1usize..9) {
            let end = first + len;
            let fit = Windows::fitting(first, end, each, hop).samples;
            let ends = |samples: usize| first + (samples - 1) * hop + each;
            prop_assert!(fit == 0 || ends(fit) <= end);
            prop_assert!(ends(fit + 1) > end);
            let sequence = Arc::new(Values::F32(vec![0.0; end]));
            let make = |samples| Field::windows([each], &sequence, Windows { first, hop, samples });
            prop_assert!(make(fit).is_ok() && make(fit + 1).is_err());
        }

        #[test]
        fn an_integer_is_found_in_the_first_sample_that_has_it(
            each in 1usize..6, hop in 1usize..8, first in 0usize..5, place in 0usize..40,
        ) {
            let mut values = vec![0; 40];
            values[place] = 7;
            let at = Windows::fitting(first, 40, each, hop);
            let field = Field::windows([each], &Arc::new(Values::I32(values)), at).unwrap();
            let want = (0..at.samples).find(|i| (first + i * hop..first + i * hop + each).contains(&place));
            prop_assert_eq!(field.find_i32(|v| v == 7).unwrap(), want.map(|sample| (sample, 7)));
            let reached = (0..at.samples).flat_map(|i| first + i * hop..first + i * hop + each);
            let largest = reached.map(|i| if i == place { 7 } else { 0 }).max();
            prop_assert_eq!(field.range_i32().unwrap().map(|(_, high)| high), largest);
        }
    }
}
