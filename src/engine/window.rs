//! A window: consecutive steps of one epoch that go to the device in one submission, and their results.

use serde::{Deserialize, Serialize};

use crate::gpu::Pending;
use crate::kernel::gradients::COLUMNS;
use crate::metrics::{Metrics, StatisticsRecord};

/// Consecutive steps of one epoch that go to the device in one submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// Counted from 0.
    pub epoch: u64,
    /// The first step, counted from 0 within the epoch.
    pub step_in_epoch: usize,
    /// Steps of the run before the first.
    pub steps_done: u64,
    /// The number of steps.
    pub steps: usize,
}

/// The words of the device's clock that the host writes before a window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WindowClock {
    /// Batches and micro-batches submitted before.
    pub micro_batches: u64,
    /// Batches that the weights have seen in training, those before the run included.
    pub batches_seen: u64,
    pub seed: u64,
    /// Rows of the optimizer's table before that of the window's first update, if no step of the run is skipped.
    pub skipped_offset: u32,
    /// The norm that gradients are clipped to.
    pub max_norm: Option<f32>,
}

/// The numbers that the host writes for a net's steps in a window.
#[derive(Debug)]
pub(crate) struct NetWindow {
    pub window: Window,
    /// The rows of the optimizer's table.
    pub table: Vec<f32>,
    pub clock: WindowClock,
}

/// The check of a step's gradients. Gradients are checked in f16, under clipping by norm, with `skip_nonfinite`, and in
/// micro-batches.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct GradientCheck {
    /// In f16: the factor of the loss before it is differentiated. Gradients are divided by it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub loss_scale: Option<f32>,
    /// Steps of the run skipped before this one, because their gradients were not finite.
    pub skipped_steps: u64,
    /// True where this step is skipped.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub skipped: bool,
    /// The norm of the whole gradient, before it is clipped.
    pub grad_norm: f32,
}

impl GradientCheck {
    /// From the last numbers of a step's row.
    pub(super) fn from_row(row: &[f32], is_scaled: bool) -> Option<Self> {
        let [scale, before, skipped, grad_norm] = *row.last_chunk::<COLUMNS>()?;
        let loss_scale = is_scaled.then_some(scale);
        Some(GradientCheck { loss_scale, skipped_steps: before as u64, skipped: skipped != 0.0, grad_norm })
    }
}

/// The numbers that a step filed.
#[derive(Debug)]
pub(crate) struct StepResult {
    /// Samples of the step.
    pub samples: usize,
    /// Loss and metrics, summed over the samples.
    pub sums: Vec<f64>,
    /// The mean loss.
    pub loss: f32,
    /// The mean metrics.
    pub metrics: Metrics<f32>,
    /// Present where gradients are checked.
    pub gradient_check: Option<GradientCheck>,
}

/// A window that the device has done.
#[derive(Debug)]
pub(crate) struct CompletedWindow {
    /// Each net's steps, with a result a step.
    pub nets: Vec<(Window, Vec<StepResult>)>,
    /// Statistics of the last step, where they were asked for.
    pub statistics: Option<StatisticsRecord>,
}

impl CompletedWindow {
    /// Steps of each net.
    pub fn steps(&self) -> usize {
        self.nets.first().map_or(0, |(window, _)| window.steps)
    }
}

/// A window that the device works on.
#[derive(Debug)]
pub(super) struct InFlight {
    /// One for each net.
    pub windows: Vec<Window>,
    pub ring: Pending,
    pub statistics: Option<Pending>,
    /// Samples of each pass through the model, and its step, counted from the window's first.
    pub passes: Vec<(usize, usize)>,
    /// The rows of all passes of a step that ranks share. The ring then has the last one alone, with the update's numbers.
    pub gathered: Option<Vec<f32>>,
}
