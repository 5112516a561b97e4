//! Normalisations as ONNX operators.

use super::at::At;
use super::builder::{Builder, float, int};
use crate::error::Result;
use crate::nn::{BatchNorm, GroupNorm, InstanceNorm, LayerNorm, RmsNorm};

/// Scale and shift: the layer's weights, or 1 and 0.
fn scale_and_shift(b: &mut Builder<'_>, at: At<'_>, affine: bool, shape: &[usize]) -> Result<[String; 2]> {
    if affine {
        return Ok([b.weight(&at.named("weight"))?, b.weight(&at.named("bias"))?]);
    }
    let count = shape.iter().product();
    Ok([b.floats("scale", shape, &vec![1.0; count]), b.floats("shift", shape, &vec![0.0; count])])
}

/// By running statistics; by those of the batch where there are none.
pub(super) fn batch_norm(b: &mut Builder<'_>, o: &BatchNorm, at: At<'_>) -> Result<String> {
    let channels = at.shape()[1];
    let [scale, shift] = scale_and_shift(b, at, o.affine, &[channels])?;
    if o.track_running_stats {
        let [mean, var] = [b.weight(&at.named("running_mean"))?, b.weight(&at.named("running_var"))?];
        let inputs = [at.x, &scale, &shift, &mean, &var];
        return Ok(b.op("BatchNormalization", &inputs, vec![float("epsilon", o.eps as f32)]));
    }
    let axes: Vec<i64> = (0..at.rank() as i64).filter(|axis| *axis != 1).collect();
    let axes = b.integers("axes", &axes);
    let mean_of = |b: &mut Builder<'_>, x: &str| b.op("ReduceMean", &[x, &axes], vec![int("keepdims", 1)]);
    let mean = mean_of(b, at.x);
    let centred = b.op("Sub", &[at.x, &mean], Vec::new());
    let square = b.op("Mul", &[&centred, &centred], Vec::new());
    let var = mean_of(b, &square);
    let hat = over_root(b, &centred, &var, o.eps);
    // [channels, 1..] stands beside [batch, channels, ..].
    let beside = [&[channels as i64][..], &vec![1; at.rank() - 2]].concat();
    let (scale, shift) = (b.reshape(&scale, &beside), b.reshape(&shift, &beside));
    let y = b.op("Mul", &[&hat, &scale], Vec::new());
    Ok(b.op("Add", &[&y, &shift], Vec::new()))
}

/// x/sqrt(square + eps)
fn over_root(b: &mut Builder<'_>, x: &str, square: &str, eps: f64) -> String {
    let eps = b.floats("eps", &[], &[eps as f32]);
    let sum = b.op("Add", &[square, &eps], Vec::new());
    let root = b.op("Sqrt", &[&sum], Vec::new());
    b.op("Div", &[x, &root], Vec::new())
}

/// The last axes of x: the first of them, and their extents.
fn last_axes(at: At<'_>, count: usize) -> (usize, Vec<usize>) {
    let first = at.rank().saturating_sub(count);
    (first, at.shape()[first..].to_vec())
}

pub(super) fn layer_norm(b: &mut Builder<'_>, o: &LayerNorm, at: At<'_>) -> Result<String> {
    let (first, shape) = last_axes(at, o.axes);
    let options = vec![int("axis", first as i64), float("epsilon", o.eps as f32)];
    let scale = match o.elementwise_affine {
        true => b.weight(&at.named("weight"))?,
        false => b.floats("scale", &shape, &vec![1.0; shape.iter().product()]),
    };
    let shift = (o.elementwise_affine && o.bias).then(|| b.weight(&at.named("bias"))).transpose()?;
    let inputs: Vec<&str> = [at.x, &scale].into_iter().chain(shift.as_deref()).collect();
    Ok(b.op("LayerNormalization", &inputs, options))
}

/// By its parts: `RMSNormalization` is younger than the set of operators.
pub(super) fn rms_norm(b: &mut Builder<'_>, o: &RmsNorm, at: At<'_>) -> Result<String> {
    let (first, _) = last_axes(at, o.axes);
    let axes: Vec<i64> = (first as i64..at.rank() as i64).collect();
    let axes = b.integers("axes", &axes);
    let square = b.op("Mul", &[at.x, at.x], Vec::new());
    let mean = b.op("ReduceMean", &[&square, &axes], vec![int("keepdims", 1)]);
    let hat = over_root(b, at.x, &mean, o.eps.unwrap_or(f64::from(f32::EPSILON)));
    if !o.elementwise_affine {
        return Ok(hat);
    }
    let weight = b.weight(&at.named("weight"))?;
    Ok(b.op("Mul", &[&hat, &weight], Vec::new()))
}

pub(super) fn group_norm(b: &mut Builder<'_>, o: &GroupNorm, at: At<'_>) -> Result<String> {
    let [scale, shift] = scale_and_shift(b, at, o.affine, &[at.shape()[1]])?;
    let options = vec![float("epsilon", o.eps as f32), int("num_groups", o.num_groups as i64)];
    Ok(b.op("GroupNormalization", &[at.x, &scale, &shift], options))
}

pub(super) fn instance_norm(b: &mut Builder<'_>, o: &InstanceNorm, at: At<'_>) -> Result<String> {
    let [scale, shift] = scale_and_shift(b, at, o.affine, &[at.shape()[1]])?;
    let options = vec![float("epsilon", o.eps as f32)];
    Ok(b.op("InstanceNormalization", &[at.x, &scale, &shift], options))
}
