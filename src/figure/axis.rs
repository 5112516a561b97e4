//! Axes, and the scales that place values on them.

use super::text::{scientific, trimmed};

/// The values that an axis shows.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Extent {
    /// Those of the data, and 0; a logarithmic axis has no 0.
    #[default]
    Zero,
    /// Those of the data.
    Data,
    /// These, from the first to the second. What lies outside is cut off.
    Fixed(f64, f64),
}

/// An axis of a panel.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Axis {
    /// The quantity with its unit.
    pub label: String,
    /// True for a logarithmic axis.
    pub log: bool,
    /// The marks with their labels; chosen by the data if empty.
    pub ticks: Vec<(f64, String)>,
    /// The values shown.
    pub extent: Extent,
}

impl Axis {
    /// A linear axis with 0 and the data.
    pub fn linear(label: impl Into<String>) -> Axis {
        Axis { label: label.into(), ..Axis::default() }
    }

    /// A logarithmic axis.
    pub fn log(label: impl Into<String>) -> Axis {
        Axis { label: label.into(), log: true, ..Axis::default() }
    }

    /// The same axis with other values shown.
    #[must_use]
    pub fn showing(self, extent: Extent) -> Axis {
        Axis { extent, ..self }
    }

    /// The scale of an axis for data between two values; no value is shown where there are none (`low > high`).
    pub(super) fn scale(&self, low: f64, high: f64) -> Scale {
        // Far beyond this, differences of values are no numbers.
        let (low, high) = (low.clamp(-1e300, 1e300), high.clamp(-1e300, 1e300));
        let (low, high) = match self.extent {
            Extent::Fixed(low, high) => (low, high),
            _ if low > high => (1.0, 2.0),
            _ => (low, high),
        };
        let fixed = matches!(self.extent, Extent::Fixed(..));
        if self.log {
            // A tenth beyond either end, and at least a decade.
            let (a, b) = (low.log10(), high.log10());
            let room = if fixed { 0.0 } else { (0.06 * (b - a)).max(if b - a < 0.5 { 0.3 } else { 0.05 }) };
            let (low, high) = (a - room, b + room);
            let ticks = if self.ticks.is_empty() { decades(low, high) } else { self.ticks.clone() };
            return Scale { low, high, log: true, ticks, fixed };
        }
        let mut scale = match self.extent {
            Extent::Zero => {
                let (low, high) = (low.min(0.0), high.max(0.0));
                let step = nice((high - low).max(1e-12) / 5.0);
                let (first, last) = ((low * 1.04 / step).floor(), (high * 1.04 / step).ceil());
                Scale::linear(first * step, last.max(first + 1.0) * step, fixed)
            }
            Extent::Data => {
                // Equal values are shown with room on both sides.
                let room = if high > low { 0.04 * (high - low) } else { (0.05 * high.abs()).max(1e-12) };
                Scale::linear(low - room, high + room, fixed)
            }
            Extent::Fixed(..) => Scale::linear(low, high, fixed),
        };
        if !self.ticks.is_empty() {
            scale.ticks.clone_from(&self.ticks);
        }
        scale
    }
}

/// The fraction of the axis at a value. `low` and `high` are logarithms where `log` is true.
#[derive(Debug, Clone)]
pub(super) struct Scale {
    pub low: f64,
    pub high: f64,
    pub log: bool,
    pub ticks: Vec<(f64, String)>,
    /// True where values may lie outside.
    pub fixed: bool,
}

impl Scale {
    fn linear(low: f64, high: f64, fixed: bool) -> Scale {
        Scale { low, high, log: false, ticks: round_numbers(low, high), fixed }
    }

    /// The same scale with room added at both ends, so that it is `factor` times as long.
    pub fn widened(&self, factor: f64) -> Scale {
        let room = (factor - 1.0) / 2.0 * (self.high - self.low);
        Scale::linear(self.low - room, self.high + room, self.fixed)
    }

    /// The fraction of the axis at a value: 0 at its start, 1 at its end. NaN for a value without a place.
    pub fn part(&self, value: f64) -> f64 {
        let at = if !self.log {
            value
        } else if value > 0.0 {
            value.log10()
        } else {
            f64::NAN
        };
        (at - self.low) / (self.high - self.low)
    }

    pub fn holds(&self, value: f64) -> bool {
        (-1e-9..=1.0 + 1e-9).contains(&self.part(value))
    }
}

/// Round numbers between two values, about five steps apart.
fn round_numbers(low: f64, high: f64) -> Vec<(f64, String)> {
    let step = nice((high - low) / 5.0 * 0.999);
    let decimals = (-step.log10().floor() + 1.0).clamp(0.0, 12.0) as usize;
    let marks = (low / step - 1e-9).ceil() as i64..=(high / step + 1e-9).floor() as i64;
    let word = |v: f64| {
        if v != 0.0 && !(1e-4..1e6).contains(&v.abs()) {
            return scientific(v, 2);
        }
        match trimmed(&format!("{v:.decimals$}")) {
            "-0" => "0".to_owned(),
            text => text.to_owned(),
        }
    };
    marks.map(|i| (i as f64 * step, word(i as f64 * step))).collect()
}

/// Powers of ten between two logarithms: at most about eight of them; with 2 and 5 between them where there would be fewer
/// than three.
fn decades(low: f64, high: f64) -> Vec<(f64, String)> {
    let whole = low.floor() as i32..=high.ceil() as i32;
    let few = high.floor() - low.ceil() < 2.0;
    let within: &[f64] = if few { &[1.0, 2.0, 5.0] } else { &[1.0] };
    let apart = ((high - low) / 8.0).ceil().max(1.0) as i32;
    let word = |v: f64| {
        let text = if (1e-3..1e5).contains(&v) { format!("{v:.3}") } else { scientific(v, 2) };
        trimmed(&text).to_owned()
    };
    whole
        .filter(|e| e.rem_euclid(apart) == 0)
        .flat_map(|e| within.iter().map(move |m| m * 10f64.powi(e)))
        .map(|v| (v, word(v)))
        .collect()
}

/// The next of 1, 2, 2.5, 5 times a power of ten.
fn nice(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    [1.0, 2.0, 2.5, 5.0, 10.0].into_iter().map(|m| m * power).find(|s| *s >= step * 0.999).unwrap_or(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(scale: &Scale) -> Vec<&str> {
        scale.ticks.iter().map(|t| t.1.as_str()).collect()
    }

    #[test]
    fn values_lie_where_the_axes_say() {
        // Logarithmic: the middle of 1e3 and 1e6 is their geometric mean.
        let x = Axis::log("x").scale(1e3, 1e6);
        assert!((x.part(10f64.powf(4.5)) - 0.5).abs() < 1e-12);
        assert!(!x.holds(0.0) && !x.holds(-1.0) && !x.holds(f64::NAN));
        let y = Axis::linear("y").scale(1.0, 4.0);
        assert_eq!((y.part(0.0), y.high), (0.0, 5.0));
        assert_eq!(words(&y), ["0", "1", "2", "3", "4", "5"]);
    }

    #[test]
    fn a_linear_axis_holds_zero_and_what_is_below() {
        for (low, high, want) in
            [(-4.0, 4.0, (-6.0, 6.0)), (-4.0, -1.0, (-5.0, 0.0)), (0.0, 0.0, (0.0, 2e-13))]
        {
            let y = Axis::linear("y").scale(low, high);
            assert_eq!((y.low, y.high), want);
        }
    }

    #[test]
    fn an_axis_of_the_data_or_of_given_values() {
        let y = Axis::linear("y").showing(Extent::Data).scale(0.95, 0.99);
        assert!(y.low > 0.94 && y.high < 1.0 && y.holds(0.95) && y.holds(0.99));
        assert_eq!(words(&y), ["0.95", "0.96", "0.97", "0.98", "0.99"]);
        let y = Axis::linear("y").showing(Extent::Fixed(-1.0, 1.0)).scale(-50.0, 50.0);
        assert_eq!((y.low, y.high), (-1.0, 1.0));
        assert_eq!(words(&y), ["-1", "-0.5", "0", "0.5", "1"]);
        let wide = y.widened(2.0);
        assert_eq!((wide.low, wide.high), (-2.0, 2.0));
        // The largest numbers there are.
        let wide = Axis::linear("y").scale(-1e308, 1.7e308);
        assert!(wide.low.is_finite() && wide.high.is_finite() && !wide.ticks.is_empty());
        assert!(Axis::linear("y").showing(Extent::Data).scale(-1e308, 1e308).part(0.0).is_finite());
        // Nothing to show, and one value.
        assert!(Axis::linear("y").showing(Extent::Data).scale(f64::MAX, f64::MIN).holds(1.5));
        assert!(Axis::linear("y").showing(Extent::Data).scale(3.0, 3.0).holds(3.0));
    }

    #[test]
    fn ticks_are_round() {
        assert_eq!(nice(0.3), 0.5);
        assert_eq!(nice(2.1), 2.5);
        let words = |low, high| decades(low, high).into_iter().map(|t| t.1).collect::<Vec<_>>();
        assert_eq!(words(0.1, 3.2), ["1", "10", "100", "1000", "10000"]);
        assert_eq!(words(-0.4, 0.5), ["0.1", "0.2", "0.5", "1", "2", "5", "10", "20", "50"]);
        assert_eq!(words(-12.0, 3.0), ["1e-12", "1e-10", "1e-8", "1e-6", "1e-4", "0.01", "1", "100"]);
    }
}
