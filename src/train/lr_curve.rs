//! The curve of a range test, the smoothed loss over the learning rate, and what it suggests.

use crate::units::plural;
use serde::Serialize;
use std::fmt;

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
    /// The reason that the test ended.
    pub end: LrEnd,
    /// The run's own settings of the rate that the test left out, as `schedule = "cosine"`.
    pub left_out: Vec<String>,
}

/// Learning rates to train with, by two rules.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LrSuggestion {
    /// The middle of the longest descent: the one to take.
    pub valley: f64,
    /// The rate at which the loss falls most steeply over the logarithm of the rate. It varies more from seed to
    /// seed.
    pub steep: f64,
}

/// Why a curve suggests nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum NoDescent {
    /// Only this many points are left between the first tenth and the last five.
    Short(usize),
    /// The smoothed loss fell by less than 1%.
    Flat {
        /// How far it fell at most.
        fall: f64,
        /// The loss that it fell from.
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
/// A fall of a smaller part of the loss is no descent. A descent begins only after this part of its fall.
const FALL: f64 = 0.01;

impl fmt::Display for NoDescent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            NoDescent::Short(points) => write!(
                f,
                "only {} left between the first tenth and the last {LAST}, and {LEAST} are needed; take more steps, or a \
                 smaller rate to begin with",
                plural(points, "point")
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
    count: u64,
}

impl Smoothed {
    pub fn new(beta: f64) -> Self {
        Smoothed { beta, mean: 0.0, count: 0 }
    }

    pub fn add(&mut self, loss: f32) -> f64 {
        self.count += 1;
        self.mean = self.beta * self.mean + (1.0 - self.beta) * f64::from(loss);
        self.mean / (1.0 - power(self.beta, self.count))
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

    /// The considered points up to the lowest smoothed loss: a fall after a divergence is no descent.
    pub fn descent(&self) -> &[LrPoint] {
        let points = self.considered();
        let low = (0..points.len()).min_by(|&i, &j| points[i].smoothed.total_cmp(&points[j].smoothed));
        &points[..low.map_or(0, |low| low + 1)]
    }

    /// Learning rates to train with.
    ///
    /// `valley` is the middle of the longest run of points, not all next to each other, along which the smoothed loss falls.
    /// Source: fastai's `valley`, its default. `steep` has the least slope of the smoothed loss over ln η, times 1 − βⁿ.
    /// Source: fastai's `steep`, the suggestion of torch-lr-finder and Lightning too, but for that factor: a mean of few
    /// losses has steep slopes from batch to batch.
    ///
    /// Unlike theirs, both look no further than the lowest smoothed loss, and from the last point on that is within 1% of
    /// the fall from the highest before it. Where batches hardly differ the loss falls from the first step on, if by
    /// nothing that matters, and the middle would go by `from`.
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
        let begin = points.iter().rposition(|p| p.smoothed > of - FALL * fall).unwrap_or(0);
        let points = &points[begin..];
        Ok(LrSuggestion { valley: points[valley(points)].lr, steep: points[steep(points, self.smooth)].lr })
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
            let kept = power(self.smooth, n);
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

/// The point at which the smoothed loss falls most steeply; `kept` is β. The mean of n losses moves by
/// (1 − β)/(1 − βⁿ) of its difference from the n-th, so the slopes of the first points, where that is more, count for
/// less.
fn steep(points: &[LrPoint], kept: f64) -> usize {
    let slope = |i: usize| {
        let (a, b) = (&points[i], &points[i + 1]);
        let moved = (b.smoothed - a.smoothed) * (1.0 - power(kept, b.step));
        moved / (b.lr.ln() - a.lr.ln())
    };
    (0..points.len() - 1).min_by(|&i, &j| slope(i).total_cmp(&slope(j))).unwrap_or(0)
}

/// βⁿ
fn power(beta: f64, n: u64) -> f64 {
    beta.powf(n as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A test of losses at rates that grow by a fifth, each taken as it is.
    fn sweep(losses: impl IntoIterator<Item = f64>) -> LrSweep {
        smoothed(0.0, losses)
    }

    fn smoothed(smooth: f64, losses: impl IntoIterator<Item = f64>) -> LrSweep {
        let mut mean = Smoothed::new(smooth);
        let point = |(i, loss): (u64, f64)| {
            let loss = loss as f32;
            LrPoint { step: i + 1, lr: 1e-6 * 1.2f64.powf(i as f64), loss, smoothed: mean.add(loss) }
        };
        let points: Vec<LrPoint> = (0..).zip(losses).map(point).collect();
        LrSweep { steps: points.len() as u64, smooth, points, end: LrEnd::Whole, left_out: Vec::new() }
    }

    /// Numbers in [0, 1) that look like chance.
    fn noise(seed: u64) -> impl Iterator<Item = f64> {
        let mut state = seed;
        std::iter::repeat_with(move || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 40) as f64 / f64::from(1 << 24)
        })
    }

    #[test]
    fn the_mean_is_without_bias() {
        // m = 2, 2, 1.5 over 1/2, 3/4, 7/8
        let mut mean = Smoothed::new(0.5);
        assert_eq!([4.0, 2.0, 1.0].map(|loss| mean.add(loss)), [4.0, 2.0 / 0.75, 1.5 / 0.875]);
        let mut plain = Smoothed::new(0.0);
        assert_eq!([4.0, 2.0].map(|loss| plain.add(loss)), [4.0, 2.0]);
    }

    #[test]
    fn a_test_ends_past_four_times_the_best() {
        assert!(!diverged(2.0, 0.5, 1.0) && diverged(2.0001, 0.5, 1.0));
        // Below 0: three times as far above the best as the best is from 0, or from where it began.
        assert!(!diverged(2.0, -1.0, -0.5) && diverged(2.1, -1.0, -0.5));
        assert!(!diverged(29.0, -1.0, 9.0) && diverged(29.1, -1.0, 9.0));
    }

    #[test]
    fn a_descent_suggests_its_middle_and_its_steepest_place() {
        // Level for 40 points, down by 0.01 a point for 30 but by 0.05 once, up again.
        let fall = |i: usize| match i {
            0..40 => 1.0,
            40..60 => 1.0 - 0.01 * (i - 39) as f64,
            60..70 => 0.96 - 0.01 * (i - 39) as f64,
            _ => 0.65 + 0.02 * (i - 69) as f64,
        };
        let found = sweep((0..100).map(fall)).suggestion().unwrap();
        // Points 10 to 69 count. The descent has 31 points, the first level one and 30: fastai goes back from the last by
        // 31 - 10 - 5 = 16, and the steepest slope begins at point 59.
        let lr = |i: i32| 1e-6 * 1.2f64.powf(f64::from(i));
        assert_eq!((found.valley, found.steep), (lr(69 - 16), lr(59)));
    }

    /// The same place by the definition: the longest falling subsequence that ends at each point is one longer than the
    /// longest at a higher point before it.
    fn by_definition(losses: &[f64]) -> usize {
        let mut lengths: Vec<usize> = Vec::new();
        for (i, loss) in losses.iter().enumerate() {
            let before = (0..i).filter(|&j| losses[j] > *loss).map(|j| lengths[j]).max();
            lengths.push(1 + before.unwrap_or(0));
        }
        let longest = lengths.iter().copied().max().expect("points");
        let end = lengths.iter().position(|&length| length == longest).expect("the first of them");
        // A third on from where it would begin, were its points all next to each other, and a sixth.
        let part = |of: usize| (longest as f64 / of as f64) as usize;
        (end + part(3) + part(6)).saturating_sub(longest)
    }

    #[test]
    fn the_valley_is_as_defined() {
        for seed in 0..200 {
            let slope = seed as f64 / 2000.0;
            let losses =
                noise(seed).take(80).enumerate().map(|(i, x)| (20.0 * (x - slope * i as f64)).round());
            let points = sweep(losses).points;
            let taken: Vec<f64> = points.iter().map(|p| p.smoothed).collect();
            assert_eq!(valley(&points), by_definition(&taken), "{seed}: {taken:?}");
        }
    }

    #[test]
    fn no_descent_is_said() {
        let refused = |sweep: &LrSweep, words: &[&str]| {
            let why = sweep.suggestion().unwrap_err();
            assert!(words.iter().all(|word| why.to_string().contains(word)), "{why}");
            why
        };
        let flat =
            |losses: &[f64]| refused(&sweep(losses.iter().copied()), &["fell by 0.00%", "wider range"]);
        assert_eq!(flat(&[2.5; 100]), NoDescent::Flat { fall: 0.0, of: 2.5 });
        let rising: Vec<f64> = (0..100).map(|i| 1.0 + f64::from(i)).collect();
        assert_eq!(flat(&rising), NoDescent::Flat { fall: 0.0, of: 11.0 });
        // Up, and not all the way down again: no descent from where it began.
        let hill: Vec<f64> =
            (0..100).map(|i| if i < 50 { 1.0 } else { 3.0 - f64::from(i) / 100.0 }).collect();
        flat(&hill);
        let slow = sweep((0..100).map(|i| 1.0 - 1e-4 * f64::from(i)));
        refused(&slow, &["fell by 0.84%", "from 0.9990", "wider range"]);
        for (count, left) in [(1, 0), (2, 0), (5, 0), (9, 4)] {
            let short = sweep(vec![1.0; count]);
            assert_eq!(refused(&short, &["more steps"]), NoDescent::Short(left));
        }
    }

    #[test]
    fn chance_is_told_from_learning() {
        let descent = |i: usize| if i < 60 { 0.0 } else { 2.0 * (i - 59) as f64 / 40.0 };
        for (smooth, by) in [(0.98, 1.0), (0.9, 2.0), (0.0, 5.0)] {
            for seed in 0..100 {
                let losses: Vec<f64> = noise(seed).take(100).map(|x| 2.0 + x).collect();
                let why = smoothed(smooth, losses.iter().copied()).suggestion().unwrap_err();
                assert!(matches!(why, NoDescent::Noisy { .. } | NoDescent::Flat { .. }), "{seed}: {why}");
                let learning = losses.iter().enumerate().map(|(i, loss)| loss - by * descent(i));
                let found = smoothed(smooth, learning).suggestion();
                let found = found.unwrap_or_else(|why| panic!("{smooth}, {seed}: {why}"));
                assert!(found.valley > 1e-6 && found.steep < 1e-6 * 1.2f64.powi(95), "{found:?}");
            }
        }
    }
}
