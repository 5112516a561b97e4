//! The place of a kernel under the roofline, as columns of a table and points of a figure.

use super::Roof;
use super::sheet::{Cell, Column, Unit};
use crate::figure::{Axis, Figure, Panel, Series};

/// Points of a series of a figure.
pub(super) type Points = Vec<(f64, f64)>;

/// Operations and bytes of something, and how long it took.
#[derive(Debug, Clone, Copy)]
pub(super) struct Deed {
    /// Floating-point operations.
    pub flops: f64,
    /// Bytes, with each operand counted once.
    pub bytes: f64,
    pub seconds: f64,
}

/// The columns of [`cells`].
pub(super) const COLUMNS: [Column; 6] = [
    Column::new("flops_per_second", "GFLOP/s", Unit::Flops),
    Column::new("of_peak", "of peak", Unit::Share),
    Column::new("bytes_per_second", "GB/s", Unit::Bandwidth),
    Column::new("intensity", "FLOP/B", Unit::Plain),
    Column::new("bound_flops_per_second", "bound GFLOP/s", Unit::Flops),
    Column::new("of_bound", "of bound", Unit::Share),
];

impl Deed {
    fn rate(&self) -> f64 {
        self.flops / self.seconds
    }

    fn intensity(&self) -> f64 {
        self.flops / self.bytes
    }

    /// The share of the roof that is reached: of the operations a second, or of the bandwidth without operations.
    pub fn of_bound(&self, roof: &Roof) -> f64 {
        if self.flops > 0.0 {
            self.rate() / roof.bound(self.intensity())
        } else {
            self.bytes / self.seconds / roof.bandwidth()
        }
    }

    /// Its place under the roof.
    pub fn cells(&self, roof: &Roof) -> [Cell; 6] {
        let computes = self.flops > 0.0;
        let if_computes = |number: f64| Cell::from(computes.then_some(number));
        [
            if_computes(self.rate()),
            if_computes(self.rate() / roof.flops),
            (self.bytes / self.seconds).into(),
            if_computes(self.intensity()),
            if_computes(roof.bound(self.intensity())),
            self.of_bound(roof).into(),
        ]
    }

    /// Its point in the figure: operations a byte, and GFLOP/s.
    pub fn point(&self) -> (f64, f64) {
        (self.intensity(), self.rate() / 1e9)
    }
}

/// The meaning of the roofline's columns.
pub(super) const NOTE: &str = "Bound: what the roof allows at so many operations a byte, the lesser of the peak and of \
    FLOP/B times the bandwidth. Bytes are by the book, each operand once; what stays in a cache makes more than 100% \
    possible.";

/// The roof with series of points under it.
pub(super) fn roofline(title: &str, subtitle: String, roof: &Roof, mut series: Vec<Series>) -> Figure {
    for series in &mut series {
        series.points.retain(|(x, y)| *x > 0.0 && *y > 0.0);
    }
    let points = series.iter().flat_map(|s| &s.points).map(|p| p.0);
    let (low, high) = points.fold((f64::MAX, f64::MIN), |(a, b), x| (a.min(x), b.max(x)));
    let ridge = roof.flops / roof.bandwidth();
    let (low, high) = (low.min(ridge / 4.0), high.max(ridge * 4.0));
    let at = |x: f64| (x, roof.bound(x) / 1e9);
    let line = vec![at(low), at(ridge), at(high)];
    let roof = Series::line("roof", 6, line);
    series.insert(0, roof);
    Figure {
        title: title.into(),
        subtitle,
        panels: vec![Panel::new("", Axis::log("operations a byte"), Axis::log("GFLOP/s")).with_all(series)],
        ..Figure::default()
    }
}

/// Points without a line.
pub(super) fn dots(name: String, colour: usize, points: Points) -> Series {
    Series::marks(name, colour, points)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::Layer;

    const ROOF: Roof = Roof { copy: 10e9, triad: 8e9, flops: 100e9, triad_each: 1, array: 1 << 20 };

    #[test]
    fn the_roof_is_slanted_then_flat() {
        assert_eq!((ROOF.bound(2.0), ROOF.bound(10.0), ROOF.bound(50.0)), (20e9, 100e9, 100e9));
        let slow = Deed { flops: 2e9, bytes: 1e9, seconds: 0.2 };
        assert!((slow.of_bound(&ROOF) - 0.5).abs() < 1e-12);
        let moves = Deed { flops: 0.0, bytes: 1e9, seconds: 0.2 };
        assert!((moves.of_bound(&ROOF) - 0.5).abs() < 1e-12);
        assert_eq!(moves.cells(&ROOF)[0], Cell::None);
    }

    #[test]
    fn the_figure_has_the_ridge() {
        let figure =
            roofline("t", "s".into(), &ROOF, vec![dots("d".into(), 0, vec![(1.0, 5.0), (0.0, 0.0)])]);
        let [Layer::Series(roof), Layer::Series(dots)] = &figure.panels[0].layers[..] else {
            panic!("two series")
        };
        assert_eq!(roof.points[1], (10.0, 100.0));
        assert_eq!(dots.points, [(1.0, 5.0)]);
    }
}
