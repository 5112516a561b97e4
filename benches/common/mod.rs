//! The nets that are measured, with random data.

use downhill::data::Dataset;
use downhill::nn::{Activation, Layer, Linear, Sequential};
use downhill::{Gpu, GpuOptions};

/// Widths and batch.
pub const NETS: [(&[usize], usize); 3] =
    [(&[64, 64, 64, 10], 128), (&[784, 256, 256, 10], 128), (&[784, 512, 512, 10], 512)];

/// `64-64-64-10`
pub fn name(widths: &[usize]) -> String {
    widths.iter().map(usize::to_string).collect::<Vec<_>>().join("-")
}

/// Dense layers with ReLU between them.
pub fn mlp(widths: &[usize]) -> Sequential {
    let mut layers = Vec::new();
    for (i, &out_features) in widths[1..].iter().enumerate() {
        if i > 0 {
            layers.push(Layer::Activation(Activation::Relu));
        }
        layers.push(Layer::Linear(Linear { out_features, bias: true }));
    }
    Sequential { layers }
}

/// Inputs in [0, 1) and labels for four batches, from a generator of this file's own.
pub fn random(widths: &[usize], batch: usize) -> Dataset {
    let (features, classes) = (widths[0], widths[widths.len() - 1]);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    let n = 4 * batch;
    let inputs: Vec<f32> = (0..n * features).map(|_| next()).collect();
    let labels: Vec<i32> = (0..n).map(|_| (next() * classes as f32) as i32).collect();
    Dataset::from_arrays("random", [features], inputs, [], labels)
        .and_then(|d| d.with_classes(classes))
        .expect("the arrays fit")
}

/// The adapter of `DOWNHILL_ADAPTER`, or the best there is; shader checks off, as in a release.
pub fn gpu() -> Gpu {
    let adapter = std::env::var("DOWNHILL_ADAPTER").unwrap_or_else(|_| "auto".into());
    Gpu::open(&GpuOptions { adapter, shader_checks: false, ..GpuOptions::default() })
        .expect("an adapter answers")
}
