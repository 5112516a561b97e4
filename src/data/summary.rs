//! The summary of a data set, found by reading it once.

use std::sync::Arc;

use serde::Serialize;

use super::blocks::Blocks;
use super::{Dataset, Field, Moments, Part, Scale};
use crate::error::Result;

/// A data set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Summary {
    /// Its name.
    pub name: String,
    /// The count of classes, where the targets are labels.
    pub classes: Option<usize>,
    /// Bytes that it takes on the device.
    pub device_bytes: u64,
    /// The part to train on and, where there is one, the part to evaluate on.
    pub parts: Vec<PartSummary>,
}

/// A part of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PartSummary {
    /// `train` or `eval`.
    pub name: &'static str,
    /// The count of samples.
    pub samples: usize,
    /// Inputs, then targets.
    pub fields: Vec<FieldSummary>,
}

/// A field of a part.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FieldSummary {
    /// Its name.
    pub name: String,
    /// `input` or `target`.
    pub role: &'static str,
    /// The kind of the stored numbers.
    pub kind: &'static str,
    /// The type the model receives: `f32` or `i32`.
    pub model: &'static str,
    /// The shape of a sample.
    pub shape: Vec<usize>,
    /// The scale of the numbers on the device.
    pub scale: Option<Scale>,
    /// One of this many samples was read; 1 is all.
    pub stride: usize,
    /// The numbers as the model gets them: all together, or by channel.
    pub channels: Vec<Numbers>,
    /// The count of each class among the samples that were read, for labels.
    pub counts: Option<Vec<u64>>,
}

/// Range, mean and standard deviation. `None` without a finite number.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Numbers {
    /// The least.
    pub min: Option<f64>,
    /// The greatest.
    pub max: Option<f64>,
    /// The mean.
    pub mean: Option<f64>,
    /// The standard deviation, 1/n.
    pub std: Option<f64>,
    /// Numbers that are NaN or infinite.
    pub not_finite: u64,
}

/// Channels that are distinguished, at most.
const CHANNELS: usize = 4;

impl Summary {
    /// Reads the data set: at most about `most` numbers of each field, evenly spread over its samples.
    ///
    /// # Errors
    /// An error of a source.
    pub fn new(data: &Dataset, most: u64) -> Result<Summary> {
        let mut parts = Vec::new();
        let mut seen: Vec<&Arc<_>> = Vec::new();
        for (name, part) in [("train", Some(data.train())), ("eval", data.eval())] {
            let Some(part) = part else { continue };
            for (_, field) in part.fields() {
                if !seen.iter().any(|values| Arc::ptr_eq(values, field.shared())) {
                    seen.push(field.shared());
                }
            }
            let target = part.fields().nth(part.target_index()).map(|(name, _)| name);
            let field = |(input, name, field): (bool, &str, &Field)| {
                let classes = data.classes().filter(|_| target == Some(name) && !input);
                summary(part, input, name, field, classes, most)
            };
            let fields = part.roles().map(field).collect::<Result<_>>()?;
            parts.push(PartSummary { name, samples: part.len(), fields });
        }
        Ok(Summary {
            name: data.name().to_owned(),
            classes: data.classes(),
            device_bytes: seen.iter().map(|values| values.bytes()).sum(),
            parts,
        })
    }
}

fn summary(
    part: &Part,
    input: bool,
    name: &str,
    field: &Field,
    classes: Option<usize>,
    most: u64,
) -> Result<FieldSummary> {
    let shape = field.shape();
    let all = part.len() as u64 * shape.elements() as u64;
    let stride = usize::try_from(all.div_ceil(most.max(1))).unwrap_or(usize::MAX).clamp(1, part.len());
    let channels = match &shape[..] {
        [channels, _, _] if *channels <= CHANNELS => *channels,
        _ => 1,
    };
    // Channels with scales of their own are summarised separately.
    let scaled = field.scale().map_or(1, |scale| scale.factor.len());
    let found = Moments::from_part(part, field, channels.max(scaled), stride)?;
    let numbers = |(channel, moments): (usize, &Moments)| {
        let moments = moments.through(field.scale(), channel);
        let there = |v: f64| (moments.count > 0).then_some(v);
        Numbers {
            min: there(moments.min),
            max: there(moments.max),
            mean: there(moments.mean()),
            std: there(moments.std()),
            not_finite: moments.not_finite,
        }
    };
    Ok(FieldSummary {
        name: name.to_owned(),
        role: if input { "input" } else { "target" },
        kind: field.values().kind().name(),
        model: field.type_name(),
        shape: shape.to_vec(),
        scale: field.scale().cloned(),
        stride,
        channels: found.iter().enumerate().map(numbers).collect(),
        counts: classes.map(|classes| counts(part, field, classes, stride)).transpose()?,
    })
}

/// The count of each label.
fn counts(part: &Part, field: &Field, classes: usize, stride: usize) -> Result<Vec<u64>> {
    let kind = field.values().kind();
    let mut counts = vec![0; classes];
    let mut blocks = Blocks::new(part, field, stride);
    while let Some(bytes) = blocks.next()? {
        for label in bytes.chunks_exact(kind.bytes()) {
            counts[kind.number(label) as usize] += 1;
        }
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_set_is_summed_up_as_the_model_gets_it() {
        let x = Field::new([2, 1, 2], (0u8..16).collect::<Vec<_>>()).unwrap();
        let scale = Scale { factor: vec![1.0, -2.0], offset: vec![0.0, 1.0] };
        let part = Part::new(x.scaled(scale).unwrap(), Field::new([], vec![0, 2, 2, 1]).unwrap()).unwrap();
        let rows = part.select(&[0, 1, 2]).unwrap();
        let data = Dataset::new("x", rows, Some(part.select(&[3]).unwrap()), Some(3)).unwrap();
        let found = Summary::new(&data, u64::MAX).unwrap();
        assert_eq!(found.device_bytes, 16 + 16, "parts share their fields");
        let [train, eval] = &found.parts[..] else { panic!("two parts") };
        assert_eq!((train.samples, eval.samples), (3, 1));
        let [x, t] = &train.fields[..] else { panic!("two fields") };
        assert_eq!(
            (x.kind, x.model, x.role, t.kind, t.model, t.role),
            ("u8", "f32", "input", "i32", "i32", "target")
        );
        // Channel 0 has 0, 1, 4, 5, 8, 9, and channel 1 has 1 − 2·(2, 3, 6, 7, 10, 11).
        let [a, b] = x.channels[..] else { panic!("two channels") };
        assert_eq!((a.min, a.max, a.mean, a.not_finite), (Some(0.0), Some(9.0), Some(4.5), 0));
        assert_eq!((b.min, b.max, b.mean), (Some(-21.0), Some(-3.0), Some(-12.0)));
        assert!((b.std.unwrap() - 2.0 * a.std.unwrap()).abs() < 1e-12);
        assert_eq!((&t.counts, &eval.fields[1].counts), (&Some(vec![1, 0, 2]), &Some(vec![0, 1, 0])));
        // Two of three samples: every second.
        let some = Summary::new(&data, 8).unwrap();
        let x = &some.parts[0].fields[0];
        assert_eq!((x.stride, x.channels[0].mean), (2, Some((0.0 + 1.0 + 8.0 + 9.0) / 4.0)));
        let json = serde_json::to_value(&some).unwrap();
        assert_eq!(json["parts"][0]["fields"][0]["shape"], serde_json::json!([2, 1, 2]));
    }
}
