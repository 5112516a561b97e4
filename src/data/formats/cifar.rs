//! CIFAR-10 and CIFAR-100 in their binary version: records of labels and an image, one after the other.
//!
//! ```text
//! CIFAR-10    label, then 3072 bytes: the red, the green and the blue plane, each 32 × 32, row by row
//! CIFAR-100   coarse label, fine label, then the same
//! ```
//!
//! Source: A. Krizhevsky, *Learning Multiple Layers of Features from Tiny Images*, 2009, and the data set's page.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::super::chain::Chain;
use super::super::file::{DataFile, FileValues, Written, file_name};
use super::super::values::{Kind, Values};
use super::super::{Dataset, Field, Part, Windows};
use super::arrays::{ArrayOptions, dataset};
use super::folder::files_of;
use crate::error::{Error, Result};

/// Bytes of an image.
const IMAGE: usize = 3 * 32 * 32;

/// The labels of CIFAR-100 to learn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CifarLabels {
    /// The 100 classes; CIFAR-10 has 10, and only these.
    #[default]
    Fine,
    /// The 20 classes of classes, of CIFAR-100 alone.
    Coarse,
}

/// One of the two.
struct Layout {
    train: &'static [&'static str],
    eval: &'static str,
    /// Bytes before an image.
    labels: usize,
    classes: usize,
    coarse: Option<usize>,
}

const TEN: Layout = Layout {
    train: &[
        "data_batch_1.bin",
        "data_batch_2.bin",
        "data_batch_3.bin",
        "data_batch_4.bin",
        "data_batch_5.bin",
    ],
    eval: "test_batch.bin",
    labels: 1,
    classes: 10,
    coarse: None,
};
const HUNDRED: Layout =
    Layout { train: &["train.bin"], eval: "test.bin", labels: 2, classes: 100, coarse: Some(20) };

impl Layout {
    fn record(&self) -> usize {
        self.labels + IMAGE
    }

    /// The images of files, which lie in them as windows, and the byte `label` of each record.
    fn part(&self, folder: &Path, names: &[&str], label: usize) -> Result<Part> {
        let (record, mut links, mut labels) = (self.record(), Vec::new(), Vec::new());
        for name in names {
            let file = DataFile::open(&folder.join(name))?;
            let (bytes, whole) = (file.bytes(), file.bytes() / record as u64 * record as u64);
            if whole != bytes || bytes == 0 {
                let text = format!("the file ends inside a record of {record} bytes; load it again");
                return Err(file.fault(whole, text));
            }
            for at in (label as u64..bytes).step_by(record) {
                labels.extend(file.take(at, 1)?);
            }
            links.push(FileValues::open(&file, 0, bytes as usize, Written::As(Kind::U8), false)?);
        }
        let values = Arc::new(match links.len() {
            1 => links.remove(0),
            _ => Values::from_source(Chain::new(links)?),
        });
        let at = Windows { first: self.labels, hop: record, samples: labels.len() };
        Part::new(Field::windows([3, 32, 32], &values, at)?, Field::new([], labels)?)
    }
}

/// CIFAR-10 or CIFAR-100, binary version, in a folder: samples `[3, 32, 32]` with labels. The files' names decide
/// which one it is: `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`, or `train.bin` and `test.bin`. The
/// files stay where they are.
///
/// ```no_run
/// use downhill::data::{self, ArrayOptions, CifarLabels, Normalise};
/// let options = ArrayOptions { normalise: Normalise::Standard, ..ArrayOptions::default() };
/// let cifar = data::cifar("cifar-10-batches-bin".as_ref(), CifarLabels::Fine, &options)?;
/// assert_eq!((cifar.train().len(), cifar.classes()), (50_000, Some(10)));
/// # Ok::<(), downhill::error::Error>(())
/// ```
///
/// # Errors
/// [`Error::Data`] with the place where a file is missing or cut short, or a label out of range; [`Error::Config`] where
/// the options do not fit; [`Error::Io`].
pub fn cifar(folder: &Path, labels: CifarLabels, options: &ArrayOptions) -> Result<Dataset> {
    let have = files_of(folder)?;
    let has = |name: &str| have.iter().any(|other| other == name);
    let place = folder.display();
    let layout = match [&TEN, &HUNDRED].map(|layout| layout.train.iter().any(|name| has(name))) {
        [true, false] => TEN,
        [false, true] => HUNDRED,
        [true, true] => {
            let text =
                format!("{place} has both data_batch_1.bin and train.bin; a folder for each is needed");
            return Err(Error::Data(text));
        }
        [false, false] => {
            return Err(Error::Data(format!(
                "{place} has neither data_batch_1.bin, of CIFAR-10, nor train.bin, of CIFAR-100; the binary version of \
                 either is needed"
            )));
        }
    };
    if let Some(lacking) = layout.train.iter().find(|name| !has(name)) {
        return Err(Error::Data(format!(
            "{place} has no {lacking}, and has others of its kind; load it again"
        )));
    }
    let (label, classes) = match (labels, layout.coarse) {
        (CifarLabels::Fine, _) => (layout.labels - 1, layout.classes),
        (CifarLabels::Coarse, Some(coarse)) => (0, coarse),
        (CifarLabels::Coarse, None) => {
            let text = "CIFAR-10 has no coarse labels, CIFAR-100 has; leave labels out";
            return Err(Error::Config(format!("data.source.labels = \"coarse\": {text}")));
        }
    };
    let train = layout.part(folder, layout.train, label)?;
    let own = options.own_part() && has(layout.eval);
    let eval = own.then(|| layout.part(folder, &[layout.eval], label)).transpose()?;
    dataset(file_name(folder), train, eval, Some(classes), options)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(labels: &[u8], from: u8) -> Vec<u8> {
        [labels, &(0..IMAGE).map(|i| from.wrapping_add(i as u8)).collect::<Vec<_>>()].concat()
    }

    fn load(dir: &tempfile::TempDir, labels: CifarLabels) -> Result<Dataset> {
        cifar(dir.path(), labels, &ArrayOptions::default())
    }

    #[test]
    fn what_is_wrong_in_the_folder_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let add = |name: &str, bytes: Vec<u8>| std::fs::write(dir.path().join(name), bytes).unwrap();
        let told = |labels, words: &str| {
            let err = load(&dir, labels).unwrap_err().to_string();
            assert!(err.contains(words), "{err}");
        };
        told(CifarLabels::Fine, "neither data_batch_1.bin");
        add("data_batch_1.bin", record(&[9], 0));
        told(CifarLabels::Fine, "no data_batch_2.bin");
        for i in 2..=5 {
            add(&format!("data_batch_{i}.bin"), record(&[i], i));
        }
        told(CifarLabels::Coarse, "data.source.labels");
        let data = load(&dir, CifarLabels::Fine).unwrap();
        assert_eq!((data.train().len(), data.eval().map(Part::len), data.classes()), (4, Some(1), Some(10)));
        add("data_batch_3.bin", record(&[3], 3)[..3000].to_vec());
        told(CifarLabels::Fine, "data_batch_3.bin, byte 0: the file ends inside a record of 3073 bytes");
        add("data_batch_3.bin", record(&[10], 3));
        told(CifarLabels::Fine, "sample 2 (counted from 0): label 10 is not in 0..10");
        add("train.bin", record(&[19, 99], 3));
        told(CifarLabels::Fine, "has both");
    }

    #[test]
    fn images_of_several_files_are_one_sequence() {
        let dir = tempfile::tempdir().unwrap();
        for i in 1..=5u8 {
            let two = [record(&[i], i), record(&[i + 1], 10 * i)].concat();
            std::fs::write(dir.path().join(format!("data_batch_{i}.bin")), two).unwrap();
        }
        std::fs::write(dir.path().join("test_batch.bin"), record(&[7], 200)).unwrap();
        let data = load(&dir, CifarLabels::Fine).unwrap();
        let train = data.train();
        assert_eq!((train.len(), data.eval().unwrap().len()), (10, 1));
        let pixel = |sample: usize, at: usize| train.inputs().sample(sample).unwrap()[at];
        let unit = |byte: u8| f64::from(f32::from(byte) * (1.0 / 255.0));
        assert_eq!(
            (pixel(0, 0), pixel(0, 2), pixel(5, 0), pixel(9, 3071)),
            (unit(1), unit(3), unit(30), unit(49))
        );
        assert_eq!(train.targets().sample(9).unwrap(), [6.0]);
    }
}
