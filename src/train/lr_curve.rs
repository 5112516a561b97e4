//! The curve of a range test, the smoothed loss over the learning rate, and what it suggests.

use std::fmt;

use serde::Serialize;

/// A step of the test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LrPoint {
    /// Counted from 1.
    pub step: u64,
    /// Its learning rate.
    pub lr: f64,
    /// The batch's mean loss under the weights before the update.
    pub loss: f32,
    /// The running mean of the losses up to this one, without its bias towards 0.
    pub smoothed: f64,
}

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(tag = "end", rename_all = "snake_case")]
pub enum LrEnd {
    /// At the last step.
    Whole,
    /// The smoothed loss passed four times the best so far.
    Diverged {
        /// At this learning rate.
        lr: f64,
    },
    /// A loss, or the gradients of many steps in a row, were not finite.
    NotFinite {
        /// At this learning rate.
        lr: f64,
    },
}

/// A range test that was run: see [`LrFinder`](super::LrFinder).
#[derive(Debug, Clone, PartialEq)]
pub struct LrSweep {
    /// Steps that were asked for.
    pub steps: u64,
    /// β of the smoothed losses.
    pub smooth: f64,
    /// Every step up to the end whose loss was finite, its learning rate above the one before.
    pub points: Vec<LrPoint>,
    /// Why no more.
    pub end: LrEnd,
    /// What of the run's own pace the test went without, as `schedule = "cosine"`.
    pub left_out: Vec<String>,
}

/// Learning rates to train with, by two rules.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LrSuggestion {
    /// The middle of the longest descent: the one to take.
    pub valley: f64,
    /// Where the loss falls most steeply over the logarithm of the rate. It jumps about more from seed to seed.
    pub steep: f64,
}

/// Why a curve suggests nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NoDescent {
    /// So few points are left between the first tenth and the last five.
    Short(usize),
    /// The smoothed loss fell by less than 1%.
    Flat {
        /// How far it fell at most.
        fall: f64,
        /// From what.
        of: f64,
    },
    /// It fell no further than the differences between batches alone would make it.
    Noisy {
        /// How far it fell at most.
        fall: f64,
        /// How far it may fall by chance.
        chance: f64,
    },
}

/// Points that count at least: fewer have no descent to speak of.
const LEAST: usize = 5;
/// Points left out at the end, as fastai does: the loss is on its way up.
const LAST: usize = 5;
/// A fall of a smaller part of the loss is none.
const FALL: f64 = 0.01;

impl fmt::Display for NoDescent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            NoDescent::Short(points) => write!(
                f,
                "only {points} points are left between the first tenth and the last {LAST}, and {LEAST} are needed; \
                 take more steps"
            ),
            NoDescent::Flat { fall, of } => write!(
                f,
                "the smoothed loss fell by {:.2}% at most, from {of:.4} by {fall:.2e}: the rates were all too small or \
                 all too large, or the model does not learn; take a wider range",
                100.0 * fall / of.abs().max(f64::MIN_POSITIVE)
            ),
            NoDescent::Noisy { fall, chance } => write!(
                f,
                "the smoothed loss fell by {fall:.2e} at most, and losses that differ so much from batch to batch fall by \
                 {chance:.2e} without any learning; take larger batches, more steps, or a wider range"
            ),
        }
    }
}

/// The running mean of losses, by fastai's `AvgSmoothLoss`: m ← βm + (1 − β)·loss from 0, and m/(1 − βⁿ) is the mean.
#[derive(Debug, Clone, Copy)]
pub(super) struct Smoothed {
    beta: f64,
    mean: f64,
    count: i32,
}

impl Smoothed {
    pub fn new(beta: f64) -> Self {
        Smoothed { beta, mean: 0.0, count: 0 }
    }

    pub fn add(&mut self, loss: f32) -> f64 {
        self.count += 1;
        self.mean = self.beta * self.mean + (1.0 - self.beta) * f64::from(loss);
        self.mean / (1.0 - self.beta.powi(self.count))
    }
}

/// True where `smoothed` is past four times `best`: for losses below 0, past `best` by three times its size, or by three
/// times what it is below `first`, whichever is more.
pub(super) fn diverged(smoothed: f64, best: f64, first: f64) -> bool {
    let size = if best < 0.0 { best.abs().max(first - best) } else { best };
    smoothed > best + 3.0 * size
}

impl LrSweep {
    /// The points that suggestions go by: as fastai's, without the first tenth of the steps, whose mean is of few losses,
    /// and without the last five.
    pub fn considered(&self) -> &[LrPoint] {
        let end = self.points.len().saturating_sub(LAST);
        let start = ((self.steps / 10) as usize).min(end);
        &self.points[start..end]
    }

    /// Of the points considered, those up to the lowest smoothed loss: what comes after a divergence is no descent.
    pub fn descent(&self) -> &[LrPoint] {
        let points = self.considered();
        let low = (0..points.len()).min_by(|&i, &j| points[i].smoothed.total_cmp(&points[j].smoothed));
        &points[..low.map_or(0, |low| low + 1)]
    }

    /// Learning rates to train with.
    ///
    /// `valley` is the middle of the longest run of points, not all next to each other, along which the smoothed loss falls.
    /// Source: fastai's `valley`, its default. `steep` has the least (sᵢ₊₁ − sᵢ)/(ln ηᵢ₊₁ − ln ηᵢ). Source: fastai's `steep`,
    /// the suggestion of torch-lr-finder and Lightning too. Unlike theirs, both look no further than the lowest smoothed
    /// loss.
    ///
    /// # Errors
    /// Those two find something in any curve. Here there must be a descent: the smoothed loss falls to its lowest by at
    /// least 1%, and by more than three standard deviations beyond what losses that differ like these, but learn
    /// nothing, would fall.
    pub fn suggestion(&self) -> Result<LrSuggestion, NoDescent> {
        let considered = self.considered().len();
        let [.., low] = self.descent() else { return Err(NoDescent::Short(considered)) };
        if considered < LEAST {
            return Err(NoDescent::Short(considered));
        }
        let points = self.descent();
        let top = points.iter().fold(low, |top, p| if p.smoothed > top.smoothed { p } else { top });
        let (of, fall) = (top.smoothed, top.smoothed - low.smoothed);
        if fall <= 0.0 || fall < FALL * of.abs() {
            return Err(NoDescent::Flat { fall, of });
        }
        let chance = self.chance(top.step, low.step);
        if fall <= chance {
            return Err(NoDescent::Noisy { fall, chance });
        }
        Ok(LrSuggestion { valley: points[valley(points)].lr, steep: points[steep(points)].lr })
    }

    /// How far the smoothed loss may fall by chance.
    ///
    /// The losses' standard deviation σ is that of normal numbers whose neighbours differ by these losses' median
    /// difference; descent and divergence hardly touch it. A mean of n losses with β has the variance
    /// σ²(1 − β)(1 + βⁿ)/((1 + β)(1 − βⁿ)), and k independent ones have extremes near √(2 ln k) deviations.
    fn chance(&self, top: u64, low: u64) -> f64 {
        let before: Vec<f64> =
            self.points.iter().filter(|p| p.step <= low).map(|p| f64::from(p.loss)).collect();
        let mut apart: Vec<f64> = before.windows(2).map(|pair| (pair[1] - pair[0]).abs()).collect();
        apart.sort_by(f64::total_cmp);
        // The median of |x| is 0.6745 for a normal x, and a difference of two has √2 times the deviation.
        let sigma = apart.get(apart.len() / 2).map_or(0.0, |median| median / (0.6745 * 2f64.sqrt()));
        let variance = |n: u64| {
            let kept = self.smooth.powi(i32::try_from(n).unwrap_or(i32::MAX));
            (1.0 - self.smooth) * (1.0 + kept) / ((1.0 + self.smooth) * (1.0 - kept))
        };
        let independent = (before.len() as f64 * (1.0 - self.smooth)).max(1.0);
        let deviations = 3.0 + (2.0 * independent.ln()).sqrt();
        deviations * sigma * (variance(top) + variance(low)).sqrt()
    }
}

/// The middle of the longest falling subsequence, by fastai's reckoning: its last point, and as many back as half of it.
fn valley(points: &[LrPoint]) -> usize {
    // The last losses of the best subsequences of each length so far: falling.
    let mut tails: Vec<f64> = Vec::new();
    let (mut end, mut longest) = (0, 0);
    for (i, point) in points.iter().enumerate() {
        let at = tails.partition_point(|tail| *tail > point.smoothed);
        match tails.get_mut(at) {
            Some(tail) => *tail = point.smoothed,
            None => tails.push(point.smoothed),
        }
        if at + 1 > longest {
            (end, longest) = (i, at + 1);
        }
    }
    let sections = longest as f64 / 3.0;
    let back = longest - sections as usize - (sections / 2.0) as usize;
    end.saturating_sub(back)
}

fn steep(points: &[LrPoint]) -> usize {
    let slope = |i: usize| {
        let (a, b) = (&points[i], &points[i + 1]);
        (b.smoothed - a.smoothed) / (b.lr.ln() - a.lr.ln())
    };
    (0..points.len() - 1).min_by(|&i, &j| slope(i).total_cmp(&slope(j))).unwrap_or(0)
}
