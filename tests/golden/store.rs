//! Reading golden files, and gathering what is wrong before saying it all at once.

use std::collections::HashMap;
use std::path::PathBuf;

use safetensors::{Dtype, SafeTensors};
use serde::de::DeserializeOwned;

/// The roundoff of f32, 2⁻²⁴: the unit of every tolerance here.
pub const ROUNDOFF: f64 = 1.0 / (1 << 24) as f64;

/// The path of `name` in `tests/golden`.
pub fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

/// A golden JSON file.
pub fn json<T: DeserializeOwned>(name: &str) -> T {
    let text = std::fs::read_to_string(path(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"))
}

/// What a stored tensor holds: F64 is expected, F32 and I32 go in.
pub enum Data {
    F32(Vec<f32>),
    F64(Vec<f64>),
    I32(Vec<i32>),
}

pub struct Array {
    pub shape: Vec<usize>,
    pub data: Data,
}

/// Every tensor of a safetensors file by name.
pub struct Tensors {
    file: String,
    tensors: HashMap<String, Array>,
}

impl Tensors {
    pub fn open(file: &str) -> Self {
        let bytes = std::fs::read(path(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        let parsed = SafeTensors::deserialize(&bytes).unwrap_or_else(|e| panic!("{file}: {e}"));
        let array = |(name, view): (&str, safetensors::tensor::TensorView<'_>)| {
            let data = match view.dtype() {
                Dtype::F32 => Data::F32(numbers(view.data(), f32::from_le_bytes)),
                Dtype::F64 => Data::F64(numbers(view.data(), f64::from_le_bytes)),
                Dtype::I32 => Data::I32(numbers(view.data(), i32::from_le_bytes)),
                other => panic!("{file}: {name} is {other:?}"),
            };
            (name.to_owned(), Array { shape: view.shape().to_vec(), data })
        };
        Self { file: file.to_owned(), tensors: parsed.iter().map(array).collect() }
    }

    pub fn find(&self, name: &str) -> Option<&Array> {
        self.tensors.get(name)
    }

    pub fn get(&self, name: &str) -> &Array {
        self.find(name).unwrap_or_else(|| panic!("{}: no tensor {name}", self.file))
    }

    pub fn f32(&self, name: &str) -> &[f32] {
        match &self.get(name).data {
            Data::F32(values) => values,
            _ => panic!("{}: {name} is not F32", self.file),
        }
    }

    pub fn f64(&self, name: &str) -> &[f64] {
        match &self.get(name).data {
            Data::F64(values) => values,
            _ => panic!("{}: {name} is not F64", self.file),
        }
    }
}

fn numbers<T, const N: usize>(bytes: &[u8], from: fn([u8; N]) -> T) -> Vec<T> {
    let (chunks, rest) = bytes.as_chunks::<N>();
    assert!(rest.is_empty(), "{} bytes are not a multiple of {N}", bytes.len());
    chunks.iter().copied().map(from).collect()
}

/// What went wrong in one test, and the largest part of a tolerance that was used.
#[derive(Default)]
pub struct Report {
    failures: Vec<String>,
    checked: usize,
    worst: f64,
    worst_label: String,
}

impl Report {
    pub fn fail(&mut self, label: &str, what: impl std::fmt::Display) {
        self.failures.push(format!("{label}: {what}"));
    }

    /// Every element of `got` within `tolerance(i)` of `want`. A NaN is never within.
    pub fn compare<T: Copy + Into<f64>>(
        &mut self,
        label: &str,
        got: &[T],
        want: &[f64],
        tolerance: impl Fn(usize) -> f64,
    ) {
        if got.len() != want.len() {
            return self.fail(label, format!("{} elements, want {}", got.len(), want.len()));
        }
        let mut wrong = Vec::new();
        for (i, (&got, &want)) in got.iter().zip(want).enumerate() {
            let got: f64 = got.into();
            let (diff, bound) = ((got - want).abs(), tolerance(i));
            if diff > 0.0 && diff / bound > self.worst {
                (self.worst, self.worst_label) = (diff / bound, format!("{label}[{i}]"));
            }
            if !within(diff, bound) {
                wrong.push(format!("[{i}] got {got:e}, want {want:e}, off by {diff:.2e} > {bound:.2e}"));
            }
        }
        self.checked += got.len();
        if !wrong.is_empty() {
            let count = format!("{} of {} wrong: ", wrong.len(), got.len());
            wrong.truncate(4);
            self.fail(label, count + &wrong.join("; "));
        }
    }

    pub fn passed(&self) -> bool {
        self.failures.is_empty() && self.checked > 0
    }

    /// Panics with everything that failed. A test that checked nothing has failed too.
    pub fn finish(self, test: &str) {
        let Self { failures, checked, worst, worst_label } = self;
        println!("{test}: {checked} numbers, at most {worst:.2} of a tolerance used, by {worst_label}");
        assert!(failures.is_empty(), "{test}: {} failures\n{}", failures.len(), failures.join("\n"));
        assert!(checked > 0, "{test}: nothing was checked");
    }
}

/// `diff <= bound`, written so that a NaN on either side is out.
pub fn within(diff: f64, bound: f64) -> bool {
    diff <= bound
}

#[test]
fn a_report_refuses_nan_wrong_lengths_and_wrong_values() {
    let failures = |got: &[f32], want: &[f64]| {
        let mut report = Report::default();
        report.compare("x", got, want, |_| 0.5);
        report.failures.len()
    };
    assert_eq!(failures(&[1.0, 2.5], &[1.0, 2.0]), 0);
    assert_eq!(failures(&[1.0, 2.6], &[1.0, 2.0]), 1);
    assert_eq!(failures(&[f32::NAN], &[1.0]), 1);
    assert_eq!(failures(&[1.0], &[1.0, 1.0]), 1);
}
