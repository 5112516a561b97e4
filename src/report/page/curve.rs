//! A curve of any length in bounded memory: bins of equally many points, each with its least and its greatest.

/// Points in bins. When there are too many bins, two become one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Curve {
    /// Bins, at most; each is drawn as two points.
    most: usize,
    /// Points of a full bin.
    each: u64,
    bins: Vec<Bin>,
    /// Points that are not finite, and x of the first of them.
    missing: u64,
    first_missing: Option<f64>,
    last: Option<(f64, f64)>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Bin {
    /// Points, those that are not finite among them.
    points: u64,
    /// Finite ones.
    finite: u64,
    sums: (f64, f64),
    least: (f64, f64),
    greatest: (f64, f64),
}

impl Bin {
    const EMPTY: Bin = Bin {
        points: 0,
        finite: 0,
        sums: (0.0, 0.0),
        least: (0.0, f64::INFINITY),
        greatest: (0.0, f64::NEG_INFINITY),
    };

    fn with(self, other: Bin) -> Bin {
        Bin {
            points: self.points + other.points,
            finite: self.finite + other.finite,
            sums: (self.sums.0 + other.sums.0, self.sums.1 + other.sums.1),
            least: if other.least.1 < self.least.1 { other.least } else { self.least },
            greatest: if other.greatest.1 > self.greatest.1 { other.greatest } else { self.greatest },
        }
    }

    fn mean(&self) -> Option<(f64, f64)> {
        let n = self.finite as f64;
        (self.finite > 0).then(|| (self.sums.0 / n, self.sums.1 / n))
    }
}

impl Curve {
    /// An empty curve that is drawn as at most `points` points, of which the least number is 2.
    pub fn new(points: usize) -> Curve {
        Curve {
            most: (points / 2).max(1),
            each: 1,
            bins: Vec::new(),
            missing: 0,
            first_missing: None,
            last: None,
        }
    }

    /// Adds a point; x grows. `None`, NaN and infinities are counted, and not drawn.
    pub fn push(&mut self, x: f64, y: Option<f64>) {
        if self.bins.last().is_none_or(|bin| bin.points == self.each) {
            if self.bins.len() == self.most {
                self.each *= 2;
                self.bins =
                    self.bins.chunks(2).map(|two| two.iter().copied().fold(Bin::EMPTY, Bin::with)).collect();
            }
            if self.bins.last().is_none_or(|bin| bin.points == self.each) {
                self.bins.push(Bin::EMPTY);
            }
        }
        let Some(bin) = self.bins.last_mut() else { return };
        match y.filter(|y| y.is_finite()) {
            Some(y) => {
                let own = Bin { points: 1, finite: 1, sums: (x, y), least: (x, y), greatest: (x, y) };
                *bin = bin.with(own);
                self.last = Some((x, y));
            }
            None => {
                bin.points += 1;
                self.missing += 1;
                self.first_missing.get_or_insert(x);
            }
        }
    }

    /// The points in order: every one, or of each bin the least and the greatest.
    pub fn points(&self) -> Vec<(f64, f64)> {
        let mut points = Vec::with_capacity(2 * self.bins.len());
        for bin in self.bins.iter().filter(|bin| bin.finite > 0) {
            let (a, b) = if bin.least.0 <= bin.greatest.0 {
                (bin.least, bin.greatest)
            } else {
                (bin.greatest, bin.least)
            };
            points.push(a);
            if a != b {
                points.push(b);
            }
        }
        points
    }

    /// Means over about a fiftieth of the curve, at most `most` of them; empty where there are too few points to smooth.
    pub fn smooth(&self, most: usize) -> Vec<(f64, f64)> {
        let means: Vec<(f64, f64)> = self.bins.iter().filter_map(Bin::mean).collect();
        if means.len() < 20 {
            return Vec::new();
        }
        let half = (means.len() / 100).max(2);
        let stride = means.len().div_ceil(most.max(1));
        let at = |i: usize| {
            let near = &means[i.saturating_sub(half)..(i + half + 1).min(means.len())];
            let n = near.len() as f64;
            (means[i].0, near.iter().map(|point| point.1).sum::<f64>() / n)
        };
        let last = means.len() - 1;
        (0..last).step_by(stride).chain([last]).map(at).collect()
    }

    /// Corners of a curve that is constant or straight for long, as a learning rate: every point that the line between its
    /// neighbours misses.
    pub fn corners(&self) -> Vec<(f64, f64)> {
        let mut kept: Vec<(f64, f64)> = Vec::new();
        for point in self.points() {
            if let [.., a, b] = kept[..] {
                let between = a.1 + (point.1 - a.1) * (b.0 - a.0) / (point.0 - a.0).max(f64::MIN_POSITIVE);
                if (between - b.1).abs() <= 1e-6 * b.1.abs() {
                    kept.pop();
                }
            }
            kept.push(point);
        }
        kept
    }

    /// Points that are not finite, and x of the first.
    pub fn missing(&self) -> Option<(u64, f64)> {
        self.first_missing.map(|x| (self.missing, x))
    }

    /// The last finite point.
    pub fn last(&self) -> Option<(f64, f64)> {
        self.last
    }

    /// True where there is no finite point.
    pub fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    /// True where points were put together.
    pub fn is_binned(&self) -> bool {
        self.each > 1
    }
}

/// Things at equal distances: when there are too many, every other one goes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Thinned<T> {
    most: usize,
    each: u64,
    seen: u64,
    kept: Vec<T>,
    /// The last, where it is not kept.
    last: Option<T>,
}

impl<T> Thinned<T> {
    /// Keeps at most `most` things, and the last.
    pub fn new(most: usize) -> Thinned<T> {
        Thinned { most: most.max(2), each: 1, seen: 0, kept: Vec::new(), last: None }
    }

    /// Adds a thing.
    pub fn push(&mut self, thing: T) {
        let is_due = self.seen.is_multiple_of(self.each);
        self.seen += 1;
        if !is_due {
            self.last = Some(thing);
            return;
        }
        if self.kept.len() == self.most {
            self.each *= 2;
            let mut at = 0;
            self.kept.retain(|_| {
                at += 1;
                at % 2 == 1
            });
            if !(self.seen - 1).is_multiple_of(self.each) {
                self.last = Some(thing);
                return;
            }
        }
        self.kept.push(thing);
        self.last = None;
    }

    /// What is kept, in order, and the last.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.kept.iter().chain(&self.last)
    }

    /// How many there were.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// The last.
    pub fn last(&self) -> Option<&T> {
        self.last.as_ref().or_else(|| self.kept.last())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spike_survives_whatever_the_length() {
        for n in [1_u64, 10, 99, 100, 101, 5_000, 200_000] {
            let mut curve = Curve::new(100);
            let spike = n / 2;
            for i in 0..n {
                curve.push(i as f64, Some(if i == spike { 100.0 } else { (i % 7) as f64 }));
            }
            let points = curve.points();
            assert!(points.len() <= 100 && points.contains(&(spike as f64, 100.0)), "{n}: {}", points.len());
            assert!(points.is_sorted_by(|a, b| a.0 < b.0), "{n}");
            assert_eq!(curve.is_binned(), n > 50);
        }
    }

    #[test]
    fn what_is_not_finite_is_counted() {
        let mut curve = Curve::new(10);
        for (i, y) in
            [Some(1.0), None, Some(f64::NAN), Some(2.0), Some(f64::INFINITY)].into_iter().enumerate()
        {
            curve.push(i as f64, y);
        }
        assert_eq!((curve.points(), curve.missing()), (vec![(0.0, 1.0), (3.0, 2.0)], Some((3, 1.0))));
        assert_eq!(curve.last(), Some((3.0, 2.0)));
        assert!(Curve::new(10).points().is_empty() && Curve::new(10).smooth(5).is_empty());
    }

    #[test]
    fn a_constant_has_two_corners() {
        let mut curve = Curve::new(1000);
        (0..300).for_each(|i| curve.push(f64::from(i), Some(if i < 200 { 0.1 } else { 0.01 })));
        assert_eq!(curve.corners(), [(0.0, 0.1), (199.0, 0.1), (200.0, 0.01), (299.0, 0.01)]);
        let mean = curve.smooth(50);
        assert!(mean.len() <= 51 && (mean[10].1 - 0.1).abs() < 1e-12, "{mean:?}");
    }

    #[test]
    fn thinned_things_are_at_equal_distances() {
        let mut thinned = Thinned::new(10);
        (0..1000).for_each(|i| thinned.push(i));
        let kept: Vec<i32> = thinned.iter().copied().collect();
        assert_eq!(kept, [0, 128, 256, 384, 512, 640, 768, 896, 999]);
        assert_eq!((thinned.seen(), thinned.last()), (1000, Some(&999)));
    }
}
