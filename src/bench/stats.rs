//! Summary of runs: median and quartiles.

use serde::Serialize;

/// Median and quartiles of a number of runs.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Summary {
    /// Half of the runs are below.
    pub median: f64,
    /// A quarter of the runs are below.
    pub lower: f64,
    /// Three quarters of the runs are below.
    pub upper: f64,
    /// How many runs.
    pub runs: usize,
}

impl Summary {
    /// The summary of at least one run. A quantile between two runs is interpolated, as numpy does.
    ///
    /// # Panics
    /// On no runs.
    pub fn of(runs: &[f64]) -> Summary {
        assert!(!runs.is_empty(), "no runs to summarise");
        let mut sorted = runs.to_vec();
        sorted.sort_by(f64::total_cmp);
        let quantile = |q: f64| {
            let at = q * (sorted.len() - 1) as f64;
            let (low, part) = (at.floor() as usize, at.fract());
            let high = (low + 1).min(sorted.len() - 1);
            sorted[low] + part * (sorted[high] - sorted[low])
        };
        Summary { median: quantile(0.5), lower: quantile(0.25), upper: quantile(0.75), runs: runs.len() }
    }

    /// The summary of a over b, run by run. A change of both, such as a machine that slowed down, cancels.
    pub fn of_ratio(a: &[f64], b: &[f64]) -> Summary {
        let ratios: Vec<f64> = a.iter().zip(b).map(|(a, b)| a / b).collect();
        Summary::of(&ratios)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_numpys() {
        // numpy.quantile([1, 2, 4, 8, 16, 32], [.25, .5, .75]) = 2.5, 6, 14
        let s = Summary::of(&[32.0, 1.0, 8.0, 2.0, 16.0, 4.0]);
        assert_eq!((s.lower, s.median, s.upper, s.runs), (2.5, 6.0, 14.0, 6));
        let one = Summary::of(&[3.0]);
        assert_eq!((one.lower, one.median, one.upper, one.runs), (3.0, 3.0, 3.0, 1));
        let odd = Summary::of(&[5.0, 1.0, 3.0]);
        assert_eq!((odd.lower, odd.median, odd.upper), (2.0, 3.0, 4.0));
    }

    #[test]
    fn a_ratio_does_not_see_what_slowed_both() {
        let (a, b) = ([2.0, 20.0, 4.0], [1.0, 10.0, 2.0]);
        assert_eq!(Summary::of_ratio(&a, &b).median, 2.0);
        assert_eq!(Summary::of_ratio(&a, &b).upper, 2.0);
    }
}
