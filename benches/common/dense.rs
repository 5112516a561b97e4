//! The dense nets of `downhill bench train`, with data for epochs of hundreds of batches.

use downhill::Tensor;
use downhill::bench::Workload;
use downhill::compile::TrainOptions;
use downhill::data::{BatchSize, Dataset};
use downhill::nn::loss;
use downhill::optim::{AdamW, Optimizer};

use super::Outcome;

/// The most batches of an epoch, and the most bytes of its samples.
const BATCHES: usize = 512;
const SAMPLE_BYTES: usize = 96 << 20;

/// Widths of a dense net from its name, such as "64-64-64-10 batch 128".
pub fn widths(name: &str) -> Option<Vec<usize>> {
    name.split(' ').next()?.split('-').map(|width| width.parse().ok()).collect()
}

/// The nets whose names hold a part, with made-up samples that lie on the device.
pub fn nets(part: &str) -> Outcome<Vec<Workload>> {
    let wanted = downhill::bench::workloads().into_iter().filter(|net| net.name.contains(part));
    let with_data = |net: Workload| {
        let widths = widths(&net.name).ok_or_else(|| format!("{}: only dense nets train here", net.name))?;
        let (inputs, classes) = (widths[0], widths[widths.len() - 1]);
        let n = net.batch * (SAMPLE_BYTES / (4 * net.batch * inputs)).min(BATCHES);
        let number =
            |i: usize| ((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as f32 / (1 << 24) as f32;
        let samples: Vec<f32> = (0..n * inputs).map(number).collect();
        let labels: Vec<i32> = (0..n).map(|i| (number(i) * classes as f32) as i32).collect();
        let data = Dataset::from_arrays("made up", [inputs], samples, [], labels)?.with_classes(classes)?;
        Ok(Workload { data, ..net })
    };
    wanted.map(with_data).collect()
}

/// The loss of all.
pub fn cross_entropy(y: &Tensor, t: &Tensor) -> Tensor {
    loss::cross_entropy(y, t, &loss::CrossEntropy::default())
}

/// The optimizer of all.
pub fn adamw(lr: f64) -> Optimizer {
    Optimizer::AdamW(AdamW { lr, ..AdamW::default() })
}

/// Options of a run that no block comes to the end of.
pub fn options(net: &Workload) -> TrainOptions {
    TrainOptions { batch_size: BatchSize::Rows(net.batch), steps: Some(1 << 40), ..TrainOptions::default() }
}
