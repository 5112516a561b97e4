//! Notes on a data set before it is trained on: labels with gaps, one class, bytes of a small range.

use std::collections::BTreeSet;

use super::blocks::Blocks;
use super::values::Kind;
use super::{Dataset, Encoding, Moments, Part};
use crate::error::{Error, Result};

/// Labels with at most this many different ones are looked at for gaps.
const DIFFERENT: usize = 10_000;
/// Classes to each different label from which on most of them must be gaps.
const GAPS: usize = 10;
/// Numbers of the inputs that are looked at.
const LOOKED_AT: usize = 1 << 20;
/// Images of bytes that reach less than this are of another range.
const DARK: f64 = 128.0;

impl Dataset {
    /// Notes for a person: most classes have no sample; bytes are divided by 255 and are far below.
    /// Looks at the labels and at about a million numbers.
    ///
    /// # Errors
    /// An error of a source.
    pub fn remarks(&self) -> Result<Vec<String>> {
        let one = self.single_class()?.map(|label| self.one_class(label));
        Ok([one, self.gaps()?, self.dark()?].into_iter().flatten().collect())
    }

    /// The remark on labels where most classes have no sample.
    pub(crate) fn gaps(&self) -> Result<Option<String>> {
        let (Some(classes), Some(labels)) = (self.classes(), labels(self.train())?) else { return Ok(None) };
        let has_gaps = labels.len() > 1 && classes / GAPS > labels.len();
        Ok(has_gaps.then(|| {
            format!(
                "the labels go up to {} and only {} of these {classes} classes have a sample: the net needs an output for \
                 each class; number them anew, as numpy.unique(y, return_inverse=True)[1] does",
                classes - 1,
                labels.len()
            )
        }))
    }

    /// The label that all samples to train on have.
    fn single_class(&self) -> Result<Option<i32>> {
        let one = labels(self.train())?.filter(|labels| self.classes().is_some() && labels.len() == 1);
        Ok(one.and_then(|labels| labels.first().copied()))
    }

    /// An error where the samples to train on are of one class: a net learns nothing from them.
    ///
    /// # Errors
    /// [`Error::Data`]; an error of a source.
    pub fn check_classes(&self) -> Result<()> {
        self.single_class()?.map_or(Ok(()), |label| Err(Error::Data(self.one_class(label))))
    }

    fn one_class(&self, label: i32) -> String {
        let class = usize::try_from(label)
            .ok()
            .and_then(|at| self.encoding()?.class(at).map(|name| format!("\"{name}\"")));
        format!(
            "{}: all {} samples to train on are of one class, {}, and there is nothing to learn; samples of at least one \
             more class are needed",
            self.name(),
            self.train().len(),
            class.unwrap_or_else(|| label.to_string())
        )
    }

    /// The remark on arrays of bytes that are scaled as images from 0 to 255 are, and reach less than half of it.
    fn dark(&self) -> Result<Option<String>> {
        let (Some(Encoding::Array(encoding)), field) = (self.encoding(), self.train().inputs()) else {
            return Ok(None);
        };
        let is_unit =
            encoding.mean.iter().all(|mean| *mean == 0.0) && encoding.std.iter().all(|std| *std == 1.0);
        if field.values().kind() != Kind::U8 || encoding.divisor != 255.0 || !is_unit {
            return Ok(None);
        }
        let stride = (self.train().len() * field.shape().elements()).div_ceil(LOOKED_AT);
        let Some(moments) = Moments::from_part(self.train(), field, 1, stride)?.pop() else {
            return Ok(None);
        };
        Ok((moments.max < DARK).then(|| {
            format!(
                "the inputs are bytes up to {}, and are divided by 255 as bytes from 0 to 255 are, so that the model gets at \
                 most {:.4}; data.normalise = \"standard\" scales any range, or save them as float32 from 0 to 1",
                moments.max,
                moments.max / 255.0
            )
        }))
    }
}

/// The different labels of a part; `None` where its targets are no labels, or there are many.
fn labels(part: &Part) -> Result<Option<BTreeSet<i32>>> {
    let targets = part.targets();
    if part.fields().count() == 1 || targets.is_float() || !targets.shape().is_empty() {
        return Ok(None);
    }
    let kind = targets.values().kind();
    let mut labels = BTreeSet::new();
    let mut blocks = Blocks::new(part, targets, 1);
    while let Some(bytes) = blocks.next()? {
        labels.extend(bytes.chunks_exact(kind.bytes()).map(|label| kind.number(label) as i32));
        if labels.len() > DIFFERENT {
            return Ok(None);
        }
    }
    Ok(Some(labels))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labelled(labels: Vec<i32>) -> Dataset {
        let classes = *labels.iter().max().unwrap() as usize + 1;
        let inputs = vec![0.5; labels.len()];
        Dataset::from_arrays("d", [1], inputs, [], labels).unwrap().with_classes(classes).unwrap()
    }

    #[test]
    fn gaps_and_single_classes_are_told() {
        let gaps = labelled(vec![0, 1_000_000, 0]).remarks().unwrap();
        assert!(gaps[0].contains("up to 1000000 and only 2 of these 1000001 classes"), "{gaps:?}");
        let one = labelled(vec![3, 3]);
        let err = one.check_classes().unwrap_err().to_string();
        assert!(err.contains("all 2 samples to train on are of one class, 3"), "{err}");
        assert_eq!(one.remarks().unwrap(), [err]);
        let whole = labelled(vec![0, 1, 2]);
        assert_eq!((whole.remarks().unwrap(), whole.check_classes().is_ok()), (Vec::new(), true));
        let numbers = Dataset::from_arrays("d", [1], vec![0.0; 2], [1], vec![1.0; 2]).unwrap();
        assert!(numbers.check_classes().is_ok() && numbers.remarks().unwrap().is_empty());
    }
}
