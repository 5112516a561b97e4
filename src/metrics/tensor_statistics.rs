//! The statistics of a step's tensors, as records of the device's results.

use crate::kernel::statistics::{
    BINS, KINDS, MAX, MEAN, MIN, NONFINITE, SPREAD, SQUARES, WORDS, ZEROS, limits,
};
use serde::Serialize;

/// The statistics of a model's tensors after a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StatisticsRecord {
    /// The step, counted from 1 over the whole run.
    pub step: u64,
    /// Each tensor that is trained, in the order of the weights file.
    pub tensors: Vec<TensorStatistics>,
    /// The layers of relu, in the order of the model.
    pub dead_units: Vec<DeadUnits>,
}

/// A tensor after a step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TensorStatistics {
    /// Its name in the weights file.
    pub name: String,
    /// The weights, after the step.
    pub weights: Numbers,
    /// The gradients of the step, of the whole batch: before they are clipped, and without the loss scale of f16.
    pub gradients: Numbers,
    /// The numbers that the step added to the weights.
    pub updates: Numbers,
    /// ‖update‖/‖weights‖; 0 where the weights are all 0.
    pub update_ratio: f64,
}

/// The numbers of a tensor. Those that are not finite are counted, and left out of all the rest.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Numbers {
    /// How many there are.
    pub count: u64,
    /// How many of them are 0.
    pub zeros: u64,
    /// How many are infinite or no numbers.
    pub nonfinite: u64,
    /// The smallest; none where none is finite.
    pub min: Option<f64>,
    /// The largest.
    pub max: Option<f64>,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation, √(Σ (x − mean)²/n).
    pub std: f64,
    /// √(Σ x²)
    pub norm: f64,
    /// How many are in each bin of [`StatisticsRecord::limits`].
    pub histogram: Vec<u64>,
}

/// The count of units of a layer that are 0 for the whole batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeadUnits {
    /// Its name, as `explain` shows it.
    pub layer: String,
    /// Its units: features, or the channels after a convolution.
    pub units: u64,
    /// Those that are 0 for every sample of the step's batch, its last micro-batch where it goes in several, at every
    /// position; under the weights after the step, by the model as it is evaluated.
    pub dead: u64,
}

impl StatisticsRecord {
    /// The upper limit of each bin but the last; the first begins at −∞, the last ends at ∞. From 0 outward the limits are
    /// ±2⁻²⁶, ±2⁻²⁵ and so on to ±2⁴.
    pub fn limits() -> Vec<f64> {
        limits().to_vec()
    }
}

impl Numbers {
    /// From the device's record of `count` numbers.
    fn from_words(words: &[u32], count: u64) -> Numbers {
        let float = |at: usize| f64::from(f32::from_bits(words[at]));
        let nonfinite = u64::from(words[NONFINITE]);
        let finite = count - nonfinite.min(count);
        let if_any = |number| (finite > 0).then_some(number);
        Numbers {
            count,
            zeros: u64::from(words[ZEROS]),
            nonfinite,
            min: if_any(float(MIN)),
            max: if_any(float(MAX)),
            mean: float(MEAN),
            std: (float(SPREAD) / finite.max(1) as f64).sqrt(),
            norm: float(SQUARES).sqrt(),
            histogram: words[WORDS - BINS..].iter().map(|&n| u64::from(n)).collect(),
        }
    }
}

impl TensorStatistics {
    /// From the device's records of weights, gradients and updates.
    pub(crate) fn from_words(name: &str, words: &[u32], count: u64) -> TensorStatistics {
        let [weights, gradients, updates]: [Numbers; KINDS] =
            std::array::from_fn(|kind| Numbers::from_words(&words[kind * WORDS..][..WORDS], count));
        let update_ratio = if weights.norm > 0.0 { updates.norm / weights.norm } else { 0.0 };
        TensorStatistics { name: name.to_owned(), weights, gradients, updates, update_ratio }
    }
}
