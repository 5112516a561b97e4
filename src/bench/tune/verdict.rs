//! Which tile is taken, and whether two tiles made the same numbers.

use super::Summary;

/// A tile is taken in place of the predicted one where that takes at least so many times as long.
pub const LEAST_GAIN: f64 = 1.05;

/// The largest difference of two results, as a share of the largest number. The sums of a product of the numbers here are
/// exact in any order, so that results differ by the rounding of the epilogue alone: at most that of an f16.
const TOLERANCE: f64 = 1.0 / 512.0;

/// The index of the tile that is taken: the fastest where the first takes [`LEAST_GAIN`] times as long, else the first. The
/// seconds of a round are compared with those of the same round, so that a machine that slows down slows both.
pub(super) fn chosen(seconds: &[&[f64]]) -> usize {
    let Some((first, others)) = seconds.split_first() else { return 0 };
    let gains = others.iter().map(|other| Summary::of_ratio(first, other).median);
    let best = gains.enumerate().max_by(|a, b| a.1.total_cmp(&b.1));
    best.filter(|(_, gain)| *gain >= LEAST_GAIN).map_or(0, |(i, _)| i + 1)
}

/// How results differ from those that are wanted; `None` where they are the same but for rounding.
pub(super) fn difference(want: &[f64], got: &[f64]) -> Option<String> {
    if want.len() != got.len() {
        return Some(format!("it makes {} numbers, and the predicted tile {}", got.len(), want.len()));
    }
    let largest = want.iter().filter(|x| x.is_finite()).fold(0.0_f64, |most, x| most.max(x.abs()));
    let is_same = |want: f64, got: f64| {
        // Two infinities, or two that are no numbers.
        want == got || (want.is_nan() && got.is_nan()) || (want - got).abs() <= TOLERANCE * largest
    };
    let wrong = want.iter().zip(got).position(|(want, got)| !is_same(*want, *got))?;
    Some(format!(
        "number {wrong} of its result is {}, and {} by the predicted tile: downhill doctor tests this adapter's kernels",
        got[wrong], want[wrong]
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_stays_unless_another_is_five_per_cent_faster() {
        let default = [1.0, 1.0, 1.0];
        assert_eq!(chosen(&[]), 0);
        assert_eq!(chosen(&[&default]), 0);
        assert_eq!(chosen(&[&default, &[0.96; 3]]), 0);
        assert_eq!(chosen(&[&default, &[0.953; 3]]), 0);
        assert_eq!(chosen(&[&default, &[0.952; 3]]), 1);
        assert_eq!(chosen(&[&default, &[0.9; 3], &[0.5; 3], &[0.8; 3]]), 2);
        assert_eq!(chosen(&[&default, &[2.0; 3], &[1.1; 3]]), 0);
    }

    #[test]
    fn rounds_are_compared_with_themselves() {
        // Three times as slow in the last round, both.
        assert_eq!(chosen(&[&[1.0, 1.0, 3.0], &[0.9, 0.9, 2.7]]), 1);
        // A fast round or a slow one alone decides nothing.
        assert_eq!(chosen(&[&[1.0, 1.0, 1.0, 1.0, 1.0], &[0.1, 1.0, 1.0, 1.0, 1.0]]), 0);
        assert_eq!(chosen(&[&[1.0, 1.0, 9.0, 1.0, 1.0], &[1.0, 1.0, 1.0, 1.0, 1.0]]), 0);
    }

    #[test]
    fn other_numbers_are_seen() {
        let want = [1.0, -64.0, f64::NAN, f64::INFINITY, 0.0];
        assert_eq!(difference(&want, &want), None);
        assert_eq!(difference(&want, &[1.1, -64.0, f64::NAN, f64::INFINITY, 0.1]), None);
        for (at, wrong) in [(0, 1.2), (1, 64.0), (2, 0.0), (3, f64::NEG_INFINITY), (4, f64::NAN)] {
            let mut got = want;
            got[at] = wrong;
            let text = difference(&want, &got).unwrap();
            assert!(text.starts_with(&format!("number {at} ")) && text.contains("doctor"), "{text}");
        }
        assert!(difference(&want, &want[1..]).unwrap().contains("4 numbers"));
    }
}
